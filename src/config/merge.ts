import { isNull, mapNode } from "./located.ts";
import type { Located, LocatedEntry, LocatedMap } from "./located.ts";
import type { Path, Position } from "./problem.ts";

/** How several sources become one tree: the Collector's rules. */

/** A key without a value that took away what earlier sources have under it. */
export interface Erased {
  readonly path: Path;
  readonly position: Position;
}

export interface Merged {
  readonly root: Located | undefined;
  readonly erased: readonly Erased[];
}

/** Lays each source over the ones before it: maps merge, everything else is replaced, also by null. Empty sources change nothing. */
export function mergeSources(roots: readonly Located[]): Merged {
  const erased: Erased[] = [];
  const [first, ...later] = roots.filter((root) => !isNull(root)).map(nestKeys);
  let root = first;
  for (const above of later) root = root === undefined ? above : merge(root, above, [], erased);
  return { root, erased };
}

function merge(below: Located, above: Located, path: Path, erased: Erased[]): Located {
  if (below.kind !== "map" || above.kind !== "map") return above;
  const entries = new Map(below.entries);
  for (const [key, entry] of above.entries) {
    const present = entries.get(key);
    const at = [...path, key];
    if (present === undefined) entries.set(key, entry);
    else entries.set(key, mergeEntry(present, entry, at, erased));
    if (isNull(entry.node) && present?.node.kind === "map" && present.node.entries.size > 0)
      erased.push({ path: at, position: entry.keyPosition });
  }
  return mapNode(entries, below.position);
}

/** A map that goes on stands where it began; what replaces something stands where it is. */
function mergeEntry(present: LocatedEntry, entry: LocatedEntry, at: Path, erased: Erased[]): LocatedEntry {
  const node = merge(present.node, entry.node, at, erased);
  const { keyPosition } = node === entry.node ? entry : present;
  return { keyPosition, node };
}

const KEY_DELIMITER = "::";

/**
 * `processors::batch::timeout: 2s` is three maps in one key, as in the Collector, where `--set` and `--config yaml:` live
 * from it. Maps inside lists stay as they are, there as here.
 */
export function nestKeys(node: Located): Located {
  if (node.kind !== "map") return node;
  let entries = new Map<string, LocatedEntry>();
  for (const [key, entry] of node.entries) {
    const [name = "", ...inner] = key.split(KEY_DELIMITER);
    const nested = { ...entry, node: wrap(inner, { ...entry, node: nestKeys(entry.node) }) };
    const present = entries.get(name);
    // Two spellings of one map in one source: both count.
    entries = entries.set(name, present === undefined ? nested : joined(present, nested));
  }
  return mapNode(entries, node.position, node.expansion);
}

function joined(present: LocatedEntry, nested: LocatedEntry): LocatedEntry {
  return { keyPosition: present.keyPosition, node: merge(present.node, nested.node, [], []) };
}

function wrap(keys: readonly string[], { keyPosition, node }: LocatedEntry): Located {
  return keys.reduceRight<Located>((inner, key): LocatedMap => {
    return mapNode(new Map([[key, { keyPosition, node: inner }]]), keyPosition);
  }, node);
}
