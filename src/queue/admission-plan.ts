import type { Enlisted } from "../core/admission.ts";
import type { ClientMetadata } from "../core/client-metadata.ts";
import { ConsumeError } from "../core/errors.ts";
import type { Counter } from "../core/meter.ts";
import type { AdmissionOffice, Target } from "./admission.ts";
import type { Sizer } from "./config.ts";
import type { DirectDestination } from "./direct-destination.ts";
import type { Need, RoomQueue, RoomRefusal, RoomRequest } from "./room.ts";
import type { Eviction, SendingQueue } from "./sending-queue.ts";
import type { EntryRef, LedgerDelta } from "./storage.ts";

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
}

interface DirectShare {
  readonly direct: DirectDestination;
  readonly entry: Enlisted;
  readonly enqueueFailed: Counter;
}

/**
 * What an admission wants of each destination, and the room that it has taken so far. Nothing is taken in parts: either
 * all queues that are waited for have given their room, or none has.
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
    this.#needs = this.#shares.filter(isWaitedFor).map(({ queue, size }) => ({ room: queue.room, size }));
    this.#directNeeds = directNeeds(this.directs);
  }

  /** A request that is larger than a whole queue can never be kept, however long it waits. */
  assertFits(): void {
    for (const { room, size } of this.#requiredNeeds()) {
      if (size <= room.limit) continue;
      const message = `${size} ${room.unit} exceed the whole sending queue of ${room.name}, which holds ${room.limit} ${room.unit}`;
      this.#countRefused([room]);
      throw new ConsumeError("too_large", message);
    }
  }

  /** undefined where there was room at once. Rejects with the refusal. */
  takeRoom(request: Omit<RoomRequest, "needs">): Promise<void> | undefined {
    const needs = [...this.#needs, ...this.#directNeeds];
    const wait = this.#office.rooms.take({ needs, ...request });
    return wait?.then((refusal) => this.#onRoom(refusal));
  }

  /** For the queues that nobody waits for: they drop by their policy, or this admission's share is dropped. */
  takeBestEffortRoom(): void {
    for (const share of this.#shares) {
      if (!isWaitedFor(share)) share.eviction = share.queue.makeRoom(share.size);
    }
  }

  /** The sends are over, whatever came of them. */
  giveBackDirectRoom(): void {
    const needs = this.#directNeeds;
    this.#directNeeds = [];
    this.#office.rooms.giveBackAll(needs);
  }

  /** The admission failed after it had its room: all of it returns. */
  giveBack(): void {
    for (const { queue, eviction } of this.#shares) if (eviction !== undefined) queue.restore(eviction);
    this.#office.rooms.giveBackAll([...this.#needs, ...this.#directNeeds]);
  }

  get storedCount(): number {
    return this.#stored().reduce((count, share) => count + share.entries.length, 0);
  }

  storedEntries(): Enlisted[] {
    return this.#stored().flatMap((share) => share.entries);
  }

  evictedRefs(): EntryRef[] {
    return this.#shares.flatMap((share) => share.eviction?.entries.map((entry) => entry.ref) ?? []);
  }

  deltas(): LedgerDelta[] {
    return this.#shares.flatMap((share) => {
      const { account } = share.queue;
      const deltas = [{ counter: account.admitted, items: share.items }];
      if (!isKept(share)) deltas.push({ counter: account.evicted.for("drop_newest"), items: share.items });
      const pushedOut = share.eviction?.entries.reduce((sum, entry) => sum + entry.itemCount, 0) ?? 0;
      if (pushedOut > 0) deltas.push({ counter: account.evicted.for("drop_oldest"), items: pushedOut });
      return deltas;
    });
  }

  /** Stored under `sequence`: the queues take over, in the order of storedEntries(). */
  accept(sequence: number, client: ClientMetadata): void {
    let index = 0;
    for (const share of this.#stored()) {
      const { queue, eviction } = share;
      if (eviction !== undefined) queue.evicted(eviction, share.size);
      for (const { payload } of share.entries) {
        const room = sizeOf(payload, queue.room.unit);
        const ref = { sequence, index: index++ };
        queue.accept({ ref, itemCount: payload.itemCount, bytes: payload.size, room, client });
      }
    }
  }

  countDropped(): void {
    for (const share of this.#shares) if (!isKept(share)) share.enqueueFailed.add(share.items);
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

  #requiredNeeds(): Need[] {
    const shares = this.#shares.filter((share) => share.isRequired);
    return [...shares.map(({ queue, size }) => ({ room: queue.room, size })), ...this.#directNeeds];
  }

  #stored(): Share[] {
    return this.#shares.filter(isKept);
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
    const share = this.#shareOf(target);
    share.entries.push(entry);
    share.size += sizeOf(entry.payload, share.queue.room.unit);
    share.items += entry.payload.itemCount;
  }

  #shareOf(target: Extract<Target, { kind: "queue" }>): Share {
    const { queue, isRequired, enqueueFailed } = target;
    let share = this.#shares.find((other) => other.queue === queue);
    if (share === undefined) {
      share = { queue, isRequired, enqueueFailed, entries: [], size: 0, items: 0, eviction: undefined };
      this.#shares.push(share);
    }
    return share;
  }
}

/** Required and not decoupled: while it is full, senders wait. */
function isWaitedFor({ isRequired, queue }: Share): boolean {
  return isRequired && queue.config.overflow !== "drop_oldest";
}

function isKept(share: Share): boolean {
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
