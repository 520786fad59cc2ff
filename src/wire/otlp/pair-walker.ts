import { readVarint32, skipVarint } from "../protobuf/walker.ts";
import { FIXED32, FIXED64, LENGTH_DELIMITED, VARINT } from "../protobuf/wire-type.ts";
import { KeyValueReader } from "./any-value.ts";

/**
 * Walks one list of KeyValue in a message that a scan has found sound, and passes over the message's other fields. It
 * equals a FieldWalker whose fields of that number are each read by a KeyValueReader, in one loop: reading attributes is
 * what processors do with every record.
 */
export class PairWalker extends KeyValueReader {
  #number = 0;
  #next = 0;
  #end = 0;
  /** Offset of the current KeyValue's tag. */
  fieldStart = 0;

  /** Begins anew: a walker may serve many lists, one after another. */
  open(start: number, end: number, number: number): void {
    this.#number = number;
    this.#next = start;
    this.#end = end;
  }

  /** Where the field of the current KeyValue ends. */
  get fieldEnd(): number {
    return this.#next;
  }

  /** Moves to the next KeyValue of the list; false at the end of the message. It keeps no bytes alive between two walks. */
  next(bytes: Uint8Array): boolean {
    const end = this.#end;
    let position = this.#next;
    while (position < end) {
      const fieldStart = position;
      let tag = bytes[position++]!;
      if (tag >= 0x80) {
        tag = readVarint32(bytes, fieldStart);
        position = skipVarint(bytes, fieldStart);
      }
      if ((tag & 7) !== LENGTH_DELIMITED) {
        position = skipScalar(bytes, position, end, tag & 7);
        continue;
      }
      let length = bytes[position++]!;
      if (length >= 0x80) {
        length = readVarint32(bytes, position - 1);
        position = skipVarint(bytes, position - 1);
      }
      const valueEnd = position + length;
      if (tag >>> 3 === this.#number) {
        this.fieldStart = fieldStart;
        this.#next = valueEnd;
        this.read(bytes, position, valueEnd);
        return true;
      }
      position = valueEnd;
    }
    this.#next = end;
    return false;
  }
}

function skipScalar(bytes: Uint8Array, position: number, end: number, wireType: number): number {
  if (wireType === VARINT) return skipVarint(bytes, position);
  if (wireType === FIXED64) return position + 8;
  return wireType === FIXED32 ? position + 4 : end;
}
