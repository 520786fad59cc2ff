import { formatComponentId, parseComponentId } from "../core/component-id.ts";
import type { ComponentKind } from "../core/component-id.ts";
import { isSignal, SIGNALS } from "../core/signal.ts";
import type { Signal } from "../core/signal.ts";
import { SECTION_NAMES } from "./components.ts";
import type { Sections } from "./components.ts";
import type { ConfiguredPipeline } from "./configuration.ts";
import { describeFound } from "./found.ts";
import { isNull } from "./located.ts";
import type { LocatedEntry } from "./located.ts";
import { didYouMean } from "./nearest.ts";
import { quote } from "./problem.ts";
import type { Path, Position } from "./problem.ts";
import { checkKeys, mapEntries } from "./report.ts";
import type { Report } from "./report.ts";

const ROLES = ["receivers", "processors", "exporters"] as const;
type Role = (typeof ROLES)[number];

/** The kinds that a pipeline's list may name; the first is the one that messages speak of. */
const ROLE_KINDS: Readonly<Record<Role, readonly [ComponentKind, ...ComponentKind[]]>> = {
  receivers: ["receiver", "connector"],
  processors: ["processor"],
  exporters: ["exporter", "connector"],
};

/** Reads the entries of `service.pipelines`: the signals, and that every reference leads to something that is configured and fits. */
export function readPipelines(
  entries: Iterable<[string, LocatedEntry]>,
  sections: Sections,
  report: Report,
): ReadonlyMap<string, ConfiguredPipeline> {
  const pipelines = new Map<string, ConfiguredPipeline>();
  for (const [key, body] of entries) {
    const path = [...PIPELINES_PATH, key];
    const id = parseComponentId(key);
    if ("problem" in id)
      report.problem(
        body.keyPosition,
        path,
        id.problem.replace("component type", "signal"),
        'write it as "logs" or "logs/name"',
      );
    else if (!isSignal(id.type)) reportUnknownSignal(id.type, key, body.keyPosition, path, report);
    const signal = !("problem" in id) && isSignal(id.type) ? id.type : undefined;
    const lists = readLists(body, path, signal, sections, report);
    if (signal === undefined || "problem" in id) continue;
    pipelines.set(formatComponentId(id), { signal, id, ...lists, position: body.keyPosition });
  }
  return pipelines;
}

export const PIPELINES_PATH = ["service", "pipelines"] as const;

function reportUnknownSignal(type: string, key: string, position: Position, path: Path, report: Report): void {
  const fix = didYouMean(type, SIGNALS) ?? `the signals are ${SIGNALS.join(", ")}`;
  report.problem(position, path, `in ${quote(key)} id: unknown pipeline signal: ${quote(type)}`, fix);
}

type Lists = Record<Role, readonly string[]>;

function readLists(
  body: LocatedEntry,
  path: Path,
  signal: Signal | undefined,
  sections: Sections,
  report: Report,
): Lists {
  const lists: Record<Role, readonly string[]> = { receivers: [], processors: [], exporters: [] };
  const entries = new Map(mapEntries(body, path, report));
  checkKeys(entries, ROLES, path, report);
  const isMap = body.node.kind === "map" || isNull(body.node);
  for (const role of ROLES) {
    const references = readIds(entries.get(role), [...path, role], report);
    if (references.length === 0 && role !== "processors" && isMap)
      reportEmpty(role, entries.get(role), body, path, report);
    lists[role] = checkReferences(references, role, [...path, role], signal, sections, report);
  }
  return lists;
}

function reportEmpty(
  role: Role,
  entry: LocatedEntry | undefined,
  body: LocatedEntry,
  path: Path,
  report: Report,
): void {
  // A list that is there and broken has its own problem.
  const isBroken =
    entry !== undefined && !isNull(entry.node) && !(entry.node.kind === "list" && entry.node.items.length === 0);
  if (isBroken) return;
  const position = entry?.keyPosition ?? body.keyPosition;
  report.problem(
    position,
    [...path, role],
    `must have at least one ${ROLE_KINDS[role][0]}`,
    `write ${role}: [an id under ${role}]`,
  );
}

interface Reference {
  readonly id: string;
  readonly index: number;
  readonly position: Position;
}

/** The ids of a list; absent and null lists are empty. */
export function readIds(entry: LocatedEntry | undefined, path: Path, report: Report): Reference[] {
  if (entry === undefined || isNull(entry.node)) return [];
  if (entry.node.kind !== "list") {
    const found = describeFound(entry.node);
    const fix =
      entry.node.kind === "scalar" && entry.node.expansion === undefined
        ? `write it as a list: [${String(entry.node.value)}]`
        : "write it as a list: [id]";
    report.problem(entry.node.position, path, `found ${found}, expected a list of component ids`, fix);
    return [];
  }
  return entry.node.items.flatMap((item, index) => {
    const id = item.kind === "scalar" && typeof item.value === "string" ? parseComponentId(item.value) : undefined;
    if (id !== undefined && !("problem" in id)) return [{ id: formatComponentId(id), index, position: item.position }];
    report.problem(
      item.position,
      [...path, index],
      `found ${describeFound(item)}, expected a component id`,
      'write it as "type" or "type/name"',
    );
    return [];
  });
}

/** Each id once, in order; says what is wrong with each. */
function checkReferences(
  references: readonly Reference[],
  role: Role,
  path: Path,
  signal: Signal | undefined,
  sections: Sections,
  report: Report,
): string[] {
  const seen = new Set<string>();
  for (const { id, index, position } of references) {
    if (seen.has(id)) reportRepeated(role, id, position, [...path, index], report);
    else checkReference(ROLE_KINDS[role], id, signal, { position, path: [...path, index] }, sections, report);
    seen.add(id);
  }
  return [...seen];
}

/** Twice through a processor is not what anyone means; a receiver or exporter that stands twice is simply used once. */
function reportRepeated(role: Role, id: string, position: Position, path: Path, report: Report): void {
  const message = `references ${ROLE_KINDS[role][0]} ${quote(id)} multiple times`;
  if (role === "processors")
    report.problem(position, path, message, `leave one out, or configure a second one as "${id}/name"`);
  else report.warning(position, path, `${message}; it is used once`, "leave one out");
}

interface ReferencePlace {
  readonly position: Position;
  readonly path: Path;
}

function checkReference(
  kinds: readonly [ComponentKind, ...ComponentKind[]],
  id: string,
  signal: Signal | undefined,
  { position, path }: ReferencePlace,
  sections: Sections,
  report: Report,
): void {
  const kind = kinds.find((candidate) => sections[candidate].declared.has(id));
  if (kind === undefined) {
    reportUndefined(kinds, id, { position, path }, sections, report);
    return;
  }
  sections[kind].used.add(id);
  const factory = sections[kind].components.get(id)?.factory;
  if (factory === undefined || signal === undefined || factory.signals.includes(signal)) return;
  report.problem(
    position,
    path,
    `${kind} ${quote(id)} does not support ${signal}, only ${factory.signals.join(", ") || "no signal"}`,
    "leave it out of this pipeline",
  );
}

/** Names the nearest id, or says that the id stands in another section. */
export function reportUndefined(
  kinds: readonly [ComponentKind, ...ComponentKind[]],
  id: string,
  { position, path }: ReferencePlace,
  sections: Sections,
  report: Report,
): void {
  const [kind] = kinds;
  const declared = kinds.flatMap((candidate) => [...sections[candidate].declared.keys()]);
  const elsewhere = Object.values(sections).find((section) => section.declared.has(id));
  const message = `references ${kind} ${quote(id)} which is not configured`;
  const fix =
    didYouMean(id, declared) ??
    (elsewhere === undefined
      ? `define it under ${SECTION_NAMES[kind]}`
      : `it is configured as a ${elsewhere.kind}, under ${SECTION_NAMES[elsewhere.kind]}`);
  report.problem(position, path, message, fix);
}
