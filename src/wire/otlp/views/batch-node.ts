import type { Signal } from "../../../core/signal.ts";
import type { BatchView, RecordView, RecordViews } from "../types.ts";
import type { BatchState } from "./batch-state.ts";
import { ResourceGroupView, type RecordKind } from "./group-views.ts";
import { RECORD_KINDS } from "./record-kinds.ts";

class BatchNode<R extends RecordView> implements BatchView<R> {
  readonly #state: BatchState;
  readonly #kind: RecordKind<R>;

  constructor(state: BatchState, kind: RecordKind<R>) {
    this.#state = state;
    this.#kind = kind;
  }

  get itemCount(): number {
    this.#state.assertLive();
    return this.#state.itemCount;
  }

  *resourceGroups(): Iterable<ResourceGroupView<R>> {
    const state = this.#state;
    state.assertLive();
    for (let resource = 0; resource < state.index.resourceCount; resource++) {
      if (!state.isResourceDropped(resource)) yield new ResourceGroupView(state, this.#kind, resource);
      state.assertLive();
    }
  }

  /** One generator over all three levels: delegating to those of the groups would cost three steps a record. */
  *[Symbol.iterator](): Iterator<R> {
    const state = this.#state;
    for (const group of this.resourceGroups()) {
      for (const scope of group.scopes()) {
        const end = scope.recordEnd;
        for (let record = scope.recordStart; record < end; record++) {
          if (!state.isRecordDropped(record)) yield this.#kind.create(scope, record);
          state.assertLive();
        }
      }
    }
  }
}

export function createBatchView<S extends Signal>(signal: S, state: BatchState): BatchView<RecordViews[S]> {
  return new BatchNode<RecordViews[S]>(state, RECORD_KINDS[signal]);
}
