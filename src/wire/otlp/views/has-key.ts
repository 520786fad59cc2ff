import { PairWalker } from "../pair-walker.ts";
import { matchesKey, type KeySet } from "./key-pattern.ts";

/** For walks during which nothing else runs: all share one. */
const PAIRS = new PairWalker();

/** Whether a message's list of KeyValue has one of the keys; asked of bytes that nobody has edited. */
export function hasKey(bytes: Uint8Array, start: number, end: number, field: number, wanted: KeySet): boolean {
  const { patterns } = wanted;
  PAIRS.open(start, end, field);
  while (PAIRS.next(bytes)) {
    const candidates = wanted.candidates(PAIRS.keyEnd - PAIRS.keyStart);
    for (let at = 0; at < candidates.length; at++) {
      if (matchesKey(patterns[candidates[at]!]!, bytes, PAIRS.keyStart, PAIRS.keyEnd)) return true;
    }
  }
  return false;
}
