import { crc32 } from "node:zlib";

/**
 * A segment file is a header and then frames, one after another, each beginning at a multiple of 8:
 *
 *   file header, 32 bytes
 *     0   8  "SIGBOXQ1"
 *     8   4  format version, 2
 *    12   4  number of the segment
 *    16   4  number of the segment that was written before this one; 0: none, or not known
 *    20   4  so many of its first bytes count; what stands behind them is a write that failed
 *    24   4  so many frames stand in these bytes
 *    28   4  CRC32 of bytes 0 to 27
 *
 *   frame
 *     0   4  "SBQF"
 *     4   4  CRC32 of bytes 8 to 31 and of the description
 *     8   8  sequence number of the record
 *    16   4  length of the description
 *    20   4  length of the payloads together
 *    24   1  kind: 1 admission, 2 completion, 3 checkpoint, 4 moved
 *    25   1  1: a copy stands behind the payloads
 *    26   6  zero
 *    32      description, JSON (record-codec.ts): destinations, counts, ledger, sizes and CRC32s of the payloads
 *            payloads, one after another
 *            zeros up to the next multiple of 8
 *            the copy: "SBQC", and bytes 4 and following of header and description once more
 *            zeros up to the next multiple of 8
 *
 * All numbers are little-endian. Description and payloads have checksums of their own, so that a damaged payload does
 * not hide whose it was and how many items are lost; and the description stands on both sides of the payloads, so that
 * one damaged place hides no description. A reader that meets damage looks for the next frame or copy at multiples of 8.
 *
 * Version 1 knows no copies and no kind 4, and has zeros in bytes 16 to 27 of the file header, so that the same code
 * reads it. What it cannot say there (a group that failed and is still on the disk) stands in its checkpoints.
 */
export const FORMAT_VERSION = 2;
export const FILE_HEADER_BYTES = 32;
export const FRAME_HEADER_BYTES = 32;
const ALIGNMENT = 8;

/** Descriptions are some hundred bytes; a checkpoint with a million seen keys stays below this. A larger number is damage. */
const DESCRIPTION_BYTES_MAX = 256 * 1024 * 1024;

const FILE_MAGIC = Buffer.from("SIGBOXQ1");
const FRAME_MAGIC = Buffer.from("SBQF").readUInt32LE(0);
const COPY_MAGIC = Buffer.from("SBQC").readUInt32LE(0);

/**
 * A description above this stands once: only checkpoints with thousands of seen keys are so large, and twice they would
 * cost a tenth of what the segment saves. Lost, the totals of removed segments are gone; the ledger says so.
 */
const COPIED_BYTES_MAX = 64 * 1024;

export type FrameKind = "admission" | "completion" | "checkpoint" | "moved";

const KIND_CODES = { admission: 1, completion: 2, checkpoint: 3, moved: 4 } as const satisfies Record<
  FrameKind,
  number
>;
const KINDS: readonly (FrameKind | undefined)[] = [undefined, "admission", "completion", "checkpoint", "moved"];

export interface FrameHeader {
  readonly kind: FrameKind;
  readonly sequence: number;
  readonly descriptionSize: number;
  readonly payloadSize: number;
  readonly hasCopy: boolean;
  readonly checksum: number;
}

/** Bytes that header and description take. */
export function headSize({ descriptionSize }: Pick<FrameHeader, "descriptionSize">): number {
  return FRAME_HEADER_BYTES + descriptionSize;
}

/** From the frame's first byte to its copy. */
export function copyOffset(header: FrameHeader): number {
  return alignUp(headSize(header) + header.payloadSize);
}

/** Bytes that a frame takes in the file, header, copy and padding included. */
export function frameSize(header: FrameHeader): number {
  return copyOffset(header) + (header.hasCopy ? alignUp(headSize(header)) : 0);
}

export function alignUp(offset: number): number {
  return Math.ceil(offset / ALIGNMENT) * ALIGNMENT;
}

/** How far a segment counts. Said by the segment after it, by a checkpoint once that is removed, or by closed.json. */
export interface SegmentEnd {
  readonly segment: number;
  readonly size: number;
  readonly frameCount: number;
}

export function encodeFileHeader(segment: number, former?: SegmentEnd): Buffer {
  const header = Buffer.alloc(FILE_HEADER_BYTES);
  FILE_MAGIC.copy(header);
  header.writeUInt32LE(FORMAT_VERSION, 8);
  header.writeUInt32LE(segment, 12);
  header.writeUInt32LE(former?.segment ?? 0, 16);
  header.writeUInt32LE(former?.size ?? 0, 20);
  header.writeUInt32LE(former?.frameCount ?? 0, 24);
  header.writeUInt32LE(crc32(header.subarray(0, 28)), 28);
  return header;
}

export type FileHeaderVerdict = "valid" | "damaged" | "newer" | "foreign";

export interface FileHeader {
  /** damaged: ours by its name, but not by its first bytes. newer: whole, and written by a later version. */
  readonly verdict: FileHeaderVerdict;
  readonly version: number;
  readonly former?: SegmentEnd;
}

export function decodeFileHeader(header: Buffer): FileHeader {
  const isWhole = header.length >= FILE_HEADER_BYTES && crc32(header.subarray(0, 28)) === header.readUInt32LE(28);
  if (!isWhole) return { verdict: "damaged", version: 0 };
  const version = header.readUInt32LE(8);
  if (!header.subarray(0, FILE_MAGIC.length).equals(FILE_MAGIC)) return { verdict: "foreign", version };
  if (version > FORMAT_VERSION) return { verdict: "newer", version };
  const segment = header.readUInt32LE(16);
  if (segment === 0) return { verdict: "valid", version };
  const former = { segment, size: header.readUInt32LE(20), frameCount: header.readUInt32LE(24) };
  return { verdict: "valid", version, former };
}

export interface EncodedFrame {
  readonly slices: readonly Uint8Array[];
  /** From the frame's first byte to its first payload's. */
  readonly payloadOffset: number;
  readonly size: number;
}

/**
 * A frame as the slices that one write takes: what stands before the payloads, their bytes, which are not copied, and what
 * stands behind them. One buffer for both ends: one is made for every request.
 */
export function encodeFrame(
  kind: FrameKind,
  sequence: number,
  description: Uint8Array,
  payloads: readonly { readonly slices: readonly Uint8Array[]; readonly size: number }[],
): EncodedFrame {
  let payloadSize = 0;
  for (const { size } of payloads) payloadSize += size;
  const hasCopy = description.length <= COPIED_BYTES_MAX;
  const headBytes = FRAME_HEADER_BYTES + description.length;
  const copyAt = alignUp(headBytes + payloadSize) - payloadSize;
  const ends = Buffer.allocUnsafe(copyAt + (hasCopy ? alignUp(headBytes) : 0));
  writeHead(ends, { kind, sequence, descriptionSize: description.length, payloadSize, hasCopy });
  ends.set(description, FRAME_HEADER_BYTES);
  ends.writeUInt32LE(crc32(ends.subarray(8, headBytes)), 4);
  ends.fill(0, headBytes, copyAt);
  if (hasCopy) {
    ends.copy(ends, copyAt, 0, headBytes);
    ends.writeUInt32LE(COPY_MAGIC, copyAt);
    ends.fill(0, copyAt + headBytes);
  }
  const slices: Uint8Array[] = [ends.subarray(0, headBytes)];
  for (const payload of payloads) for (const slice of payload.slices) slices.push(slice);
  if (ends.length > headBytes) slices.push(ends.subarray(headBytes));
  return { slices, payloadOffset: headBytes, size: ends.length + payloadSize };
}

/** All but the checksum. */
function writeHead(
  bytes: Buffer,
  { kind, sequence, descriptionSize, payloadSize, hasCopy }: Omit<FrameHeader, "checksum">,
): void {
  bytes.writeUInt32LE(FRAME_MAGIC, 0);
  // Two halves of a number below 2^53, rather than a bigint made for it.
  bytes.writeUInt32LE(sequence % 2 ** 32, 8);
  bytes.writeUInt32LE(Math.floor(sequence / 2 ** 32), 12);
  bytes.writeUInt32LE(descriptionSize, 16);
  bytes.writeUInt32LE(payloadSize, 20);
  bytes.writeUInt32LE(KIND_CODES[kind] | (hasCopy ? 1 << 8 : 0), 24);
  bytes.writeUInt32LE(0, 28);
}

/** undefined where the bytes cannot be a frame's header; its checksum needs the description too (isFrameHeadWhole). */
export function decodeFrameHeader(bytes: Buffer, offset: number): FrameHeader | undefined {
  return decodeHeader(bytes, offset, FRAME_MAGIC);
}

/** The same of a frame's copy. */
export function decodeCopyHeader(bytes: Buffer, offset: number): FrameHeader | undefined {
  return decodeHeader(bytes, offset, COPY_MAGIC);
}

function decodeHeader(bytes: Buffer, offset: number, magic: number): FrameHeader | undefined {
  if (offset + FRAME_HEADER_BYTES > bytes.length || bytes.readUInt32LE(offset) !== magic) return undefined;
  const kind = KINDS[bytes.readUInt8(offset + 24)];
  const descriptionSize = bytes.readUInt32LE(offset + 16);
  const sequence = bytes.readBigUInt64LE(offset + 8);
  if (kind === undefined || descriptionSize > DESCRIPTION_BYTES_MAX) return undefined;
  if (sequence > BigInt(Number.MAX_SAFE_INTEGER)) return undefined;
  return {
    kind,
    sequence: Number(sequence),
    descriptionSize,
    payloadSize: bytes.readUInt32LE(offset + 20),
    hasCopy: bytes.readUInt8(offset + 25) === 1,
    checksum: bytes.readUInt32LE(offset + 4),
  };
}

/** `head` is header and description, of a frame or of its copy. */
export function isFrameHeadWhole(header: FrameHeader, head: Buffer): boolean {
  return crc32(head.subarray(8)) === header.checksum;
}

/** Over slices, without joining them. */
export function checksumOf(slices: readonly Uint8Array[]): number {
  let sum = 0;
  for (const slice of slices) sum = crc32(slice, sum);
  return sum;
}
