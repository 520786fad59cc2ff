import type { EncodedPayload } from "../wire/otlp/types.ts";
import type { ClientMetadata } from "./client-metadata.ts";
import type { Labels } from "./meter.ts";
import type { Signal } from "./signal.ts";

/** One request to a backend: one or more admitted payloads, concatenated. The same object is used for all its attempts. */
export interface OutgoingRequest {
  readonly signal: Signal;
  /** One Export*ServiceRequest as a list of slices. Not to be modified. */
  readonly payload: EncodedPayload;
  /** Of the sender whose batch this is; ClientMetadata.internal where a batch joins several senders. */
  readonly client: ClientMetadata;
}

/** A success. Partial success is one too: the backend took the request and said how many items it did not want. */
export interface SendResult {
  readonly rejectedItems: number;
  /** The backend's words, "" for none. Present with rejectedItems 0 it is a warning. */
  readonly message: string;
}

export const SENT_WHOLE: SendResult = { rejectedItems: 0, message: "" };

/**
 * The one thing an exporter does itself: one attempt to hand one request over. Queueing, batching, retries, splitting
 * what is too large, counting and the ledger belong to the sending queue in front of it.
 */
export interface Sender {
  /**
   * Called for up to `num_consumers` requests at a time. Rejects with ConsumeError: retryable (with retryAfterMs where
   * the backend gave one), too_large (the queue splits and sends the halves), anything else is final for this request.
   * `signal` aborts at the attempt's timeout or at the end of the shutdown's patience.
   */
  send(request: OutgoingRequest, signal: AbortSignal): Promise<SendResult>;
  /** Where requests of a signal go, as labels of the metrics that count them. Absent: no address to speak of. */
  addressLabels?(signal: Signal): Labels;
}
