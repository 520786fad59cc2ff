import { KeyValueReader, readAnyValue } from "../any-value.ts";
import type { AttributeValue, FoundAttribute } from "../types.ts";
import type { AttributeEdits, Slice } from "./edits.ts";
import type { KeySet } from "./key-pattern.ts";

/** A KeyValue in the batch's bytes, or one that was written. */
export class FoundPair implements FoundAttribute {
  readonly index: number;
  readonly #bytes: Uint8Array;
  readonly #start: number;
  readonly #end: number;

  /** `start` and `end`: the content of its AnyValue. */
  constructor(index: number, bytes: Uint8Array, start: number, end: number) {
    this.index = index;
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
  }

  get value(): AttributeValue {
    return readAnyValue(this.#bytes, this.#start, this.#end);
  }
}

/** What edits say about the wanted keys. */
export function findEdited({ patterns }: KeySet, edits: AttributeEdits): FoundPair[] | undefined {
  let found: FoundPair[] | undefined;
  for (let index = 0; index < patterns.length; index++) {
    const pair = edits.get(patterns[index]!.text)?.pair;
    if (pair === undefined) continue;
    const { bytes, start, end } = valueOf(pair);
    (found ??= []).push(new FoundPair(index, bytes, start, end));
  }
  return found;
}

/** Keeps the keys' order, and of a key that stands twice the first. Few are found, so they are looked through. */
export function insertFound(found: FoundPair[], pair: FoundPair): void {
  let at = found.length;
  while (at > 0 && found[at - 1]!.index >= pair.index) {
    if (found[at - 1]!.index === pair.index) return;
    at--;
  }
  if (at === found.length) found.push(pair);
  else found.splice(at, 0, pair);
}

/** The content of the AnyValue in the content of a KeyValue. */
export function valueOf(pair: Slice): Slice {
  const reader = new KeyValueReader();
  reader.read(pair.bytes, pair.start, pair.end);
  return { bytes: pair.bytes, start: reader.valueStart, end: reader.valueEnd };
}
