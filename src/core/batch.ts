import { encodeBatch } from "../wire/otlp/encode-batch.ts";
import type { BatchIndex } from "../wire/otlp/batch-index.ts";
import { mergeDuplicates } from "../wire/otlp/merge-duplicates.ts";
import { joinSlices } from "../wire/otlp/payload.ts";
import { scanAccepted, scanRequest, type ScanResult } from "../wire/otlp/scan.ts";
import type { BatchView, EncodedPayload, RecordViews } from "../wire/otlp/types.ts";
import { createBatchView } from "../wire/otlp/views/batch-node.ts";
import { BatchState } from "../wire/otlp/views/batch-state.ts";
import type { ClientMetadata } from "./client-metadata.ts";
import { LARGE_BATCH_BYTES, LARGE_BATCH_ITEMS } from "./limits.ts";
import type { Signal } from "./signal.ts";

/** What belongs to a batch besides its bytes. */
export interface BatchContext {
  readonly client: ClientMetadata;
  /** Nanoseconds since the epoch, when the request came in. */
  readonly arrivalUnixNano: bigint;
}

/**
 * OTLP bytes of one signal on their way through a pipeline: encoded, with lazy views over them and edits beside them.
 *
 * Ownership: whoever holds the batch may read its view; who declares `mutatesData` may edit it. consume() hands it on.
 * The batch reads the caller's bytes without a copy, so the caller must not change them after creating it.
 */
export interface Batch<S extends Signal = Signal> {
  readonly signal: S;
  readonly context: BatchContext;
  /** Log records, spans or data points, after edits. */
  readonly itemCount: number;
  readonly view: BatchView<RecordViews[S]>;
  /** The bytes held a singular message twice and were merged when they came in; see wire/otlp/merge-duplicates.ts. */
  readonly merged: boolean;
  /** It is worth a pause, so that others are served meanwhile: see LARGE_BATCH_ITEMS. As it came in, whatever was edited since. */
  readonly isLarge: boolean;
  /** Records that moveToResource() left where they were, because the bounds on regrouping were reached. */
  readonly regroupRefused: number;
  /**
   * Some record is to move to another resource (moveToResource). Its view still shows the resource it came with; the
   * move is seen after encoding, or in a clone. The graph hands a clone to the next processor that looks inside.
   */
  readonly hasMoves: boolean;
  /** The bytes as they stand now. Without edits since the last call it is the same object; never edited: the bytes as they came. */
  encode(): EncodedPayload;
  /** A private copy that starts from the present state; shares bytes, not edits. */
  clone(): Batch<S>;
  /** Makes all views over this batch throw from now on. Idempotent. The encoded payload stays valid. */
  release(): void;
}

/**
 * Reads `bytes` as one Export*ServiceRequest of `signal`. Throws DecodeError, which is the sender's fault.
 * Scans all bytes once; everything else is read when asked for.
 */
export function createBatch<S extends Signal>(signal: S, bytes: Uint8Array, context: BatchContext): Batch<S> {
  return openBatch(signal, bytes, context, scanRequest);
}

/** The same for bytes that a door has accepted before, which edits may have made more than a sender may send. */
export function reopenBatch<S extends Signal>(signal: S, bytes: Uint8Array, context: BatchContext): Batch<S> {
  return openBatch(signal, bytes, context, scanAccepted);
}

function openBatch<S extends Signal>(
  signal: S,
  bytes: Uint8Array,
  context: BatchContext,
  scan: (signal: Signal, bytes: Uint8Array) => ScanResult,
): Batch<S> {
  const first = scan(signal, bytes);
  if (!first.hasDuplicates) return new ScannedBatch(signal, bytes, first.index, context, false);
  const merged = mergeDuplicates(signal, bytes);
  const second = scan(signal, merged);
  if (second.hasDuplicates)
    throw new Error("merging a request left a duplicate: a bug in wire/otlp/merge-duplicates.ts");
  return new ScannedBatch(signal, merged, second.index, context, true);
}

class ScannedBatch<S extends Signal> implements Batch<S> {
  readonly signal: S;
  readonly context: BatchContext;
  readonly merged: boolean;
  readonly isLarge: boolean;
  readonly view: BatchView<RecordViews[S]>;
  readonly #index: BatchIndex;
  readonly #state: BatchState;
  #encoded: { readonly payload: EncodedPayload; readonly version: number } | undefined;

  constructor(signal: S, bytes: Uint8Array, index: BatchIndex, context: BatchContext, merged: boolean) {
    this.signal = signal;
    this.context = context;
    this.merged = merged;
    this.isLarge = index.itemCount > LARGE_BATCH_ITEMS || bytes.length > LARGE_BATCH_BYTES;
    this.#index = index;
    this.#state = new BatchState(signal, bytes, index);
    this.view = createBatchView(signal, this.#state);
  }

  get itemCount(): number {
    return this.#state.itemCount;
  }

  get regroupRefused(): number {
    return this.#state.regroupRefused;
  }

  get hasMoves(): boolean {
    return this.#state.plan?.hasMoves === true;
  }

  encode(): EncodedPayload {
    const state = this.#state;
    state.assertLive();
    if (this.#encoded?.version !== state.version)
      this.#encoded = { payload: encodeBatch(state), version: state.version };
    return this.#encoded.payload;
  }

  clone(): Batch<S> {
    const state = this.#state;
    state.assertLive();
    if (state.version === 0)
      return new ScannedBatch(this.signal, state.original, this.#index, this.context, this.merged);
    // The edits are written down instead of copied: a clone of an edited batch is rare, and encode() is needed soon anyway.
    const bytes = joinSlices(this.encode());
    return new ScannedBatch(this.signal, bytes, scanAccepted(this.signal, bytes).index, this.context, this.merged);
  }

  release(): void {
    this.#state.release();
    this.#encoded = undefined;
  }
}
