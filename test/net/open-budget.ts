import type { DoorArrival, DoorBudget, DoorLease, Pressure } from "../../src/core/component.ts";
import { ConsumeError } from "../../src/core/errors.ts";

interface Waiter {
  readonly bytes: number;
  readonly admit: () => void;
}

/** A door budget that a test can look into: what is leased now, what was leased at most, who waits. */
export class OpenBudget implements DoorBudget {
  pressure: Pressure = "none";
  leasedBytes = 0;
  leasedBytesPeak = 0;
  acquireCount = 0;
  /** A test that is about steps sets it. */
  stepBytes = Number.POSITIVE_INFINITY;
  /** Bodies that are on their way now. */
  readonly arrivals = new Set<DoorArrival>();
  readonly #bytesMax: number;
  #waiters: Waiter[] = [];

  constructor(bytesMax = Number.POSITIVE_INFINITY) {
    this.#bytesMax = bytesMax;
  }

  get waiterCount(): number {
    return this.#waiters.length;
  }

  async acquire(bytes: number, _deadline: number, signal: AbortSignal): Promise<DoorLease> {
    this.acquireCount += 1;
    if (this.pressure === "hard") throw new ConsumeError("refused", "memory is short", { reason: "memory" });
    if (this.leasedBytes + bytes > this.#bytesMax) await this.#wait(bytes, signal);
    return this.#lease(bytes);
  }

  #wait(bytes: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter = { bytes, admit: resolve };
      this.#waiters.push(waiter);
      signal.addEventListener("abort", () => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
        reject(new ConsumeError("refused", "the sender has gone"));
      });
    });
  }

  #lease(bytes: number): DoorLease {
    let held = 0;
    const resize = (size: number): void => {
      this.leasedBytes += size - held;
      held = size;
      this.leasedBytesPeak = Math.max(this.leasedBytesPeak, this.leasedBytes);
      const next = this.#waiters[0];
      if (next === undefined || this.leasedBytes + next.bytes > this.#bytesMax) return;
      this.#waiters.shift();
      next.admit();
    };
    resize(bytes);
    let watched: DoorArrival | undefined;
    const watch = (arrival: DoorArrival | undefined): void => {
      if (watched !== undefined) this.arrivals.delete(watched);
      watched = arrival;
      if (arrival !== undefined) this.arrivals.add(arrival);
    };
    const release = (): void => {
      watch(undefined);
      resize(0);
    };
    return { resize, watch, release };
  }
}
