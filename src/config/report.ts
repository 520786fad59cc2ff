import type { z } from "zod";
import { describeFound } from "./found.ts";
import { isBroken, isNull } from "./located.ts";
import type { LocatedEntry } from "./located.ts";
import { didYouMean } from "./nearest.ts";
import { formatPath, quote } from "./problem.ts";
import type { Path, Position, Problem } from "./problem.ts";
import { validate } from "./validate.ts";

/** Collects what all steps of loading find, so that one broken part hides nothing elsewhere. */
export class Report {
  readonly problems: Problem[] = [];
  readonly warnings: Problem[] = [];

  problem(position: Position, path: Path, message: string, fix?: string): void {
    this.problems.push({ position, path: formatPath(path), message, ...(fix !== undefined && { fix }) });
  }

  warning(position: Position, path: Path, message: string, fix?: string): void {
    this.warnings.push({ position, path: formatPath(path), message, ...(fix !== undefined && { fix }) });
  }

  add(found: { readonly problems: readonly Problem[]; readonly warnings?: readonly Problem[] }): void {
    this.problems.push(...found.problems);
    this.warnings.push(...(found.warnings ?? []));
  }
}

/** The keys of a map, with what stands under them. */
export type Entries = ReadonlyMap<string, LocatedEntry>;

/** The entries of a section; absent and null sections are empty, anything but a map is a problem. */
export function mapEntries(
  entry: LocatedEntry | undefined,
  path: Path,
  report: Report,
): Iterable<[string, LocatedEntry]> {
  if (entry === undefined || isNull(entry.node) || isBroken(entry.node)) return [];
  if (entry.node.kind === "map") return entry.node.entries;
  report.problem(
    entry.keyPosition,
    path,
    `found ${describeFound(entry.node)}, expected a map`,
    "write each entry as a key with a map below it",
  );
  return [];
}

/** Reports every key that is not known, with the nearest one that is. */
export function checkKeys(
  entries: Iterable<[string, LocatedEntry]>,
  known: readonly string[],
  path: Path,
  report: Report,
): void {
  for (const [key, { keyPosition }] of entries) {
    if (known.includes(key)) continue;
    const fix = didYouMean(key, known) ?? `the keys are ${known.join(", ")}`;
    report.problem(keyPosition, [...path, key], `has the unknown key ${quote(key)}`, fix);
  }
}

/** Validates a block that is not a component's. Broken, it gives its defaults: the problems stop the load anyway. */
export function readBlock<C>(schema: z.ZodType<C>, entry: LocatedEntry | undefined, path: Path, report: Report): C {
  if (entry === undefined || isBroken(entry.node)) return schema.parse({});
  const validated = validate({ schema, root: entry.node, position: entry.keyPosition, path });
  report.add(validated);
  return validated.value ?? schema.parse({});
}
