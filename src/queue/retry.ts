import type { RetryConfig } from "./config.ts";

/**
 * The longest that a backend may send us away for. Beyond it we ask again: a hint of a day is a mistake, and the
 * consumer that obeys it is gone for that day.
 */
export const RETRY_AFTER_MS_MAX = 600_000;

/** While shutting down the patience is short, so the waits are. */
export const DRAIN_BACKOFF_MS_MAX = 1_000;

/**
 * The waits between the attempts of one request: exponential with jitter, never shorter than the backend asked for.
 * One object serves one request.
 */
export class Backoff {
  readonly #config: RetryConfig;
  readonly #random: () => number;
  #intervalMs: number;

  /** `random` gives numbers in [0, 1). */
  constructor(config: RetryConfig, random: () => number) {
    this.#config = config;
    this.#random = random;
    this.#intervalMs = Math.min(config.initial_interval, config.max_interval);
  }

  /** undefined: give up, for good. `elapsedMs` counts from the first attempt. */
  nextDelayMs(elapsedMs: number, retryAfterMs: number | undefined): number | undefined {
    const { enabled, max_elapsed_time, randomization_factor, multiplier, max_interval } = this.#config;
    if (!enabled) return undefined;
    const jitter = 1 + randomization_factor * (2 * this.#random() - 1);
    const delayMs = Math.max(this.#intervalMs * jitter, Math.min(retryAfterMs ?? 0, RETRY_AFTER_MS_MAX));
    this.#intervalMs = Math.min(this.#intervalMs * multiplier, max_interval);
    if (max_elapsed_time > 0 && elapsedMs + delayMs > max_elapsed_time) return undefined;
    return delayMs;
  }
}
