import { Buffer } from "node:buffer";
import { readText } from "../../text.ts";
import type { AttributeValue } from "../types.ts";

/** An attribute key in the form in which it is compared with the bytes of a request. */
export interface KeyPattern {
  readonly text: string;
  readonly bytes: Uint8Array;
  /** The key holds U+FFFD, which invalid UTF-8 reads as too: such a key is compared as text. */
  readonly isLossy: boolean;
}

// Keys come from configuration and code, so a few hundred serve a process; past the bound (keys taken from data, one
// after another) the table starts anew and keys are encoded again.
const PATTERNS_MAX = 1024;
const patterns = new Map<string, KeyPattern>();

export function keyPattern(key: string): KeyPattern {
  const known = patterns.get(key);
  if (known !== undefined) return known;
  if (typeof key !== "string") throw new TypeError(`an attribute key is a string, found ${typeof key}`);
  const text = key.toWellFormed();
  const pattern = { text, bytes: Buffer.from(text, "utf8"), isLossy: text.includes("\ufffd") };
  if (patterns.size >= PATTERNS_MAX) patterns.clear();
  patterns.set(key, pattern);
  return pattern;
}

export function matchesKey(pattern: KeyPattern, bytes: Uint8Array, start: number, end: number): boolean {
  if (pattern.isLossy) return readText(bytes, start, end) === pattern.text;
  const wanted = pattern.bytes;
  const size = end - start;
  if (size !== wanted.length) return false;
  // From the end: attribute keys share prefixes ("http.request.") more often than endings.
  for (let index = size - 1; index >= 0; index--) if (bytes[start + index] !== wanted[index]) return false;
  return true;
}

/** A list of KeyValue in which none of these keys is left. */
export interface Without {
  /** Field number of the list in its message. */
  readonly fieldNumber: number;
  readonly keys: KeySet;
}

/** Several keys, sorted by their length: most attributes of a record are told apart from all of them by that alone. */
export class KeySet {
  readonly patterns: readonly KeyPattern[];
  /** The answer where none of the keys is there, shared. */
  readonly nothing: readonly (AttributeValue | undefined)[];
  readonly #byLength: (number[] | undefined)[] = [];
  /** Indices of all patterns, where one of them is compared as text and its length says nothing. */
  readonly #all: readonly number[] | undefined;
  /** By length and last byte of a key: 1 where a pattern is like it. It holds off nearly all keys that are not wanted. */
  readonly #filter = new Uint8Array(FILTER_SIZE);
  #without: Without | undefined;

  constructor(keys: readonly string[]) {
    this.patterns = keys.map((key) => keyPattern(key));
    this.nothing = Object.freeze(keys.map(() => undefined));
    this.patterns.forEach(({ bytes }, index) => (this.#byLength[bytes.length] ??= []).push(index));
    this.#all = this.patterns.some(({ isLossy }) => isLossy) ? [...this.patterns.keys()] : undefined;
    if (this.#all !== undefined) this.#filter.fill(1);
    for (const { bytes } of this.patterns) this.#filter[filterIndex(bytes.length, bytes.at(-1) ?? 0)] = 1;
  }

  /** False where the key in `bytes` is none of them; true says nothing. */
  mayHave(bytes: Uint8Array, start: number, end: number): boolean {
    return this.#filter[filterIndex(end - start, end > start ? bytes[end - 1]! : 0)] === 1;
  }

  /** Indices of the patterns that a key of this many bytes may match. */
  candidates(size: number): readonly number[] {
    return this.#all ?? this.#byLength[size] ?? NO_INDICES;
  }

  /** Whether the key in `bytes` is one of them. */
  has(bytes: Uint8Array, start: number, end: number): boolean {
    if (!this.mayHave(bytes, start, end)) return false;
    const candidates = this.candidates(end - start);
    for (let at = 0; at < candidates.length; at++) {
      if (matchesKey(this.patterns[candidates[at]!]!, bytes, start, end)) return true;
    }
    return false;
  }

  /** The same object each time: every record of a batch may hold one. */
  without(fieldNumber: number): Without {
    if (this.#without?.fieldNumber !== fieldNumber) this.#without = { fieldNumber, keys: this };
    return this.#without;
  }

  isOf(keys: readonly string[]): boolean {
    const { patterns: known } = this;
    if (known.length !== keys.length) return false;
    for (let index = 0; index < keys.length; index++) if (known[index]!.text !== keys[index]) return false;
    return true;
  }
}

// Five bits of the length, and five of the last byte.
const FILTER_SIZE = 1024;

function filterIndex(size: number, lastByte: number): number {
  return ((size & 31) << 5) | (lastByte & 31);
}

const NO_INDICES: readonly number[] = [];

// A frozen list cannot change, so what was made of it is found by the list itself; other lists are compared, key by key.
const frozenSets = new WeakMap<readonly string[], KeySet>();
let lastSet = new KeySet([]);

/** The same keys again, which is the rule from record to record, cost a look-up (frozen) or a comparison each. */
export function keySet(keys: readonly string[]): KeySet {
  if (Object.isFrozen(keys)) return frozenSets.get(keys) ?? freshFrozenSet(keys);
  if (!lastSet.isOf(keys)) lastSet = new KeySet(keys);
  return lastSet;
}

function freshFrozenSet(keys: readonly string[]): KeySet {
  const set = new KeySet(keys);
  frozenSets.set(keys, set);
  return set;
}
