import { isUuid, machineInstanceId, workerInstanceId } from "./instance-id.ts";
import type { Field, Readings } from "./spellings.ts";

export const IDENTITY_FIELDS = ["machine", "worker", "serviceType", "instance"] as const satisfies readonly Field[];
export type IdentityField = (typeof IDENTITY_FIELDS)[number];

export type InstanceIdMode = "replace_generated" | "insert" | "overwrite";

/** What one source says. null stands for something under the key that is no id: nobody may put another there. */
export interface Said {
  readonly machine?: string | null | undefined;
  readonly worker?: string | null | undefined;
  readonly serviceType?: string | null | undefined;
  readonly instance?: string | null | undefined;
}

/** Who a resource turns out to be. */
export interface Identity {
  readonly machine: string | undefined;
  readonly worker: string | undefined;
  readonly serviceType: string | undefined;
  readonly instance: string | undefined;
  /** The made-up instance id that gave way. */
  readonly original: string | undefined;
}

export interface Sources {
  /** What the resource itself says: whoever wrote it has chosen, and nothing overrules it. */
  readonly resource: Said;
  /** The record, then its scope: they may speak about another worker than the resource. */
  readonly spoken: readonly Said[];
  /** The headers, then the configuration: who sends, where nothing else is said. */
  readonly senders: readonly Said[];
}

/** What a resource says: nulls stay, since what a person put there is not overwritten. */
export function chosenOf(readings: Readings): Said {
  return {
    machine: readings.machine?.text,
    worker: readings.worker?.text,
    serviceType: readings.serviceType?.text,
    instance: readings.instance?.text,
  };
}

/** What a record or a scope says; undefined where it names nothing. Something that is no id says nothing here. */
export function spokenOf(readings: Readings): Said | undefined {
  const machine = readings.machine?.text ?? undefined;
  const worker = readings.worker?.text ?? undefined;
  const serviceType = readings.serviceType?.text ?? undefined;
  const instance = readings.instance?.text ?? undefined;
  if ((machine ?? worker ?? serviceType ?? instance) === undefined) return undefined;
  return { machine, worker, serviceType, instance };
}

export function resolveIdentity({ resource, spoken, senders }: Sources, mode: InstanceIdMode): Identity {
  const all = [resource, ...spoken, ...senders];
  const machine = firstSaid(all.map((said) => said.machine));
  const worker = firstSaid(
    all.map((said, index) => (index === 0 || fitsMachine(said, machine) ? said.worker : undefined)),
  );
  const serviceType = firstSaid(all.map((said) => said.serviceType));
  return { machine, worker, serviceType, ...resolveInstance([resource, ...spoken], machine, worker, mode) };
}

/** The first that is said. Where that is no id, the place is taken, and nothing is known. */
function firstSaid(values: readonly (string | null | undefined)[]): string | undefined {
  return values.find((value) => value !== undefined) ?? undefined;
}

/** A worker's id means something on its machine only: with another machine it would name a worker that nobody named. */
function fitsMachine(said: Said, machine: string | undefined): boolean {
  return said.machine === undefined || said.machine === machine;
}

function resolveInstance(
  sources: readonly Said[],
  machine: string | undefined,
  worker: string | undefined,
  mode: InstanceIdMode,
): Pick<Identity, "instance" | "original"> {
  const derived = derivedInstanceId(machine, worker);
  const said = sources.map((source) => source.instance).filter((id) => id !== undefined);
  // Of a machine alone a made-up id tells its processes apart, so it gives way only to an id that does so too.
  const isKnown = machine !== undefined && worker !== undefined;
  const chosen = said.find((id) => !isKnown || id === null || id === derived || !givesWay(id, mode));
  if (chosen !== undefined) return { instance: chosen ?? undefined, original: undefined };
  return { instance: derived, original: said[0] ?? undefined };
}

function derivedInstanceId(machine: string | undefined, worker: string | undefined): string | undefined {
  if (machine === undefined) return undefined;
  return worker === undefined ? machineInstanceId(machine) : workerInstanceId(machine, worker);
}

function givesWay(instance: string, mode: InstanceIdMode): boolean {
  return mode === "overwrite" || (mode === "replace_generated" && isMadeUp(instance));
}

/**
 * True where what is spoken names another worker than the resource, which then keeps its own identity. It looks at these
 * two alone: were it to depend on who else says what, the same words could contradict at one hop and not at the next.
 */
export function contradicts(resource: Said, spoken: Said): boolean {
  return (
    differs(resource.machine, spoken.machine) ||
    differs(resource.worker, spoken.worker) ||
    (differs(resource.instance, spoken.instance) && !isMadeUp(resource.instance) && !isMadeUp(spoken.instance))
  );
}

function differs(chosen: string | null | undefined, spoken: string | null | undefined): boolean {
  return chosen !== undefined && spoken !== undefined && chosen !== spoken;
}

/** A UUID is an SDK's invention: it names a process, and chooses nothing. */
function isMadeUp(instance: string | null | undefined): boolean {
  return typeof instance === "string" && isUuid(instance);
}

export function isSameIdentity(left: Identity, right: Identity): boolean {
  return (
    left.machine === right.machine &&
    left.worker === right.worker &&
    left.serviceType === right.serviceType &&
    left.instance === right.instance &&
    left.original === right.original
  );
}

/** True where the identity says in this field what `text` says: it need not be said again below the resource. */
export function isSaidBy(identity: Identity, field: IdentityField, text: string | null | undefined): boolean {
  if (text === undefined || text === null) return false;
  return text === identity[field] || (field === "instance" && text === identity.original);
}
