import { isDeepStrictEqual } from "node:util";
import type { ComponentSection, Configuration } from "../config/configuration.ts";
import type { ComponentFactory } from "../core/component.ts";
import type { ComponentKind } from "../core/component-id.ts";
import { SECTION_NAMES } from "../config/components.ts";
import { printableConfiguration } from "../config/print.ts";
import { formatProblems, type Path, type Position, type Problem } from "../config/problem.ts";
import { storageOf } from "./storages.ts";

/** What a reload changes, one line for each component, pipeline and block. Nothing of what is written there is in it. */
export function describeChanges(former: Configuration, next: Configuration): string[] {
  const components = Object.values(SECTION_NAMES).flatMap((section) =>
    compare<object>(former[section], next[section]).map(({ id, verb }) => `${section}.${id} ${verb}`),
  );
  const pipelines = compare(pipelinesOf(former), pipelinesOf(next), isDeepStrictEqual);
  const blocks = [
    ...(isDeepStrictEqual(former.service.extensions, next.service.extensions) ? [] : ["service.extensions changed"]),
    ...(isDeepStrictEqual(former.signalbox, next.signalbox) ? [] : ["signalbox changed"]),
  ];
  return [...components, ...pipelines.map(({ id, verb }) => `service.pipelines.${id} ${verb}`), ...blocks];
}

/** Whether the gateway's own logs and metrics are to be others. */
export function isTelemetryChanged(former: Configuration, next: Configuration): boolean {
  const [left, right] = [former, next].map((configuration) => {
    const { service } = printableConfiguration(configuration, "unredacted");
    return (service as { readonly telemetry: unknown }).telemetry;
  });
  return !isDeepStrictEqual(left, right);
}

interface Change {
  readonly id: string;
  readonly verb: "changed" | "added" | "removed";
}

function compare<T>(
  former: ReadonlyMap<string, T>,
  next: ReadonlyMap<string, T>,
  isSame: (left: T, right: T) => boolean = Object.is,
): Change[] {
  const removed = [...former.keys()].filter((id) => !next.has(id));
  const others = [...next].flatMap(([id, value]): Change[] => {
    const known = former.get(id);
    if (known === undefined) return [{ id, verb: "added" }];
    return isSame(known, value) ? [] : [{ id, verb: "changed" }];
  });
  return [...others, ...removed.map((id): Change => ({ id, verb: "removed" }))];
}

function pipelinesOf({ pipelines }: Configuration): Map<string, object> {
  return new Map([...pipelines].map(([id, { position: _position, ...rest }]) => [id, rest]));
}

/**
 * The next configuration with the former's very objects for what is unchanged: read alike, and made by the same factory,
 * which for a processor of the user's is the same as long as its files are. So "unchanged" is identity from here on.
 */
export function withUnchanged(former: Configuration, next: Configuration): Configuration {
  return {
    ...next,
    receivers: keepUnchanged(former.receivers, next.receivers),
    processors: keepUnchanged(former.processors, next.processors),
    exporters: keepUnchanged(former.exporters, next.exporters),
    connectors: keepUnchanged(former.connectors, next.connectors),
    extensions: keepUnchanged(former.extensions, next.extensions),
  };
}

function keepUnchanged<K extends ComponentKind>(
  former: ComponentSection<K>,
  next: ComponentSection<K>,
): ComponentSection<K> {
  return new Map(
    [...next].map(([id, configured]) => {
      const known = former.get(id);
      const isSame = known?.factory === configured.factory && isDeepStrictEqual(known.written, configured.written);
      return [id, known !== undefined && isSame ? known : configured];
    }),
  );
}

/** A component of any kind. */
interface Written {
  readonly factory: ComponentFactory;
  readonly written: unknown;
  positionOf(path: Path): Position;
}

/** The service reads these from an exporter's configuration; the exporter itself does not. */
const QUEUE_KEYS = ["sending_queue", "retry_on_failure"];

/** Whether the component that runs is as good for the next configuration: alike but for what it does not read. */
export function canStay(former: Written | undefined, next: Written): boolean {
  if (former === undefined || former.factory !== next.factory) return false;
  const { changeableKeys = {} } = next.factory;
  return changedKeys(former, next).every((key) => QUEUE_KEYS.includes(key) || Object.hasOwn(changeableKeys, key));
}

/** At the top of the component's block, in the order in which they are written. */
function changedKeys(former: Written, next: Written): string[] {
  if (former === next) return [];
  const [left, right] = [former, next].map(({ written }) => new Map(Object.entries(written ?? {})));
  const keys = [...new Set([...right!.keys(), ...left!.keys()])];
  return keys.filter((key) => !isDeepStrictEqual(left!.get(key), right!.get(key)));
}

const RESTART_FIX = "restart the gateway to have it, or take the change back";

/** What cannot change while the gateway runs. `next` has the former's objects for what is unchanged. */
export function restartProblems(former: Configuration, next: Configuration): Problem[] {
  return [...storageProblems(former, next), ...exclusiveProblems(former, next)];
}

function storageProblems(former: Configuration, next: Configuration): Problem[] {
  const [known, wanted] = [storageOf(former), storageOf(next)];
  if (known === wanted) return [];
  const user = [...next.exporters].find(([, { config }]) => storageIn(config) === wanted);
  const [id, { position }] = user ?? [...next.exporters][0]!;
  const message = `restart needed: the queues are in ${shown(known)} and cannot move to ${shown(wanted)} while the gateway runs`;
  return [{ position, path: `exporters.${id}.sending_queue.storage`, message, fix: RESTART_FIX }];
}

function shown(storage: string | undefined): string {
  return storage === undefined ? "memory" : `"${storage}"`;
}

function storageIn(config: unknown): string | undefined {
  const queue = (config as { readonly sending_queue?: { readonly storage?: string | null } }).sending_queue;
  return queue?.storage ?? undefined;
}

function exclusiveProblems(former: Configuration, next: Configuration): Problem[] {
  return (["exporters", "extensions"] as const).flatMap((section) =>
    [...next[section]].flatMap(([id, configured]): Problem[] => {
      const known: Written | undefined = former[section].get(id);
      const { isExclusive, changeableKeys = {} } = configured.factory;
      if (known === undefined || isExclusive !== true) return [];
      const held = changedKeys(known, configured).filter(
        (key) => !QUEUE_KEYS.includes(key) && !Object.hasOwn(changeableKeys, key),
      );
      return held.map((key) => {
        const message = "restart needed: it holds its folder, so this setting cannot change while the gateway runs";
        return { position: configured.positionOf([key]), path: `${section}.${id}.${key}`, message, fix: RESTART_FIX };
      });
    }),
  );
}

/** What is in force, as far as it can be: a line for each key that is read at the next start. */
export function startNotes(former: Configuration, next: Configuration): string[] {
  const problems = (["exporters", "extensions"] as const).flatMap((section) =>
    [...next[section]].flatMap(([id, configured]): Problem[] => {
      const known: Written | undefined = former[section].get(id);
      const { changeableKeys = {} } = configured.factory;
      if (known === undefined) return [];
      const late = changedKeys(known, configured).filter((key) => changeableKeys[key] === "at the next start");
      return late.map((key) => {
        const message = "is read when the gateway starts, and so in force after a restart";
        return { position: configured.positionOf([key]), path: `${section}.${id}.${key}`, message };
      });
    }),
  );
  return problems.map((problem) => formatProblems([problem]));
}
