import { crc32 } from "node:zlib";

/**
 * A segment file is a header and then frames, one after another, each beginning at a multiple of 8:
 *
 *   file header, 32 bytes
 *     0   8  "SIGBOXQ1"
 *     8   4  format version, 1
 *    12   4  number of the segment
 *    16  12  zero
 *    28   4  CRC32 of bytes 0 to 27
 *
 *   frame
 *     0   4  "SBQF"
 *     4   4  CRC32 of bytes 8 to 31 and of the description
 *     8   8  sequence number of the record
 *    16   4  length of the description
 *    20   4  length of the payloads together
 *    24   1  kind: 1 admission, 2 completion, 3 checkpoint
 *    25   7  zero
 *    32      description, JSON (record-codec.ts): destinations, counts, ledger, sizes and CRC32s of the payloads
 *            payloads, one after another
 *            zeros up to the next multiple of 8
 *
 * All numbers are little-endian. Description and payloads have checksums of their own, so that a damaged payload does
 * not hide whose it was and how many items are lost. A reader that meets damage looks for the next frame at multiples of 8.
 */
export const FORMAT_VERSION = 1;
export const FILE_HEADER_BYTES = 32;
export const FRAME_HEADER_BYTES = 32;
const ALIGNMENT = 8;

/** Descriptions are some hundred bytes; a checkpoint with a million seen keys stays below this. A larger number is damage. */
const DESCRIPTION_BYTES_MAX = 256 * 1024 * 1024;

const FILE_MAGIC = Buffer.from("SIGBOXQ1");
const FRAME_MAGIC = Buffer.from("SBQF").readUInt32LE(0);

export type FrameKind = "admission" | "completion" | "checkpoint";

const KIND_CODES = { admission: 1, completion: 2, checkpoint: 3 } as const satisfies Record<FrameKind, number>;
const KINDS: readonly (FrameKind | undefined)[] = [undefined, "admission", "completion", "checkpoint"];

export interface FrameHeader {
  readonly kind: FrameKind;
  readonly sequence: number;
  readonly descriptionSize: number;
  readonly payloadSize: number;
  readonly checksum: number;
}

/** Bytes that a frame takes in the file, header and padding included. */
export function frameSize({
  descriptionSize,
  payloadSize,
}: Pick<FrameHeader, "descriptionSize" | "payloadSize">): number {
  return alignUp(FRAME_HEADER_BYTES + descriptionSize + payloadSize);
}

export function alignUp(offset: number): number {
  return Math.ceil(offset / ALIGNMENT) * ALIGNMENT;
}

export function encodeFileHeader(segment: number): Buffer {
  const header = Buffer.alloc(FILE_HEADER_BYTES);
  FILE_MAGIC.copy(header);
  header.writeUInt32LE(FORMAT_VERSION, 8);
  header.writeUInt32LE(segment, 12);
  header.writeUInt32LE(crc32(header.subarray(0, 28)), 28);
  return header;
}

export type FileHeaderVerdict = "valid" | "damaged" | "newer" | "foreign";

/** damaged: ours by its name, but not by its first bytes. newer: whole, and written by a later version. */
export function judgeFileHeader(header: Buffer): FileHeaderVerdict {
  const isWhole = header.length >= FILE_HEADER_BYTES && crc32(header.subarray(0, 28)) === header.readUInt32LE(28);
  const isOurs = header.subarray(0, FILE_MAGIC.length).equals(FILE_MAGIC);
  if (!isWhole) return "damaged";
  if (!isOurs) return "foreign";
  return header.readUInt32LE(8) > FORMAT_VERSION ? "newer" : "valid";
}

/** Header and description of a frame; the payloads and `padding` zeros follow. */
export function encodeFrameHead(
  kind: FrameKind,
  sequence: number,
  description: Uint8Array,
  payloadSize: number,
): { readonly head: Buffer; readonly padding: number } {
  const head = Buffer.allocUnsafe(FRAME_HEADER_BYTES + description.length);
  head.fill(0, 0, FRAME_HEADER_BYTES);
  head.writeUInt32LE(FRAME_MAGIC, 0);
  head.writeBigUInt64LE(BigInt(sequence), 8);
  head.writeUInt32LE(description.length, 16);
  head.writeUInt32LE(payloadSize, 20);
  head.writeUInt8(KIND_CODES[kind], 24);
  head.set(description, FRAME_HEADER_BYTES);
  head.writeUInt32LE(crc32(head.subarray(8)), 4);
  const size = FRAME_HEADER_BYTES + description.length + payloadSize;
  return { head, padding: alignUp(size) - size };
}

/** undefined where the bytes cannot be a frame's header; its checksum needs the description too (isFrameHeadWhole). */
export function decodeFrameHeader(bytes: Buffer, offset: number): FrameHeader | undefined {
  if (offset + FRAME_HEADER_BYTES > bytes.length || bytes.readUInt32LE(offset) !== FRAME_MAGIC) return undefined;
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
    checksum: bytes.readUInt32LE(offset + 4),
  };
}

/** `head` is the frame's header and description. */
export function isFrameHeadWhole(header: FrameHeader, head: Buffer): boolean {
  return crc32(head.subarray(8)) === header.checksum;
}

/** Over slices, without joining them. */
export function checksumOf(slices: readonly Uint8Array[]): number {
  return slices.reduce((sum, slice) => crc32(slice, sum), 0);
}
