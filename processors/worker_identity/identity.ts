import { isUuid, machineInstanceId, workerInstanceId } from "./instance-id.ts";
import type { Readings } from "./spellings.ts";

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
  const isMadeUp = (id: string): boolean => worker !== undefined && isReplaceable(id, { machine, derived, mode });
  const chosen = said.find((id) => id === null || !isMadeUp(id));
  if (chosen !== undefined) return { instance: chosen ?? undefined, original: undefined };
  const original = said.find((id) => id !== null && machine !== undefined && id !== machineInstanceId(machine));
  return { instance: derived, original: original ?? undefined };
}

function derivedInstanceId(machine: string | undefined, worker: string | undefined): string | undefined {
  if (machine === undefined) return undefined;
  return worker === undefined ? machineInstanceId(machine) : workerInstanceId(machine, worker);
}

interface Derivation {
  readonly machine: string | undefined;
  readonly derived: string | undefined;
  readonly mode: InstanceIdMode;
}

/** The worker is known. A UUID is an SDK's invention; the whole machine's id is ours, from a hop that did not know the worker. */
function isReplaceable(id: string, { machine, derived, mode }: Derivation): boolean {
  if (machine === undefined || id === derived || mode === "insert") return false;
  return mode === "overwrite" || isUuid(id) || id === machineInstanceId(machine);
}

/** True where what is spoken names another worker than the resource, which then keeps its own identity. */
export function contradicts(resource: Said, spoken: Said, identity: Identity): boolean {
  return (
    differs(resource.machine, spoken.machine) ||
    differs(resource.worker, spoken.worker) ||
    (resource.instance === identity.instance && isChosenOther(resource.instance, spoken.instance))
  );
}

function differs(chosen: string | null | undefined, spoken: string | null | undefined): boolean {
  return chosen !== undefined && spoken !== undefined && spoken !== null && chosen !== spoken;
}

/** A UUID beside an instance id that somebody chose names a process, not another worker. */
function isChosenOther(chosen: string | null | undefined, spoken: string | null | undefined): boolean {
  return differs(chosen, spoken) && typeof spoken === "string" && !isUuid(spoken);
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
