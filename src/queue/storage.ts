import type { Enlisted, SeenKey, StateChange } from "../core/admission.ts";
import type { ClientMetadata } from "../core/client-metadata.ts";
import type { Signal } from "../core/signal.ts";
import type { EncodedPayload } from "../wire/otlp/types.ts";

/**
 * Where accepted data lies until every destination has it. The interface is the one of a log: records are appended in
 * groups, and every state (what is queued, which keys were seen, the ledger's totals) is the log replayed.
 *
 *   group  = record*                    one append, one sync
 *   record = admission | completion     each is there wholly or not at all, after a crash too
 *
 * Who calls: the journal only. One append runs at a time; reads may run beside it.
 */
export interface QueueStorage {
  /** False where a process that ends takes the data along; shutdown then says "lost" instead of "kept". */
  readonly isDurable: boolean;
  /**
   * How long completions may wait for a group to ride with before they are written on their own. 0: not at all.
   * What is not written when the process dies is delivered again.
   */
  readonly completionDelayMs: number;
  /** Called once, before the first append: tells everything that a former process left, oldest first. */
  replay(visitor: ReplayVisitor): Promise<void>;
  /**
   * Keeps all records, or rejects and keeps none that replay would show. Resolves with the sequence number of the first
   * record; the others follow it one by one. A number is never used twice, not even after a failure.
   * Each distinct payload object of a record is written once.
   */
  append(records: readonly StoredRecord[]): Promise<number>;
  /** The bytes of an entry that is not completed: at once where they are still in memory. Rejects where they are damaged. */
  read(ref: EntryRef): EncodedPayload | Promise<EncodedPayload>;
  /** Called once, when no append runs and none will come. */
  close(): Promise<void>;
}

/** Names one entry of one admission for as long as it is in the storage. */
export interface EntryRef {
  readonly sequence: number;
  /** Its place in the admission's `entries`. */
  readonly index: number;
}

export type StoredRecord = AdmissionRecord | CompletionRecord;

export interface AdmissionRecord {
  readonly kind: "admission";
  readonly admittedUnixMs: number;
  /**
   * Of the sender. A storage that outlives the process keeps transport, address and only the headers that a partition
   * is made by: headers hold secrets.
   */
  readonly client: ClientMetadata;
  readonly entries: readonly Enlisted[];
  /** Entries that leave to make room for this admission: gone with it, or not at all. */
  readonly evicted: readonly EntryRef[];
  readonly seen: readonly StoredKey[];
  readonly state: readonly StateChange[];
  readonly ledger: readonly LedgerDelta[];
}

/** Entries that are done with (sent, rejected, expired, evicted), and what the ledger says about them. */
export interface CompletionRecord {
  readonly kind: "completion";
  readonly entries: readonly EntryRef[];
  readonly ledger: readonly LedgerDelta[];
}

export interface StoredKey extends SeenKey {
  readonly expiresUnixMs: number;
}

/** A number of items to add to a counter of the ledger; the total of each counter is replayed. */
export interface LedgerDelta {
  readonly counter: { readonly id: string };
  readonly items: number;
}

export interface ReplayedEntry {
  readonly ref: EntryRef;
  readonly destination: string;
  readonly signal: Signal;
  readonly itemCount: number;
  readonly size: number;
  readonly admittedUnixMs: number;
  readonly client: ClientMetadata;
}

export interface ReplayVisitor {
  entry(entry: ReplayedEntry): void;
  seen(key: StoredKey): void;
  /** The latest value of a component's state; a deleted key is not told. */
  state(change: StateChange): void;
  total(counterId: string, items: number): void;
}
