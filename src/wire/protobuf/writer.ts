/**
 * Writes protobuf forwards into one growing buffer.
 *
 * The length of a nested message is known only after its content. Instead of measuring everything twice, begin() leaves
 * room for the length that the caller expects, and end() moves the content by a byte or two where the guess was wrong.
 * Large runs of bytes that stand somewhere already may be referenced instead of copied: see `reference`.
 */
import { Buffer } from "node:buffer";
import { asBuffer } from "../text.ts";
import { FIXED32, FIXED64, LENGTH_DELIMITED, VARINT } from "./wire-type.ts";

/** Foreign bytes that stand in the output before our byte `position`. */
interface Reference {
  position: number;
  readonly bytes: Uint8Array;
}

// Below this size a loop beats the call of Buffer.copy; measured on Node 24.
const LOOP_SIZE_MAX = 32;

const NO_SLICES: readonly Uint8Array[] = [];

export class ProtobufWriter {
  #buffer: Buffer;
  #position = 0;
  #references: Reference[] | undefined;
  #referencedSize = 0;
  /** Two numbers for each open field: where its content starts, and the room left before it for the length. */
  readonly #open: number[] = [];

  constructor(capacity = 256) {
    this.#buffer = Buffer.allocUnsafeSlow(Math.max(capacity, 16));
  }

  /** Bytes written so far, referenced ones included. */
  get size(): number {
    return this.#position + this.#referencedSize;
  }

  tag(number: number, wireType: number): void {
    this.varint32(((number << 3) | wireType) >>> 0);
  }

  varint32(value: number): void {
    this.#reserve(5);
    const buffer = this.#buffer;
    let rest = value >>> 0;
    while (rest >= 0x80) {
      buffer[this.#position++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    buffer[this.#position++] = rest;
  }

  /** Negative values are written as their 64-bit two's complement, in ten bytes. */
  varint64(value: bigint | number): void {
    if (typeof value === "number" && value >= 0 && value <= 0xffffffff) return this.varint32(value);
    this.#reserve(10);
    let rest = BigInt.asUintN(64, BigInt(value));
    while (rest >= 0x80n) {
      this.#buffer[this.#position++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    this.#buffer[this.#position++] = Number(rest);
  }

  fixed32(value: number): void {
    this.#reserve(4);
    this.#position = this.#buffer.writeUInt32LE(value >>> 0, this.#position);
  }

  fixed64(value: bigint): void {
    this.#reserve(8);
    this.#position = this.#buffer.writeBigUInt64LE(BigInt.asUintN(64, value), this.#position);
  }

  double(value: number): void {
    this.#reserve(8);
    this.#position = this.#buffer.writeDoubleLE(value, this.#position);
  }

  /** The bytes as they are, without a length. */
  copy(bytes: Uint8Array, start = 0, end = bytes.length): void {
    const size = end - start;
    if (size <= 0) return;
    this.#reserve(size);
    if (size < LOOP_SIZE_MAX) {
      const buffer = this.#buffer;
      let position = this.#position;
      for (let from = start; from < end; from++) buffer[position++] = bytes[from]!;
    } else {
      asBuffer(bytes).copy(this.#buffer, this.#position, start, end);
    }
    this.#position += size;
  }

  /** Puts the bytes into the output without copying them. They must not change any more. */
  reference(bytes: Uint8Array, start: number, end: number): void {
    this.#references ??= [];
    this.#references.push({ position: this.#position, bytes: bytes.subarray(start, end) });
    this.#referencedSize += end - start;
  }

  /** Length and UTF-8; a lone surrogate becomes U+FFFD. */
  text(value: string): void {
    const length = value.length;
    if (length < 64 && this.#ascii(value, length)) return;
    const size = Buffer.byteLength(value, "utf8");
    this.varint32(size);
    this.#reserve(size);
    this.#position += this.#buffer.write(value, this.#position, size, "utf8");
  }

  /** Writes a short string that is ASCII; writes nothing and returns false where it is not. */
  #ascii(value: string, length: number): boolean {
    this.#reserve(length + 1);
    const buffer = this.#buffer;
    let position = this.#position;
    buffer[position++] = length;
    for (let index = 0; index < length; index++) {
      const code = value.charCodeAt(index);
      if (code >= 0x80) return false;
      buffer[position++] = code;
    }
    this.#position = position;
    return true;
  }

  bytes(value: Uint8Array, start = 0, end = value.length): void {
    this.varint32(end - start);
    this.copy(value, start, end);
  }

  stringField(number: number, value: string): void {
    this.tag(number, LENGTH_DELIMITED);
    this.text(value);
  }

  bytesField(number: number, value: Uint8Array): void {
    this.tag(number, LENGTH_DELIMITED);
    this.bytes(value);
  }

  varintField(number: number, value: bigint | number): void {
    this.tag(number, VARINT);
    this.varint64(value);
  }

  fixed32Field(number: number, value: number): void {
    this.tag(number, FIXED32);
    this.fixed32(value);
  }

  fixed64Field(number: number, value: bigint): void {
    this.tag(number, FIXED64);
    this.fixed64(value);
  }

  doubleField(number: number, value: number): void {
    this.tag(number, FIXED64);
    this.double(value);
  }

  /** Opens a length-delimited field whose content will be about `sizeGuess` bytes; a wrong guess costs a move of the content. */
  begin(number: number, sizeGuess: number): void {
    this.tag(number, LENGTH_DELIMITED);
    const room = varint32Size(sizeGuess);
    this.#reserve(room);
    this.#position += room;
    this.#open.push(this.#position, room);
  }

  /** Closes the field that was opened last. */
  end(): void {
    const room = this.#open.pop()!;
    const start = this.#open.pop()!;
    const size = this.#position - start + this.#referencedSince(start);
    const needed = varint32Size(size);
    if (needed !== room) this.#shift(start, needed - room);
    writeVarint32At(this.#buffer, start - room, size);
  }

  #referencedSince(start: number): number {
    const references = this.#references;
    if (references === undefined) return 0;
    let size = 0;
    for (let index = references.length - 1; index >= 0; index--) {
      const reference = references[index]!;
      if (reference.position < start) break;
      size += reference.bytes.length;
    }
    return size;
  }

  #shift(start: number, by: number): void {
    if (by > 0) this.#reserve(by);
    this.#buffer.copyWithin(start + by, start, this.#position);
    this.#position += by;
    for (const reference of this.#references ?? []) if (reference.position >= start) reference.position += by;
  }

  /** Everything written, in order. The writer must not be used afterwards. */
  finish(): readonly Uint8Array[] {
    const references = this.#references;
    if (references === undefined) return this.#position === 0 ? NO_SLICES : [this.#own(0, this.#position)];
    const slices: Uint8Array[] = [];
    let from = 0;
    for (const { position, bytes } of references) {
      if (position > from) slices.push(this.#own(from, position));
      slices.push(bytes);
      from = position;
    }
    if (this.#position > from) slices.push(this.#own(from, this.#position));
    return slices;
  }

  /** Everything written, as one piece that owns no more memory than it needs. Copies, so it suits small messages. */
  toBytes(): Uint8Array {
    return new Uint8Array(this.#buffer.subarray(0, this.#position));
  }

  /** A slice of our buffer; a copy where most of the buffer is unused, so that a few bytes never pin a large one. */
  #own(start: number, end: number): Uint8Array {
    const isMostlyUnused = this.#position * 2 < this.#buffer.length;
    const bytes = new Uint8Array(this.#buffer.buffer, this.#buffer.byteOffset + start, end - start);
    return isMostlyUnused ? bytes.slice() : bytes;
  }

  /** Forgets everything, for the next use of the same buffer; a large one is given back. */
  reset(): void {
    if (this.#buffer.length > SCRATCH_SIZE_MAX) this.#buffer = Buffer.allocUnsafeSlow(SCRATCH_SIZE);
    this.#position = 0;
    this.#open.length = 0;
    this.#references = undefined;
    this.#referencedSize = 0;
  }

  #reserve(size: number): void {
    const needed = this.#position + size;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#position);
    this.#buffer = larger;
  }
}

const SCRATCH_SIZE = 1024;
const SCRATCH_SIZE_MAX = 64 * 1024;
const scratch = new ProtobufWriter(SCRATCH_SIZE);
let isScratchInUse = false;

/** What `write` writes, in a piece of its own: for single values, where a buffer for each would cost more than the value. */
export function encodeValue(write: (out: ProtobufWriter) => void): Uint8Array {
  // A getter of the value being written may write another value meanwhile.
  const out = isScratchInUse ? new ProtobufWriter() : scratch;
  const wasInUse = isScratchInUse;
  isScratchInUse = true;
  try {
    out.reset();
    write(out);
    return out.toBytes();
  } finally {
    isScratchInUse = wasInUse;
  }
}

export function varint32Size(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x200000) return 3;
  return value < 0x10000000 ? 4 : 5;
}

function writeVarint32At(buffer: Uint8Array, position: number, value: number): void {
  let at = position;
  let rest = value;
  while (rest >= 0x80) {
    buffer[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  buffer[at] = rest;
}
