import type { ClientMetadata } from "../core/client-metadata.ts";
import type { Clock } from "../core/clock.ts";
import { sleep } from "../core/clock.ts";
import type { Signal } from "../core/signal.ts";
import type { EncodedPayload } from "../wire/otlp/types.ts";
import type { DeadLetterBox } from "./dead-letter-box.ts";
import type { DeadLetter } from "./dead-letter.ts";
import type { DeliveryOutcome } from "./delivery.ts";
import type { Journal } from "./journal.ts";
import type { DestinationAccount } from "./ledger-accounts.ts";
import type { Ledger } from "./ledger.ts";
import { sumItems, youngestUnixMs } from "./queue-entry.ts";
import type { QueueEntry } from "./queue-entry.ts";
import { planSettlement } from "./settlement.ts";
import type { Settlement } from "./settlement.ts";
import type { AdmissionRecord, EntryMark, EntryRef, StoredRecord } from "./storage.ts";

/** While the storage cannot write: what is to be kept as dead letters waits in the hands of its consumer. */
const REWRITE_DELAY_MS = 1_000;

export interface SettlerSettings {
  readonly destination: string;
  readonly signal: Signal;
  readonly account: DestinationAccount;
  readonly deadLetters: DeadLetterBox;
  readonly journal: Journal;
  readonly ledger: Ledger;
  readonly clock: Clock;
  /** Aborts when nothing can be written any more. */
  readonly end: AbortSignal;
}

export interface Settling {
  readonly entries: readonly QueueEntry[];
  readonly outcome: DeliveryOutcome;
  /** Of the request that the entries made. */
  readonly client: ClientMetadata;
  /** Wait until it is written, although nothing depends on it: what settles many that way writes no faster than the disk. */
  readonly isAwaited?: boolean;
  /** Called when the ledger has changed, in the same turn; of the entries, so many items are done with. */
  readonly onSettled: (settledItems: number) => void;
}

/** Writes what became of a queue's requests, and keeps as dead letters what is to be kept. */
export class Settler {
  readonly #settings: SettlerSettings;

  constructor(settings: SettlerSettings) {
    this.#settings = settings;
  }

  /**
   * Rides with the next group where it can; parts of a request are only in memory, so that their record is awaited.
   * False: the process ends before it could be written, and the entries are in the storage as they were.
   */
  async settle(settling: Settling): Promise<boolean> {
    const { clock, account, journal, ledger, deadLetters: box } = this.#settings;
    const { entries, outcome, isAwaited = false, onSettled } = settling;
    const settlement = planSettlement({ entries, outcome, restItems: 0, account, box, nowMs: clock.nowMs() });
    const { done, deltas, parts } = settlement;
    const marks = settlement.buried.map(({ entry, mark }): EntryMark => ({ ref: entry.ref, deadLetter: mark }));
    let sequence: number | undefined = 0;
    if (parts.length > 0) sequence = await this.#write(this.#asideRecord(settling, settlement));
    else if (isAwaited) sequence = await this.#write({ kind: "completion", entries: done, marks, ledger: deltas });
    else if (!journal.complete(done, deltas, marks)) sequence = undefined;
    if (sequence === undefined) return this.#giveUp(settlement);
    ledger.apply(deltas);
    onSettled(sumItems(entries));
    this.#addLetters(settling, settlement, sequence);
    return true;
  }

  /**
   * Of a request that has arrived in part: what it leaves behind, and its rest as entries in the place of those that it was
   * made of, in one record. So nothing that arrived is sent again, whatever ends the process. Gives the rest's refs, or
   * undefined where it cannot be written now: nothing has changed then, and the caller goes on without.
   */
  async divide(settling: Settling, rest: readonly EncodedPayload[]): Promise<readonly EntryRef[] | undefined> {
    const { clock, account, journal, ledger, deadLetters: box, destination, signal } = this.#settings;
    const { entries, outcome, onSettled } = settling;
    const restItems = rest.reduce((sum, { itemCount }) => sum + itemCount, 0);
    const settlement = planSettlement({ entries, outcome, restItems, account, box, nowMs: clock.nowMs() });
    const record = this.#asideRecord(settling, settlement);
    const stored = [...record.entries, ...rest.map((payload) => ({ destination, signal, payload }))];
    let sequence: number;
    try {
      sequence = await journal.write({ ...record, admittedUnixMs: youngestUnixMs(entries), entries: stored });
    } catch {
      // The journal has said why, once.
      this.#giveUp(settlement);
      return undefined;
    }
    ledger.apply(settlement.deltas);
    onSettled(sumItems(entries) - restItems);
    this.#addLetters(settling, settlement, sequence);
    return rest.map((_, index) => ({ sequence, index: settlement.parts.length + index }));
  }

  #giveUp({ buried, parts }: Settlement): false {
    for (const { room } of [...buried, ...parts]) this.#settings.deadLetters.giveBack(room);
    return false;
  }

  /** undefined where it could not be written before the end. */
  async #write(record: StoredRecord): Promise<number | undefined> {
    const { journal, clock, end } = this.#settings;
    for (;;) {
      try {
        return await journal.write(record);
      } catch {
        // The journal has said why, once. Nothing is lost: the entries are still in the storage.
        if (end.aborted) return undefined;
        await sleep(clock, REWRITE_DELAY_MS, end);
      }
    }
  }

  #asideRecord({ entries, client }: Settling, { done, parts, deltas }: Settlement): AdmissionRecord {
    const { destination, signal } = this.#settings;
    return {
      kind: "admission",
      admittedUnixMs: admittedUnixMs(entries),
      client,
      entries: parts.map(({ payload, mark }) => ({ destination, signal, payload, deadLetter: mark })),
      evicted: done,
      seen: [],
      state: [],
      ledger: deltas,
    };
  }

  #addLetters({ entries, client }: Settling, { buried, parts }: Settlement, sequence: number): void {
    const { destination, signal, deadLetters: box } = this.#settings;
    for (const { entry, mark, room } of buried) {
      const { ref, itemCount, bytes, client: sender } = entry;
      const letter = { ref, destination, signal, itemCount, bytes, client: sender, mark };
      box.add({ ...letter, admittedUnixMs: admittedUnixMs([entry]) } satisfies DeadLetter, room);
    }
    for (const [index, { payload, mark, room }] of parts.entries()) {
      const ref: EntryRef = { sequence, index };
      const letter = { ref, destination, signal, itemCount: payload.itemCount, bytes: payload.size, client, mark };
      box.add({ ...letter, admittedUnixMs: admittedUnixMs(entries) }, room);
    }
  }
}

/** Of the oldest. */
function admittedUnixMs(entries: readonly QueueEntry[]): number {
  return Math.min(...entries.map(({ admittedUnixSeconds }) => admittedUnixSeconds)) * 1000;
}
