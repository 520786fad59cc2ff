import { Buffer } from "node:buffer";
import { readText } from "../../text.ts";

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

let lastPatterns: readonly KeyPattern[] = [];

/** Patterns of several keys; the same keys again, which is the rule from record to record, cost a comparison each. */
export function keyPatterns(keys: readonly string[]): readonly KeyPattern[] {
  if (!areOf(lastPatterns, keys)) lastPatterns = keys.map((key) => keyPattern(key));
  return lastPatterns;
}

function areOf(known: readonly KeyPattern[], keys: readonly string[]): boolean {
  if (known.length !== keys.length) return false;
  for (let index = 0; index < keys.length; index++) if (known[index]!.text !== keys[index]) return false;
  return true;
}
