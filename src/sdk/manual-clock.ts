import type { Clock, Timer } from "../core/clock.ts";

interface Pending {
  readonly dueMs: number;
  readonly order: number;
  readonly callback: () => void;
}

/**
 * A clock that stands still until a test moves it. Timers fire in the order of their due times (equal ones in the order
 * they were set), and after each one everything that it set off has run before the next fires.
 */
export class ManualClock implements Clock {
  #nowMs: number;
  readonly #startMs: number;
  #order = 0;
  readonly #pending = new Set<Pending>();

  /** Starts at a round date, so that a failing test prints readable times. */
  constructor(startMs: number = Date.UTC(2026, 0, 1)) {
    this.#startMs = startMs;
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  nowUnixNano(): bigint {
    return BigInt(Math.round(this.#nowMs * 1000)) * 1000n;
  }

  monotonicMs(): number {
    return this.#nowMs - this.#startMs;
  }

  after(delayMs: number, callback: () => void): Timer {
    const pending: Pending = { dueMs: this.#nowMs + Math.max(delayMs, 0), order: this.#order++, callback };
    this.#pending.add(pending);
    return { cancel: () => this.#pending.delete(pending) };
  }

  /** Timers that wait to fire: a component that was shut down must leave none. */
  get timerCount(): number {
    return this.#pending.size;
  }

  /** Moves on by `durationMs`, firing what falls due, with all that follows from it. */
  async advance(durationMs: number): Promise<void> {
    const endMs = this.#nowMs + durationMs;
    await settle();
    for (let next = this.#earliest(endMs); next !== undefined; next = this.#earliest(endMs)) {
      this.#pending.delete(next);
      this.#nowMs = next.dueMs;
      next.callback();
      await settle();
    }
    this.#nowMs = endMs;
  }

  /** Moves to the next timer and fires it. False where none waits. */
  async advanceToNext(): Promise<boolean> {
    await settle();
    const next = this.#earliest(Number.POSITIVE_INFINITY);
    if (next === undefined) return false;
    await this.advance(next.dueMs - this.#nowMs);
    return true;
  }

  #earliest(untilMs: number): Pending | undefined {
    let earliest: Pending | undefined;
    for (const pending of this.#pending) {
      if (pending.dueMs > untilMs) continue;
      if (earliest === undefined || pending.dueMs < earliest.dueMs) earliest = pending;
    }
    return earliest;
  }
}

/** Lets every promise that can settle do so: the event loop has turned once and its microtasks are empty. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
