import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import type { Meter } from "../core/meter.ts";
import type { Signal } from "../core/signal.ts";
import { jsonObjectOf } from "../wire/otlp/json-encode.ts";
import type { JsonObject } from "../wire/otlp/json-encode.ts";
import { joinSlices } from "../wire/otlp/payload.ts";
import { DeadLetterBox, refsOf } from "./dead-letter-box.ts";
import type { DeadLetter } from "./dead-letter.ts";
import { hasAttribute } from "./dead-letter-filter.ts";
import type { DeadLetterFilter } from "./dead-letter-filter.ts";
import type { Journal } from "./journal.ts";
import type { Ledger } from "./ledger.ts";
import { type QueueEntry, wholeSeconds } from "./queue-entry.ts";
import type { EntryMark, LedgerDelta, Replay, ReplayedLetter } from "./storage.ts";

export interface DeadLettersSettings {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly journal: Journal;
  readonly ledger: Ledger;
}

/** What takes room in a queue. */
export type RoomTaker = Pick<QueueEntry, "itemCount" | "bytes">;

/** Where what is queued again goes. Where no gateway runs nothing takes it: it is queued when one starts. */
export interface ReplayTarget {
  /** undefined: it has its room. A promise: it waits, and resolves with why it got none. Room is taken once for each call. */
  takeRoom(taker: RoomTaker, signal: AbortSignal): string | undefined | Promise<string | undefined>;
  giveBackRoom(taker: RoomTaker): void;
  accept(entry: Omit<QueueEntry, "room">): void;
}

/** Why a letter has none: "is not configured". */
export type ReplayTargets = (destination: string, signal: Signal) => ReplayTarget | string;

export interface ReplayReport {
  readonly letters: number;
  readonly items: number;
  /** Of which the backend took a part; a filter must name them. */
  readonly leftOutLetters: number;
  /** What stays, and why. */
  readonly refused: readonly { readonly destination: string; readonly letters: number; readonly reason: string }[];
}

/** Letters of one write. A crash in the middle of a replay queues again at most these, and the log knows which. */
const REPLAY_GROUP_MAX = 100;

/** All dead letters of a gateway: kept by destination, looked at, replayed and dropped by whoever asks. */
export class DeadLetters {
  readonly #settings: DeadLettersSettings;
  readonly #boxes = new Map<string, DeadLetterBox>();

  constructor(settings: DeadLettersSettings) {
    this.#settings = settings;
  }

  box(destination: string): DeadLetterBox {
    let box = this.#boxes.get(destination);
    if (box === undefined) {
      const { meter, logger, ledger } = this.#settings;
      box = new DeadLetterBox({ destination, meter, logger, ledger });
      this.#boxes.set(destination, box);
    }
    return box;
  }

  /** One that the storage holds from an earlier process. */
  adopt(replayed: ReplayedLetter): void {
    const { ref, destination, signal, itemCount, size: bytes, admittedUnixMs, client, deadLetter: mark } = replayed;
    this.box(destination).adopt({ ref, destination, signal, itemCount, bytes, admittedUnixMs, client, mark });
  }

  /** By the time of their death, oldest first; those whose payload is asked for are read one by one. */
  async *find(filter: DeadLetterFilter): AsyncGenerator<DeadLetter> {
    const all = [...this.#boxes.values()].flatMap((box) => box.letters().filter(filter.matches));
    for (const letter of all.toSorted((a, b) => a.mark.atUnixMs - b.mark.atUnixMs)) {
      if (filter.attributes.length > 0 && !(await this.#hasAttributes(letter, filter))) continue;
      yield letter;
    }
  }

  /** The payload as OTLP JSON. Rejects where its bytes are damaged, or the letter is gone. */
  async read({ ref, signal }: DeadLetter): Promise<JsonObject> {
    return jsonObjectOf(signal, joinSlices(await this.#settings.journal.read(ref)));
  }

  /**
   * Queues letters again, each at most once whoever else asks for it at the same time. While it waits for room, letters
   * that it has not come to may be replayed by others or evicted: those it passes by.
   */
  async replay(filter: DeadLetterFilter, targets: ReplayTargets, signal: AbortSignal): Promise<ReplayReport> {
    const run = new ReplayRun(this, this.#settings, targets, signal);
    let leftOutLetters = 0;
    for await (const letter of this.find(filter)) {
      if (letter.mark.reason === "partial_success" && !filter.namesPartialSuccess) leftOutLetters += 1;
      else await run.add(letter);
      if (signal.aborted) break;
    }
    await run.flush();
    return { ...run.report(), leftOutLetters };
  }

  /** For good: their items are what became of them before, dead-lettered. Returns how many went. */
  async drop(filter: DeadLetterFilter): Promise<{ readonly letters: number; readonly items: number }> {
    const dropped: DeadLetter[] = [];
    for await (const letter of this.find(filter)) if (this.box(letter.destination).claim(letter)) dropped.push(letter);
    if (dropped.length === 0) return { letters: 0, items: 0 };
    const ledger = dropped.map((letter) => this.box(letter.destination).deltaOf("dropped", letter));
    try {
      await this.#settings.journal.write({ kind: "completion", entries: refsOf(dropped), ledger });
    } catch (error) {
      for (const letter of dropped) this.box(letter.destination).restore([letter]);
      throw error;
    }
    this.#settings.ledger.apply(ledger);
    for (const letter of dropped) this.box(letter.destination).countDropped(letter);
    return { letters: dropped.length, items: sumItems(dropped) };
  }

  async #hasAttributes(letter: DeadLetter, { attributes }: DeadLetterFilter): Promise<boolean> {
    const request = await this.read(letter);
    return attributes.every((term) => hasAttribute(request, term));
  }
}

interface Claimed {
  readonly letter: DeadLetter;
  readonly target: ReplayTarget;
}

/** One replay: letters that have room are written in groups, and only then handed to their queues. */
class ReplayRun {
  readonly #letters: DeadLetters;
  readonly #settings: DeadLettersSettings;
  readonly #targets: ReplayTargets;
  readonly #signal: AbortSignal;
  readonly #refused = new Map<string, { readonly destination: string; letters: number; readonly reason: string }>();
  /** By destination and signal: a queue in which a letter waited for room and got none. The others do not wait again. */
  readonly #full = new Map<string, string>();
  #group: Claimed[] = [];
  #letterCount = 0;
  #itemCount = 0;

  constructor(letters: DeadLetters, settings: DeadLettersSettings, targets: ReplayTargets, signal: AbortSignal) {
    this.#letters = letters;
    this.#settings = settings;
    this.#targets = targets;
    this.#signal = signal;
  }

  async add(letter: DeadLetter): Promise<void> {
    const queue = `${letter.destination} ${letter.signal}`;
    const target = this.#full.get(queue) ?? this.#targets(letter.destination, letter.signal);
    if (typeof target === "string") return this.#refuse(letter, target);
    const box = this.#letters.box(letter.destination);
    if (!box.claim(letter)) return;
    let refusal = target.takeRoom(letter, this.#signal);
    if (refusal instanceof Promise) {
      // What has its room must not wait for what has none.
      await this.flush();
      refusal = await refusal;
      if (refusal !== undefined) this.#full.set(queue, refusal);
    }
    if (refusal !== undefined) {
      box.restore([letter]);
      return this.#refuse(letter, refusal);
    }
    this.#group.push({ letter, target });
    if (this.#group.length >= REPLAY_GROUP_MAX) await this.flush();
  }

  async flush(): Promise<void> {
    const group = this.#group;
    this.#group = [];
    if (group.length === 0) return;
    const { clock, journal, ledger } = this.#settings;
    const atUnixMs = clock.nowMs();
    const replayOf = ({ mark }: DeadLetter): Replay => ({ atUnixMs, count: mark.replays + 1 });
    const marks: EntryMark[] = group.map(({ letter }) => ({ ref: letter.ref, replay: replayOf(letter) }));
    const deltas: LedgerDelta[] = group.flatMap(({ letter }) => {
      const { destination, signal, itemCount: items } = letter;
      const queued = { counter: ledger.destination(destination, signal).replayed, items };
      return [queued, this.#letters.box(destination).deltaOf("replayed", letter)];
    });
    try {
      await journal.write({ kind: "completion", entries: [], marks, ledger: deltas });
    } catch (error) {
      for (const { letter, target } of group) {
        target.giveBackRoom(letter);
        this.#letters.box(letter.destination).restore([letter]);
      }
      throw error;
    }
    ledger.apply(deltas);
    for (const { letter, target } of group) {
      this.#letters.box(letter.destination).countReplayed(letter);
      const { ref, itemCount, bytes, client, admittedUnixMs } = letter;
      const admittedUnixSeconds = wholeSeconds(admittedUnixMs);
      target.accept({ ref, itemCount, bytes, client, admittedUnixSeconds, replay: replayOf(letter) });
    }
    this.#letterCount += group.length;
    this.#itemCount += sumItems(group.map(({ letter }) => letter));
  }

  report(): Omit<ReplayReport, "leftOutLetters"> {
    return { letters: this.#letterCount, items: this.#itemCount, refused: [...this.#refused.values()] };
  }

  #refuse({ destination }: DeadLetter, reason: string): void {
    const key = `${destination} ${reason}`;
    const known = this.#refused.get(key);
    if (known === undefined) this.#refused.set(key, { destination, letters: 1, reason });
    else known.letters += 1;
  }
}

function sumItems(letters: readonly DeadLetter[]): number {
  return letters.reduce((sum, { itemCount }) => sum + itemCount, 0);
}
