import type { SeenKey } from "../../src/core/admission.ts";
import type {
  QueueStorage,
  EntryMark,
  EntryRef,
  ReplayVisitor,
  StoredKey,
  StoredRecord,
} from "../../src/queue/storage.ts";
import type { EncodedPayload } from "../../src/wire/otlp/types.ts";

interface WaitingAppend {
  readonly records: readonly StoredRecord[];
  readonly finish: (error?: Error) => void;
}

/**
 * The log as the interface promises it, kept as a list of records that survives "restarts" of the queues over it.
 * A test can hold appends back, let them fail, and hold reads back to answer them in any order.
 */
export class LogStorage implements QueueStorage {
  readonly isDurable = true;
  readonly completionDelayMs: number;
  /** Every group that was asked for, failed ones too. */
  readonly groups: (readonly StoredRecord[])[] = [];
  /** Sequence number and record of all that was kept. */
  readonly records = new Map<number, StoredRecord>();
  isHoldingAppends = false;
  isHoldingReads = false;
  isClosed = false;
  /** Fails the next appends with these. */
  readonly failures: Error[] = [];
  /** Entries whose bytes are damaged. */
  readonly damaged = new Set<string>();
  readonly #appends: WaitingAppend[] = [];
  readonly #reads: (() => void)[] = [];
  #nextSequence = 1;

  constructor(completionDelayMs = 0) {
    this.completionDelayMs = completionDelayMs;
  }

  append(records: readonly StoredRecord[]): Promise<number> {
    this.groups.push(records);
    return new Promise((resolve, reject) => {
      const finish = (error = this.failures.shift()): void => {
        const first = this.#nextSequence;
        // A number is never used twice, so a failed group uses its numbers up.
        this.#nextSequence += records.length;
        if (error !== undefined) return reject(error);
        for (const [index, record] of records.entries()) this.records.set(first + index, record);
        resolve(first);
      };
      this.#appends.push({ records, finish });
      if (!this.isHoldingAppends) this.releaseAppend();
    });
  }

  get heldAppendCount(): number {
    return this.#appends.length;
  }

  releaseAppend(error?: Error): void {
    this.#appends.shift()?.finish(error);
  }

  read(ref: EntryRef): EncodedPayload | Promise<EncodedPayload> {
    if (!this.isHoldingReads) return this.#payload(ref);
    return new Promise((resolve, reject) => {
      this.#reads.push(() => {
        try {
          resolve(this.#payload(ref));
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      });
    });
  }

  get heldReadCount(): number {
    return this.#reads.length;
  }

  /** Answers one of the reads that wait, not necessarily the first. */
  releaseRead(index = 0): void {
    const [read] = this.#reads.splice(index, 1);
    read?.();
  }

  replay(visitor: ReplayVisitor): Promise<void> {
    const gone = this.#goneEntries();
    const marks = this.#latestMarks();
    const totals = new Map<string, number>();
    for (const [sequence, record] of this.records) {
      for (const { counter, items } of record.ledger) totals.set(counter.id, (totals.get(counter.id) ?? 0) + items);
      if (record.kind === "completion") continue;
      for (const key of record.seen) visitor.seen(key);
      for (const [index, { destination, signal, payload }] of record.entries.entries()) {
        if (gone.has(`${sequence}.${index}`)) continue;
        const { admittedUnixMs, client } = record;
        const { itemCount, size } = payload;
        const ref = { sequence, index };
        const told = { ref, destination, signal, itemCount, size, admittedUnixMs, client };
        const mark = marks.get(`${sequence}.${index}`);
        if (mark === undefined) visitor.entry(told);
        else if ("replay" in mark) visitor.entry({ ...told, replay: mark.replay });
        else visitor.letter({ ...told, deadLetter: mark.deadLetter });
      }
    }
    for (const [counterId, items] of totals) visitor.total(counterId, items);
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.isClosed = true;
    return Promise.resolve();
  }

  /** The entries that a replay would show, as `destination: items`. */
  liveEntries(): string[] {
    const live: string[] = [];
    const gone = this.#goneEntries();
    for (const [sequence, record] of this.records) {
      if (record.kind === "completion") continue;
      for (const [index, entry] of record.entries.entries()) {
        if (!gone.has(`${sequence}.${index}`)) live.push(`${entry.destination}: ${entry.payload.itemCount}`);
      }
    }
    return live;
  }

  seenKeys(): SeenKey[] {
    const keys: StoredKey[] = [...this.records.values()].flatMap((record) =>
      record.kind === "admission" ? record.seen : [],
    );
    return keys.map(({ source, key }) => ({ source, key }));
  }

  #payload(ref: EntryRef): EncodedPayload {
    const record = this.records.get(ref.sequence);
    const entry = record?.kind === "admission" ? record.entries[ref.index] : undefined;
    if (entry === undefined) throw new Error(`no entry ${ref.sequence}.${ref.index}`);
    if (this.damaged.has(`${ref.sequence}.${ref.index}`)) throw new Error("checksum mismatch");
    return entry.payload;
  }

  #latestMarks(): Map<string, EntryMark> {
    const marks = new Map<string, EntryMark>();
    for (const [sequence, record] of this.records) {
      if (record.kind === "completion") {
        for (const mark of record.marks ?? []) marks.set(`${mark.ref.sequence}.${mark.ref.index}`, mark);
        continue;
      }
      for (const [index, { deadLetter }] of record.entries.entries()) {
        if (deadLetter !== undefined) marks.set(`${sequence}.${index}`, { ref: { sequence, index }, deadLetter });
      }
    }
    return marks;
  }

  #goneEntries(): Set<string> {
    const gone = new Set<string>();
    for (const record of this.records.values()) {
      const refs = record.kind === "completion" ? record.entries : record.evicted;
      for (const ref of refs) gone.add(`${ref.sequence}.${ref.index}`);
    }
    return gone;
  }
}
