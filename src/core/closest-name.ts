/** The nearest right name for a mistyped one: for unknown keys, types, ids, commands and functions. */

/** Of two words this long at most; a longer one is no typing mistake, and the table would grow with the square. */
const LENGTH_MAX = 64;

/** The known name with the fewest edits, or undefined where none is near enough to be meant. */
export function closestName(name: string, known: Iterable<string>): string | undefined {
  let closest: string | undefined;
  // One edit in three characters is a typing mistake; more is another word.
  let fewest = Math.max(1, Math.floor(name.length / 3)) + 1;
  for (const candidate of known) {
    const edits = editDistance(name.toLowerCase(), candidate.toLowerCase(), fewest);
    if (edits < fewest) {
      fewest = edits;
      closest = candidate;
    }
  }
  return closest;
}

/** Optimal string alignment: insert, delete, replace, swap of neighbours. Stops counting at `limit`. */
function editDistance(from: string, to: string, limit: number): number {
  if (Math.abs(from.length - to.length) >= limit || Math.max(from.length, to.length) > LENGTH_MAX) return limit;
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let row = 1; row <= from.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= to.length; column += 1) {
      const isSame = from[row - 1] === to[column - 1];
      let edits = Math.min(last[column]! + 1, current[column - 1]! + 1, last[column - 1]! + (isSame ? 0 : 1));
      const isSwap = row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      if (isSwap) edits = Math.min(edits, beforeLast[column - 2]! + 1);
      current.push(edits);
    }
    beforeLast = last;
    last = current;
  }
  return Math.min(last[to.length]!, limit);
}
