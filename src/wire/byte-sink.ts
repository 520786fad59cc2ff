import { DecodeError } from "./decode-error.ts";

/** The first buffer; most requests of one worker fit, a larger one doubles a few times. */
const CAPACITY_MIN = 4096;

const LARGE_CAPACITY = 32 * 1024 * 1024;

/** Up to this length a loop over the bytes is quicker than a native copy of a slice (measured on Node 24: the slice object costs about 80 ns). */
const LOOP_COPY_MAX = 32;

/**
 * A growing buffer that is written forwards, with the primitives of protobuf and a way to write a length before its
 * content is known. `sizeMax` bounds it: beyond it every writer throws a DecodeError, because only input can do that.
 */
export class ByteSink {
  size = 0;
  #bytes: Buffer;
  #view: DataView;
  readonly #sizeMax: number;
  readonly #tooLarge: string;

  constructor(capacity: number, sizeMax: number, tooLarge: string) {
    this.#bytes = Buffer.allocUnsafe(Math.min(Math.max(capacity, CAPACITY_MIN), sizeMax));
    this.#view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.byteLength);
    this.#sizeMax = sizeMax;
    this.#tooLarge = tooLarge;
  }

  /** What was written, without a copy: the sink must not be written to afterwards. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.size);
  }

  finishText(): string {
    return this.#bytes.toString("utf8", 0, this.size);
  }

  /** Makes room for `count` more bytes where they are known to come: at once, and not by doubling. */
  makeRoom(count: number): void {
    this.#reserve(count);
  }

  #reserve(count: number): void {
    const needed = this.size + count;
    const { length } = this.#bytes;
    if (needed <= length) return;
    if (needed > this.#sizeMax) throw new DecodeError("", `${this.#tooLarge} ${this.#sizeMax} bytes`);
    // Old and new are there at the same time: what is large grows by less.
    const wanted = length < LARGE_CAPACITY ? length * 2 : length * 1.5;
    const grown = Buffer.allocUnsafe(Math.min(Math.max(needed, Math.ceil(wanted)), this.#sizeMax));
    this.#bytes.copy(grown, 0, 0, this.size);
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer, grown.byteOffset, grown.byteLength);
  }

  byte(value: number): void {
    if (this.size === this.#bytes.length) this.#reserve(1);
    this.#bytes[this.size++] = value;
  }

  copy(source: Uint8Array, start: number, end: number): void {
    const count = end - start;
    this.#reserve(count);
    if (count > LOOP_COPY_MAX) {
      this.#bytes.set(source.subarray(start, end), this.size);
      this.size += count;
      return;
    }
    const bytes = this.#bytes;
    let at = this.size;
    for (let index = start; index < end; index++) bytes[at++] = source[index]!;
    this.size = at;
  }

  /** Characters below 128 only. */
  ascii(text: string): void {
    this.#reserve(text.length);
    const bytes = this.#bytes;
    let at = this.size;
    for (let index = 0; index < text.length; index++) bytes[at++] = text.charCodeAt(index);
    this.size = at;
  }

  utf8(text: string): void {
    this.#reserve(Buffer.byteLength(text));
    this.size += this.#bytes.write(text, this.size);
  }

  /** `value` is an unsigned 32-bit integer. */
  varint32(value: number): void {
    this.#reserve(5);
    const bytes = this.#bytes;
    let at = this.size;
    let rest = value;
    while (rest > 127) {
      bytes[at++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    bytes[at++] = rest;
    this.size = at;
  }

  /** The two unsigned halves of a 64-bit integer; a negative one in two's complement. */
  varint64(low: number, high: number): void {
    this.#reserve(10);
    const bytes = this.#bytes;
    let at = this.size;
    let lowRest = low;
    let highRest = high;
    while (highRest !== 0 || lowRest > 127) {
      bytes[at++] = (lowRest & 127) | 128;
      lowRest = ((lowRest >>> 7) | (highRest << 25)) >>> 0;
      highRest >>>= 7;
    }
    bytes[at++] = lowRest;
    this.size = at;
  }

  fixed32(value: number): void {
    this.#reserve(4);
    this.#view.setUint32(this.size, value, true);
    this.size += 4;
  }

  fixed64(low: number, high: number): void {
    this.#reserve(8);
    this.#view.setUint32(this.size, low, true);
    this.#view.setUint32(this.size + 4, high, true);
    this.size += 8;
  }

  double(value: number): void {
    this.#reserve(8);
    this.#view.setFloat64(this.size, value, true);
    this.size += 8;
  }

  /**
   * Leaves `lengthSize` bytes for a length; content follows. Hand the result to `close`; what was opened last is closed
   * first. It packs the content's start and `lengthSize` into one number, to allocate nothing.
   */
  open(lengthSize: number): number {
    this.#reserve(lengthSize);
    this.size += lengthSize;
    return this.size * 8 + lengthSize;
  }

  /**
   * Writes the length of what stands since `open`, in its shortest form, and returns the size of that form: the best
   * guess for the next `open` of the same kind. A wrong guess moves the content once, so with nesting bounded by d no
   * byte moves more than d times.
   */
  close(mark: number): number {
    const lengthSize = mark % 8;
    const contentStart = (mark - lengthSize) / 8;
    const length = this.size - contentStart;
    const needed = varintSize(length);
    const shift = needed - lengthSize;
    if (shift !== 0) {
      if (shift > 0) this.#reserve(shift);
      this.#bytes.copyWithin(contentStart + shift, contentStart, this.size);
    }
    this.size = contentStart - lengthSize;
    this.varint32(length);
    this.size += length;
    return needed;
  }
}

/** Bytes of an unsigned 32-bit varint. */
function varintSize(value: number): number {
  if (value < 1 << 7) return 1;
  if (value < 1 << 14) return 2;
  if (value < 1 << 21) return 3;
  return value < 1 << 28 ? 4 : 5;
}
