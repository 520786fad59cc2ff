import type { Clock, Timer } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import type { StrayFault } from "./processor-fault.ts";
import { StateLog } from "./state-log.ts";

// As often as StateLog may end a state.
const CHECK_MS = 60_000;

/**
 * Errors of processors that reached nobody: a fetch that is not awaited fails once a batch. Each place is logged when it
 * begins, and all of them are counted until no more have come for a minute.
 */
export class StrayFaults implements Disposable {
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #state: StateLog;
  #count = 0;
  #timer: Timer | undefined;

  constructor(logger: Logger, clock: Clock) {
    this.#logger = logger;
    this.#clock = clock;
    this.#state = new StateLog(clock);
  }

  report({ place, message }: StrayFault): void {
    this.#count++;
    if (this.#state.begins(place)) this.#logger.error(message);
    this.#timer ??= this.#clock.after(CHECK_MS, () => this.#check());
  }

  #check(): void {
    this.#timer = undefined;
    if (this.#state.ends()) this.#sum("none for a minute");
    else this.#timer = this.#clock.after(CHECK_MS, () => this.#check());
  }

  #sum(end: string): void {
    this.#logger.info(`errors of processors that reached nobody: ${this.#count} in all, ${end}`);
    this.#count = 0;
  }

  [Symbol.dispose](): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#count > 1) this.#sum("until the end");
  }
}
