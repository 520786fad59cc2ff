import { crc32 } from "node:zlib";
import type { DiskFile } from "./disk.ts";
import {
  decodeFrameHeader,
  FILE_HEADER_BYTES,
  type FileHeaderVerdict,
  FRAME_HEADER_BYTES,
  type FrameHeader,
  frameSize,
  isFrameHeadWhole,
  judgeFileHeader,
} from "./format.ts";
import { type AdmissionDescription, parseDescription } from "./record-codec.ts";

export interface ReadFrame {
  readonly header: FrameHeader;
  readonly description: unknown;
  /** Where the first payload begins in the file. */
  readonly payloadOffset: number;
  /** Indexes into the description's payloads. */
  readonly damagedPayloads: readonly number[];
}

/** Bytes of a segment that hold no whole frame. */
export interface DamagedRange {
  readonly from: number;
  readonly to: number;
  /**
   * The file ends before the last frame does: what a crash leaves, and its sender was never answered. (A frame whose
   * length was damaged can look the same, so these bytes are set aside too.)
   */
  readonly isTornTail: boolean;
}

export interface ReadSegment {
  readonly verdict: FileHeaderVerdict;
  readonly frames: readonly ReadFrame[];
  readonly damaged: readonly DamagedRange[];
}

/** Read at once while looking for the next frame, and while checking payloads. */
const CHUNK_BYTES = 1024 * 1024;

/** Reads a whole segment and checks every checksum. Damage costs what it hits; the next frame is looked for behind it. */
export async function readSegment(file: DiskFile): Promise<ReadSegment> {
  const size = await file.size();
  const verdict = judgeFileHeader(await file.read(0, Math.min(size, FILE_HEADER_BYTES)));
  if (verdict === "newer" || verdict === "foreign") return { verdict, frames: [], damaged: [] };
  const frames: ReadFrame[] = [];
  const damaged: DamagedRange[] = [];
  if (verdict === "damaged") {
    damaged.push({ from: 0, to: Math.min(size, FILE_HEADER_BYTES), isTornTail: size < FILE_HEADER_BYTES });
  }
  let offset = FILE_HEADER_BYTES;
  while (offset < size) {
    const frame = await readFrame(file, offset, size);
    if (frame !== undefined) {
      frames.push(frame);
      offset += frameSize(frame.header);
      continue;
    }
    const next = await findFrame(file, offset + 8, size);
    const isTornTail = next === undefined && (await endsEarly(file, offset, size));
    damaged.push({ from: offset, to: next ?? size, isTornTail });
    offset = next ?? size;
  }
  return { verdict, frames, damaged };
}

/** undefined where no whole header and description stand at `offset`, or the frame runs past the end of the file. */
async function readFrame(file: DiskFile, offset: number, size: number): Promise<ReadFrame | undefined> {
  const header = decodeFrameHeader(await file.read(offset, Math.min(FRAME_HEADER_BYTES, size - offset)), 0);
  if (header === undefined) return undefined;
  const headSize = FRAME_HEADER_BYTES + header.descriptionSize;
  if (offset + headSize + header.payloadSize > size) return undefined;
  const head = await file.read(offset, headSize);
  if (!isFrameHeadWhole(header, head)) return undefined;
  const description: unknown = parseDescription(head.subarray(FRAME_HEADER_BYTES));
  const payloadOffset = offset + headSize;
  const payloads = header.kind === "admission" ? (description as AdmissionDescription).payloads : [];
  return { header, description, payloadOffset, damagedPayloads: await findDamaged(file, payloadOffset, payloads) };
}

/** Whether the frame that begins at `offset` says that it is longer than the rest of the file. */
async function endsEarly(file: DiskFile, offset: number, size: number): Promise<boolean> {
  const header = decodeFrameHeader(await file.read(offset, Math.min(FRAME_HEADER_BYTES, size - offset)), 0);
  return header === undefined ? size - offset < FRAME_HEADER_BYTES : offset + frameSize(header) > size;
}

async function findDamaged(
  file: DiskFile,
  from: number,
  payloads: AdmissionDescription["payloads"],
): Promise<number[]> {
  const damaged: number[] = [];
  let offset = from;
  for (const [index, [size, checksum]] of payloads.entries()) {
    if ((await checksumOfRange(file, offset, size)) !== checksum) damaged.push(index);
    offset += size;
  }
  return damaged;
}

async function checksumOfRange(file: DiskFile, from: number, size: number): Promise<number> {
  let sum = 0;
  for (let offset = from; offset < from + size; offset += CHUNK_BYTES) {
    sum = crc32(await file.read(offset, Math.min(CHUNK_BYTES, from + size - offset)), sum);
  }
  return sum;
}

/** The first place from `from` on, a multiple of 8, where a whole frame begins. */
async function findFrame(file: DiskFile, from: number, size: number): Promise<number | undefined> {
  for (let start = from; start < size; start += CHUNK_BYTES) {
    // With the header of a frame that begins at the chunk's end.
    const chunk = await file.read(start, Math.min(CHUNK_BYTES + FRAME_HEADER_BYTES, size - start));
    for (let at = 0; at < Math.min(CHUNK_BYTES, chunk.length); at += 8) {
      if (decodeFrameHeader(chunk, at) === undefined) continue;
      if ((await readFrame(file, start + at, size)) !== undefined) return start + at;
    }
  }
  return undefined;
}
