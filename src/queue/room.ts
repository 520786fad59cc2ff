import type { Clock, Timer } from "../core/clock.ts";
import { ConsumeError } from "../core/errors.ts";
import { DOOR_WAIT_MS_DEFAULT, RETRY_AFTER_MS_DEFAULT } from "../core/limits.ts";
import type { Sizer } from "./config.ts";
import { waitEndMs } from "./patience.ts";
import type { PressureBoard } from "./pressure.ts";

/** The room of one queue. Its fields are the room list's: others read them. */
export class RoomQueue {
  /** For messages: `otlp_grpc/dash0 (logs)`. */
  readonly name: string;
  readonly limit: number;
  readonly unit: Sizer;
  /** A sender without a deadline waits for this queue without end (`overflow: block`). */
  readonly waitsForever: boolean;
  used = 0;
  /** Somebody in front lacks room here, so whoever comes later waits as well. True until the next walk says otherwise. */
  isClosed = false;
  /** No waiter needs more than this; while this much is free, none lacks room here. */
  waitingNeedMax = 0;
  waiterCount = 0;
  /** Why it may be full, for the refusal: the state of the destination behind it, or "". */
  readonly hint: () => string;

  constructor(settings: Pick<RoomQueue, "name" | "limit" | "unit" | "waitsForever" | "hint">) {
    this.name = settings.name;
    this.hint = settings.hint;
    this.limit = settings.limit;
    this.unit = settings.unit;
    this.waitsForever = settings.waitsForever;
  }

  get free(): number {
    return this.limit - this.used;
  }
}

export interface Need {
  readonly room: RoomQueue;
  readonly size: number;
}

export interface RoomRequest {
  /** One need for each queue, none larger than its queue's limit. */
  readonly needs: readonly Need[];
  readonly openedMs: number;
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

export interface RoomRefusal {
  readonly error: ConsumeError;
  /** The queues that had no room at the end. */
  readonly lacking: readonly RoomQueue[];
}

interface Waiter {
  readonly request: RoomRequest;
  readonly settle: (refusal: RoomRefusal | undefined) => void;
}

export interface RoomSettings {
  readonly clock: Clock;
  readonly pressure: PressureBoard;
  /** The 99th percentile of the storage's recent syncs. */
  readonly syncP99Ms: () => number;
}

/**
 * Who gets room in the queues, and when: one list of all waiting admissions by arrival.
 *
 * When room returns, the list is walked from the oldest. One that fits takes all its room in that turn. One that does
 * not takes nothing, and closes for the rest of the walk only the queues in which it lacks room: so nobody overtakes it
 * where it waits, and nobody waits for a queue he does not need.
 *
 * Between two events no waiter in the list could go on: every change that could let one go on walks.
 */
export class RoomList {
  readonly #clock: Clock;
  readonly #pressure: PressureBoard;
  readonly #syncP99Ms: () => number;
  readonly #queues = new Set<RoomQueue>();
  /** In order of arrival; a Set, so that leaving from the middle is cheap. */
  readonly #waiters = new Set<Waiter>();
  #isClosed = false;

  constructor(settings: RoomSettings) {
    this.#clock = settings.clock;
    this.#pressure = settings.pressure;
    this.#syncP99Ms = settings.syncP99Ms;
    this.#pressure.onChange(() => this.#walk());
  }

  addQueue(queue: RoomQueue): void {
    this.#queues.add(queue);
  }

  /** They belong to a destination that was replaced, and nobody will ask for room in them again. */
  removeQueues(queues: readonly RoomQueue[]): void {
    for (const queue of queues) this.#queues.delete(queue);
  }

  get waiterCount(): number {
    return this.#waiters.size;
  }

  /** Resolves with undefined once all room is taken, or with the refusal; then none of it is. Never rejects. */
  take(request: RoomRequest): Promise<RoomRefusal | undefined> | undefined {
    if (this.#goesFirst(request)) {
      for (const need of request.needs) need.room.used += need.size;
      return undefined;
    }
    return this.#wait(request);
  }

  giveBack(queue: RoomQueue, size: number): void {
    queue.used -= size;
    // Where nobody lacked room, more of it lets nobody go on.
    if (queue.isClosed) this.#walk();
  }

  /** All of it before anybody looks: in the middle a younger waiter could take what an older one needs with the rest. */
  giveBackAll(needs: readonly Need[]): void {
    for (const { room, size } of needs) room.used -= size;
    if (needs.some(({ room }) => room.isClosed)) this.#walk();
  }

  /** From now on nobody waits: those who do are refused, and so is who would have to. */
  refuseWaiting(): void {
    this.#isClosed = true;
    for (const waiter of this.#waiters) this.#leave(waiter, refusal(waiter.request, shuttingDown()));
    this.#reopen();
  }

  /** The walk as seen by a newcomer at the end of the list. */
  #goesFirst({ needs }: RoomRequest): boolean {
    if (needs.length === 0) return true;
    if (this.#pressure.worst === "hard") return false;
    if (this.#waiters.size > 0 && needs.some(({ room }) => room.free < room.waitingNeedMax)) this.#walk();
    return fits(needs);
  }

  #wait(request: RoomRequest): Promise<RoomRefusal | undefined> {
    const { needs, signal } = request;
    if (this.#isClosed) return Promise.resolve(refusal(request, shuttingDown()));
    if (signal.aborted) return Promise.resolve(refusal(request, senderGone()));
    return new Promise((resolve) => {
      let timer: Timer | undefined;
      const onAbort = (): void => this.#leave(waiter, refusal(request, senderGone()));
      const settle = (outcome: RoomRefusal | undefined): void => {
        timer?.cancel();
        signal.removeEventListener("abort", onAbort);
        resolve(outcome);
      };
      const waiter: Waiter = { request, settle };
      const endMs = waitEndMs({ ...request, syncP99Ms: this.#syncP99Ms() });
      const arm = (delayMs: number): void => {
        timer = this.#clock.after(delayMs, () =>
          this.#mayStay(request) ? arm(DOOR_WAIT_MS_DEFAULT) : this.#expire(waiter),
        );
      };
      arm(endMs - this.#clock.nowMs());
      signal.addEventListener("abort", onAbort, { once: true });
      this.#waiters.add(waiter);
      for (const need of needs) {
        need.room.waiterCount += 1;
        closeIfLacking(need);
      }
    });
  }

  /** A source without a deadline stays for as long as only blocking queues hold it up. */
  #mayStay(request: RoomRequest): boolean {
    if (request.deadlineMs !== Number.POSITIVE_INFINITY) return false;
    const queues = lacking(request);
    // None lacks where memory is what it waits for: then all that it needs must be blocking ones.
    const reasons = queues.length > 0 ? queues : request.needs.map(({ room }) => room);
    return reasons.every((queue) => queue.waitsForever);
  }

  #expire(waiter: Waiter): void {
    const { request } = waiter;
    this.#leave(waiter, refusal(request, this.#pressure.worst === "hard" ? memoryFull() : noRoom(request)));
  }

  #leave(waiter: Waiter, outcome: RoomRefusal | undefined): void {
    if (!this.#waiters.delete(waiter)) return;
    for (const { room } of waiter.request.needs) room.waiterCount -= 1;
    waiter.settle(outcome);
    if (outcome !== undefined) this.#walk();
  }

  /** Costs one look at each waiter, but ends where every queue that anybody waits for is closed: mostly at the first. */
  #walk(): void {
    if (this.#pressure.worst === "hard" || this.#isClosed) return;
    let openCount = this.#reopen();
    for (const waiter of this.#waiters) {
      if (openCount === 0) return;
      const { needs } = waiter.request;
      if (fits(needs)) {
        for (const need of needs) need.room.used += need.size;
        this.#leave(waiter, undefined);
      } else {
        for (const need of needs) if (closeIfLacking(need)) openCount -= 1;
      }
    }
  }

  /** Forgets what earlier walks found. Returns how many queues are waited for. */
  #reopen(): number {
    let waitedForCount = 0;
    for (const queue of this.#queues) {
      queue.isClosed = false;
      queue.waitingNeedMax = 0;
      if (queue.waiterCount > 0) waitedForCount += 1;
    }
    return waitedForCount;
  }
}

function fits(needs: readonly Need[]): boolean {
  return needs.every(({ room, size }) => !room.isClosed && room.free >= size);
}

/** What a waiter that stays does to a queue it needs. True where that closes it. */
function closeIfLacking({ room, size }: Need): boolean {
  room.waitingNeedMax = Math.max(room.waitingNeedMax, size);
  if (room.isClosed || room.free >= size) return false;
  room.isClosed = true;
  return true;
}

function lacking({ needs }: RoomRequest): RoomQueue[] {
  return needs.filter(({ room, size }) => room.isClosed || room.free < size).map(({ room }) => room);
}

function refusal(request: RoomRequest, error: ConsumeError): RoomRefusal {
  return { error, lacking: lacking(request) };
}

function noRoom(request: RoomRequest): ConsumeError {
  const queues = lacking(request).map(
    (queue) => `${queue.name}, ${queue.used} of ${queue.limit} ${queue.unit} used${queue.hint()}`,
  );
  const message = `no room in the sending queue of ${queues.join("; ")}`;
  return new ConsumeError("refused", message, { retryAfterMs: RETRY_AFTER_MS_DEFAULT });
}

function memoryFull(): ConsumeError {
  return new ConsumeError("refused", "data refused due to high memory usage", { retryAfterMs: RETRY_AFTER_MS_DEFAULT });
}

function shuttingDown(): ConsumeError {
  return new ConsumeError("refused", "shutting down", { retryAfterMs: RETRY_AFTER_MS_DEFAULT });
}

function senderGone(): ConsumeError {
  return new ConsumeError("refused", "the sender went away while its request waited for room");
}
