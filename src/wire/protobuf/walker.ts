/**
 * Walks the fields of one protobuf message that a scan has already found sound.
 *
 *   field   = tag value
 *   tag     = varint: field number << 3 | wire type
 *   value   = varint | 8 bytes | length (varint), that many bytes | 4 bytes
 *
 * https://protobuf.dev/programming-guides/encoding/
 *
 * It checks nothing again: over bytes that were not scanned it may read nonsense, though it always ends, because each
 * step moves forward and a read past the end compares false.
 */
import { FIXED32, FIXED64, LENGTH_DELIMITED, VARINT } from "./wire-type.ts";

export class FieldWalker {
  readonly bytes: Uint8Array;
  readonly #end: number;
  #next: number;
  /** Field number of the current field. */
  number = 0;
  wireType = 0;
  /** Offset of the current field's tag. */
  fieldStart = 0;
  /** Offset of its value; for length-delimited ones, of the first byte after the length. */
  valueStart = 0;
  /** Offset of the byte after the field. */
  valueEnd = 0;

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.bytes = bytes;
    this.#next = start;
    this.#end = end;
  }

  /** Moves to the next field; false at the end of the message. */
  next(): boolean {
    const bytes = this.bytes;
    let position = this.#next;
    if (!(position < this.#end)) return false;
    this.fieldStart = position;
    let tag = bytes[position++]!;
    if (tag >= 0x80) {
      tag = readVarint32(bytes, position - 1);
      position = skipVarint(bytes, position - 1);
    }
    this.number = tag >>> 3;
    this.wireType = tag & 7;
    this.#next = this.#value(position);
    return true;
  }

  #value(position: number): number {
    const bytes = this.bytes;
    this.valueStart = position;
    switch (this.wireType) {
      case LENGTH_DELIMITED: {
        let length = bytes[position++]!;
        if (length >= 0x80) {
          length = readVarint32(bytes, position - 1);
          position = skipVarint(bytes, position - 1);
        }
        this.valueStart = position;
        return (this.valueEnd = position + length);
      }
      case VARINT:
        return (this.valueEnd = skipVarint(bytes, position));
      case FIXED64:
        return (this.valueEnd = position + 8);
      case FIXED32:
        return (this.valueEnd = position + 4);
      default:
        return (this.valueEnd = this.#end);
    }
  }
}

/** The offset after the varint at `position`. */
export function skipVarint(bytes: Uint8Array, position: number): number {
  while (bytes[position++]! >= 0x80);
  return position;
}

/** The low 32 bits of a varint, unsigned: what protobuf makes of a varint that is too long for its field. */
export function readVarint32(bytes: Uint8Array, position: number): number {
  let value = 0;
  for (let shift = 0; shift < 32; shift += 7) {
    const byte = bytes[position++]!;
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  return value >>> 0;
}

/** The varint at `position` as an unsigned 64-bit number. */
export function readUint64(bytes: Uint8Array, position: number): bigint {
  let value = 0n;
  for (let index = 0; index < 10; index++) {
    const byte = bytes[position + index]!;
    value |= BigInt(byte & 0x7f) << BigInt(7 * index);
    if (byte < 0x80) break;
  }
  return BigInt.asUintN(64, value);
}

/** The varint at `position` as a signed 64-bit number: a JavaScript number where it is safe, else a bigint. */
export function readInt64(bytes: Uint8Array, position: number): number | bigint {
  // Seven bytes hold 49 bits, which a double adds up exactly; nearly every value ends here, without a BigInt.
  let value = 0;
  let scale = 1;
  for (let index = position; index < position + 7; index++) {
    const byte = bytes[index]!;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return value;
    scale *= 128;
  }
  return toNumberWhereSafe(BigInt.asIntN(64, readUint64(bytes, position)));
}

export function toNumberWhereSafe(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** True where any bit of the varint is set: protobuf's reading of a bool. */
export function readBool(bytes: Uint8Array, position: number): boolean {
  for (;;) {
    const byte = bytes[position++]!;
    if ((byte & 0x7f) !== 0) return true;
    if (!(byte >= 0x80)) return false;
  }
}

/** ZigZag, 32 bits. */
export function readSint32(bytes: Uint8Array, position: number): number {
  const value = readVarint32(bytes, position);
  return (value >>> 1) ^ -(value & 1);
}

export function readFixed32(bytes: Uint8Array, position: number): number {
  return (
    (bytes[position]! | (bytes[position + 1]! << 8) | (bytes[position + 2]! << 16) | (bytes[position + 3]! << 24)) >>> 0
  );
}

export function readFixed64(bytes: Uint8Array, position: number): bigint {
  return (BigInt(readFixed32(bytes, position + 4)) << 32n) | BigInt(readFixed32(bytes, position));
}

const scratch = new DataView(new ArrayBuffer(8));

export function readDouble(bytes: Uint8Array, position: number): number {
  scratch.setUint32(0, readFixed32(bytes, position), true);
  scratch.setUint32(4, readFixed32(bytes, position + 4), true);
  return scratch.getFloat64(0, true);
}
