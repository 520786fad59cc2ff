import type { BatchView, EncodedPayload, RecordViews } from "../wire/otlp/types.ts";
import type { ClientMetadata } from "./client-metadata.ts";
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
  /** The bytes as they stand now. Without edits since the last call it is the same object; never edited: the bytes as they came. */
  encode(): EncodedPayload;
  /** A private copy that starts from the present state; shares bytes, not edits. */
  clone(): Batch<S>;
  /** Makes all views over this batch throw from now on. Idempotent. The encoded payload stays valid. */
  release(): void;
}
