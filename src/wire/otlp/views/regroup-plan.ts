import {
  REGROUP_BYTES_FACTOR_MAX,
  REGROUP_BYTES_FREE,
  REGROUP_LATE_BYTES_MAX,
  REGROUP_RESOURCES_MAX,
} from "../../limits.ts";
import {
  CONTENT_END,
  CONTENT_START,
  FIELD_START,
  firstRecord,
  firstScope,
  GROUP_COLUMNS,
  GROUP_HEADER_FIELD,
  RECORD_COLUMNS,
  type BatchIndex,
} from "../batch-index.ts";
import type { AttributeInput, ResourceEdit } from "../types.ts";
import { encodePair } from "./encode-pair.ts";
import type { BatchState } from "./batch-state.ts";
import type { Slice } from "./edits.ts";

/** By key: content of the KeyValue to set, or undefined to delete. */
export type ResourcePatch = ReadonlyMap<string, Slice | undefined>;

interface Target {
  readonly resource: number;
  readonly patch: ResourcePatch;
  /** Equal for equal patches. */
  readonly text: string;
  /** Records that go there now. */
  recordCount: number;
  /** Scopes whose headers were counted for it. */
  readonly scopes: Set<number>;
}

const STAYS = 0;
const NO_MOVES = new Int32Array(0);

// Tags, lengths and a little more that one more resource and one more scope cost beside their headers.
const GROUP_OVERHEAD_BYTES = 24;

// The workers of one request, one edit each. With more of them than this each edit is now and then described anew.
const EDITS_KEPT = 256;

/**
 * Which records move to which resource: a small number per record, since many records share few targets.
 * What a target's resource looks like is worked out when the batch is encoded, from the resource as it stands then.
 */
export class RegroupPlan {
  readonly #state: BatchState;
  /** By record: STAYS, or 1 + the position of its target. */
  readonly #moves: Int32Array;
  readonly #targets: Target[] = [];
  readonly #targetByKey = new Map<string, number>();
  #liveTargetCount = 0;
  /** What the targets' headers add, as they stood at each move; checkBytes() counts what is written to a resource after it. */
  #addedBytes = 0;
  readonly #addedBytesMax: number;
  #lastEdit: EditRoute | undefined;
  /** By the object that was handed in, which may have been changed since unless it is frozen. */
  readonly #routes = new Map<ResourceEdit, EditRoute>();

  constructor(state: BatchState) {
    const size = state.bytes.length;
    this.#state = state;
    this.#moves = new Int32Array(state.index.recordCount);
    this.#addedBytesMax = Math.max(size * REGROUP_BYTES_FACTOR_MAX, REGROUP_BYTES_FREE) - size;
  }

  get hasMoves(): boolean {
    return this.#liveTargetCount > 0;
  }

  /** undefined where the record stays. */
  targetOf(record: number): number | undefined {
    const move = this.#moves[record]!;
    return move === STAYS ? undefined : move - 1;
  }

  patchOf(target: number): ResourcePatch {
    return this.#targets[target]!.patch;
  }

  /** Equal for patches that come to the same on one resource. */
  patchText(target: number): string {
    return this.#targets[target]!.text;
  }

  /** Moves records `first` to `end` of one scope, all or none. A record that was moved before moves on from there. */
  move(resource: number, scope: number, first: number, end: number, edit: ResourceEdit): boolean {
    this.#state.touchScope(scope);
    const route = this.#routeOf(edit);
    if (route.edit.patch.size === 0) return true;
    const before = end - first > 1 ? this.#moves.slice(first, end) : NO_MOVES;
    for (let record = first; record < end; record++) {
      if (this.#state.isRecordDropped(record)) continue;
      if (this.#moveOne(resource, scope, record, route)) continue;
      before.forEach((move, index) => this.#assign(first + index, move));
      this.#state.regroupRefused += end - first;
      return false;
    }
    return true;
  }

  #moveOne(resource: number, scope: number, record: number, route: EditRoute): boolean {
    const position = this.#openTarget(resource, this.#moves[record]!, route);
    const target = this.#targets[position]!;
    if (target.recordCount === 0 && this.#liveTargetCount >= REGROUP_RESOURCES_MAX) return false;
    if (!target.scopes.has(scope)) {
      const added = this.#costOf(target, scope);
      if (this.#addedBytes + added > this.#addedBytesMax) return false;
      this.#addedBytes += added;
      target.scopes.add(scope);
    }
    this.#assign(record, position + 1);
    return true;
  }

  #assign(record: number, move: number): void {
    const old = this.#moves[record]!;
    if (old === move) return;
    if (old !== STAYS && --this.#targets[old - 1]!.recordCount === 0) this.#liveTargetCount--;
    if (move !== STAYS && ++this.#targets[move - 1]!.recordCount === 1) this.#liveTargetCount++;
    this.#moves[record] = move;
  }

  /** Targets are found by where the record comes from and by the edit; whether two are equal is decided when encoding. */
  #openTarget(resource: number, from: number, route: EditRoute): number {
    const { last, edit } = route;
    if (last.resource === resource && last.from === from) return last.target;
    const key = `${resource},${from},${edit.text}`;
    const target = this.#targetByKey.get(key) ?? this.#addTarget(key, resource, from, edit);
    route.last = { resource, from, target };
    return target;
  }

  #addTarget(key: string, resource: number, from: number, edit: DescribedEdit): number {
    const before = from === STAYS ? undefined : this.#targets[from - 1]!;
    const patch = before === undefined ? edit.patch : new Map([...before.patch, ...edit.patch]);
    // Of a record that moves on, the two edits one after another.
    const text = before === undefined ? edit.text : `${before.text};${edit.text}`;
    const target = this.#targets.push({ resource, patch, text, recordCount: 0, scopes: new Set() }) - 1;
    this.#targetByKey.set(key, target);
    return target;
  }

  /**
   * Called before the batch is encoded: a resource may have been written to since records moved away from it, and each of
   * its targets has what was written. Throws a RangeError beyond the bound, since the records cannot go back any more:
   * whoever moved them has mostly taken the keys off them.
   */
  checkBytes(): void {
    const { index } = this.#state;
    let added = 0;
    for (const target of this.#targets) {
      if (target.recordCount === 0) continue;
      added += this.#resourceCost(target);
      for (const scope of target.scopes) added += GROUP_OVERHEAD_BYTES + scopeHeaderSize(index, scope);
    }
    const addedMax = this.#addedBytesMax + REGROUP_LATE_BYTES_MAX;
    if (added <= addedMax) return;
    throw new RangeError(
      `resource.attributes: what was written after records had moved away makes ${added} bytes more of ` +
        `${this.#liveTargetCount} resources, more than ${addedMax}: write it before the records move`,
    );
  }

  #costOf(target: Target, scope: number): number {
    const cost = GROUP_OVERHEAD_BYTES + scopeHeaderSize(this.#state.index, scope);
    return target.scopes.size > 0 ? cost : cost + this.#resourceCost(target);
  }

  #resourceCost(target: Target): number {
    let cost = resourceHeaderSize(this.#state.index, target.resource);
    for (const pair of target.patch.values()) cost += pairSize(pair);
    const edited = this.#state.resourceEdits.get(target.resource)?.messages?.get(GROUP_HEADER_FIELD)?.attributes;
    for (let added = edited?.first; added !== undefined; added = added.next) cost += pairSize(added.pair);
    return cost;
  }

  /**
   * Calls come record after record with an equal edit, or with the same few objects in turn; both are looked for and
   * compared before anything is encoded.
   */
  #routeOf(edit: ResourceEdit): EditRoute {
    if (this.#lastEdit?.edit.equals(edit) === true) return this.#lastEdit;
    const known = this.#routes.get(edit);
    if (known?.edit.equals(edit) === true) return (this.#lastEdit = known);
    const route = { edit: describe(edit), last: NOWHERE };
    if (this.#routes.size >= EDITS_KEPT) this.#routes.clear();
    this.#routes.set(edit, route);
    return (this.#lastEdit = route);
  }
}

/** An edit in one batch, with the target it led to last, and from where. */
interface EditRoute {
  readonly edit: DescribedEdit;
  last: { readonly resource: number; readonly from: number; readonly target: number };
}

const NOWHERE = { resource: -1, from: STAYS, target: -1 };

/** Of frozen edits, which a processor may hand in for as long as it lives. */
const describedFrozen = new WeakMap<ResourceEdit, DescribedEdit>();

function describe(edit: ResourceEdit): DescribedEdit {
  const known = describedFrozen.get(edit);
  if (known !== undefined) return known;
  const described = new DescribedEdit(edit);
  if (described.isFrozen) describedFrozen.set(edit, described);
  return described;
}

/** A ResourceEdit, encoded, and as a text that is equal for equal edits. Where a key is deleted and set, it is set. */
class DescribedEdit {
  readonly patch: ResourcePatch;
  readonly text: string;
  /** It can never change: the object itself stands for what it says. */
  readonly isFrozen: boolean;
  readonly #source: ResourceEdit;
  readonly #set: readonly (readonly [string, AttributeInput])[];
  readonly #delete: readonly string[];

  constructor(edit: ResourceEdit) {
    this.#source = edit;
    this.isFrozen = isDeeplyFrozen(edit);
    this.#set = Object.entries(edit.set ?? {});
    this.#delete = [...(edit.delete ?? [])];
    const patch = new Map<string, Slice | undefined>();
    for (const key of this.#delete) patch.set(key.toWellFormed(), undefined);
    for (const [key, value] of this.#set) patch.set(key.toWellFormed(), encodePair(key.toWellFormed(), value));
    this.patch = patch;
    this.text = [...patch]
      .map(([key, pair]) => `${key.length}:${key}${textOf(pair)}`)
      .toSorted()
      .join("");
  }

  /** Compares by value where values are primitive; others are encoded anew, since they may have been changed since. */
  equals(edit: ResourceEdit): boolean {
    if (this.isFrozen && edit === this.#source) return true;
    const deleted = edit.delete ?? [];
    if (deleted.length !== this.#delete.length) return false;
    let index = 0;
    for (const key in edit.set) {
      const known = this.#set[index++];
      if (known === undefined || known[0] !== key || typeof known[1] === "object" || known[1] !== edit.set[key])
        return false;
    }
    return index === this.#set.length && this.#delete.every((key, at) => deleted[at] === key);
  }
}

function isDeeplyFrozen(edit: ResourceEdit): boolean {
  const { set = {}, delete: deleted = [] } = edit;
  const isAllFrozen = Object.isFrozen(edit) && Object.isFrozen(set) && Object.isFrozen(deleted);
  return isAllFrozen && Object.values(set).every((value) => typeof value !== "object");
}

function textOf(pair: Slice | undefined): string {
  if (pair === undefined) return "-";
  let text = "=";
  for (let at = pair.start; at < pair.end; at++) text += String.fromCharCode(pair.bytes[at]!);
  return `${text.length}${text}`;
}

function pairSize(pair: Slice | undefined): number {
  return pair === undefined ? 0 : pair.end - pair.start + 8;
}

/** What a resource group holds besides its scope groups. */
function resourceHeaderSize(index: BatchIndex, resource: number): number {
  const row = resource * GROUP_COLUMNS;
  let size = index.resources[row + CONTENT_END]! - index.resources[row + CONTENT_START]!;
  const end = firstScope(index, resource + 1);
  for (let scope = firstScope(index, resource); scope < end; scope++) {
    const child = scope * GROUP_COLUMNS;
    size -= index.scopes[child + CONTENT_END]! - index.scopes[child + FIELD_START]!;
  }
  return size;
}

function scopeHeaderSize(index: BatchIndex, scope: number): number {
  const row = scope * GROUP_COLUMNS;
  let size = index.scopes[row + CONTENT_END]! - index.scopes[row + CONTENT_START]!;
  const end = firstRecord(index, scope + 1);
  for (let record = firstRecord(index, scope); record < end; record++) {
    const child = record * RECORD_COLUMNS;
    size -= index.records[child + CONTENT_END]! - index.records[child + FIELD_START]!;
  }
  return size;
}
