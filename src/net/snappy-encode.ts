/**
 * Snappy, encoded; snappy.ts has the layout of both formats.
 *
 * Both cut the input into pieces of 64 KiB. Within a piece a table remembers where the last occurrence of each hash of
 * four bytes began; where four bytes are there again, a copy stands for them and for what follows equally.
 */
import { CHUNK_BYTES_MAX, CHUNK_HEADER_BYTES, CRC_BYTES, maskedCrc32c, STREAM_START, TURN_BYTES } from "./snappy.ts";

/** A longer table finds more matches and is slower to clear for each piece; 2 to the 14th is what other encoders take. */
const TABLE_BITS = 14;

/** What is written past a match's end is never read here, so a search ends this far before the end of its piece. */
const MARGIN_BYTES = 15;

const SIZE_BYTES_MAX = 5;

/** Literals cost at most a sixth more than they are long: the worst case of a copy of four bytes behind each literal. */
function encodedSizeMax(size: number): number {
  return 32 + size + Math.floor(size / 6);
}

/** The block format: `snappy` in HTTP. Gives others a turn now and then. */
export async function encodeSnappyBlock(input: Uint8Array): Promise<Buffer> {
  const writer = new PieceWriter(input, Buffer.allocUnsafe(SIZE_BYTES_MAX + encodedSizeMax(input.length)));
  writer.writeSize(input.length);
  for (let at = 0; at < input.length; at += CHUNK_BYTES_MAX) {
    writer.writePiece(at, Math.min(at + CHUNK_BYTES_MAX, input.length));
    if ((at + CHUNK_BYTES_MAX) % TURN_BYTES === 0) await turn();
  }
  return writer.output.subarray(0, writer.end);
}

/** The framing format: `x-snappy-framed` in HTTP, `snappy` in gRPC. Gives others a turn now and then. */
export async function encodeSnappyFramed(input: Uint8Array): Promise<Buffer> {
  const chunks: Uint8Array[] = [STREAM_START];
  const writer = new PieceWriter(input, Buffer.allocUnsafe(SIZE_BYTES_MAX + encodedSizeMax(CHUNK_BYTES_MAX)));
  for (let at = 0; at < input.length; at += CHUNK_BYTES_MAX) {
    const end = Math.min(at + CHUNK_BYTES_MAX, input.length);
    writer.end = 0;
    writer.writeSize(end - at);
    writer.writePiece(at, end);
    chunks.push(frameChunk(input.subarray(at, end), writer.output.subarray(0, writer.end)));
    if ((at + CHUNK_BYTES_MAX) % TURN_BYTES === 0) await turn();
  }
  return Buffer.concat(chunks);
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** What shrinks by less than an eighth is stored as it is: it is not worth the reader's time. */
function frameChunk(piece: Uint8Array, block: Uint8Array): Buffer {
  const isCompressed = block.length < piece.length - (piece.length >> 3);
  const body = isCompressed ? block : piece;
  const chunk = Buffer.allocUnsafe(CHUNK_HEADER_BYTES + CRC_BYTES + body.length);
  chunk[0] = isCompressed ? 0 : 1;
  chunk.writeUIntLE(CRC_BYTES + body.length, 1, 3);
  chunk.writeUInt32LE(maskedCrc32c(piece), CHUNK_HEADER_BYTES);
  chunk.set(body, CHUNK_HEADER_BYTES + CRC_BYTES);
  return chunk;
}

class PieceWriter {
  readonly output: Buffer;
  end = 0;
  readonly #input: Uint8Array;
  readonly #view: DataView;
  /** Places within the piece, by hash. */
  readonly #table = new Uint16Array(1 << TABLE_BITS);
  #matchFrom = 0;

  constructor(input: Uint8Array, output: Buffer) {
    this.#input = input;
    this.#view = new DataView(input.buffer, input.byteOffset, input.byteLength);
    this.output = output;
  }

  writeSize(size: number): void {
    let left = size;
    for (; left >= 0x80; left = Math.floor(left / 0x80)) this.output[this.end++] = (left & 0x7f) | 0x80;
    this.output[this.end++] = left;
  }

  writePiece(start: number, stop: number): void {
    const last = stop - MARGIN_BYTES;
    let literalStart = start;
    this.#table.fill(0);
    // Position 0 of the table stands for "none" as well: the bytes are compared anyway.
    for (let at = start + 1; ;) {
      const match = this.#findMatch(at, start, last);
      if (match < 0) break;
      this.#writeLiteral(literalStart, match);
      const offset = match - this.#matchFrom;
      const end = this.#matchEnd(match, offset, stop);
      this.#writeCopy(offset, end - match);
      literalStart = end;
      at = end;
      if (at > last) break;
      this.#table[this.#hash(at - 1)] = at - 1 - start;
    }
    this.#writeLiteral(literalStart, stop);
  }

  /**
   * Where a match begins, with #matchFrom for what it repeats; -1 where there is none. Looks at fewer and fewer places
   * the longer nothing is found, so that what does not compress costs little.
   */
  #findMatch(first: number, start: number, last: number): number {
    let misses = 32;
    for (let at = first; at <= last; at += misses++ >> 5) {
      const hash = this.#hash(at);
      const from = start + this.#table[hash]!;
      this.#table[hash] = at - start;
      if (from >= at || this.#view.getUint32(from, true) !== this.#view.getUint32(at, true)) continue;
      this.#matchFrom = from;
      return at;
    }
    return -1;
  }

  #hash(at: number): number {
    return Math.imul(this.#view.getUint32(at, true), 0x1e35a7bd) >>> (32 - TABLE_BITS);
  }

  #matchEnd(at: number, offset: number, stop: number): number {
    const input = this.#input;
    let end = at + 4;
    while (end < stop && input[end] === input[end - offset]) end++;
    return end;
  }

  #writeLiteral(from: number, to: number): void {
    const length = to - from;
    if (length === 0) return;
    const { output } = this;
    if (length <= 60) output[this.end++] = (length - 1) << 2;
    else if (length <= 0x100) {
      output[this.end++] = 60 << 2;
      output[this.end++] = length - 1;
    } else {
      output[this.end++] = 61 << 2;
      output[this.end++] = (length - 1) & 0xff;
      output[this.end++] = (length - 1) >> 8;
    }
    output.set(this.#input.subarray(from, to), this.end);
    this.end += length;
  }

  /** An element holds at most 64 bytes of a copy; the last one at least four, which is what the short form can say. */
  #writeCopy(offset: number, length: number): void {
    let left = length;
    for (; left >= 68; left -= 64) this.#writeCopy2(offset, 64);
    if (left > 64) {
      this.#writeCopy2(offset, 60);
      left -= 60;
    }
    if (left >= 12 || offset >= 2048) return this.#writeCopy2(offset, left);
    this.output[this.end++] = ((offset >> 8) << 5) | ((left - 4) << 2) | 1;
    this.output[this.end++] = offset & 0xff;
  }

  #writeCopy2(offset: number, length: number): void {
    this.output[this.end++] = ((length - 1) << 2) | 2;
    this.output[this.end++] = offset & 0xff;
    this.output[this.end++] = offset >> 8;
  }
}
