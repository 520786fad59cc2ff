import { EXIT_OK } from "./io.ts";

const STOPS = ["SIGINT", "SIGTERM"] as const;

/**
 * Signals that reach a gateway while its code still loads, which takes longer than a platform may need to change its mind.
 * Nothing has started, so one that asks it to stop ends the process at once, and as well as any other stop: 0. What asks
 * for a reload is kept until there is something to reload. Other commands have no use for it: a signal ends them.
 */
export class EarlySignals {
  #isReloadAsked = false;
  readonly #onStop = (): void => process.exit(EXIT_OK);
  readonly #onHangUp = (): void => void (this.#isReloadAsked = true);

  constructor() {
    for (const name of STOPS) process.on(name, this.#onStop);
    process.on("SIGHUP", this.#onHangUp);
  }

  /** Others wait for a stop from now on. */
  releaseStops(): void {
    for (const name of STOPS) process.off(name, this.#onStop);
  }

  /** Others wait for a reload from now on. True where one was asked for. */
  releaseReloads(): boolean {
    process.off("SIGHUP", this.#onHangUp);
    return this.#isReloadAsked;
  }
}
