import type { ComponentFactory } from "../core/component.ts";
import { formatComponentId, parseComponentId } from "../core/component-id.ts";
import type { ComponentId, ComponentKind } from "../core/component-id.ts";
import { isSignal, SIGNALS } from "../core/signal.ts";
import type { Signal } from "../core/signal.ts";
import { SECTION_NAMES } from "./components.ts";
import type { Sections } from "./components.ts";
import type { ConfiguredComponent, ConfiguredPipeline } from "./configuration.ts";
import { isNull, placeAt } from "./located.ts";
import type { LocatedEntry } from "./located.ts";
import { didYouMean } from "./nearest.ts";
import { quote } from "./problem.ts";
import type { Path } from "./problem.ts";
import { readReferences, resolveReference } from "./references.ts";
import type { Reference, ReferenceKinds } from "./references.ts";
import { checkKeys, mapEntries } from "./report.ts";
import type { Report } from "./report.ts";

export const PIPELINES_PATH = ["service", "pipelines"] as const;

const ROLES = ["receivers", "processors", "exporters"] as const;
type Role = (typeof ROLES)[number];

const ROLE_KINDS: Readonly<Record<Role, ReferenceKinds>> = {
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
  const checked = new Set<string>();
  for (const [key, body] of entries) {
    const named = readPipelineId(key, body, report);
    const reader = new PipelineReader({
      path: [...PIPELINES_PATH, key],
      body,
      signal: named?.signal,
      sections,
      report,
      checked,
    });
    const lists = reader.lists();
    if (named !== undefined)
      pipelines.set(formatComponentId(named.id), { ...named, ...lists, position: body.keyPosition });
  }
  return pipelines;
}

interface PipelineName {
  readonly id: ComponentId;
  readonly signal: Signal;
}

function readPipelineId(key: string, { keyPosition }: LocatedEntry, report: Report): PipelineName | undefined {
  const path = [...PIPELINES_PATH, key];
  const id = parseComponentId(key);
  if ("problem" in id) {
    report.problem(
      keyPosition,
      path,
      id.problem.replace("component type", "signal"),
      'write it as "logs" or "logs/name"',
    );
    return undefined;
  }
  if (isSignal(id.type)) return { id, signal: id.type };
  const fix = didYouMean(id.type, SIGNALS) ?? `the signals are ${SIGNALS.join(", ")}`;
  report.problem(keyPosition, path, `in ${quote(key)} id: unknown pipeline signal: ${quote(id.type)}`, fix);
  return undefined;
}

type AnyComponent = Pick<ConfiguredComponent, "config"> & { readonly factory: ComponentFactory };

interface PipelinePlace {
  readonly path: Path;
  readonly body: LocatedEntry;
  readonly signal: Signal | undefined;
  readonly sections: Sections;
  readonly report: Report;
  /** Signals and components that have been asked whether they fit; shared by all pipelines. */
  readonly checked: Set<string>;
}

/** One pipeline. Its lists are checked even where its signal is not known, so that all problems come at once. */
class PipelineReader {
  readonly #path: Path;
  readonly #body: LocatedEntry;
  readonly #signal: Signal | undefined;
  readonly #sections: Sections;
  readonly #report: Report;
  readonly #checked: Set<string>;

  constructor({ path, body, signal, sections, report, checked }: PipelinePlace) {
    this.#path = path;
    this.#body = body;
    this.#signal = signal;
    this.#sections = sections;
    this.#report = report;
    this.#checked = checked;
  }

  lists(): Record<Role, readonly string[]> {
    const entries = new Map(mapEntries(this.#body, this.#path, this.#report));
    checkKeys(entries, ROLES, this.#path, this.#report);
    return {
      receivers: this.#list("receivers", entries.get("receivers")),
      processors: this.#list("processors", entries.get("processors")),
      exporters: this.#list("exporters", entries.get("exporters")),
    };
  }

  /** Each id once, in order. */
  #list(role: Role, entry: LocatedEntry | undefined): string[] {
    if (role !== "processors" && this.#isEmpty(entry)) this.#reportEmpty(role, entry);
    const seen = new Set<string>();
    for (const reference of readReferences(entry, [...this.#path, role], this.#report)) {
      if (seen.has(reference.id)) this.#reportRepeated(role, reference);
      else this.#check(ROLE_KINDS[role], reference);
      seen.add(reference.id);
    }
    return [...seen];
  }

  /** Nothing stands there; a list, or a pipeline, of a wrong type has its own problem. */
  #isEmpty(entry: LocatedEntry | undefined): boolean {
    const body = this.#body.node;
    if (entry === undefined) return body.kind === "map" || isNull(body);
    return isNull(entry.node) || (entry.node.kind === "list" && entry.node.items.length === 0);
  }

  #reportEmpty(role: Role, entry: LocatedEntry | undefined): void {
    // What has no signal yet, such as a component under the wrong key, is no pipeline that lacks something.
    if (this.#signal === undefined) return;
    const position = (entry ?? this.#body).keyPosition;
    const message = `must have at least one ${ROLE_KINDS[role][0]}`;
    this.#report.problem(position, [...this.#path, role], message, `write ${role}: [an id under ${role}]`);
  }

  /** Twice through a processor is not what anyone means; a receiver or exporter that stands twice is simply used once. */
  #reportRepeated(role: Role, { id, shown, position, path }: Reference): void {
    const message = `references ${ROLE_KINDS[role][0]} ${shown} multiple times`;
    if (role !== "processors") this.#report.warning(position, path, `${message}; it is used once`, "leave one out");
    else this.#report.problem(position, path, message, `leave one out, or configure a second one as "${id}/name"`);
  }

  #check(kinds: ReferenceKinds, reference: Reference): void {
    const kind = resolveReference(kinds, reference, this.#sections, this.#report);
    const component = kind === undefined ? undefined : this.#sections[kind].components.get(reference.id);
    if (kind === undefined || component === undefined || this.#signal === undefined) return;
    const { factory } = component;
    if (factory.signals.includes(this.#signal)) return this.#checkSignal(kind, component, reference.id, this.#signal);
    const message = `${kind} ${reference.shown} does not support ${this.#signal}, only ${factory.signals.join(", ") || "no signal"}`;
    this.#report.problem(reference.position, reference.path, message, "leave it out of this pipeline");
  }

  /** What the component itself refuses in a pipeline of this signal: said where it stands, once for all such pipelines. */
  #checkSignal(kind: ComponentKind, { factory, config }: AnyComponent, id: string, signal: Signal): void {
    const body = this.#sections[kind].declared.get(id);
    if (factory.signalProblems === undefined || body === undefined) return;
    const key = `${signal} ${kind} ${id}`;
    if (this.#checked.has(key)) return;
    this.#checked.add(key);
    for (const { path, message, fix } of factory.signalProblems(signal, config)) {
      const { position } = placeAt(body.node, body.keyPosition, path);
      this.#report.problem(position, [SECTION_NAMES[kind], id, ...path], message, fix);
    }
  }
}
