/**
 * LZ4 frames, decoded.
 *
 *   frame    = 04 22 4d 18, flags (1 byte: version 01 << 6, 20 blocks are independent, 10 block checksums, 08 content size,
 *              04 content checksum, 01 dictionary id), block size (1 byte), [content size (8)], header checksum (1),
 *              block*, 00 00 00 00, [checksum of the content (4)]
 *   block    = size (4 bytes; the highest bit: as it is, not compressed), that many bytes, [checksum of them (4)]
 *   bytes    = sequence*: token (literals << 4 | match - 4; 15 is continued in bytes of 255 and one below), literals,
 *              offset (2 bytes) back in what was decoded, also of blocks before; the last sequence ends with its literals
 *
 * All numbers are little-endian, checksums are xxHash-32. https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md
 * A first walk over the sequences says how large the output is, so nothing is decoded past a bound.
 */

/** What makes bytes no LZ4 frame. The caller says which request it was. */
export class Lz4Error extends Error {
  override readonly name = "Lz4Error";
}

const MAGIC = 0x184d2204;
/** Frames of which a reader knows nothing but their size; the lowest four bits are free. */
const SKIPPABLE_MAGIC = 0x184d2a50;
const UNCOMPRESSED = 0x80000000;
const FLAG = { version: 0xc0, blockChecksum: 0x10, contentSize: 0x08, contentChecksum: 0x04, dictionary: 0x01 };
const VERSION = 0x40;
const MATCH_SIZE_MIN = 4;
const LONG = 15;

interface Block {
  readonly start: number;
  readonly end: number;
  readonly isCompressed: boolean;
  /** Of the frame, behind its last block: where its content's checksum stands, if it has one. */
  readonly checksumAt?: number;
}

/** How large the output will be, exactly. Throws Lz4Error where the bytes are no frames. */
export function lz4DecodedSize(bytes: Buffer): number {
  let size = 0;
  for (const block of blocks(bytes)) size += blockSize(bytes, block);
  return size;
}

/** undefined where the output would exceed `sizeMax`. Rejects with Lz4Error where the bytes are broken. */
export async function decodeLz4(bytes: Buffer, sizeMax: number): Promise<Buffer | undefined> {
  const size = lz4DecodedSize(bytes);
  if (size > sizeMax) return undefined;
  const output = Buffer.allocUnsafe(size);
  let [frameStart, end] = [0, 0];
  for (const block of blocks(bytes)) {
    end = decodeBlock(bytes, block, output, frameStart, end);
    if (block.checksumAt !== undefined) checkContent(bytes, block.checksumAt, output.subarray(frameStart, end));
    if (block.start === block.end) frameStart = end;
    // A block is up to 4 MiB; others get a turn between two.
    await new Promise((resolve) => setImmediate(resolve));
  }
  return output;
}

/** Of all frames; each ends with an empty block. */
function* blocks(bytes: Buffer): Generator<Block> {
  let at = 0;
  do {
    const magic = readUint32(bytes, at);
    if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) {
      at += 8 + readUint32(bytes, at + 4);
      if (at > bytes.length) throw new Lz4Error("a frame that is passed over is cut off");
      continue;
    }
    if (magic !== MAGIC) throw new Lz4Error(`no frame begins at byte ${at}`);
    at = yield* frameBlocks(bytes, at);
  } while (at < bytes.length);
}

function* frameBlocks(bytes: Buffer, frameAt: number): Generator<Block, number> {
  const { flags, end: headerEnd } = readHeader(bytes, frameAt + 4);
  const trailer = (flags & FLAG.blockChecksum) === 0 ? 0 : 4;
  let at = headerEnd;
  for (;;) {
    const word = readUint32(bytes, at);
    const start = at + 4;
    if (word === 0) {
      if ((flags & FLAG.contentChecksum) === 0) yield { start, end: start, isCompressed: false };
      else yield { start, end: start, isCompressed: false, checksumAt: start };
      return (flags & FLAG.contentChecksum) === 0 ? start : start + 4;
    }
    const end = start + (word & ~UNCOMPRESSED);
    if (end + trailer > bytes.length) throw new Lz4Error(`the block at byte ${at} is cut off`);
    if (trailer > 0 && xxHash32(bytes.subarray(start, end)) !== readUint32(bytes, end)) {
      throw new Lz4Error(`the checksum of the block at byte ${at} is wrong`);
    }
    yield { start, end, isCompressed: (word & UNCOMPRESSED) === 0 };
    at = end + trailer;
  }
}

function readHeader(bytes: Buffer, start: number): { readonly flags: number; readonly end: number } {
  const flags = bytes[start] ?? 0;
  if ((flags & FLAG.version) !== VERSION) throw new Lz4Error("the frame is of an unknown version");
  if ((flags & FLAG.dictionary) !== 0) throw new Lz4Error("the frame needs a dictionary");
  const checksumAt = start + 2 + ((flags & FLAG.contentSize) === 0 ? 0 : 8);
  if (checksumAt >= bytes.length) throw new Lz4Error("the frame's header is cut off");
  const checksum = (xxHash32(bytes.subarray(start, checksumAt)) >>> 8) & 0xff;
  if (bytes[checksumAt] !== checksum) throw new Lz4Error("the checksum of the frame's header is wrong");
  return { flags, end: checksumAt + 1 };
}

function checkContent(bytes: Buffer, at: number, content: Buffer): void {
  if (xxHash32(content) !== readUint32(bytes, at)) throw new Lz4Error("the checksum of the frame is wrong");
}

/** What decodeBlock() will write, found without writing; it checks all but the offsets. */
function blockSize(bytes: Buffer, { start, end, isCompressed }: Block): number {
  if (!isCompressed) return end - start;
  let size = 0;
  const cursor = { at: start };
  while (cursor.at < end) {
    const token = bytes[cursor.at++]!;
    const literals = readSize(bytes, cursor, end, token >>> 4);
    size += literals;
    cursor.at += literals;
    if (cursor.at > end) throw new Lz4Error("literals run past the end of their block");
    if (cursor.at === end) return size;
    cursor.at += 2;
    size += readSize(bytes, cursor, end, token & LONG) + MATCH_SIZE_MIN;
  }
  throw new Lz4Error("the block ends within a sequence");
}

/** Returns where the output ends now. */
function decodeBlock(bytes: Buffer, block: Block, output: Buffer, frameStart: number, outputEnd: number): number {
  const { start, end, isCompressed } = block;
  if (!isCompressed) return outputEnd + bytes.copy(output, outputEnd, start, end);
  let to = outputEnd;
  const cursor = { at: start };
  for (;;) {
    const token = bytes[cursor.at++]!;
    const literals = readSize(bytes, cursor, end, token >>> 4);
    to += bytes.copy(output, to, cursor.at, cursor.at + literals);
    cursor.at += literals;
    if (cursor.at >= end) return to;
    const offset = bytes[cursor.at]! | (bytes[cursor.at + 1]! << 8);
    cursor.at += 2;
    const size = readSize(bytes, cursor, end, token & LONG) + MATCH_SIZE_MIN;
    if (offset === 0 || to - offset < frameStart) throw new Lz4Error("a match begins before the frame does");
    // Byte by byte: a match may overlap what it writes.
    for (const matchEnd = to + size; to < matchEnd; to++) output[to] = output[to - offset]!;
  }
}

function readSize(bytes: Buffer, cursor: { at: number }, end: number, nibble: number): number {
  if (nibble < LONG) return nibble;
  let size = LONG;
  for (let byte = 255; byte === 255;) {
    if (cursor.at >= end) throw new Lz4Error("a size is cut off");
    byte = bytes[cursor.at++]!;
    size += byte;
  }
  return size;
}

function readUint32(bytes: Buffer, at: number): number {
  if (at + 4 > bytes.length) throw new Lz4Error("the frame is cut off");
  return bytes.readUInt32LE(at);
}

const [P1, P2, P3, P4, P5] = [0x9e3779b1, 0x85ebca77, 0xc2b2ae3d, 0x27d4eb2f, 0x165667b1] as const;

const rotate = (value: number, bits: number): number => (value << bits) | (value >>> (32 - bits));
const round = (sum: number, word: number): number => Math.imul(rotate((sum + Math.imul(word, P2)) | 0, 13), P1);

/** https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md, with a seed of 0. */
export function xxHash32(bytes: Buffer): number {
  const { length } = bytes;
  let at = 0;
  let hash: number = P5;
  if (length >= 16) {
    let [a, b, c, d] = [(P1 + P2) | 0, P2 | 0, 0, -P1 | 0];
    for (; at + 16 <= length; at += 16) {
      a = round(a, bytes.readInt32LE(at));
      b = round(b, bytes.readInt32LE(at + 4));
      c = round(c, bytes.readInt32LE(at + 8));
      d = round(d, bytes.readInt32LE(at + 12));
    }
    hash = rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18);
  }
  hash = (hash + length) | 0;
  for (; at + 4 <= length; at += 4) {
    hash = Math.imul(rotate((hash + Math.imul(bytes.readInt32LE(at), P3)) | 0, 17), P4);
  }
  for (; at < length; at++) hash = Math.imul(rotate((hash + Math.imul(bytes[at]!, P5)) | 0, 11), P1);
  hash = Math.imul(hash ^ (hash >>> 15), P2);
  hash = Math.imul(hash ^ (hash >>> 13), P3);
  return (hash ^ (hash >>> 16)) >>> 0;
}
