import { readVarint32, skipVarint } from "../../protobuf/walker.ts";
import { FIXED32, FIXED64, LENGTH_DELIMITED } from "../../protobuf/wire-type.ts";
import { KEY_FIELD, VALUE_FIELD } from "../any-value.ts";
import { PairWalker } from "../pair-walker.ts";
import type { KeySet } from "./key-pattern.ts";

/** For walks during which nothing else runs: all share one. */
const PAIRS = new PairWalker();

const KEY_TAG = (KEY_FIELD << 3) | LENGTH_DELIMITED;
const VALUE_TAG = (VALUE_FIELD << 3) | LENGTH_DELIMITED;

/**
 * Whether a message's list of KeyValue has one of the keys; asked of bytes that nobody has edited. It is asked of every
 * record, and mostly the answer is no: so it looks at plain fields in one loop (one byte for tag and length, key before
 * value), and leaves the rest of the message to the walker from the first field that is not plain.
 */
export function hasKey(bytes: Uint8Array, start: number, end: number, field: number, wanted: KeySet): boolean {
  const pairTag = (field << 3) | LENGTH_DELIMITED;
  let position = start;
  while (position < end) {
    const tag = bytes[position]!;
    const size = bytes[position + 1]!;
    if (tag === pairTag) {
      const keyStart = position + 4;
      const keyEnd = keyStart + bytes[position + 3]!;
      const pairEnd = position + 2 + size;
      if (!isPlainPair(bytes, position + 2, keyEnd, pairEnd)) break;
      if (wanted.has(bytes, keyStart, keyEnd)) return true;
      position = pairEnd;
    } else {
      if (tag >= 0x80) break;
      position = skipField(bytes, position + 1, tag & 7);
    }
  }
  return position < end && walkHasKey(bytes, position, end, field, wanted);
}

/** A key of less than 128 bytes, then a value of less than 128, and nothing else. */
function isPlainPair(bytes: Uint8Array, start: number, keyEnd: number, end: number): boolean {
  const hasPlainKey = bytes[start] === KEY_TAG && bytes[start - 1]! < 0x80 && bytes[start + 1]! < 0x80;
  return hasPlainKey && bytes[keyEnd] === VALUE_TAG && end === keyEnd + 2 + bytes[keyEnd + 1]!;
}

function skipField(bytes: Uint8Array, position: number, wireType: number): number {
  if (wireType === LENGTH_DELIMITED) {
    const size = bytes[position]!;
    return size < 0x80 ? position + 1 + size : skipVarint(bytes, position) + readVarint32(bytes, position);
  }
  if (wireType === FIXED64) return position + 8;
  return wireType === FIXED32 ? position + 4 : skipVarint(bytes, position);
}

function walkHasKey(bytes: Uint8Array, start: number, end: number, field: number, wanted: KeySet): boolean {
  PAIRS.open(start, end, field);
  while (PAIRS.next(bytes)) if (wanted.has(bytes, PAIRS.keyStart, PAIRS.keyEnd)) return true;
  return false;
}
