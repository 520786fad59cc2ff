import type { Clock } from "../core/clock.ts";

// Long enough that a fault in every tenth batch is one state, short enough that tomorrow's fault is news.
const QUIET_MS = 60_000;
const KEYS_MAX = 20;

/** Decides what is worth a line: a trouble when it begins, and the calm when no trouble has come for a minute. */
export class StateLog {
  readonly #clock: Clock;
  readonly #keys = new Set<string>();
  #lastMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** True where this trouble is new. Beyond 20 different ones they are one flood, and no longer news. */
  begins(key: string): boolean {
    this.#lastMs = this.#clock.monotonicMs();
    if (this.#keys.has(key) || this.#keys.size >= KEYS_MAX) return false;
    this.#keys.add(key);
    return true;
  }

  /** True once, when something had begun and a quiet minute has passed. Costs nothing while all is well. */
  ends(): boolean {
    if (this.#keys.size === 0 || this.#clock.monotonicMs() - this.#lastMs < QUIET_MS) return false;
    this.#keys.clear();
    return true;
  }
}
