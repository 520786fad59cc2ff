import type { ComponentFactory } from "../core/component.ts";
import { closestName } from "../core/closest-name.ts";
import { formatComponentId, parseComponentId } from "../core/component-id.ts";
import type { ComponentId, ComponentKind } from "../core/component-id.ts";
import type { ComponentSection, ConfiguredComponent, FactoryLookup, FactoryOf } from "./configuration.ts";
import { isBroken, isNull, placeAt, toWritten } from "./located.ts";
import type { LocatedEntry } from "./located.ts";
import { didYouMean } from "./nearest.ts";
import { quote } from "./problem.ts";
import type { Path, Position } from "./problem.ts";
import { mapEntries } from "./report.ts";
import type { Entries, Report } from "./report.ts";
import { validate } from "./validate.ts";

export const ID_FIX = 'write it as "type" or "type/name"';

/** The YAML's section of each kind. */
export const SECTION_NAMES = {
  receiver: "receivers",
  processor: "processors",
  exporter: "exporters",
  connector: "connectors",
  extension: "extensions",
} as const satisfies Record<ComponentKind, string>;

export interface ReadSection<K extends ComponentKind> {
  readonly kind: K;
  /** The sound ones. */
  readonly components: ComponentSection<K>;
  /** All that the section names, broken ones too: a reference to a broken one is no second problem. */
  readonly declared: ReadonlyMap<string, LocatedEntry>;
  /** The section came from an expression that failed, or its name is mistyped: nobody knows what it holds. */
  readonly isUnknown: boolean;
  /** The ids that a pipeline or service.extensions refers to; filled while those are read. */
  readonly used: Set<string>;
}

/** Reads one section, each component by its factory's schema. */
export function readSection<K extends ComponentKind>(
  kind: K,
  entries: Entries,
  factories: FactoryLookup,
  report: Report,
): ReadSection<K> {
  const section = SECTION_NAMES[kind];
  const components = new Map<string, ConfiguredComponent<K>>();
  const declared = new Map<string, LocatedEntry>();
  for (const [key, body] of mapEntries(entries.get(section), [section], report)) {
    const id = parseComponentId(key);
    if ("problem" in id) {
      report.problem(body.keyPosition, [section, key], id.problem, ID_FIX);
      continue;
    }
    const name = formatComponentId(id);
    if (declared.has(name))
      report.problem(body.keyPosition, [section, key], `the id ${quote(name)} stands twice`, "rename one of them");
    else declared.set(name, body);
    const component = readComponent(kind, id, body, factories, report);
    if (component !== undefined) components.set(name, component);
  }
  return {
    kind,
    components,
    declared,
    isUnknown: isBroken(entries.get(section)?.node) || isMistyped(section, entries),
    used: new Set(),
  };
}

/** It is absent, and a name that is no section's is near: that one has been reported. */
function isMistyped(section: string, entries: Entries): boolean {
  const names = Object.values(SECTION_NAMES);
  return !entries.has(section) && [...entries.keys()].some((key) => closestName(key, names) === section);
}

function readComponent<K extends ComponentKind>(
  kind: K,
  id: ComponentId,
  { node, keyPosition }: LocatedEntry,
  factories: FactoryLookup,
  report: Report,
): ConfiguredComponent<K> | undefined {
  const path = [SECTION_NAMES[kind], formatComponentId(id)];
  const factory = factories.find(kind, id.type);
  if (factory === undefined && factories.isBroken?.(kind, id.type) === true) return undefined;
  if (factory === undefined || !isOfKind(factory, kind)) {
    const types = factories.types(kind);
    const message = `unknown type: ${quote(id.type)} for id: ${quote(formatComponentId(id))} (valid values: [${types.join(" ")}])`;
    report.problem(keyPosition, path, message, didYouMean(id.type, types) ?? typesFix(kind, types));
    return undefined;
  }
  if (factory.type !== id.type) {
    report.warning(keyPosition, path, `${quote(id.type)} alias is deprecated; use ${quote(factory.type)} instead`);
  }
  if (isBroken(node)) return undefined;
  const validated = validate<unknown>({ schema: factory.config, root: node, position: keyPosition, path });
  report.add(validated);
  if (validated.problems.length > 0) return undefined;
  const positionOf = (keys: Path): Position => placeAt(node, keyPosition, keys).position;
  return { id, factory, config: validated.value, written: toWritten(node), position: keyPosition, positionOf };
}

function typesFix(kind: ComponentKind, types: readonly string[]): string {
  return types.length === 0 ? `there is no ${kind} type here yet; leave it out` : `the types are ${types.join(", ")}`;
}

function isOfKind<K extends ComponentKind>(factory: ComponentFactory, kind: K): factory is FactoryOf<K> {
  return factory.kind === kind;
}

export type Sections = { readonly [K in ComponentKind]: ReadSection<K> };

/** What holds over whole sections; `start` is where a section would stand that is absent. */
export function checkSections(entries: Entries, sections: Sections, start: Position, report: Report): void {
  for (const kind of ["receiver", "exporter"] as const) {
    if (sections[kind].declared.size > 0 || sections[kind].isUnknown) continue;
    const name = SECTION_NAMES[kind];
    const entry = entries.get(name);
    // A section that is no map, or holds only broken ids, has its own problem.
    if (entry !== undefined && !isEmptySection(entry)) continue;
    report.problem(
      entry?.keyPosition ?? start,
      [name],
      `no ${kind} configuration specified in config`,
      `write at least one ${kind} under ${name}`,
    );
  }
  for (const [id, { keyPosition }] of sections.connector.declared) {
    const other = (["receiver", "exporter"] as const).find((kind) => sections[kind].declared.has(id));
    if (other === undefined) continue;
    const message = `ambiguous ID: Found both ${quote(id)} ${other} and ${quote(id)} connector`;
    report.problem(
      keyPosition,
      [SECTION_NAMES.connector, id],
      message,
      `rename the connector, for example to "${id}/connector"`,
    );
  }
}

/** It stands there with nothing in it; what is no map at all has its own problem. */
function isEmptySection({ node }: LocatedEntry): boolean {
  return isNull(node) || (node.kind === "map" && node.entries.size === 0);
}
