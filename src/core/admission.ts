import type { EncodedPayload } from "../wire/otlp/types.ts";
import type { ClientMetadata } from "./client-metadata.ts";
import type { ConsumeError } from "./errors.ts";
import type { Signal } from "./signal.ts";

/** One batch for one destination, enlisted by the entry of an exporter. */
export interface Enlisted {
  /** The destination's queue: the exporter's id as in the YAML, `otlp_grpc/dash0`. */
  readonly destination: string;
  readonly signal: Signal;
  /** Fixed from now on. Identical batches share one payload object, and the storage writes each distinct object once. */
  readonly payload: EncodedPayload;
}

/** Names a request that may come twice: a Forward chunk id, a resent batch. Unique within `source`. */
export interface SeenKey {
  /** The receiver's id. */
  readonly source: string;
  readonly key: string;
}

/** new: go on. done: answer success and enlist nothing. joined: another admission with this key is in flight; await its outcome. */
export type Remembered =
  | { readonly state: "new" }
  | { readonly state: "done" }
  | { readonly state: "joined"; readonly outcome: Promise<void> };

/**
 * A component's own state that must be stored, or dropped, together with the admission (connectors use it). It is given
 * back by Host.stateOf(); without a storage it lives as long as the process.
 */
export interface StateChange {
  /** The component's id. */
  readonly owner: string;
  readonly key: string;
  /** undefined deletes the key. */
  readonly value: Uint8Array | undefined;
}

/**
 * One request on its way in; opened by a receiver, or by host.admit() for what a component makes on its own clock.
 * The fan-out starts all branches and waits until all have settled; then the opener commits or discards, and answers.
 */
export interface Admission {
  /** Milliseconds since the epoch; the time by which the sender wants an answer. Infinity for sources without one. */
  readonly deadline: number;
  /** Aborts when the sender has gone. Ends only the wait for room. */
  readonly signal: AbortSignal;
  readonly client: ClientMetadata;
  /** After commit or discard this is an assertion: a component that enlists late has a bug. */
  enlist(entry: Enlisted): void;
  /** Asks whether this key was admitted within the last `ttlMs`. The key is stored with the admission, or dropped with it. */
  remember(key: SeenKey, ttlMs: number): Remembered;
  attach(change: StateChange): void;
  /**
   * One decision over everything enlisted: wait for room everywhere, send to destinations without a queue, store, resolve.
   * Rejects with ConsumeError and nothing else; a rejection leaves nothing behind in any queue.
   */
  commit(): Promise<void>;
  /**
   * Gives up: drops what was enlisted. Idempotent, legal after commit (where it does nothing).
   * `reason` is for the ledger: without one the items count as refused, with an internal one as failed.
   */
  discard(reason?: ConsumeError): void;
}

export interface AdmissionSettings {
  readonly client: ClientMetadata;
  /** Default: no deadline. */
  readonly deadline?: number;
  readonly signal?: AbortSignal;
  /** Who opens it, for the ledger: `receiver otlp`. */
  readonly opener: string;
  /** What a receiver's sender sent: counted once, as accepted, refused or failed, when the admission is settled. */
  readonly received?: ReceivedItems;
}

export interface ReceivedItems {
  readonly signal: Signal;
  readonly items: number;
}
