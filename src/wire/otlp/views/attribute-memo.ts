import type { FoundAttribute } from "../types.ts";
import { FoundPair, insertFound } from "./found-pairs.ts";
import { keySet, type KeySet } from "./key-pattern.ts";

/** Entries of one memo; a power of two. The workers of one gateway, a few times over. */
const ENTRIES = 512;

/** More bytes of values than this under the wanted keys are not remembered: what is remembered is short, as ids are. */
const VALUE_BYTES_MAX = 512;

/** More occurrences than this in one list of attributes are not remembered. */
const FOUND_MAX = 16;

/** Of one occurrence in the scratch: index of its key, start and end of its value's content. */
const COLUMNS = 3;

// FNV-1a, 32 bits. A hash only picks the entry: what is found there is compared byte by byte.
const HASH_START = 0x811c9dc5;
const HASH_PRIME = 0x01000193;

/** So many bytes of each value are hashed, from its end: there ids differ, and what they share is compared but once. */
const HASHED_BYTES = 12;

interface Entry<T> {
  readonly hash: number;
  /** By occurrence, in the order of the bytes: index of its key, length of its value (0 where that does not count). */
  readonly shape: readonly number[];
  /** The values' contents, one after another. */
  readonly values: Uint8Array;
  readonly made: T;
}

export interface MemoKeys {
  /** Keys whose values count. */
  readonly values: readonly string[];
  /** Keys of which only counts whether they are there: their values may differ from record to record. */
  readonly presence?: readonly string[];
}

/** What `make` is given: that of the values which is there, as Attributes.find() gives it, and the `presence` keys there. */
export type MakeOfAttributes<T> = (found: readonly FoundAttribute[], present: readonly string[]) => T;

/**
 * Remembers what is made of some attributes: `attributes.recall(memo)`. For what is worked out of ids that many records
 * repeat. What `make` returns is shared by all attributes that say the same, so it must depend on nothing else, and nobody
 * may change it. Keep a memo as long as the processor.
 *
 * It holds at most 512 combinations of at most 512 bytes. Of two that fall on one entry the later stays, so hostile data
 * costs what no memo would cost.
 */
export class AttributeMemo<T> {
  /** The values' keys, then the others. */
  readonly keys: readonly string[];
  /** For the views. */
  readonly wanted: KeySet;
  /** Keys from this index on are only to be there; for the views. */
  readonly valueCount: number;
  readonly #make: MakeOfAttributes<T>;
  readonly #entries: (Entry<T> | undefined)[] = Array.from({ length: ENTRIES });

  constructor({ values, presence = [] }: MemoKeys, make: MakeOfAttributes<T>) {
    this.keys = Object.freeze([...values, ...presence]);
    this.wanted = keySet(this.keys);
    this.valueCount = values.length;
    this.#make = make;
  }

  /** Without remembering; for the views. */
  make(found: readonly FoundAttribute[]): T {
    const values = found.filter(({ index }) => index < this.valueCount);
    const present = found.slice(values.length).map(({ index }) => this.keys[index]!);
    return this.#make(values, present);
  }

  /** What is made of the occurrences in `sight`; for the views. */
  recall(bytes: Uint8Array, sight: Sight): T {
    const { hash } = sight;
    const slot = hash & (ENTRIES - 1);
    const known = this.#entries[slot];
    if (known !== undefined && known.hash === hash && sight.equals(bytes, known.shape, known.values)) return known.made;
    // All of it before `make`, which may look at other attributes.
    const shape = sight.shape();
    const values = sight.values(bytes);
    const made = this.make(sight.pairs(bytes));
    this.#entries[slot] = { hash, shape, values, made };
    return made;
  }
}

/** The occurrences of wanted keys in one list of attributes, as offsets; one object serves all lists, one after another. */
export class Sight {
  hash = HASH_START;
  count = 0;
  /** Too much to be remembered. */
  isTooLarge = false;
  #valueBytes = 0;
  readonly #columns = new Int32Array(FOUND_MAX * COLUMNS);

  clear(): void {
    this.hash = HASH_START;
    this.count = 0;
    this.isTooLarge = false;
    this.#valueBytes = 0;
  }

  add(bytes: Uint8Array, index: number, start: number, end: number): void {
    this.#valueBytes += end - start;
    if (this.count === FOUND_MAX || this.#valueBytes > VALUE_BYTES_MAX) {
      this.isTooLarge = true;
      return;
    }
    const row = this.count++ * COLUMNS;
    this.#columns[row] = index;
    this.#columns[row + 1] = start;
    this.#columns[row + 2] = end;
    let hash = Math.imul(this.hash ^ index, HASH_PRIME);
    for (let at = Math.max(start, end - HASHED_BYTES); at < end; at++) hash = Math.imul(hash ^ bytes[at]!, HASH_PRIME);
    this.hash = hash;
  }

  equals(bytes: Uint8Array, shape: readonly number[], values: Uint8Array): boolean {
    const { count } = this;
    const columns = this.#columns;
    if (shape.length !== count * 2) return false;
    let position = 0;
    for (let at = 0; at < count; at++) {
      const start = columns[at * COLUMNS + 1]!;
      const end = columns[at * COLUMNS + 2]!;
      if (shape[at * 2] !== columns[at * COLUMNS] || shape[at * 2 + 1] !== end - start) return false;
      for (let offset = start; offset < end; offset++) if (values[position++] !== bytes[offset]) return false;
    }
    return true;
  }

  shape(): readonly number[] {
    const shape: number[] = [];
    for (let row = 0; row < this.count * COLUMNS; row += COLUMNS) {
      shape.push(this.#columns[row]!, this.#columns[row + 2]! - this.#columns[row + 1]!);
    }
    return shape;
  }

  /** A copy, which outlives the batch. */
  values(bytes: Uint8Array): Uint8Array {
    const values = new Uint8Array(this.#valueBytes);
    let position = 0;
    for (let row = 0; row < this.count * COLUMNS; row += COLUMNS) {
      const value = bytes.subarray(this.#columns[row + 1], this.#columns[row + 2]);
      values.set(value, position);
      position += value.length;
    }
    return values;
  }

  /** As Attributes.find() gives them. */
  pairs(bytes: Uint8Array): readonly FoundPair[] {
    const pairs: FoundPair[] = [];
    for (let row = 0; row < this.count * COLUMNS; row += COLUMNS) {
      const { [row]: index, [row + 1]: start, [row + 2]: end } = this.#columns;
      insertFound(pairs, new FoundPair(index!, bytes, start!, end!));
    }
    return pairs;
  }
}
