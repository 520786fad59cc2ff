import type { Clock } from "../core/clock.ts";
import { closestName } from "../core/closest-name.ts";
import type { Signal } from "../core/signal.ts";
import type { EncodedPayload } from "../wire/otlp/types.ts";
import type { LetterRoom } from "./dead-letter-box.ts";
import { createMark } from "./dead-letter.ts";
import type { ReplayTarget, ReplayTargets } from "./dead-letters.ts";
import type { Journal } from "./journal.ts";
import type { Ledger } from "./ledger.ts";
import { sinceUnixMs, sumItems, wholeSeconds } from "./queue-entry.ts";
import type { QueueEntry } from "./queue-entry.ts";
import type { SendingQueue } from "./sending-queue.ts";
import type { AdmissionRecord, LedgerDelta } from "./storage.ts";

/** One destination and signal. `queue` is undefined where senders wait for the destination itself. */
export interface QueuePlace {
  readonly destination: string;
  readonly signal: Signal;
  readonly queue: SendingQueue | undefined;
  /** parked: no configuration names it for this signal. stored: no gateway runs, and the next one sends it. */
  readonly state: "in_use" | "parked" | "stored";
}

export interface QueueDeskSettings {
  readonly clock: Clock;
  readonly journal: Journal;
  readonly ledger: Ledger;
  readonly places: () => readonly QueuePlace[];
  readonly targets: ReplayTargets;
}

/** One queue, as commands show it. */
export interface QueueSummary {
  readonly destination: string;
  readonly signal: Signal;
  /** As in QueuePlace; no_queue: senders wait for the destination itself (`enabled: false`, `wait_for_result`). */
  readonly state: QueuePlace["state"] | "no_queue";
  readonly queued: number;
  readonly in_flight: number;
  /** What it holds of what it can hold, in the unit of its `sizer`. Of a queue in use. */
  readonly size?: number;
  readonly capacity?: number;
  readonly sizer?: string;
  /** When the oldest that waits was admitted. */
  readonly oldest?: string;
}

export interface QueueChange {
  readonly items: number;
  /** What is still parked, and why it was not moved; empty where all went. */
  readonly stay: readonly { readonly signal: Signal; readonly items: number; readonly reason: string }[];
}

/** The command asks for what cannot be done; the message is for a person, with the fix on its second line. */
export class QueueCommandError extends Error {
  override readonly name = "QueueCommandError";
}

/** Of one group of writes: the payloads of a move are in memory until it is written. */
const GROUP_ENTRIES_MAX = 128;
const GROUP_BYTES_MAX = 4 * 1024 * 1024;
/** A drop reads no payload, and its record holds two numbers an entry. */
const DROPPED_ENTRIES_MAX = 10_000;

const LETTERS_FULL = "its dead letters are full; export and drop some, then ask again";

interface Burial {
  readonly entry: QueueEntry;
  readonly room: LetterRoom;
}

const LIST_FIX = "signalbox queues list has the queues";

/** What can be done with queues from outside. */
export class QueueDesk {
  readonly #settings: QueueDeskSettings;

  constructor(settings: QueueDeskSettings) {
    this.#settings = settings;
  }

  /** A parked queue in which nothing is, is none. */
  list(): QueueSummary[] {
    const shown = this.#settings.places().filter(({ queue, state }) => state === "in_use" || itemsIn(queue) > 0);
    const key = ({ destination, signal }: QueueSummary): string => `${destination} ${signal}`;
    return shown.map((place) => this.#summaryOf(place)).toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
  }

  /**
   * Hands what is parked for one destination to another, oldest first, as fast as that has room. Each entry is written
   * anew and leaves its old place in one record, so that a crash leaves it here or there. It stays as old as it is.
   *
   * In the ledger it is evicted{moved} here and replayed there: `admitted` stays what senders sent.
   */
  async move(from: string, to: string, signal: AbortSignal): Promise<QueueChange> {
    const parked = this.#parkedOf(from);
    if (from === to)
      throw new QueueCommandError(`${from} cannot inherit from itself\n  name another destination with --to`);
    const moves = parked.map((queue) => new Move(this.#settings, queue, to, this.#targetOf(to, queue.signal), signal));
    let items = 0;
    for (const move of moves) items += await move.run();
    return { items, stay: moves.flatMap((move) => move.stay()) };
  }

  /** For good: dropped{by_command}. What an attempt of the former exporter still has in its hands stays. */
  async drop(destination: string): Promise<QueueChange> {
    const parked = this.#parkedOf(destination);
    let items = 0;
    for (const queue of parked) items += await this.#dropAll(queue);
    return { items, stay: parked.flatMap((queue) => stillParked(queue, IN_FLIGHT)) };
  }

  /**
   * Makes dead letters of what is parked, to be looked at, exported, and replayed when the destination is back. No other
   * letter leaves for it: what finds no room stays parked.
   */
  async bury(destination: string): Promise<QueueChange> {
    const parked = this.#parkedOf(destination);
    let items = 0;
    for (const queue of parked) items += await this.#buryAll(queue);
    const isFull = parked.some(({ queuedItems }) => queuedItems > 0);
    return { items, stay: parked.flatMap((queue) => stillParked(queue, isFull ? LETTERS_FULL : IN_FLIGHT)) };
  }

  async #buryAll(queue: SendingQueue): Promise<number> {
    let items = 0;
    for (;;) {
      const { entries } = queue.takeOut(DROPPED_ENTRIES_MAX, Number.POSITIVE_INFINITY);
      const rooms = entries.map(({ bytes }) => queue.deadLetters.takeFreeRoom(bytes));
      const left = entries.filter((_, index) => rooms[index] === undefined);
      const burials = entries.flatMap((entry, index) =>
        rooms[index] === undefined ? [] : { entry, room: rooms[index] },
      );
      try {
        items += await this.#writeBurials(queue, burials);
      } catch (error) {
        for (const { room } of burials) queue.deadLetters.giveBack(room);
        queue.restore({ entries, heldRoom: 0 });
        throw error;
      }
      queue.restore({ entries: left, heldRoom: 0 });
      if (burials.length === 0 || left.length > 0) return items;
    }
  }

  async #writeBurials(queue: SendingQueue, burials: readonly Burial[]): Promise<number> {
    if (burials.length === 0) return 0;
    const { journal, ledger, clock } = this.#settings;
    const { account, deadLetters: box, destination, signal } = queue;
    const message = `${destination} is not configured`;
    const marked = burials.map(({ entry, room }) => {
      const mark = createMark("parked", { atUnixMs: clock.nowMs(), message, replays: entry.replay?.count ?? 0 });
      return { entry, room, mark };
    });
    const items = sumItems(burials.map(({ entry }) => entry));
    const letters = burials.flatMap(({ entry, room }) => box.deltasOf(signal, entry.itemCount, room));
    const deltas = [{ counter: account.deadLettered, items }, ...letters];
    const marks = marked.map(({ entry, mark: deadLetter }) => ({ ref: entry.ref, deadLetter }));
    await journal.write({ kind: "completion", entries: [], marks, ledger: deltas });
    ledger.apply(deltas);
    for (const { entry, room, mark } of marked) {
      const { ref, itemCount, bytes, client } = entry;
      const admittedUnixMs = sinceUnixMs(entry);
      box.add({ ref, destination, signal, itemCount, bytes, client, admittedUnixMs, mark }, room);
    }
    queue.evicted({ entries: burials.map(({ entry }) => entry), heldRoom: 0 }, 0);
    return items;
  }

  async #dropAll(queue: SendingQueue): Promise<number> {
    const { journal, ledger } = this.#settings;
    let items = 0;
    for (;;) {
      const taken = queue.takeOut(DROPPED_ENTRIES_MAX, Number.POSITIVE_INFINITY);
      if (taken.entries.length === 0) return items;
      const deltas = [{ counter: queue.account.dropped.for("by_command"), items: sumItems(taken.entries) }];
      try {
        await journal.write({ kind: "completion", entries: taken.entries.map(({ ref }) => ref), ledger: deltas });
      } catch (error) {
        queue.restore(taken);
        throw error;
      }
      ledger.apply(deltas);
      queue.evicted(taken, 0);
      items += sumItems(taken.entries);
    }
  }

  #parkedOf(destination: string): SendingQueue[] {
    const places = this.#settings.places();
    const named = places.filter((place) => place.destination === destination);
    const parked = named.flatMap(({ queue, state }) => (state === "parked" && itemsIn(queue) > 0 ? [queue!] : []));
    if (parked.length > 0) return parked;
    if (named.some(({ state }) => state !== "parked")) {
      const fix = "take it out of the configuration first; its queue is parked then";
      throw new QueueCommandError(`${destination} is configured, so its queue is not parked\n  ${fix}`);
    }
    const others = places.filter(({ queue, state }) => state === "parked" && itemsIn(queue) > 0);
    const nearest = closestName(destination, new Set(others.map((place) => place.destination)));
    const fix = nearest === undefined ? LIST_FIX : `did you mean ${nearest}?`;
    throw new QueueCommandError(`nothing is parked for ${destination}\n  ${fix}`);
  }

  #targetOf(to: string, signal: Signal): ReplayTarget {
    const target = this.#settings.targets(to, signal);
    if (typeof target !== "string") return target;
    throw new QueueCommandError(`${target}, so it cannot take what is parked\n  ${LIST_FIX}`);
  }

  #summaryOf({ destination, signal, queue, state }: QueuePlace): QueueSummary {
    const { queuedItems: queued, inFlightItems: in_flight } =
      queue ?? this.#settings.ledger.destination(destination, signal).levels;
    const summary = { destination, signal, queued, in_flight };
    if (queue === undefined) return { ...summary, state: "no_queue" };
    const { oldest } = queue;
    const age = oldest === undefined ? {} : { oldest: new Date(sinceUnixMs(oldest)).toISOString() };
    if (state !== "in_use") return { ...summary, state, ...age };
    const { used: size, limit: capacity, unit: sizer } = queue.room;
    return { ...summary, state, size, capacity, sizer, ...age };
  }
}

const IN_FLIGHT = "an attempt of its former exporter has not ended yet; ask again in a moment";

function itemsIn(queue: SendingQueue | undefined): number {
  return queue === undefined ? 0 : queue.queuedItems + queue.inFlightItems;
}

function stillParked(queue: SendingQueue, reason: string): QueueChange["stay"] {
  const items = itemsIn(queue);
  return items === 0 ? [] : [{ signal: queue.signal, items, reason }];
}

/** One parked queue on its way to another destination. What could not go returns to its place. */
class Move {
  readonly #settings: QueueDeskSettings;
  readonly #queue: SendingQueue;
  readonly #to: string;
  readonly #target: ReplayTarget;
  readonly #signal: AbortSignal;
  /** Passed over, until the end: what is too large for the other queue, or damaged. */
  readonly #passed: QueueEntry[] = [];
  #items = 0;
  #reason: string | undefined;
  /** Nothing more is to be tried. */
  #isStopped = false;

  constructor(settings: QueueDeskSettings, queue: SendingQueue, to: string, target: ReplayTarget, signal: AbortSignal) {
    this.#settings = settings;
    this.#queue = queue;
    this.#to = to;
    this.#target = target;
    this.#signal = signal;
  }

  /** Returns how many items went. A reload may give the queue an heir meanwhile: then nothing is left to take. */
  async run(): Promise<number> {
    while (!this.#isStopped && !this.#signal.aborted) {
      const { entries } = this.#queue.takeOut(GROUP_ENTRIES_MAX, GROUP_BYTES_MAX);
      if (entries.length === 0) break;
      await this.#moveGroup(entries);
    }
    this.#queue.restore({ entries: this.#passed, heldRoom: 0 });
    return this.#items;
  }

  stay(): QueueChange["stay"] {
    return stillParked(this.#queue, this.#reason ?? IN_FLIGHT);
  }

  /** The writes of a group run beside each other, so that they share syncs. */
  async #moveGroup(entries: readonly QueueEntry[]): Promise<void> {
    const writes: Promise<void>[] = [];
    for (const entry of entries) {
      if (await this.#hasRoom(entry)) writes.push(this.#write(entry));
      else this.#passed.push(entry);
    }
    await Promise.all(writes);
  }

  /** Who waited and got none need not wait again; what is too large for the whole queue holds up nobody. */
  async #hasRoom(entry: QueueEntry): Promise<boolean> {
    if (this.#isStopped) return false;
    const wait = this.#target.takeRoom(entry, this.#signal);
    const refusal = await wait;
    this.#reason ??= refusal;
    this.#isStopped ||= refusal !== undefined && wait instanceof Promise;
    return refusal === undefined;
  }

  /** Never rejects: what cannot be read or written is passed over. */
  async #write(entry: QueueEntry): Promise<void> {
    const { journal } = this.#settings;
    try {
      const record = this.#recordOf(entry, await journal.read(entry.ref));
      this.#hasMoved(entry, record, await journal.write(record));
    } catch (error) {
      this.#target.giveBackRoom(entry);
      this.#passed.push(entry);
      this.#reason ??= error instanceof Error ? error.message : String(error);
    }
  }

  #hasMoved(entry: QueueEntry, record: AdmissionRecord, sequence: number): void {
    const { itemCount, bytes, client } = entry;
    this.#settings.ledger.apply(record.ledger);
    this.#queue.evicted({ entries: [entry], heldRoom: 0 }, 0);
    const admittedUnixSeconds = wholeSeconds(record.admittedUnixMs);
    this.#target.accept({ ref: { sequence, index: 0 }, itemCount, bytes, client, admittedUnixSeconds });
    this.#items += itemCount;
  }

  #recordOf(entry: QueueEntry, payload: EncodedPayload): AdmissionRecord {
    const { ledger } = this.#settings;
    const { account, signal } = this.#queue;
    const { ref, client, itemCount: items } = entry;
    const deltas: LedgerDelta[] = [
      { counter: account.evicted.for("moved"), items },
      { counter: ledger.destination(this.#to, signal).replayed, items },
    ];
    const entries = [{ destination: this.#to, signal, payload }];
    const admittedUnixMs = sinceUnixMs(entry);
    return { kind: "admission", admittedUnixMs, client, entries, evicted: [ref], seen: [], state: [], ledger: deltas };
  }
}
