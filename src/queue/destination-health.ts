import type { Clock } from "../core/clock.ts";
import type { ConsumeError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";

/** A backend that rejects now and then is told once, and again after this time with what it rejected since. */
const LOSS_LOG_INTERVAL_MS = 60_000;

export interface DestinationHealthSettings {
  readonly destination: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What happens to data meanwhile: "512 log records kept in the queue". */
  readonly meanwhile: () => string;
  /** Whether what is lost in this way is kept as dead letters. */
  readonly isKept: (kind: LossKind) => boolean;
}

export type LossKind = "rejected" | "expired" | "overflowed";

interface LossState {
  items: number;
  lastLogMs: number;
}

/** The state of one destination over all its signals, logged when it changes and not per request. */
export class DestinationHealth {
  readonly #destination: string;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #meanwhile: () => string;
  readonly #isKept: (kind: LossKind) => boolean;
  readonly #losses = new Map<LossKind, LossState>();
  /** Requests whose last attempt failed. It is back when none is left: one success among failures is not news. */
  #failingCount = 0;
  #lastError: ConsumeError | undefined;
  readonly #onTrouble: (() => void)[] = [];

  constructor(settings: DestinationHealthSettings) {
    this.#destination = settings.destination;
    this.#clock = settings.clock;
    this.#logger = settings.logger;
    this.#meanwhile = settings.meanwhile;
    this.#isKept = settings.isKept;
  }

  /** What is wrong with it, for messages to senders; undefined while nothing is. */
  get trouble(): string | undefined {
    return this.#lastError?.message;
  }

  /** Calls back once, at once where there is trouble already, else when it begins. */
  whenInTrouble(callback: () => void): void {
    if (this.#lastError === undefined) this.#onTrouble.push(callback);
    else callback();
  }

  /** A request began to fail. Call recovered() or gaveUp() when it ends. */
  failing(error: ConsumeError): void {
    this.#failingCount += 1;
    if (this.#lastError === undefined) {
      this.#logger.warn(`destination ${this.#destination} unreachable: ${error.message}; ${this.#meanwhile()}`);
    }
    this.#lastError = error;
    for (const callback of this.#onTrouble.splice(0)) callback();
  }

  /** A request that had failed got through. */
  recovered(): void {
    this.#failingCount -= 1;
    this.succeeded();
  }

  /** A request that had failed ended without getting through. */
  gaveUp(): void {
    this.#failingCount -= 1;
  }

  succeeded(): void {
    if (this.#lastError === undefined || this.#failingCount > 0) return;
    this.#lastError = undefined;
    this.#logger.info(`destination ${this.#destination} is back`);
  }

  /** Items that will not arrive by themselves, and why. */
  lost(kind: LossKind, items: number, reason: string): void {
    const nowMs = this.#clock.monotonicMs();
    const state = this.#losses.get(kind) ?? { items: 0, lastLogMs: Number.NEGATIVE_INFINITY };
    this.#losses.set(kind, state);
    state.items += items;
    if (nowMs - state.lastLogMs < LOSS_LOG_INTERVAL_MS) return;
    const kept = this.#isKept(kind) ? "; kept as dead letters" : "";
    this.#logger.error(`destination ${this.#destination}: ${state.items} items ${kind}: ${reason}${kept}`);
    state.items = 0;
    state.lastLogMs = nowMs;
  }
}
