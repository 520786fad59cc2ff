import type { Clock } from "../../core/clock.ts";
import type { Signal } from "../../core/signal.ts";
import { hasInvalidText } from "../../wire/otlp/invalid-text.ts";

// A look at every string costs many times the scan. One request in ten at 100 requests a second, fewer where requests are
// large: a sender that cuts its text in the middle of a character does so again and again, and is found within seconds.
const INTERVAL_MS = 100;
const REST_PER_LOOK = 50;

/** Looks for text that is no UTF-8 in a sample of the requests, and spends at most a fiftieth of the time on it. */
export class TextWatch {
  readonly #clock: Clock;
  #nextMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** True where this request was looked at, and some of its text is no UTF-8. */
  finds(signal: Signal, bytes: Uint8Array): boolean {
    const startMs = this.#clock.monotonicMs();
    if (startMs < this.#nextMs) return false;
    const isFound = hasInvalidText(signal, bytes);
    const endMs = this.#clock.monotonicMs();
    this.#nextMs = endMs + Math.max(INTERVAL_MS, (endMs - startMs) * REST_PER_LOOK);
    return isFound;
  }
}
