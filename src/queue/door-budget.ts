/**
 * Bytes of requests between socket and answer, over all doors.
 *
 *   a small request      one lease of its declared size, and it is read
 *   a larger one         a small lease (stepBytes) first; when that much has come, one of its declared size beside it
 *   a compressed one     keeps the lease of its body and asks for what it inflates to
 *
 * What can stop others, and what is done about it:
 *
 * 1. Senders that declare much and send nothing hold a step each, and where somebody waits they are refused after a second
 *    of silence. So is, with a large lease, who does not send as fast as its size asks for.
 * 2. Large leases together have LARGE_SHARE of the budget at most (a single one may have more), and small requests have a
 *    line of their own: no number of large ones keeps them waiting. While a large one waits, small ones have only what large
 *    ones may not have, so that it gets its turn too.
 * 3. Requests that hold one lease and wait for another could wait for each other for ever. So the head of a line looks at
 *    what would be free if all ended that can: where that is too little, the youngest of those that hold and wait is refused
 *    until it is enough. The oldest always goes on. With what is kept for small ones they may hold half of it.
 * 4. In each line, first come, first served, a large one before smaller ones behind it; but those of a connection that
 *    holds more than SENDER_SHARE already are passed over by others.
 *
 * At no time is more leased than bytesMax, but for resize() upwards.
 */
import type { Clock, Timer } from "../core/clock.ts";
import type { DoorBudget, DoorClaim, DoorLease, DoorSender, Pressure } from "../core/component.ts";
import { ConsumeError } from "../core/errors.ts";
import { RETRY_AFTER_MS_DEFAULT } from "../core/limits.ts";
import { Lease } from "./door-lease.ts";
import type { LeaseLedger } from "./door-lease.ts";
import { waitEndMs } from "./patience.ts";
import type { PressureBoard } from "./pressure.ts";

export interface DoorBudgetSettings {
  readonly clock: Clock;
  readonly pressure: PressureBoard;
  readonly bytesMax: number;
  /** Default: SMALL_BYTES. */
  readonly smallBytes?: number;
}

/** A lease up to this is small. The bet: most requests are, and read with one lease. Lost: a second one, and a copy of this much. */
const SMALL_BYTES = 256 * 1024;

/** The step while room is short: ten thousand silent connections then hold 160 MiB. */
const STEP_BYTES_SHORT = 16 * 1024;

/** Of the budget: four requests of 60 MiB at a time, and 16 MiB that are kept for small ones. */
const LARGE_SHARE = 15 / 16;

const SENDER_SHARE = 1 / 4;

/** How often bodies are looked at while somebody waits. */
const LOOK_MS = 250;

interface Waiter {
  readonly lease: Lease;
  readonly bytes: number;
  readonly holding: Lease | undefined;
  readonly admit: () => void;
  readonly refuse: (error: ConsumeError) => void;
}

/** Requests of one kind, small or large. */
interface Line {
  readonly waiters: Set<Waiter>;
  leasedBytes: number;
  /** Of that, what is held by requests that wait. */
  waitingBytes: number;
}

export class SharedDoorBudget implements DoorBudget, LeaseLedger {
  readonly #clock: Clock;
  readonly #pressure: PressureBoard;
  readonly #bytesMax: number;
  readonly #largeBytesMax: number;
  readonly #smallBytes: number;
  readonly #small: Line = { waiters: new Set(), leasedBytes: 0, waitingBytes: 0 };
  readonly #large: Line = { waiters: new Set(), leasedBytes: 0, waitingBytes: 0 };
  readonly #arriving = new Set<Lease>();
  #leaseCount = 0;
  #looker: Timer | undefined;
  #isClosed = false;

  constructor(settings: DoorBudgetSettings) {
    this.#clock = settings.clock;
    this.#pressure = settings.pressure;
    this.#bytesMax = settings.bytesMax;
    this.#largeBytesMax = settings.bytesMax * LARGE_SHARE;
    this.#smallBytes = settings.smallBytes ?? SMALL_BYTES;
    this.#pressure.onChange((pressure) => this.#onPressure(pressure));
  }

  get pressure(): Pressure {
    return this.#pressure.worst;
  }

  get stepBytes(): number {
    const isShort = this.waiterCount > 0 || this.bytesInFlight * 2 > this.#bytesMax;
    return isShort ? Math.min(STEP_BYTES_SHORT, this.#smallBytes) : this.#smallBytes;
  }

  get bytesInFlight(): number {
    return this.#small.leasedBytes + this.#large.leasedBytes;
  }

  get waiterCount(): number {
    return this.#small.waiters.size + this.#large.waiters.size;
  }

  async acquire(bytes: number, deadline: number, signal: AbortSignal, claim: DoorClaim = {}): Promise<DoorLease> {
    const holding = claim.holding instanceof Lease ? claim.holding : undefined;
    const bytesTogether = bytes + (holding?.bytes ?? 0);
    if (bytesTogether > this.#bytesMax) {
      const message = `a request of ${bytesTogether} bytes exceeds the ${this.#bytesMax} bytes that all requests in flight may have`;
      throw new ConsumeError("too_large", message);
    }
    if (this.pressure === "hard") throw memoryRefusal();
    const isLarge = bytes > this.#smallBytes;
    const order = holding?.order ?? (this.#leaseCount += 1);
    const lease = new Lease(this, { isLarge, order, sender: claim.sender });
    if (this.#lineOf(lease).waiters.size > 0 || !this.#fits({ lease, bytes, holding })) {
      await this.#wait({ lease, bytes, holding }, deadline, signal);
    } else lease.resize(bytes);
    return lease;
  }

  /** From now on nobody waits: those who do are refused, and so is who would have to. */
  refuseWaiting(): void {
    this.#isClosed = true;
    this.#refuseAll(() => stopRefusal());
  }

  change(lease: Lease, bytes: number): void {
    const line = this.#lineOf(lease);
    line.leasedBytes += bytes;
    if (lease.isWaiting) line.waitingBytes += bytes;
    if (lease.sender !== undefined) lease.sender.leasedBytes += bytes;
    if (bytes < 0 && this.waiterCount > 0) this.#walk();
  }

  watch(lease: Lease): void {
    this.#arriving.add(lease);
  }

  unwatch(lease: Lease): void {
    this.#arriving.delete(lease);
  }

  nowMs(): number {
    return this.#clock.monotonicMs();
  }

  #lineOf(lease: Lease): Line {
    return lease.isLarge ? this.#large : this.#small;
  }

  #fits(asked: Pick<Waiter, "lease" | "bytes" | "holding">): boolean {
    return this.pressure === "none" && this.#fitsBeside(asked, this.#small.leasedBytes, this.#large.leasedBytes);
  }

  /** Whether it would fit if the others held this much. */
  #fitsBeside(
    { lease, bytes, holding }: Pick<Waiter, "lease" | "bytes" | "holding">,
    smallBytes: number,
    largeBytes: number,
  ): boolean {
    if (smallBytes + largeBytes + bytes > this.#bytesMax) return false;
    if (!lease.isLarge) {
      return this.#large.waiters.size === 0 || smallBytes + bytes <= this.#bytesMax - this.#largeBytesMax;
    }
    const ownBytes = holding?.isLarge === true ? holding.bytes : 0;
    return largeBytes + bytes <= this.#largeBytesMax || largeBytes === ownBytes;
  }

  /** The waiter's bytes are taken by the walk that admits it, so that nobody gets between it and its lease. */
  #wait(asked: Pick<Waiter, "lease" | "bytes" | "holding">, deadline: number, signal: AbortSignal): Promise<void> {
    if (this.#isClosed) return Promise.reject(stopRefusal());
    if (signal.aborted) return Promise.reject(goneRefusal());
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#leave(waiter);
        timer.cancel();
        signal.removeEventListener("abort", onAbort);
      };
      const refuse = (error: ConsumeError): void => {
        leave();
        reject(error);
      };
      const admit = (): void => {
        leave();
        resolve();
      };
      const onAbort = (): void => this.#refuse(waiter, goneRefusal());
      const waiter: Waiter = { ...asked, admit, refuse };
      const timer = this.#refuseAt(deadline, waiter);
      signal.addEventListener("abort", onAbort, { once: true });
      this.#enter(waiter);
      this.#walk();
    });
  }

  #refuse(waiter: Waiter, error: ConsumeError): void {
    waiter.refuse(error);
    this.#walk();
  }

  #enter(waiter: Waiter): void {
    this.#lineOf(waiter.lease).waiters.add(waiter);
    this.#setWaiting(waiter.holding, true);
    this.#looker ??= this.#clock.after(LOOK_MS, () => this.#look());
  }

  #leave(waiter: Waiter): void {
    if (!this.#lineOf(waiter.lease).waiters.delete(waiter)) return;
    this.#setWaiting(waiter.holding, false);
    if (this.waiterCount > 0) return;
    this.#looker?.cancel();
    this.#looker = undefined;
  }

  #setWaiting(lease: Lease | undefined, isWaiting: boolean): void {
    if (lease === undefined) return;
    lease.isWaiting = isWaiting;
    this.#lineOf(lease).waitingBytes += isWaiting ? lease.bytes : -lease.bytes;
  }

  #refuseAt(deadlineMs: number, waiter: Waiter): Timer {
    const nowMs = this.#clock.nowMs();
    const endMs = waitEndMs({ openedMs: nowMs, deadlineMs, syncP99Ms: 0 });
    return this.#clock.after(endMs - nowMs, () => this.#refuse(waiter, this.#fullRefusal()));
  }

  #fullRefusal(): ConsumeError {
    if (this.pressure !== "none") return memoryRefusal();
    const message = `no room at the doors: ${this.bytesInFlight} of ${this.#bytesMax} bytes are in flight`;
    return new ConsumeError("refused", message, { retryAfterMs: RETRY_AFTER_MS_DEFAULT, reason: "bytes_in_flight" });
  }

  #walk(): void {
    if (this.#isClosed || this.pressure !== "none") return;
    for (const line of [this.#large, this.#small]) {
      for (let next = this.#next(line); next !== undefined; next = this.#next(line)) {
        if (!this.#fits(next)) {
          this.#breakTie(next);
          break;
        }
        next.lease.resize(next.bytes);
        next.admit();
      }
    }
  }

  #next(line: Line): Waiter | undefined {
    const [first] = line.waiters;
    if (first === undefined || !this.#holdsMuch(first.lease.sender)) return first;
    for (const waiter of line.waiters) if (!this.#holdsMuch(waiter.lease.sender)) return waiter;
    return first;
  }

  #holdsMuch(sender: DoorSender | undefined): boolean {
    return sender !== undefined && sender.leasedBytes > this.#bytesMax * SENDER_SHARE;
  }

  /** Who is refused gives its lease back a moment later; until then it counts as one of those that can end. */
  #breakTie(head: Waiter): void {
    while (!this.#canFit(head)) {
      const youngest = this.#youngestHolder(head);
      if (youngest === undefined) return;
      youngest.refuse(this.#fullRefusal());
    }
  }

  /**
   * Once all have ended that can. Small requests count half of what is theirs alone: held by requests that wait for a large
   * lease it comes free at their pace.
   */
  #canFit(head: Waiter): boolean {
    const { waitingBytes } = this.#small;
    const isCrowded = this.#large.waiters.size > 0 && waitingBytes * 2 > this.#bytesMax - this.#largeBytesMax;
    if (!head.lease.isLarge && isCrowded) return false;
    return this.#fitsBeside(head, waitingBytes, this.#large.waitingBytes);
  }

  /** Of those that hold and wait, but the head: one that holds what the head asks for, small or large, before others. */
  #youngestHolder(head: Waiter): Waiter | undefined {
    let found: Waiter | undefined;
    for (const waiter of [...this.#large.waiters, ...this.#small.waiters]) {
      if (waiter === head || waiter.holding === undefined) continue;
      if (found === undefined || comesFirst(waiter.holding, found.holding!, head.lease.isLarge)) found = waiter;
    }
    return found;
  }

  #look(): void {
    this.#looker = this.#clock.after(LOOK_MS, () => this.#look());
    const nowMs = this.nowMs();
    for (const lease of this.#arriving) {
      if (this.waiterCount === 0) return;
      if (!lease.isWaiting && lease.isTooSlow(nowMs)) lease.giveWay(slowRefusal());
    }
  }

  #onPressure(pressure: Pressure): void {
    if (pressure === "hard") this.#refuseAll(memoryRefusal);
    else this.#walk();
  }

  #refuseAll(reason: () => ConsumeError): void {
    for (const { waiters } of [this.#large, this.#small]) for (const waiter of waiters) waiter.refuse(reason());
  }
}

/** Among those that may have to give way. */
function comesFirst(lease: Lease, other: Lease, isLarge: boolean): boolean {
  if (lease.isLarge !== other.isLarge) return lease.isLarge === isLarge;
  return lease.order > other.order;
}

function slowRefusal(): ConsumeError {
  const message = "the body came too slowly while others waited for room";
  return new ConsumeError("refused", message, { retryAfterMs: RETRY_AFTER_MS_DEFAULT, reason: "too_slow" });
}

function memoryRefusal(): ConsumeError {
  // The Collector's words, which its users search for.
  const message = "data refused due to high memory usage";
  return new ConsumeError("refused", message, { retryAfterMs: RETRY_AFTER_MS_DEFAULT, reason: "memory" });
}

function stopRefusal(): ConsumeError {
  const settings = { retryAfterMs: RETRY_AFTER_MS_DEFAULT, reason: "shutting_down" } as const;
  return new ConsumeError("refused", "shutting down", settings);
}

function goneRefusal(): ConsumeError {
  return new ConsumeError("refused", "the sender went away while its request waited at the door");
}
