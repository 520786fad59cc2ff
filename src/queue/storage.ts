import type { Enlisted, SeenKey, StateChange } from "../core/admission.ts";
import type { ClientMetadata } from "../core/client-metadata.ts";
import type { ConsumeError } from "../core/errors.ts";
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
   * What is neither written nor noted when the process dies is delivered again.
   */
  readonly completionDelayMs: number;
  /** What the distinct payloads of one admission may have together: more never fits, however empty it is. Default: no bound. */
  readonly admissionBytesMax?: number;
  /** Called once, before the first append: tells everything that a former process left, oldest first. */
  replay(visitor: ReplayVisitor): Promise<void>;
  /**
   * Keeps all records, or rejects and keeps none that replay would show. Resolves with the sequence number of the first
   * record; the others follow it one by one. A number is never used twice, not even after a failure.
   * Each distinct payload object of a record is written once. What it rejects with says whether a smaller group may
   * have room (no-room.ts).
   */
  append(records: readonly StoredRecord[]): Promise<number>;
  /**
   * Only where keeping a record cannot fail and needs no sync: does it at once. There is nothing that several appends
   * could share, so the journal makes no groups then.
   */
  appendNow?(record: StoredRecord): number;
  /**
   * Only where it costs less than an append: notes a completion that a later append will bring, so that a killed process
   * does not forget it, though a power cut may. Completions are appended in the order in which they were noted.
   */
  note?(record: CompletionRecord): void;
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

/**
 * Why an entry is a dead letter. overflow: its queue was full (`overflow: dead_letter`). rejected: the backend will never
 * take it. retries_ended: `max_elapsed_time` is over, or retries are off. too_old: `max_age`. partial_success: the backend
 * took a part of it and does not say which; the items are counted as sent and rejected already. parked: its destination was
 * taken away, and a command made it one.
 */
export const DEAD_LETTER_REASONS = [
  "overflow",
  "rejected",
  "retries_ended",
  "too_old",
  "partial_success",
  "parked",
] as const;
export type DeadLetterReason = (typeof DEAD_LETTER_REASONS)[number];

/** What makes an entry a dead letter: it keeps its bytes, and no destination gets it until somebody asks for it. */
export interface DeadLetterMark {
  readonly reason: DeadLetterReason;
  readonly atUnixMs: number;
  /** Of sending it, in the process that gave up. */
  readonly attempts: number;
  /** The backend's last words, cut to a bound; "" for none. */
  readonly message: string;
  /** How often it was replayed before. */
  readonly replays: number;
}

/** A dead letter that is queued again. */
export interface Replay {
  readonly atUnixMs: number;
  /** This one included. */
  readonly count: number;
}

/** What an entry becomes that stays in the storage. */
export type EntryMark =
  | { readonly ref: EntryRef; readonly deadLetter: DeadLetterMark }
  | { readonly ref: EntryRef; readonly replay: Replay };

export interface StoredEntry extends Enlisted {
  /** Of an entry that is a dead letter from the start. */
  readonly deadLetter?: DeadLetterMark;
}

/**
 * Entries with their bytes, and all that comes or goes with them. What is left of a request that was split and taken in
 * part is one too: parts that are dead letters from the start, and parts that are still to be sent, in the place of the
 * entries that it was made of. A storage with a bound takes one of only dead letters beyond it: they have a bound of their
 * own, and what they replace gives more back.
 */
export interface AdmissionRecord {
  readonly kind: "admission";
  readonly admittedUnixMs: number;
  /**
   * Of the sender. A storage that outlives the process keeps transport, address and only the headers that a partition
   * is made by: headers hold secrets.
   */
  readonly client: ClientMetadata;
  readonly entries: readonly StoredEntry[];
  /** Entries and dead letters that leave for this admission: gone with it, or not at all. */
  readonly evicted: readonly EntryRef[];
  readonly seen: readonly StoredKey[];
  readonly state: readonly StateChange[];
  readonly ledger: readonly LedgerDelta[];
}

/** Entries that are done with (sent, rejected, expired, evicted) or change, and what the ledger says about them. */
export interface CompletionRecord {
  readonly kind: "completion";
  readonly entries: readonly EntryRef[];
  /** Entries that become dead letters where they lie, and dead letters that are queued again. */
  readonly marks?: readonly EntryMark[];
  readonly ledger: readonly LedgerDelta[];
}

export interface StoredKey extends SeenKey {
  readonly expiresUnixMs: number;
}

/** A number of items to add to a counter of the ledger; the total of each counter is replayed. */
export interface LedgerDelta {
  readonly counter: { readonly id: string };
  readonly items: number;
  /** Why they failed, for the metrics; not stored. */
  readonly error?: ConsumeError | undefined;
}

export interface ReplayedEntry {
  readonly ref: EntryRef;
  readonly destination: string;
  readonly signal: Signal;
  readonly itemCount: number;
  readonly size: number;
  readonly admittedUnixMs: number;
  readonly client: ClientMetadata;
  /** Where it was a dead letter before. */
  readonly replay?: Replay;
}

export interface ReplayedLetter extends ReplayedEntry {
  readonly deadLetter: DeadLetterMark;
}

export interface ReplayVisitor {
  entry(entry: ReplayedEntry): void;
  letter(letter: ReplayedLetter): void;
  seen(key: StoredKey): void;
  /** The latest value of a component's state; a deleted key is not told. */
  state(change: StateChange): void;
  total(counterId: string, items: number): void;
}
