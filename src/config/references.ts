import { formatComponentId, parseComponentId } from "../core/component-id.ts";
import type { ComponentKind } from "../core/component-id.ts";
import { ID_FIX, SECTION_NAMES } from "./components.ts";
import type { Sections } from "./components.ts";
import { describeFound } from "./found.ts";
import { isBroken, isNull } from "./located.ts";
import type { Located, LocatedEntry } from "./located.ts";
import { didYouMean } from "./nearest.ts";
import { quote } from "./problem.ts";
import type { Path, Position } from "./problem.ts";
import type { Report } from "./report.ts";

/** An id in a list of service.extensions or of a pipeline. */
export interface Reference {
  readonly id: string;
  /** For messages: the id in quotes, or the expression that gave it. */
  readonly shown: string;
  readonly position: Position;
  readonly path: Path;
}

/** The kinds that a list may name; messages speak of the first. */
export type ReferenceKinds = readonly [ComponentKind, ...ComponentKind[]];

/** Absent and null lists are empty. */
export function readReferences(entry: LocatedEntry | undefined, path: Path, report: Report): Reference[] {
  if (entry === undefined || isNull(entry.node) || isBroken(entry.node)) return [];
  const { node } = entry;
  if (node.kind === "list") return node.items.flatMap((item, index) => readReference(item, [...path, index], report));
  const isShown = node.kind === "scalar" && node.expansion === undefined;
  const fix = `write it as a list: [${isShown ? String(node.value) : "id"}]`;
  report.problem(node.position, path, `found ${describeFound(node)}, expected a list of component ids`, fix);
  return [];
}

function readReference(node: Located, path: Path, report: Report): Reference[] {
  const { position } = node;
  if (isBroken(node)) return [];
  const id = node.kind === "scalar" && typeof node.value === "string" ? parseComponentId(node.value) : undefined;
  if (id === undefined || "problem" in id) {
    report.problem(position, path, `found ${describeFound(node)}, expected a component id`, ID_FIX);
    return [];
  }
  const text = formatComponentId(id);
  return [{ id: text, shown: node.expansion?.written ?? quote(text), position, path }];
}

/** The kind of the component that is meant, noted as used; a problem where there is none. */
export function resolveReference(
  kinds: ReferenceKinds,
  reference: Reference,
  sections: Sections,
  report: Report,
): ComponentKind | undefined {
  const kind = kinds.find((candidate) => sections[candidate].declared.has(reference.id));
  const isUnknown = kinds.some((candidate) => sections[candidate].isUnknown);
  if (kind === undefined && !isUnknown) reportUndefined(kinds, reference, sections, report);
  if (kind !== undefined) sections[kind].used.add(reference.id);
  return kind;
}

/** Names the nearest id, or says that the id stands in another section. */
function reportUndefined(kinds: ReferenceKinds, reference: Reference, sections: Sections, report: Report): void {
  const { id, shown, position, path } = reference;
  const declared = kinds.flatMap((kind) => [...sections[kind].declared.keys()]);
  const elsewhere = Object.values(sections).find((section) => section.declared.has(id));
  const where =
    elsewhere === undefined
      ? `define it under ${SECTION_NAMES[kinds[0]]}`
      : `it is configured as a ${elsewhere.kind}, under ${SECTION_NAMES[elsewhere.kind]}`;
  const fix = (shown === quote(id) ? didYouMean(id, declared) : undefined) ?? where;
  report.problem(position, path, `references ${kinds[0]} ${shown} which is not configured`, fix);
}
