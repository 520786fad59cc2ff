import type { Clock } from "../core/clock.ts";
import { ConsumeError } from "../core/errors.ts";
import { RETRY_AFTER_MS_DEFAULT } from "../core/limits.ts";
import type { Logger } from "../core/logger.ts";
import type { EncodedPayload } from "../wire/otlp/types.ts";
import { isFileTooLarge, isNoRoom } from "./no-room.ts";
import { RecentDurations } from "./recent-durations.ts";
import type {
  AdmissionRecord,
  CompletionRecord,
  EntryMark,
  EntryRef,
  LedgerDelta,
  QueueStorage,
  StoredRecord,
} from "./storage.ts";

/**
 * A group is whatever waits when the previous append ends, up to these bounds: one sync is shared by many, and none
 * waits for company. The bounds keep one append short; beyond them the next group takes the rest.
 */
export const GROUP_ADMISSIONS_MAX = 256;
export const GROUP_BYTES_MAX = 8 * 1024 * 1024;

/** Of one append while the storage fails: a full disk has room for some (segment-log/reserve.ts), and these make more. */
const GROUP_COMPLETIONS_MAX = 1_000;

/** After a failed write of completions alone. Admissions try at once: each is a new request that wants an answer. */
const REWRITE_DELAY_MS = 1_000;

interface WaitingRecord {
  readonly record: StoredRecord;
  readonly bytes: number;
  readonly resolve: (sequence: number) => void;
  readonly reject: (error: ConsumeError) => void;
}

export interface JournalSettings {
  readonly storage: QueueStorage;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Writes admissions and completions to the storage in groups, one append at a time. */
export class Journal {
  readonly #storage: QueueStorage;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #syncs = new RecentDurations();
  /** Admissions, and what else is not to go on before it is kept. */
  #waiting: WaitingRecord[] = [];
  /** Bounded by the entries that are in the queues. */
  #completions: CompletionRecord[] = [];
  /** Sums of what the ledger counted without a record of its own; bounded by the number of counters. */
  #notes = new Map<LedgerDelta["counter"], number>();
  #isAppending = false;
  #isTimerSet = false;
  #isFailing = false;
  /** Said in the log, and not over: what has as many bytes was not taken. */
  #saidBytes = Infinity;
  #admissionBytesMax: number;
  /** An admission was rejected since the last one that was kept: what is written without one does not end that. */
  #isRefusing = false;
  #isClosed = false;
  #onIdle: (() => void)[] = [];

  constructor(settings: JournalSettings) {
    this.#storage = settings.storage;
    this.#clock = settings.clock;
    this.#logger = settings.logger;
    this.#admissionBytesMax = settings.storage.admissionBytesMax ?? Infinity;
  }

  /** Of one admission's distinct payloads: more never fits. Lowered where the storage turns out to take less. */
  get admissionBytesMax(): number {
    return this.#admissionBytesMax;
  }

  /** Resolves with the admission's sequence number once it is kept. Rejects with a retryable ConsumeError. */
  admit(record: AdmissionRecord): Promise<number> {
    return this.write(record);
  }

  /** The same for any record. Completions that were asked for before it stand before it. */
  write(record: StoredRecord): Promise<number> {
    if (this.#isClosed) return Promise.reject(new ConsumeError("refused", "shutting down"));
    const sequence = this.#storage.appendNow?.(record);
    if (sequence !== undefined) return Promise.resolve(sequence);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ record, bytes: distinctBytes(record), resolve, reject });
      this.#kick();
    });
  }

  /**
   * Rides with the next group. Never fails towards the caller: what cannot be written now is written with a later one.
   * False where none will come: the entries stay in the storage as they are.
   */
  complete(entries: readonly EntryRef[], ledger: readonly LedgerDelta[], marks: readonly EntryMark[] = []): boolean {
    const record: CompletionRecord = { kind: "completion", entries, ledger, ...(marks.length > 0 && { marks }) };
    if (this.#storage.appendNow?.(record) !== undefined) return true;
    if (this.isEnded) return false;
    this.#completions.push(record);
    this.#storage.note?.(record);
    this.#kickSoon(this.#storage.completionDelayMs);
    return true;
  }

  /** Nothing is written any more. */
  get isEnded(): boolean {
    return this.#isClosed && !this.#isAppending;
  }

  /** Counts that belong to no entry (refusals, direct deliveries). They wait for the next group, whenever it comes. */
  note(ledger: readonly LedgerDelta[]): void {
    if (!this.#storage.isDurable) return;
    for (const { counter, items } of ledger) this.#notes.set(counter, (this.#notes.get(counter) ?? 0) + items);
  }

  read(ref: EntryRef): EncodedPayload | Promise<EncodedPayload> {
    return this.#storage.read(ref);
  }

  syncP99Ms(): number {
    return this.#syncs.p99();
  }

  /** Writes what waits, a storage that fails is tried once more, and closes the storage. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#hasWork()) this.#kick();
    if (this.#isAppending) await new Promise<void>((resolve) => this.#onIdle.push(resolve));
    await this.#storage.close();
  }

  #hasWork(): boolean {
    return this.#waiting.length > 0 || this.#completions.length > 0 || this.#notes.size > 0;
  }

  #kickSoon(delayMs: number): void {
    if (this.#isAppending || this.#isTimerSet || this.#isClosed) return;
    if (delayMs === 0 && !this.#isFailing) return this.#kick();
    this.#isTimerSet = true;
    this.#clock.after(delayMs, () => {
      this.#isTimerSet = false;
      if (this.#completions.length > 0) this.#kick();
    });
  }

  #kick(): void {
    if (this.#isAppending) return;
    this.#isAppending = true;
    void this.#appendGroups();
  }

  /** While it awaits, admissions and completions are added to the lists; it takes them from the front. */
  async #appendGroups(): Promise<void> {
    do {
      // What completions make room for may be what the admissions wait for.
      if (this.#isFailing && this.#completions.length > 0) await this.#appendGroup([], this.#takeCompletions());
      const completions = this.#isFailing ? [] : this.#takeCompletions();
      await this.#appendGroup(this.#takeWaiting(), completions);
    } while (this.#waiting.length > 0 || (this.#completions.length > 0 && !this.#isFailing));
    this.#isAppending = false;
    for (const resolve of this.#onIdle.splice(0)) resolve();
    if (this.#completions.length > 0) this.#kickSoon(REWRITE_DELAY_MS);
  }

  async #appendGroup(waiting: readonly WaitingRecord[], completions: StoredCompletions): Promise<number> {
    if (waiting.length + completions.length === 0) return 0;
    const startedMs = this.#clock.monotonicMs();
    try {
      const first = await this.#storage.append(recordsOf(completions, waiting));
      this.#syncs.add(this.#clock.monotonicMs() - startedMs);
      if (waiting.length > 0) this.#isRefusing = false;
      if (!this.#isRefusing) this.#reportWorking(waiting);
      let sequence = first + completions.length;
      for (const { resolve } of waiting) resolve(sequence++);
      return waiting.length;
    } catch (thrown) {
      if (isNoRoom(thrown) && waiting.length > 0 && waiting.length + completions.length > 1)
        return this.#appendApart(waiting, completions, thrown);
      this.#completions = [...completions, ...this.#completions];
      this.#refuse(waiting, thrown);
      return 0;
    }
  }

  /**
   * There is no room for all of a group: what is delivered goes first, which may make some, then the smaller half. One that
   * does not fit so is refused alone, after some ten more appends, and where nothing fits the storage cuts them short itself.
   */
  async #appendApart(
    waiting: readonly WaitingRecord[],
    completions: StoredCompletions,
    thrown: unknown,
  ): Promise<number> {
    if (completions.length > 0) {
      await this.#appendGroup([], completions);
      return this.#appendGroup(waiting, []);
    }
    const bySize = waiting.toSorted((left, right) => left.bytes - right.bytes);
    const larger = bySize.splice(Math.floor(bySize.length / 2));
    const kept = await this.#appendGroup(bySize, []);
    if (kept > 0) return kept + (await this.#appendGroup(larger, []));
    this.#refuse(larger, thrown);
    return 0;
  }

  #refuse(waiting: readonly WaitingRecord[], thrown: unknown): void {
    const [smallest] = waiting;
    if (smallest !== undefined && isFileTooLarge(thrown)) return this.#refuseForGood(waiting, thrown);
    this.#isRefusing ||= waiting.length > 0;
    const error = this.#reportFailing(thrown, isNoRoom(thrown) ? (smallest?.bytes ?? 0) : 0);
    for (const { reject } of waiting) reject(error);
  }

  /** No file may be as large as the smallest of these, which was alone in a new one, or is no smaller than one that was. */
  #refuseForGood(waiting: readonly WaitingRecord[], thrown: unknown): void {
    for (const { bytes, reject } of waiting) {
      const max = Math.min(this.#admissionBytesMax, Math.max(bytes - 1, 0));
      reject(new ConsumeError("too_large", `${bytes} bytes exceed what the queue storage takes`, { cause: thrown }));
      if (max === this.#admissionBytesMax) continue;
      this.#admissionBytesMax = max;
      const message = `the queue storage cannot keep a request of ${bytes} bytes, nor larger ones: these are refused for good`;
      this.#logger.warn(`${message}; raise the bound on the size of a file (ulimit -f)`, { error: messageOf(thrown) });
    }
  }

  #takeWaiting(): WaitingRecord[] {
    let bytes = 0;
    let count = 0;
    for (const waiting of this.#waiting) {
      bytes += waiting.bytes;
      if (count > 0 && (count === GROUP_ADMISSIONS_MAX || bytes > GROUP_BYTES_MAX)) break;
      count += 1;
    }
    return this.#waiting.splice(0, count);
  }

  #takeCompletions(): StoredCompletions {
    const completions = this.#completions.splice(0, this.#isFailing ? GROUP_COMPLETIONS_MAX : this.#completions.length);
    // While the storage fails they stay summed up, or each failed attempt would add a record to write later.
    if (this.#notes.size === 0 || this.#isFailing) return completions;
    const ledger = [...this.#notes].map(([counter, items]) => ({ counter, items }));
    this.#notes = new Map();
    return [...completions, { kind: "completion", entries: [], ledger }];
  }

  /** Where it was short of room it is over when something as large is kept, or nothing asked for room since. */
  #reportWorking(kept: readonly WaitingRecord[]): void {
    this.#isFailing = false;
    if (this.#saidBytes === Infinity) return;
    if (kept.reduce((most, { bytes }) => Math.max(most, bytes), 0) < this.#saidBytes) return;
    this.#saidBytes = Infinity;
    this.#logger.info("the queue storage writes again");
  }

  /** Once more where it has come to have no room for half of what it was said to have none for. */
  #reportFailing(thrown: unknown, bytes: number): ConsumeError {
    const reason = messageOf(thrown);
    this.#isFailing = true;
    if (this.#saidBytes === Infinity || bytes * 2 < this.#saidBytes) {
      const which = bytes === 0 ? "requests" : `requests of ${bytes} bytes and more`;
      this.#logger.error(`the queue storage cannot write; ${which} are refused until it can`, { error: reason });
      this.#saidBytes = bytes;
    }
    const settings = { retryAfterMs: RETRY_AFTER_MS_DEFAULT, cause: thrown };
    return new ConsumeError("retryable", `the queue storage cannot write: ${reason}`, settings);
  }
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

function recordsOf(completions: StoredCompletions, waiting: readonly WaitingRecord[]): readonly StoredRecord[] {
  if (completions.length === 0) return waiting.map(({ record }) => record);
  return [...completions, ...waiting.map(({ record }) => record)];
}

type StoredCompletions = Extract<StoredRecord, { kind: "completion" }>[];

/** What the storage will write: identical batches share one payload object. */
function distinctBytes(record: StoredRecord): number {
  if (record.kind === "completion") return 0;
  const { entries } = record;
  const [only] = entries;
  if (entries.length === 1 && only !== undefined) return only.payload.size;
  let bytes = 0;
  for (const payload of new Set(entries.map((entry) => entry.payload))) bytes += payload.size;
  return bytes;
}
