import type { Clock, Timer } from "../core/clock.ts";
import type { DoorBudget, DoorLease, Pressure } from "../core/component.ts";
import { ConsumeError } from "../core/errors.ts";
import { RETRY_AFTER_MS_DEFAULT } from "../core/limits.ts";
import { waitEndMs } from "./patience.ts";
import type { PressureBoard } from "./pressure.ts";

export interface DoorBudgetSettings {
  readonly clock: Clock;
  readonly pressure: PressureBoard;
  readonly bytesMax: number;
}

interface Waiter {
  readonly bytes: number;
  readonly admit: () => void;
  readonly refuse: (error: ConsumeError) => void;
}

/**
 * Bytes of requests between socket and answer, over all doors. First come, first served: a large request at the head
 * holds back small ones behind it, or it would wait for ever.
 */
export class SharedDoorBudget implements DoorBudget {
  readonly #clock: Clock;
  readonly #pressure: PressureBoard;
  readonly #bytesMax: number;
  readonly #waiters = new Set<Waiter>();
  #bytesInFlight = 0;
  #isClosed = false;

  constructor(settings: DoorBudgetSettings) {
    this.#clock = settings.clock;
    this.#pressure = settings.pressure;
    this.#bytesMax = settings.bytesMax;
    this.#pressure.onChange((pressure) => this.#onPressure(pressure));
  }

  get pressure(): Pressure {
    return this.#pressure.worst;
  }

  get bytesInFlight(): number {
    return this.#bytesInFlight;
  }

  get waiterCount(): number {
    return this.#waiters.size;
  }

  async acquire(bytes: number, deadline: number, signal: AbortSignal): Promise<DoorLease> {
    if (bytes > this.#bytesMax) {
      const message = `a request of ${bytes} bytes exceeds the ${this.#bytesMax} bytes that all requests in flight may have`;
      throw new ConsumeError("too_large", message);
    }
    if (this.pressure === "hard") throw memoryRefusal();
    if (this.#waiters.size > 0 || !this.#fits(bytes)) await this.#wait(bytes, deadline, signal);
    else this.#bytesInFlight += bytes;
    return new Lease(bytes, (change) => this.#change(change));
  }

  /** From now on nobody waits: those who do are refused, and so is who would have to. */
  refuseWaiting(): void {
    this.#isClosed = true;
    this.#refuseAll(() => stopRefusal());
  }

  #fits(bytes: number): boolean {
    return this.pressure === "none" && this.#bytesInFlight + bytes <= this.#bytesMax;
  }

  /** The waiter's bytes are taken by the walk that admits it, so that nobody gets between it and its lease. */
  #wait(bytes: number, deadline: number, signal: AbortSignal): Promise<void> {
    if (this.#isClosed) return Promise.reject(stopRefusal());
    if (signal.aborted) return Promise.reject(goneRefusal());
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiters.delete(waiter);
        timer.cancel();
        signal.removeEventListener("abort", onAbort);
      };
      const refuse = (error: ConsumeError): void => {
        leave();
        reject(error);
        this.#walk();
      };
      const admit = (): void => {
        leave();
        resolve();
      };
      const onAbort = (): void => refuse(goneRefusal());
      const waiter: Waiter = { bytes, admit, refuse };
      const timer = this.#refuseAt(deadline, waiter);
      signal.addEventListener("abort", onAbort, { once: true });
      this.#waiters.add(waiter);
    });
  }

  #refuseAt(deadlineMs: number, waiter: Waiter): Timer {
    const nowMs = this.#clock.nowMs();
    const endMs = waitEndMs({ openedMs: nowMs, deadlineMs, syncP99Ms: 0 });
    return this.#clock.after(endMs - nowMs, () => waiter.refuse(this.#fullRefusal()));
  }

  #fullRefusal(): ConsumeError {
    if (this.pressure !== "none") return memoryRefusal();
    const message = `no room at the doors: ${this.#bytesInFlight} of ${this.#bytesMax} bytes are in flight`;
    return new ConsumeError("refused", message, { retryAfterMs: RETRY_AFTER_MS_DEFAULT, reason: "bytes_in_flight" });
  }

  #change(bytes: number): void {
    this.#bytesInFlight += bytes;
    if (bytes < 0) this.#walk();
  }

  #walk(): void {
    for (const waiter of this.#waiters) {
      if (this.#isClosed || !this.#fits(waiter.bytes)) return;
      this.#bytesInFlight += waiter.bytes;
      waiter.admit();
    }
  }

  #onPressure(pressure: Pressure): void {
    if (pressure === "hard") this.#refuseAll(memoryRefusal);
    else this.#walk();
  }

  #refuseAll(reason: () => ConsumeError): void {
    for (const waiter of this.#waiters) waiter.refuse(reason());
  }
}

class Lease implements DoorLease {
  #bytes: number;
  #isReleased = false;
  readonly #change: (bytes: number) => void;

  constructor(bytes: number, change: (bytes: number) => void) {
    this.#bytes = bytes;
    this.#change = change;
  }

  resize(bytes: number): void {
    if (this.#isReleased) return;
    const change = bytes - this.#bytes;
    this.#bytes = bytes;
    this.#change(change);
  }

  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#change(-this.#bytes);
  }
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
