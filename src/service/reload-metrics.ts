import type { Clock } from "../core/clock.ts";
import type { Gauge, Meter } from "../core/meter.ts";

export type ReloadOutcome = "applied" | "unchanged" | "refused";

const OUTCOMES: readonly ReloadOutcome[] = ["applied", "unchanged", "refused"];

/** How reloads ended. All series are there from the start, so that an alert on `refused` has something to compare with. */
export class ReloadMetrics {
  readonly #count: (outcome: ReloadOutcome) => void;
  readonly #lastTime: Gauge;
  readonly #lastSuccessful: Gauge;
  readonly #clock: Clock;

  constructor(meter: Meter, clock: Clock, supersededCount: () => number) {
    this.#clock = clock;
    const description = { description: "Reloads of the configuration by outcome.", unit: "{reloads}" };
    const counters = new Map(
      OUTCOMES.map((outcome) => [outcome, meter.counter("signalbox_reloads", { outcome }, description)]),
    );
    this.#count = (outcome) => counters.get(outcome)!.add(1);
    const time = "When the configuration was last reloaded, or refused, since the epoch; 0: never.";
    this.#lastTime = meter.gauge("signalbox_reload_last_time", {}, { description: time, unit: "s" });
    const successful = "1 where the last reload was not refused.";
    this.#lastSuccessful = meter.gauge("signalbox_reload_last_successful", {}, { description: successful });
    this.#lastSuccessful.set(1);
    const superseded = "Files of processors that reloads have replaced; the older ones stay in memory.";
    meter.observableGauge(
      "signalbox_reload_superseded_files",
      {},
      { description: superseded, unit: "{files}" },
      supersededCount,
    );
  }

  count(outcome: ReloadOutcome): void {
    this.#count(outcome);
    this.#lastTime.set(this.#clock.nowMs() / 1000);
    this.#lastSuccessful.set(outcome === "refused" ? 0 : 1);
  }
}
