import type { EncodedPayload } from "../wire/otlp/types.ts";
import type { EntryRef, QueueStorage, StoredRecord } from "./storage.ts";

interface Held {
  readonly payloads: (EncodedPayload | undefined)[];
  liveCount: number;
}

/**
 * Keeps payloads in memory, each until its entry is completed; the process takes them along when it ends.
 * Seen keys and the ledger live with their owners, so there is nothing to replay.
 */
export class MemoryStorage implements QueueStorage {
  readonly isDurable = false;
  readonly completionDelayMs = 0;
  readonly #held = new Map<number, Held>();
  #nextSequence = 1;

  replay(): Promise<void> {
    return Promise.resolve();
  }

  append(records: readonly StoredRecord[]): Promise<number> {
    const first = this.#nextSequence;
    for (const record of records) this.appendNow(record);
    return Promise.resolve(first);
  }

  appendNow(record: StoredRecord): number {
    const sequence = this.#nextSequence++;
    if (record.kind === "admission" && record.entries.length > 0) {
      const payloads = record.entries.map((entry) => entry.payload);
      this.#held.set(sequence, { payloads, liveCount: payloads.length });
    }
    for (const ref of record.kind === "admission" ? record.evicted : record.entries) this.#forget(ref);
    return sequence;
  }

  read(ref: EntryRef): EncodedPayload | Promise<EncodedPayload> {
    const payload = this.#held.get(ref.sequence)?.payloads[ref.index];
    return payload ?? Promise.reject(new Error(`entry ${ref.sequence}.${ref.index} is not in the memory storage`));
  }

  close(): Promise<void> {
    this.#held.clear();
    return Promise.resolve();
  }

  #forget(ref: EntryRef): void {
    const held = this.#held.get(ref.sequence);
    if (held?.payloads[ref.index] === undefined) return;
    held.payloads[ref.index] = undefined;
    held.liveCount -= 1;
    if (held.liveCount === 0) this.#held.delete(ref.sequence);
  }
}
