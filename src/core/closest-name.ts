/** The nearest right name for a mistyped one: for unknown keys, types, ids, options, commands and functions. */

/** Of two words this long at most; a longer one is no typing mistake, and the table would grow with the square. */
const LENGTH_MAX = 64;

// The beginning of a name says which one is meant only when it is more than a letter or two.
const PREFIX_LENGTH_MIN = 3;

/**
 * The known name that a person most likely meant, or undefined where none is near: at most one slip in three letters,
 * else the shortest that begins as it does. One that differs only in case, `-`, `_` or spaces always wins.
 */
export function closestName(name: string, known: Iterable<string>): string | undefined {
  const others = [...known].filter((candidate) => candidate !== name);
  let closest: string | undefined;
  let fewest = Math.max(1, Math.floor(name.length / 3)) + 1;
  for (const candidate of others) {
    const edits = simplify(candidate) === simplify(name) ? 0 : editsBelow(name, candidate, fewest);
    if (edits < fewest) [closest, fewest] = [candidate, edits];
  }
  return closest ?? beginningWith(simplify(name), others);
}

function simplify(name: string): string {
  return name.toLowerCase().replaceAll(/[-_ ]/g, "");
}

function beginningWith(prefix: string, names: readonly string[]): string | undefined {
  if (prefix.length < PREFIX_LENGTH_MIN) return undefined;
  return names.filter((name) => simplify(name).startsWith(prefix)).toSorted((a, b) => a.length - b.length)[0];
}

/** The edits between two names, whatever their case, or `limit` where there are as many or more. */
function editsBelow(from: string, to: string, limit: number): number {
  if (Math.abs(from.length - to.length) >= limit || Math.max(from.length, to.length) > LENGTH_MAX) return limit;
  return editDistance(from.toLowerCase(), to.toLowerCase());
}

/** Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment). */
export function editDistance(from: string, to: string): number {
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
  return last[to.length]!;
}
