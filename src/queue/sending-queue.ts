import { ClientMetadata } from "../core/client-metadata.ts";
import type { Timer } from "../core/clock.ts";
import { ConsumeError } from "../core/errors.ts";
import type { Signal } from "../core/signal.ts";
import { Batcher } from "./batcher.ts";
import type { SendingQueueConfig } from "./config.ts";
import type { DeadLetterBox } from "./dead-letter-box.ts";
import type { DeliveryOutcome, Patience, Progress } from "./delivery.ts";
import { expireUntried, NOTHING_DELIVERED, rejectRest } from "./delivery.ts";
import type { DestinationAccount } from "./ledger-accounts.ts";
import type { QueueEntry } from "./queue-entry.ts";
import { entriesInPlaceOf, sinceUnixMs, sizeIn, sumItems, sumRoom, youngestUnixMs } from "./queue-entry.ts";
import { groupParts, readRequests } from "./requests.ts";
import type { RoomQueue } from "./room.ts";
import type { Eviction, SendingQueueSettings } from "./sending-queue-settings.ts";
import { Settler } from "./settler.ts";

/** A sender that ignores the abort of its attempt is left behind after this time. */
const ABORT_GRACE_MS = 200;

/** Whatever a queue is to hold before its successor may stand alone: what the former one still has in its hands. */
interface Predecessor {
  readonly queuedItems: number;
  readonly inFlightItems: number;
  readonly isIdle: boolean;
}

/**
 * The queue of one destination and signal, and its consumers. Each consumer has one request at a time, from the first
 * attempt to the last; a backend that hangs holds only its consumers, and nothing here waits in a loop.
 *
 * An entry is queued, then in flight, then completed; or it goes back from flight to queue when shutdown ends first.
 *
 * A reload that changes the destination makes a new queue, to which this one bequeaths its entries: what is queued at
 * once, what is in flight when its attempt has failed, and what an admission of the old generation still brings.
 */
export class SendingQueue {
  readonly destination: string;
  readonly signal: Signal;
  readonly config: SendingQueueConfig;
  readonly room: RoomQueue;
  readonly account: DestinationAccount;
  readonly #settings: SendingQueueSettings;
  readonly #batcher: Batcher;
  readonly #settler: Settler;
  readonly #end = new AbortController();
  readonly #hurry = new AbortController();
  readonly #leave = new AbortController();
  readonly #patience: Patience = { end: this.#end.signal, hurry: this.#hurry.signal, leave: this.#leave.signal };
  #queuedItems = 0;
  #inFlightItems = 0;
  #consumerCount = 0;
  #isStarted = false;
  #flushTimer: Timer | undefined;
  #onChange: (() => void) | undefined;
  #heir: SendingQueue | undefined;
  #predecessor: Predecessor | undefined;

  constructor(settings: SendingQueueSettings) {
    this.destination = settings.destination;
    this.signal = settings.signal;
    this.config = settings.config;
    this.room = settings.room;
    this.#settings = settings;
    this.#batcher = new Batcher(settings.config.batch);
    this.account = settings.ledger.destination(settings.destination, settings.signal);
    this.account.observe(() => this);
    this.#settler = new Settler({ ...settings, account: this.account, end: this.#end.signal });
  }

  /** What a predecessor has not handed over yet is in these figures. */
  get queuedItems(): number {
    return this.#queuedItems + (this.#predecessor?.queuedItems ?? 0);
  }

  get inFlightItems(): number {
    return this.#inFlightItems + (this.#predecessor?.inFlightItems ?? 0);
  }

  /** Nothing is in it, and nothing will come back to it. */
  get isIdle(): boolean {
    const isEmpty = this.#queuedItems === 0 && this.#consumerCount === 0;
    return isEmpty && (this.#predecessor?.isIdle ?? true);
  }

  /** Requests to the backend right now, waits between attempts included. */
  get inFlightRequests(): number {
    return this.#consumerCount;
  }

  /** From now on what is queued is sent. */
  start(): void {
    this.#isStarted = true;
    this.#dispatch();
  }

  /** Takes entries over whose room has been taken and whose bytes are stored. */
  accept(entry: QueueEntry): void {
    if (this.#heir !== undefined) return this.#bequeath(entry, this.#heir);
    this.#batcher.add(entry, this.#now());
    this.#queuedItems += entry.itemCount;
    // What a storage still held comes before the start, and was enqueued in an earlier process.
    if (this.#isStarted) this.#settings.sizes?.enqueued({ itemCount: entry.itemCount, size: entry.bytes });
    this.#dispatch();
  }

  /** Senders that are batched apart right now. */
  get partitionCount(): number {
    return this.#batcher.laneCount;
  }

  /**
   * Makes room for `size` without waiting: what is free, then, with overflow drop_oldest, the oldest entries. They count
   * as queued until the admission is settled: evicted() or restore(). undefined where there is not enough to push out.
   */
  makeRoom(size: number): Eviction | undefined {
    const entries: QueueEntry[] = [];
    let free = Math.max(this.room.free, 0);
    while (free < size && this.config.overflow === "drop_oldest") {
      const oldest = this.#batcher.takeOldest();
      if (oldest === undefined) break;
      entries.push(oldest);
      free += oldest.room;
    }
    if (free < size) {
      for (const entry of entries) this.#batcher.putBack(entry, this.#now());
      return undefined;
    }
    // The room of what is pushed out stays taken until then, so that it is still there if the admission fails.
    const heldRoom = Math.max(size - sumRoom(entries), 0);
    this.room.used += heldRoom;
    return { entries, heldRoom };
  }

  /** Of what waits. undefined where nothing does. */
  get oldest(): QueueEntry | undefined {
    return this.#batcher.oldest();
  }

  /** The oldest entries of a parked queue, at least one where there is one. They count as queued until evicted() or restore(). */
  takeOut(entriesMax: number, bytesMax: number): Eviction {
    const entries: QueueEntry[] = [];
    let bytes = 0;
    while (entries.length < entriesMax && bytes < bytesMax) {
      const oldest = this.#batcher.takeOldest();
      if (oldest === undefined) break;
      entries.push(oldest);
      bytes += oldest.bytes;
    }
    return { entries, heldRoom: 0 };
  }

  /** The admission is kept, so these are gone; its storage record says so already. */
  evicted(eviction: Eviction, size: number): void {
    for (const entry of eviction.entries) this.#queuedItems -= entry.itemCount;
    this.#settings.rooms.giveBack(this.room, eviction.heldRoom + sumRoom(eviction.entries) - size);
    this.#changed();
  }

  /** The admission failed: everything is as before. */
  restore(eviction: Eviction): void {
    for (const entry of eviction.entries) this.#putBack(entry);
    this.#settings.rooms.giveBack(this.room, eviction.heldRoom);
    this.#dispatch();
    this.#changed();
  }

  get deadLetters(): DeadLetterBox {
    return this.#settings.deadLetters;
  }

  /** So many items of an admission are dead letters, since there was no room. */
  overflowed(items: number): void {
    this.#settings.onLost("overflowed", items);
  }

  /**
   * Sends what is queued, without waiting for company, until it is empty, `trouble` aborts or `end` does. Entries that are
   * left stay queued. At `trouble` nothing more begins; the attempts under way have until `end`, for a backend that takes
   * one request and breaks another has an answer on its way, and what is broken off is sent twice.
   */
  async drain(end: AbortSignal, trouble: AbortSignal = end): Promise<void> {
    this.#hurry.abort();
    this.#dispatch();
    await this.#until(() => this.isIdle, AbortSignal.any([end, trouble]));
    await this.park(end);
  }

  /**
   * Begins nothing more: attempts under way end by themselves, or are broken off when `end` aborts. What is not sent then
   * stays queued, parked, until bequeathTo() names who goes on with it. Resolves when nothing is in flight.
   */
  async park(end: AbortSignal): Promise<void> {
    this.#isStarted = false;
    this.#flushTimer?.cancel();
    // In this order: who wakes from its wait looks whether it is to leave.
    this.#leave.abort();
    this.#hurry.abort();
    await this.#until(() => this.#consumerCount === 0, end);
    await this.#breakOff();
  }

  /** Of a parked queue, at once or later: the heir has all that is queued now, and gets the rest as it comes. */
  bequeathTo(heir: SendingQueue): void {
    this.#heir = heir;
    heir.#predecessor = this;
    for (let entry = this.#batcher.takeOldest(); entry !== undefined; entry = this.#batcher.takeOldest()) {
      this.#queuedItems -= entry.itemCount;
      this.#bequeath(entry, heir);
    }
    this.#changed();
  }

  #bequeath(entry: QueueEntry, heir: SendingQueue): void {
    this.#settings.rooms.giveBack(this.room, entry.room);
    heir.#inherit(entry);
  }

  /** It was accepted, so it is taken: a queue that was made smaller has no room for others until it has drained. */
  #inherit(entry: QueueEntry): void {
    if (this.#heir !== undefined) return this.#heir.#inherit(entry);
    const room = sizeIn(this.room.unit, entry);
    this.room.used += room;
    this.#batcher.putBack({ ...entry, room }, this.#now());
    this.#queuedItems += entry.itemCount;
    this.#dispatch();
  }

  /** One that was taken but is not done with returns to its place, here or with the heir. */
  #putBack(entry: QueueEntry): void {
    if (this.#heir === undefined) return this.#batcher.putBack(entry, this.#now());
    this.#queuedItems -= entry.itemCount;
    this.#bequeath(entry, this.#heir);
  }

  async #breakOff(): Promise<void> {
    this.#end.abort();
    if (this.#consumerCount === 0) return;
    const grace = new AbortController();
    const timer = this.#settings.clock.after(ABORT_GRACE_MS, () => grace.abort());
    await this.#until(() => this.#consumerCount === 0, grace.signal);
    timer.cancel();
  }

  #changed(): void {
    this.#onChange?.();
    if (this.#heir !== undefined) this.#heir.#onPredecessorChange();
  }

  #onPredecessorChange(): void {
    if (this.#predecessor?.isIdle === true) this.#predecessor = undefined;
    this.#changed();
  }

  #now(): number {
    return this.#settings.clock.monotonicMs();
  }

  /** Starts a consumer for each request that is due, as long as one is free. */
  #dispatch(): void {
    if (!this.#isStarted) return;
    while (this.#consumerCount < this.config.num_consumers) {
      const entries = this.#batcher.takeDue(this.#now(), this.#hurry.signal.aborted);
      if (entries === undefined) return this.#armFlush();
      this.#consumerCount += 1;
      void this.#consume(entries);
    }
  }

  /** One timer for the lane that is due first; a consumer that becomes free looks again anyway. */
  #armFlush(): void {
    const dueMs = this.#batcher.nextDueMs();
    if (dueMs === undefined || this.#flushTimer !== undefined) return;
    this.#flushTimer = this.#settings.clock.after(dueMs - this.#now(), () => {
      this.#flushTimer = undefined;
      this.#dispatch();
    });
  }

  async #consume(taken: readonly QueueEntry[]): Promise<void> {
    const items = sumItems(taken);
    this.#queuedItems -= items;
    this.#inFlightItems += items;
    const entries = this.config.max_age === 0 ? taken : await this.#expireOld(taken);
    if (entries.length > 0) await this.#sendAll(entries);
    this.#consumerCount -= 1;
    this.#dispatch();
    this.#changed();
  }

  /** What is too old is not even read. Awaits the disk, so that a million that have expired do not end in one write. */
  async #expireOld(entries: readonly QueueEntry[]): Promise<readonly QueueEntry[]> {
    const bornUnixMs = this.#settings.clock.nowMs() - this.config.max_age;
    const old = entries.filter((entry) => sinceUnixMs(entry) <= bornUnixMs);
    if (old.length === 0) return entries;
    const expired = sumItems(old);
    await this.#settle(old, expireUntried(expired), { isAwaited: true });
    this.#settings.onLost("expired", expired);
    return entries.filter((entry) => !old.includes(entry));
  }

  /** Parts in which a request goes on are sent by the same consumer: back in the queue they would be one request again. */
  async #sendAll(entries: readonly QueueEntry[]): Promise<void> {
    for (const part of await this.#send(entries)) await this.#sendAll([part]);
  }

  /** Gives the entries that are left, where the request has arrived in part. Nothing holds their bytes then. */
  async #send(entries: readonly QueueEntry[]): Promise<readonly QueueEntry[]> {
    const settings = { ...this.#settings, batch: this.config.batch, client: this.#clientOf(entries) };
    let progress: Progress = { outcome: NOTHING_DELIVERED, rest: await readRequests(entries, settings) };
    while (progress.rest.length > 0) {
      progress = await this.#deliver(progress, entries);
      if (progress.rest.length === 0) break;
      const left = await this.#divide(entries, progress);
      if (left !== undefined) return left;
    }
    if (progress.outcome.undelivered > 0) this.#takeBack(entries);
    else await this.#settle(entries, progress.outcome);
    return [];
  }

  /** What a bug of ours throws costs these entries, not the queue. */
  async #deliver(progress: Progress, entries: readonly QueueEntry[]): Promise<Progress> {
    try {
      if (this.config.batch !== undefined) this.#settings.sizes?.batched(progress.rest[0]!.payload);
      return await this.#settings.delivery.deliverUntilArrival(progress, this.#patienceFor(entries));
    } catch (thrown) {
      const error = ConsumeError.from(thrown, `destination ${this.destination}`);
      this.#settings.logger.error(error.message);
      return rejectRest(progress, sumItems(entries), error);
    }
  }

  /** The rest of a request of which something has arrived. undefined: the storage cannot write that now. */
  async #divide(entries: readonly QueueEntry[], progress: Progress): Promise<readonly QueueEntry[] | undefined> {
    const { outcome } = progress;
    if (outcome.undelivered > 0) return undefined;
    const client = this.#clientOf(entries);
    const payloads = groupParts(progress.rest);
    const onSettled = (items: number): void => void (this.#inFlightItems -= items);
    const refs = await this.#settler.divide({ entries, outcome, client, onSettled }, payloads);
    if (refs === undefined) return undefined;
    const left = entriesInPlaceOf(entries, { refs, payloads, client, unit: this.room.unit });
    this.#settings.rooms.giveBack(this.room, sumRoom(entries) - sumRoom(left));
    return left;
  }

  /** A batch is too old when its youngest entry is: nothing expires before its time. */
  #patienceFor(entries: readonly QueueEntry[]): Patience {
    const { max_age: ageMaxMs } = this.config;
    return ageMaxMs === 0 ? this.#patience : { ...this.#patience, expiresUnixMs: youngestUnixMs(entries) + ageMaxMs };
  }

  #clientOf(entries: readonly QueueEntry[]): ClientMetadata {
    const { client } = entries[0]!;
    if (entries.length === 1) return client;
    const shared = this.#batcher.sharedMetadata(client);
    return shared.size === 0 ? ClientMetadata.internal : new ClientMetadata("internal", "", shared);
  }

  /** Shutdown, or a reload, came first. Of these nothing has arrived, but for what the storage could not note. */
  #takeBack(entries: readonly QueueEntry[]): void {
    const items = sumItems(entries);
    this.#inFlightItems -= items;
    this.#queuedItems += items;
    for (const entry of entries) this.#putBack(entry);
  }

  /** What is awaited is in flight until it is kept. */
  async #settle(
    entries: readonly QueueEntry[],
    outcome: DeliveryOutcome,
    { isAwaited = false }: { readonly isAwaited?: boolean } = {},
  ): Promise<void> {
    const onSettled = (items: number): void => {
      this.#inFlightItems -= items;
      this.#settings.rooms.giveBack(this.room, sumRoom(entries));
    };
    const client = this.#clientOf(entries);
    const isKept = await this.#settler.settle({ entries, outcome, client, isAwaited, onSettled });
    if (!isKept) this.#takeBack(entries);
  }

  /** Resolves when `isReached`, looked at after each request, or when `end` aborts. */
  #until(isReached: () => boolean, end: AbortSignal): Promise<void> {
    if (isReached() || end.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const finish = (): void => {
        this.#onChange = undefined;
        end.removeEventListener("abort", finish);
        resolve();
      };
      this.#onChange = () => {
        if (isReached()) finish();
      };
      end.addEventListener("abort", finish, { once: true });
    });
  }
}
