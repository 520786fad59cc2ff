/**
 * Snappy, decoded: the block format, and the framing format around it.
 *
 *   block    = varint decodedSize, element*
 *   element  = literal: tag (len-1) << 2 | 0; a len-1 of 60 to 63 stands for 1 to 4 bytes of it that follow, little-endian; then the bytes
 *            | copy 1:  tag offset[10:8] << 5 | (len-4) << 2 | 1, then offset[7:0]
 *            | copy 2:  tag (len-1) << 2 | 2, then the offset in 2 bytes
 *            | copy 4:  tag (len-1) << 2 | 3, then the offset in 4 bytes
 *   framed   = chunk*, the first of which is ff 06 00 00 "sNaPpY"
 *   chunk    = type (1 byte), length (3 bytes), then that many:
 *              00: masked CRC-32C of what it holds (4 bytes), a block of at most 64 KiB decoded
 *              01: masked CRC-32C, the bytes themselves
 *              80 to fd, fe: passed over; ff: the first chunk again; 02 to 7f: an error
 *
 * https://github.com/google/snappy/blob/main/format_description.txt and framing_format.txt
 * Both say how large their output is before it is made, so nothing is decoded past a bound.
 */

/** What makes bytes no snappy. The caller says which request it was. */
export class SnappyError extends Error {
  override readonly name = "SnappyError";
}

export const STREAM_START = Buffer.from("ff060000734e61507059", "hex");
/** Of one chunk of the framing format, decoded. */
export const CHUNK_BYTES_MAX = 65_536;
export const CHUNK_HEADER_BYTES = 4;
export const CRC_BYTES = 4;

/** Framed bytes as large as this are decoded, or encoded, before others get a turn; some 2 ms. */
export const TURN_BYTES = 512 * 1024;

export function isSnappyFramed(bytes: Uint8Array): boolean {
  return bytes.length >= STREAM_START.length && STREAM_START.compare(bytes, 0, STREAM_START.length) === 0;
}

/** How large the output will be, exactly, of either format. Throws SnappyError where the bytes cannot be decoded anyway. */
export function snappyDecodedSize(bytes: Uint8Array): number {
  if (!isSnappyFramed(bytes)) return readSize(bytes, 0).size;
  let size = 0;
  for (const chunk of framedChunks(bytes)) size += chunk.decodedSize;
  return size;
}

/** Either format; undefined where the output would exceed `sizeMax`. Rejects with SnappyError where the bytes are broken. */
export async function decodeSnappy(bytes: Uint8Array, sizeMax: number): Promise<Buffer | undefined> {
  const size = snappyDecodedSize(bytes);
  if (size > sizeMax) return undefined;
  const output = Buffer.allocUnsafe(size);
  if (!isSnappyFramed(bytes)) {
    decodeBlock(bytes, output);
    return output;
  }
  let end = 0;
  let turnEnd = TURN_BYTES;
  for (const chunk of framedChunks(bytes)) {
    const target = output.subarray(end, end + chunk.decodedSize);
    if (chunk.isCompressed) decodeBlock(chunk.body, target);
    else target.set(chunk.body);
    if (maskedCrc32c(target) !== chunk.crc) throw new SnappyError(`the checksum of the chunk at byte ${end} is wrong`);
    end += chunk.decodedSize;
    if (end < turnEnd) continue;
    turnEnd = end + TURN_BYTES;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return output;
}

interface Chunk {
  readonly isCompressed: boolean;
  readonly crc: number;
  readonly body: Uint8Array;
  readonly decodedSize: number;
}

function* framedChunks(bytes: Uint8Array): Generator<Chunk> {
  for (let at = 0; at < bytes.length;) {
    const bodyAt = at + CHUNK_HEADER_BYTES;
    if (bodyAt > bytes.length) throw new SnappyError(`the chunk header at byte ${at} is cut off`);
    const type = bytes[at]!;
    const end = bodyAt + (bytes[at + 1]! | (bytes[at + 2]! << 8) | (bytes[at + 3]! << 16));
    if (end > bytes.length) throw new SnappyError(`the chunk at byte ${at} ends at ${end}, past the end`);
    if (type <= 1) yield readChunk(bytes.subarray(bodyAt, end), type === 0, at);
    else if (type < 0x80) throw new SnappyError(`the chunk at byte ${at} has the unknown type ${type}`);
    at = end;
  }
}

function readChunk(chunk: Uint8Array, isCompressed: boolean, at: number): Chunk {
  if (chunk.length < CRC_BYTES) throw new SnappyError(`the chunk at byte ${at} has no checksum`);
  const crc = (chunk[0]! | (chunk[1]! << 8) | (chunk[2]! << 16) | (chunk[3]! << 24)) >>> 0;
  const body = chunk.subarray(CRC_BYTES);
  const decodedSize = isCompressed ? readSize(body, 0).size : body.length;
  if (decodedSize > CHUNK_BYTES_MAX) throw new SnappyError(`the chunk at byte ${at} holds ${decodedSize} bytes`);
  return { isCompressed, crc, body, decodedSize };
}

/** A varint of at most 32 bits. */
function readSize(bytes: Uint8Array, at: number): { readonly size: number; readonly end: number } {
  let size = 0;
  for (let index = 0; index < 5; index++) {
    const byte = bytes[at + index];
    if (byte === undefined) throw new SnappyError("the size in front is cut off");
    size += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80 && size < 2 ** 32) return { size, end: at + index + 1 };
  }
  throw new SnappyError("the size in front is over 32 bits");
}

/** Fills `output`, whose length is the decoded size; every length and offset is checked before it is used. */
function decodeBlock(input: Uint8Array, output: Uint8Array): void {
  let at = readSize(input, 0).end;
  let end = 0;
  while (at < input.length) {
    const tag = input[at]!;
    const kind = tag & 3;
    if (kind === 0) {
      const { length, bytesAt } = readLiteral(input, at);
      if (bytesAt + length > input.length) throw new SnappyError(`a literal of ${length} bytes runs past the end`);
      if (end + length > output.length) throw longerThanDeclared(output);
      copyLiteral(input, bytesAt, output, end, length);
      at = bytesAt + length;
      end += length;
      continue;
    }
    // Lengths and offsets of copies; what stands past the end of the input reads as NaN and fails the check of the offset.
    const length = kind === 1 ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1;
    const offset = readOffset(input, at, kind);
    at += kind === 3 ? 5 : kind + 1;
    if (!(offset >= 1 && offset <= end)) throw new SnappyError(`a copy reaches ${offset} bytes back, of ${end}`);
    if (end + length > output.length) throw longerThanDeclared(output);
    // Byte by byte: a copy may overlap with what it writes, and then repeats it.
    for (const stop = end + length; end < stop; end++) output[end] = output[end - offset]!;
  }
  if (end !== output.length) throw new SnappyError(`${end} bytes came out, ${output.length} were declared`);
}

function readLiteral(input: Uint8Array, at: number): { readonly length: number; readonly bytesAt: number } {
  const code = input[at]! >> 2;
  if (code < 60) return { length: code + 1, bytesAt: at + 1 };
  const lengthBytes = code - 59;
  let length = 0;
  for (let index = 0; index < lengthBytes; index++) {
    const byte = input[at + 1 + index];
    if (byte === undefined) throw new SnappyError("a literal's length is cut off");
    length += byte * 2 ** (8 * index);
  }
  return { length: length + 1, bytesAt: at + 1 + lengthBytes };
}

function readOffset(input: Uint8Array, at: number, kind: number): number {
  const low = input[at + 1] ?? Number.NaN;
  if (kind === 1) return (input[at]! >> 5) * 256 + low;
  const second = low + (input[at + 2] ?? Number.NaN) * 256;
  if (kind === 2) return second;
  return second + (input[at + 3] ?? Number.NaN) * 2 ** 16 + (input[at + 4] ?? Number.NaN) * 2 ** 24;
}

/** Below this a loop is faster than a call into native code. */
const LOOP_BYTES_MAX = 32;

function copyLiteral(input: Uint8Array, from: number, output: Uint8Array, to: number, length: number): void {
  if (length > LOOP_BYTES_MAX) return output.set(input.subarray(from, from + length), to);
  for (let index = 0; index < length; index++) output[to + index] = input[from + index]!;
}

function longerThanDeclared(output: Uint8Array): SnappyError {
  return new SnappyError(`more bytes come out than the ${output.length} that were declared`);
}

/** CRC-32C (Castagnoli), one table lookup a byte. node:zlib has the other CRC-32 only. */
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

export function maskedCrc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (let index = 0; index < bytes.length; index++) crc = CRC_TABLE[(crc ^ bytes[index]!) & 0xff]! ^ (crc >>> 8);
  crc = ~crc >>> 0;
  // Turned and shifted, as the framing format wants it, so that a checksum of checksums stays one.
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
