import type { BatchView, OtlpSignal, RecordView, RecordViews } from "../types.ts";
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

  *[Symbol.iterator](): Iterator<R> {
    for (const group of this.resourceGroups()) yield* group.records();
  }
}

export function createBatchView<S extends OtlpSignal>(signal: S, state: BatchState): BatchView<RecordViews[S]> {
  return new BatchNode<RecordViews[S]>(state, RECORD_KINDS[signal]);
}
