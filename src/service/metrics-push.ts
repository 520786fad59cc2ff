import type { Clock, Timer } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import type { MetricLevel } from "../core/meter.ts";
import type { MetricsRegistry } from "./metrics-registry.ts";
import type { OtlpPushTarget } from "./otlp-push-target.ts";

export interface MetricsPushSettings {
  readonly registry: MetricsRegistry;
  readonly level: MetricLevel;
  readonly resource: Readonly<Record<string, string>>;
  readonly target: OtlpPushTarget;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** When the sums began: with the process, however often a reload has made another push. */
  readonly startUnixNano: bigint;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Sends the gateway's own metrics at an interval, and once more at the end. A request that fails is not tried again:
 * sums are cumulative, so the next one tells all that it told.
 */
export class MetricsPush {
  readonly #settings: MetricsPushSettings;
  #timer: Timer | undefined;
  #pushing: Promise<void> = Promise.resolve();
  #isFailing = false;
  #isStopped = false;

  constructor(settings: MetricsPushSettings) {
    this.#settings = settings;
  }

  start(): void {
    this.#wait();
  }

  /** Pushes the last figures, at most until `signal` aborts. Idempotent, never rejects. */
  async stop(signal: AbortSignal): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#timer?.cancel();
    await this.#pushing;
    // One that never started is of a reload that was refused.
    if (this.#timer !== undefined) await this.#push(signal);
    this.#settings.target.close();
  }

  #wait(): void {
    const { clock, intervalMs } = this.#settings;
    this.#timer = clock.after(intervalMs, () => {
      this.#pushing = this.#pushAndWait();
    });
  }

  async #pushAndWait(): Promise<void> {
    await this.#push();
    if (!this.#isStopped) this.#wait();
  }

  /** Never rejects. */
  async #push(patience?: AbortSignal): Promise<void> {
    const { clock, timeoutMs, logger, target } = this.#settings;
    const late = new AbortController();
    const timer = clock.after(timeoutMs, () => late.abort());
    const signal = patience === undefined ? late.signal : AbortSignal.any([late.signal, patience]);
    try {
      await target.send(await this.#encode(), signal);
      if (this.#isFailing) logger.info("own metrics are sent again");
      this.#isFailing = false;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (!this.#isFailing) logger.warn(`own metrics could not be sent to ${target.endpoint}: ${reason}`);
      this.#isFailing = true;
    } finally {
      timer.cancel();
    }
  }

  async #encode(): Promise<Uint8Array> {
    const { encodeOwnMetrics } = await import("./otlp-metrics.ts");
    const { registry, level, resource, target, clock, startUnixNano } = this.#settings;
    const times = { startUnixNano, nowUnixNano: clock.nowUnixNano() };
    return encodeOwnMetrics(registry.collect(level), resource, times, target.encoding);
  }
}
