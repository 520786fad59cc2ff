import { encodeValue } from "../../protobuf/writer.ts";
import { writeKeyValue } from "../any-value.ts";
import { Double, type AttributeInput } from "../types.ts";
import type { Slice } from "./edits.ts";

// The same attribute is often written to thousands of records, so the last few pairs are kept encoded, and one serves them
// all. Values come from data and may be large or secret: only scalars and short texts are kept, few, and the oldest make room.
const PAIRS_MAX = 32;
const PAIR_TEXT_MAX = 64;
const pairs = new Map<string, { readonly value: AttributeInput; readonly pair: Slice }>();

function isKept(value: AttributeInput): boolean {
  if (typeof value === "string") return value.length <= PAIR_TEXT_MAX;
  return typeof value !== "object" || value instanceof Double;
}

/** The content of a KeyValue. Encoded at once, so that a later change of a map or array that was written changes nothing. */
export function encodePair(key: string, value: AttributeInput): Slice {
  if (!isKept(value)) return encodeNewPair(key, value);
  const kept = pairs.get(key);
  if (kept !== undefined && kept.value === value) return kept.pair;
  const pair = encodeNewPair(key, value);
  if (kept === undefined && pairs.size >= PAIRS_MAX) pairs.delete(pairs.keys().next().value ?? "");
  pairs.set(key, { value, pair });
  return pair;
}

function encodeNewPair(key: string, value: AttributeInput): Slice {
  const bytes = encodeValue((out) => writeKeyValue(out, key, value));
  return { bytes, start: 0, end: bytes.length };
}
