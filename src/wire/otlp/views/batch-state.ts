import type { Signal } from "../../../core/signal.ts";
import { GROUP_COLUMNS, PARENT, firstRecord, firstScope, type BatchIndex } from "../batch-index.ts";
import { asBuffer } from "../../text.ts";
import { createMessageEdits, type MessageEdits } from "./edits.ts";
import { RegroupPlan } from "./regroup-plan.ts";

const NO_BYTES = new Uint8Array(0);

/**
 * What all views over one batch share: the bytes, the index and the edits of groups and records, by their position.
 * Everything about edits is made on the first edit, so that a batch that is only read costs the bytes and the index.
 */
export class BatchState {
  readonly signal: Signal;
  readonly index: BatchIndex;
  /** The caller's own object, for an encode without edits. */
  original: Uint8Array;
  #bytes: Uint8Array;
  #isReleased = false;
  /** Counts edits; encode() is memoized by it. */
  version = 0;
  /** Log records, spans or data points that are left. */
  itemCount: number;

  readonly resourceEdits = new Map<number, MessageEdits>();
  readonly scopeEdits = new Map<number, MessageEdits>();
  /** By record. An array, since often every record is edited. */
  #recordEdits: (MessageEdits | undefined)[] | undefined;
  editedRecordCount = 0;
  /** By resource and by scope: 1 where anything below was edited, dropped or moved. */
  #dirtyResources: Uint8Array | undefined;
  #dirtyScopes: Uint8Array | undefined;
  #drops: Drops | undefined;
  #plan: RegroupPlan | undefined;

  constructor(signal: Signal, bytes: Uint8Array, index: BatchIndex) {
    this.signal = signal;
    this.index = index;
    this.itemCount = index.itemCount;
    // Text is decoded by Buffer's methods; made once here instead of at every read.
    this.#bytes = asBuffer(bytes);
    this.original = bytes;
  }

  /** Throws once the batch was released: a forgotten view is found at once, and pins no bytes. */
  get bytes(): Uint8Array {
    if (this.#isReleased) throw releasedError();
    return this.#bytes;
  }

  assertLive(): void {
    if (this.#isReleased) throw releasedError();
  }

  release(): void {
    this.#isReleased = true;
    this.#bytes = NO_BYTES;
    this.original = NO_BYTES;
    this.resourceEdits.clear();
    this.scopeEdits.clear();
    this.#recordEdits = undefined;
    this.#plan = undefined;
  }

  resourceOfScope(scope: number): number {
    return this.index.scopes[scope * GROUP_COLUMNS + PARENT]!;
  }

  openResource(resource: number): MessageEdits {
    this.#touchResource(resource);
    return openIn(this.resourceEdits, resource);
  }

  openScope(scope: number): MessageEdits {
    this.touchScope(scope);
    return openIn(this.scopeEdits, scope);
  }

  openRecord(record: number, scope: number): MessageEdits {
    this.touchScope(scope);
    this.#recordEdits ??= Array.from({ length: this.index.recordCount });
    let edits = this.#recordEdits[record];
    if (edits === undefined) {
      this.#recordEdits[record] = edits = createMessageEdits();
      this.editedRecordCount++;
    }
    return edits;
  }

  recordEdits(record: number): MessageEdits | undefined {
    return this.#recordEdits?.[record];
  }

  touchScope(scope: number): void {
    this.#dirtyScopes ??= new Uint8Array(this.index.scopeCount);
    this.#dirtyScopes[scope] = 1;
    this.#touchResource(this.resourceOfScope(scope));
  }

  #touchResource(resource: number): void {
    this.assertLive();
    this.version++;
    this.#dirtyResources ??= new Uint8Array(this.index.resourceCount);
    this.#dirtyResources[resource] = 1;
  }

  isResourceDirty(resource: number): boolean {
    return this.#dirtyResources?.[resource] === 1;
  }

  isScopeDirty(scope: number): boolean {
    return this.#dirtyScopes?.[scope] === 1;
  }

  isRecordDropped(record: number): boolean {
    return this.#drops?.records[record] === 1;
  }

  /** True where the scope was dropped, or lost all its records. One that came without records stays. */
  isScopeDropped(scope: number): boolean {
    return this.#drops?.scopes[scope] === 1;
  }

  isResourceDropped(resource: number): boolean {
    return this.#drops?.resources[resource] === 1;
  }

  /** `items` is what the record still counts for: 1, or a metric's data points left. */
  dropRecord(record: number, scope: number, items: number): void {
    this.touchScope(scope);
    const drops = this.#openDrops();
    if (drops.records[record] === 1) return;
    drops.records[record] = 1;
    this.itemCount -= items;
    const left = (drops.recordsLeft[scope] ??= firstRecord(this.index, scope + 1) - firstRecord(this.index, scope)) - 1;
    drops.recordsLeft[scope] = left;
    if (left === 0) this.dropScope(scope);
  }

  /** The caller has dropped the scope's records. */
  dropScope(scope: number): void {
    this.touchScope(scope);
    const drops = this.#openDrops();
    if (drops.scopes[scope] === 1) return;
    drops.scopes[scope] = 1;
    const resource = this.resourceOfScope(scope);
    const left =
      (drops.scopesLeft[resource] ??= firstScope(this.index, resource + 1) - firstScope(this.index, resource)) - 1;
    drops.scopesLeft[resource] = left;
    if (left === 0) this.dropResource(resource);
  }

  /** The caller has dropped the resource's scopes. */
  dropResource(resource: number): void {
    this.#touchResource(resource);
    this.#openDrops().resources[resource] = 1;
  }

  #openDrops(): Drops {
    const { resourceCount, scopeCount, recordCount } = this.index;
    this.#drops ??= {
      resources: new Uint8Array(resourceCount),
      scopes: new Uint8Array(scopeCount),
      records: new Uint8Array(recordCount),
      scopesLeft: [],
      recordsLeft: [],
    };
    return this.#drops;
  }

  /** undefined while no record was moved. */
  get plan(): RegroupPlan | undefined {
    return this.#plan;
  }

  /** Records that were asked to move and did not; survives release(), for whoever counts them then. */
  regroupRefused = 0;

  openPlan(): RegroupPlan {
    this.assertLive();
    this.#plan ??= new RegroupPlan(this);
    return this.#plan;
  }
}

interface Drops {
  readonly resources: Uint8Array;
  readonly scopes: Uint8Array;
  readonly records: Uint8Array;
  /** Children left, filled when the first is dropped. */
  readonly scopesLeft: (number | undefined)[];
  readonly recordsLeft: (number | undefined)[];
}

function openIn(map: Map<number, MessageEdits>, position: number): MessageEdits {
  let edits = map.get(position);
  if (edits === undefined) map.set(position, (edits = createMessageEdits()));
  return edits;
}

function releasedError(): Error {
  return new Error(
    "this view belongs to a batch that was handed on or answered; copy what must outlive it before consume()",
  );
}
