import type { RecordView, ResourceEdit } from "signalbox/sdk";
import {
  contradicts,
  isSameIdentity,
  resolveIdentity,
  type Identity,
  type InstanceIdMode,
  type Said,
} from "./identity.ts";
import { editBetween } from "./resource-edits.ts";
import { needlessBeside, type Needless, type ResourceWord, type Spoken } from "./spoken.ts";

export interface GroupSettings {
  readonly word: ResourceWord;
  /** The headers, then the configuration. */
  readonly senders: readonly Said[];
  readonly mode: InstanceIdMode;
  /** The resource says each id under its mirror too. */
  readonly isMirrored: boolean;
}

/** Where the records of one kind belong. */
export interface Target {
  readonly identity: Identity;
  /** From the group's resource to theirs; undefined where they are at home. */
  readonly edit: ResourceEdit | undefined;
}

/** Where the records go that say one thing. */
export interface Way {
  /** undefined where they say nothing that leads anywhere. */
  readonly target: Target | undefined;
  /** They speak about another worker than their resource, so they stay. */
  readonly contradicts: boolean;
  /** What they need not say once they are there. */
  readonly needless: Needless | undefined;
}

/** What leads from a resource to others is worked out once for each worker; with more workers than this, now and then anew. */
const TARGETS_MAX = 512;

/**
 * What a resource comes to that says one thing: the identity that it has when nothing below it says more, and the way from
 * there to any other. It depends on nothing else of the request, so it serves all that say the same.
 */
export class GroupIdentity {
  readonly base: Target;
  readonly #settings: GroupSettings;
  readonly #targets = new Map<string, Target>();
  /** Of records under a scope that says nothing. */
  readonly #ways = new WeakMap<Spoken, Way>();

  constructor(settings: GroupSettings) {
    const { word, senders, mode } = settings;
    this.#settings = settings;
    this.base = { identity: resolveIdentity({ resource: word.chosen, spoken: [], senders }, mode), edit: undefined };
  }

  /** Undefined where `spoken` contradicts the resource: it speaks about another worker, and stays where it is. */
  target(spoken: Said, scope: Said | undefined): Target | undefined {
    if (contradicts(this.#settings.word.chosen, spoken)) return undefined;
    const key = targetKey(spoken, scope);
    const known = this.#targets.get(key);
    if (known !== undefined) return known;
    const target = this.#resolve(spoken, scope);
    if (this.#targets.size >= TARGETS_MAX) this.#targets.clear();
    this.#targets.set(key, target);
    return target;
  }

  #resolve(spoken: Said, scope: Said | undefined): Target {
    const { word, senders, mode, isMirrored } = this.#settings;
    const all = scope === undefined ? [spoken] : [spoken, scope];
    const identity = resolveIdentity({ resource: word.chosen, spoken: all, senders }, mode);
    const { base } = this;
    if (isSameIdentity(identity, base.identity)) return base;
    return { identity, edit: editBetween(base.identity, identity, word, isMirrored) };
  }

  way(spoken: Spoken, scope: Said | undefined): Way {
    if (scope !== undefined) return this.#findWay(spoken, scope);
    let way = this.#ways.get(spoken);
    if (way === undefined) this.#ways.set(spoken, (way = this.#findWay(spoken, undefined)));
    return way;
  }

  #findWay(spoken: Spoken, scope: Said | undefined): Way {
    const { said } = spoken;
    const target = said === undefined ? undefined : this.target(said, scope);
    const needless = target === undefined ? undefined : needlessBeside(spoken, target.identity);
    return { target, contradicts: said !== undefined && target === undefined, needless };
  }

  /** False where the batch's bounds on regrouping are reached: what the record says stays on it then. */
  move(record: RecordView, { edit }: Target): boolean {
    return edit === undefined || record.moveToResource(edit);
  }
}

function targetKey(spoken: Said, scope: Said | undefined): string {
  return scope === undefined ? saidKey(spoken) : `${saidKey(spoken)}\0${saidKey(scope)}`;
}

function saidKey({ machine = "", worker = "", serviceType = "", instance = "" }: Said): string {
  return `${machine}\0${worker}\0${serviceType}\0${instance}`;
}
