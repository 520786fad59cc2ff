import type { Attributes, RecordView, ResourceEdit } from "signalbox/sdk";
import {
  contradicts,
  isSameIdentity,
  resolveIdentity,
  type Identity,
  type InstanceIdMode,
  type Said,
} from "./identity.ts";
import { editBetween, type EditPlace } from "./resource-edits.ts";
import type { Field, Readings } from "./spellings.ts";

export const IDENTITY_FIELDS = ["machine", "worker", "serviceType", "instance"] as const satisfies readonly Field[];
export type IdentityField = (typeof IDENTITY_FIELDS)[number];

export interface GroupSettings {
  /** What the resource says. */
  readonly chosen: Said;
  readonly senders: readonly Said[];
  readonly mode: InstanceIdMode;
  readonly place: EditPlace;
  readonly count: (event: string, value?: number) => void;
}

/** Where the records of one kind belong. */
export interface Target {
  readonly identity: Identity;
  /** From the group's resource to theirs; undefined where they are at home. */
  readonly edit: ResourceEdit | undefined;
}

/** One resource with the identity that it has when nothing below it says more, and the way from there to any other. */
export class GroupIdentity {
  readonly base: Target;
  readonly #settings: GroupSettings;
  /** Records of one worker say the same; their edit is made once. No larger than the group's records. */
  readonly #targets = new Map<string, Target>();

  constructor(settings: GroupSettings) {
    const { chosen, senders, mode } = settings;
    this.#settings = settings;
    this.base = { identity: resolveIdentity({ resource: chosen, spoken: [], senders }, mode), edit: undefined };
  }

  /** Undefined where `spoken` contradicts the resource: it speaks about another worker, and stays where it is. */
  target(spoken: Said, scope: Said | undefined): Target | undefined {
    if (contradicts(this.#settings.chosen, spoken)) {
      this.#settings.count("conflicting");
      return undefined;
    }
    const key = targetKey(spoken, scope);
    const known = this.#targets.get(key);
    if (known !== undefined) return known;
    const target = this.#resolve(spoken, scope);
    this.#targets.set(key, target);
    return target;
  }

  #resolve(spoken: Said, scope: Said | undefined): Target {
    const { chosen, senders, mode, place } = this.#settings;
    const all = scope === undefined ? [spoken] : [spoken, scope];
    const identity = resolveIdentity({ resource: chosen, spoken: all, senders }, mode);
    const { base } = this;
    if (isSameIdentity(identity, base.identity)) return base;
    return { identity, edit: editBetween(base.identity, identity, chosen, place) };
  }

  /** False where the batch's bounds on regrouping are reached: what the record says stays on it then. */
  move(record: RecordView, { edit }: Target): boolean {
    if (edit === undefined || record.moveToResource(edit)) return true;
    this.#settings.count("regroup_bound");
    return false;
  }

  /** Takes away what the resource says now; what it does not say stays, counted. */
  removeMoved(attributes: Attributes, readings: Readings, identity: Identity): void {
    for (const field of IDENTITY_FIELDS) {
      const reading = readings[field];
      if (reading === undefined) continue;
      const spellings = [...reading.keys.map((key) => ({ key, text: reading.text })), ...reading.others];
      const moved = spellings.filter(({ text }) => isSaidBy(identity, field, text));
      for (const { key } of moved) attributes.delete(key);
      this.#settings.count(moved.length === spellings.length ? "moved" : "conflicting");
    }
  }
}

function targetKey(spoken: Said, scope: Said | undefined): string {
  return scope === undefined ? saidKey(spoken) : `${saidKey(spoken)}\0${saidKey(scope)}`;
}

function saidKey({ machine = "", worker = "", serviceType = "", instance = "" }: Said): string {
  return `${machine}\0${worker}\0${serviceType}\0${instance}`;
}

/** True where the identity says in this field what `text` says: it need not be said again below the resource. */
export function isSaidBy(identity: Identity, field: IdentityField, text: string | null | undefined): boolean {
  if (text === undefined || text === null) return false;
  return text === identity[field] || (field === "instance" && text === identity.original);
}
