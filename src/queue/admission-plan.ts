import type { Enlisted } from "../core/admission.ts";
import type { ClientMetadata } from "../core/client-metadata.ts";
import { ConsumeError } from "../core/errors.ts";
import type { Counter } from "../core/meter.ts";
import type { AdmissionOffice, Target } from "./admission.ts";
import type { Overflow as OverflowPolicy, Sizer } from "./config.ts";
import type { LetterRoom } from "./dead-letter-box.ts";
import { createMark } from "./dead-letter.ts";
import type { DirectDestination } from "./direct-destination.ts";
import { wholeSeconds } from "./queue-entry.ts";
import type { Need, RoomQueue, RoomRefusal, RoomRequest } from "./room.ts";
import type { SendingQueue } from "./sending-queue.ts";
import type { Eviction } from "./sending-queue-settings.ts";
import type { DeadLetterMark, EntryRef, LedgerDelta, StoredEntry } from "./storage.ts";

const NO_NEEDS: readonly Need[] = [];
const NO_ENTRIES: Eviction["entries"] = [];
const NO_ROOMS: readonly LetterRoom[] = [];
const NOTHING_YET = { size: 0, items: 0, eviction: undefined, overflow: undefined };

/** What a full queue does that makes nobody wait. */
const DECOUPLED: readonly OverflowPolicy[] = ["drop_oldest", "dead_letter"];

/** What one admission puts into one queue. */
interface Share {
  readonly queue: SendingQueue;
  readonly isRequired: boolean;
  readonly enqueueFailed: Counter;
  readonly entries: Enlisted[];
  /** In the queue's sizer. */
  size: number;
  items: number;
  /** Where nobody waits: how it got its room, undefined where it did not. */
  eviction: Eviction | undefined;
  /** Where it got none and is kept all the same: as dead letters. */
  overflow: Overflow | undefined;
}

interface Overflow {
  readonly mark: DeadLetterMark;
  /** One for each entry. */
  readonly rooms: readonly LetterRoom[];
}

interface DirectShare {
  readonly direct: DirectDestination;
  readonly entry: Enlisted;
  readonly enqueueFailed: Counter;
}

/**
 * What an admission wants of each destination, and the room that it has taken so far. Nothing is taken in parts: either
 * all queues that are waited for have given their room, or none has.
 *
 * One is made for every request, and mostly with one share: what is made beside it for nothing brings the next
 * collection of garbage nearer, which costs more than making it.
 */
export class AdmissionPlan {
  readonly directs: DirectShare[] = [];
  readonly #office: AdmissionOffice;
  readonly #shares: Share[] = [];
  /** Of the queues that are waited for. */
  readonly #needs: readonly Need[];
  #directNeeds: readonly Need[];

  constructor(office: AdmissionOffice, entries: readonly Enlisted[]) {
    this.#office = office;
    for (const entry of entries) this.#add(entry);
    const waited = this.#shares.filter(isWaitedFor);
    this.#needs = waited.map(({ queue, size }) => ({ room: queue.room, size }));
    this.#directNeeds = this.directs.length === 0 ? NO_NEEDS : directNeeds(this.directs);
  }

  /** A request that is larger than a whole queue, or than the storage, can never be kept, however long it waits. */
  assertFits(): void {
    this.#assertStorable();
    for (const { queue, size, isRequired } of this.#shares) if (isRequired) this.#assertFits(queue.room, size);
    for (const { room, size } of this.#directNeeds) this.#assertFits(room, size);
  }

  /** undefined where there was room at once. Rejects with the refusal. */
  takeRoom(request: Omit<RoomRequest, "needs">): Promise<void> | undefined {
    const wait = this.#office.rooms.take({ needs: this.#allNeeds(), ...request });
    return wait?.then((refusal) => this.#onRoom(refusal));
  }

  /** For the queues that nobody waits for: they drop by their policy, or this admission's share is dropped. */
  takeBestEffortRoom(): void {
    for (const share of this.#shares) {
      if (isWaitedFor(share)) continue;
      if (!share.isRequired && !this.#isStorable(share)) continue;
      share.eviction = share.queue.makeRoom(share.size);
      if (share.eviction === undefined && share.queue.config.overflow === "dead_letter") this.#takeLetterRoom(share);
    }
  }

  /** All of its entries become dead letters, or none. */
  #takeLetterRoom(share: Share): void {
    const box = share.queue.deadLetters;
    const rooms: LetterRoom[] = [];
    for (const { payload } of share.entries) {
      const room = box.takeRoom(payload.size);
      if (room === undefined) {
        for (const taken of rooms) box.giveBack(taken);
        return;
      }
      rooms.push(room);
    }
    const { name, used, limit, unit } = share.queue.room;
    const message = `the sending queue of ${name} was full: ${used} of ${limit} ${unit} used`;
    share.overflow = { rooms, mark: createMark("overflow", { atUnixMs: this.#office.clock.nowMs(), message }) };
  }

  /** The sends are over, whatever came of them. */
  giveBackDirectRoom(): void {
    const needs = this.#directNeeds;
    this.#directNeeds = NO_NEEDS;
    this.#office.rooms.giveBackAll(needs);
  }

  /** The admission failed after it had its room: all of it returns. */
  giveBack(): void {
    for (const { queue, eviction, overflow } of this.#shares) {
      if (eviction !== undefined) queue.restore(eviction);
      for (const room of overflow?.rooms ?? NO_ROOMS) queue.deadLetters.giveBack(room);
    }
    this.#office.rooms.giveBackAll(this.#allNeeds());
  }

  /** In the order in which accept() takes them. */
  storedEntries(): readonly StoredEntry[] {
    const [only] = this.#shares;
    if (only !== undefined && this.#shares.length === 1 && isQueued(only)) return only.entries;
    return this.#shares.flatMap((share) => {
      if (share.overflow === undefined) return isQueued(share) ? share.entries : [];
      const { mark: deadLetter } = share.overflow;
      return share.entries.map((entry) => ({ ...entry, deadLetter }));
    });
  }

  evictedRefs(): EntryRef[] {
    const refs: EntryRef[] = [];
    for (const { eviction, overflow } of this.#shares) {
      for (const { ref } of eviction?.entries ?? NO_ENTRIES) refs.push(ref);
      for (const room of overflow?.rooms ?? NO_ROOMS) for (const { ref } of room.evicted) refs.push(ref);
    }
    return refs;
  }

  addDeltas(deltas: LedgerDelta[]): void {
    for (const share of this.#shares) {
      const { account } = share.queue;
      deltas.push({ counter: account.admitted, items: share.items });
      if (share.overflow !== undefined) addLetters(deltas, share, share.overflow);
      else if (!isQueued(share)) deltas.push({ counter: account.evicted.for("drop_newest"), items: share.items });
      if (share.eviction === undefined || share.eviction.entries.length === 0) continue;
      const pushedOut = share.eviction.entries.reduce((sum, entry) => sum + entry.itemCount, 0);
      deltas.push({ counter: account.evicted.for("drop_oldest"), items: pushedOut });
    }
  }

  /** Stored under `sequence`: the queues take over, in the order of storedEntries(). */
  accept(sequence: number, client: ClientMetadata, admittedUnixMs: number): void {
    const admittedUnixSeconds = wholeSeconds(admittedUnixMs);
    let index = 0;
    for (const share of this.#shares) {
      if (share.overflow !== undefined) {
        this.#addLetters(share, share.overflow, { sequence, index, client, admittedUnixMs });
        index += share.entries.length;
      }
      if (!isQueued(share)) continue;
      const { queue, eviction } = share;
      if (eviction !== undefined) queue.evicted(eviction, share.size);
      for (const { payload } of share.entries) {
        const room = sizeOf(payload, queue.room.unit);
        const ref = { sequence, index: index++ };
        queue.accept({ ref, itemCount: payload.itemCount, bytes: payload.size, room, client, admittedUnixSeconds });
      }
    }
  }

  #addLetters(
    { queue, entries, items }: Share,
    { mark, rooms }: Overflow,
    of: {
      readonly sequence: number;
      readonly index: number;
      readonly client: ClientMetadata;
      readonly admittedUnixMs: number;
    },
  ): void {
    const { sequence, index: first, client, admittedUnixMs } = of;
    for (const [index, { destination, signal, payload }] of entries.entries()) {
      const ref = { sequence, index: first + index };
      const { itemCount, size: bytes } = payload;
      const letter = { ref, destination, signal, itemCount, bytes, client, admittedUnixMs, mark };
      queue.deadLetters.add(letter, rooms[index]!);
    }
    queue.overflowed(items);
  }

  countDropped(): void {
    for (const share of this.#shares) if (!isQueued(share)) share.enqueueFailed.add(share.items);
  }

  #assertFits(room: RoomQueue, size: number): void {
    if (size <= room.limit) return;
    const message = `${size} ${room.unit} exceed the whole sending queue of ${room.name}, which holds ${room.limit} ${room.unit}`;
    this.#countRefused([room]);
    throw new ConsumeError("too_large", message);
  }

  /** Of what is required: a best-effort share that does not fit beside it is dropped instead. */
  #assertStorable(): void {
    const { admissionBytesMax: max } = this.#office.journal;
    if (max === Infinity) return;
    const bytes = distinctBytes(this.#shares.filter(({ isRequired }) => isRequired));
    if (bytes <= max) return;
    for (const { enqueueFailed, items } of this.#shares) enqueueFailed.add(items);
    throw new ConsumeError(
      "too_large",
      `${bytes} bytes exceed the whole queue storage, which keeps requests of ${max}`,
    );
  }

  /** Beside all that is queued so far. */
  #isStorable(share: Share): boolean {
    const { admissionBytesMax: max } = this.#office.journal;
    if (max === Infinity) return true;
    const others = this.#shares.filter((other) => other.isRequired || isQueued(other));
    return distinctBytes([...others, share]) <= max;
  }

  #onRoom(refusal: RoomRefusal | undefined): void {
    if (refusal === undefined) return;
    this.#countRefused(refusal.lacking);
    throw refusal.error;
  }

  #countRefused(lacking: readonly RoomQueue[]): void {
    for (const share of this.#shares) if (lacking.includes(share.queue.room)) share.enqueueFailed.add(share.items);
    for (const { direct, entry, enqueueFailed } of this.directs) {
      if (direct.room !== undefined && lacking.includes(direct.room)) enqueueFailed.add(entry.payload.itemCount);
    }
  }

  #allNeeds(): readonly Need[] {
    return this.#directNeeds.length === 0 ? this.#needs : [...this.#needs, ...this.#directNeeds];
  }

  #add(entry: Enlisted): void {
    const target = this.#office.target(entry.destination, entry.signal);
    if (target === undefined) {
      throw new ConsumeError("internal", `no destination ${entry.destination} for ${entry.signal} is configured`);
    }
    if (target.kind === "direct") {
      this.directs.push({ direct: target.direct, entry, enqueueFailed: target.enqueueFailed });
      return;
    }
    const share = this.#shareOf(target, entry);
    share.size += sizeOf(entry.payload, share.queue.room.unit);
    share.items += entry.payload.itemCount;
  }

  #shareOf({ queue, isRequired, enqueueFailed }: Extract<Target, { kind: "queue" }>, entry: Enlisted): Share {
    const known = this.#shares.find((other) => other.queue === queue);
    if (known === undefined) {
      const share = { queue, isRequired, enqueueFailed, entries: [entry], ...NOTHING_YET };
      this.#shares.push(share);
      return share;
    }
    known.entries.push(entry);
    return known;
  }
}

/** What a storage writes of them. */
function distinctBytes(shares: readonly Share[]): number {
  const payloads = new Set(shares.flatMap(({ entries }) => entries.map(({ payload }) => payload)));
  let bytes = 0;
  for (const { size } of payloads) bytes += size;
  return bytes;
}

/** Required and not decoupled: while it is full, senders wait. */
function isWaitedFor({ isRequired, queue }: Share): boolean {
  return isRequired && !DECOUPLED.includes(queue.config.overflow);
}

function isQueued(share: Share): boolean {
  return isWaitedFor(share) || share.eviction !== undefined;
}

/** Two batches of one admission may go to one destination, by two pipelines. */
function directNeeds(directs: readonly DirectShare[]): Need[] {
  const sizes = new Map<RoomQueue, number>();
  for (const { direct, entry } of directs) {
    const { room } = direct;
    if (room !== undefined) sizes.set(room, (sizes.get(room) ?? 0) + sizeOf(entry.payload, room.unit));
  }
  return [...sizes].map(([room, size]) => ({ room, size }));
}

function sizeOf(payload: Enlisted["payload"], unit: Sizer): number {
  if (unit === "requests") return 1;
  return unit === "items" ? payload.itemCount : payload.size;
}

function addLetters(deltas: LedgerDelta[], { queue, items, entries }: Share, { rooms }: Overflow): void {
  deltas.push({ counter: queue.account.deadLettered, items });
  for (const [index, room] of rooms.entries()) {
    deltas.push(...queue.deadLetters.deltasOf(queue.signal, entries[index]!.payload.itemCount, room));
  }
}
