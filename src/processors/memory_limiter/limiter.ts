import type { Clock, Timer } from "../../core/clock.ts";
import type { Host, Pressure } from "../../core/component.ts";
import type { Logger } from "../../core/logger.ts";
import type { MemoryLimiterConfig } from "./config.ts";
import { type MemoryLimits, resolveLimits } from "./limits.ts";
import type { ProcessMemory } from "./memory.ts";

const MIB = 1024 * 1024;

export interface LimiterSettings {
  /** Names the reporter of pressure: the component's id. */
  readonly id: string;
  readonly config: MemoryLimiterConfig;
  readonly memory: ProcessMemory;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Watches the memory and tells the host how tight it is. It throws at no batch: soft pressure makes doors wait before
 * they read, hard pressure makes them refuse before they read, so that what is already inside can leave.
 */
export class MemoryLimiter {
  readonly #settings: LimiterSettings;
  readonly #limits: MemoryLimits;
  #timer: Timer | undefined;
  #host: Host | undefined;
  #pressure: Pressure = "none";
  #lastGcMs = Number.NEGATIVE_INFINITY;
  #users = 0;

  constructor(settings: LimiterSettings) {
    this.#settings = settings;
    this.#limits = resolveLimits(settings.config, settings.memory.totalBytes());
  }

  /** One limiter serves all pipelines that name it: the first start begins, the last stop ends. */
  start(host: Host): void {
    this.#users += 1;
    if (this.#users > 1) return;
    this.#host = host;
    this.check();
  }

  stop(): void {
    if (this.#users === 0) return;
    this.#users -= 1;
    if (this.#users > 0) return;
    this.#timer?.cancel();
    this.#report("none");
  }

  /** Measures, collects garbage where that may help and is due, and reports. Called by its own timer. */
  check(): void {
    const { memory, config, clock } = this.#settings;
    let usedBytes = memory.usedBytes();
    if (usedBytes > this.#limits.softBytes && this.#isGcDue(usedBytes)) {
      memory.collectGarbage();
      this.#lastGcMs = clock.monotonicMs();
      usedBytes = memory.usedBytes();
    }
    this.#change(pressureOf(usedBytes, this.#limits), usedBytes);
    this.#timer = clock.after(config.check_interval, () => this.check());
  }

  #isGcDue(usedBytes: number): boolean {
    const { garbage_collector: collector, ...config } = this.#settings.config;
    if (!collector.enabled) return false;
    const isHard = usedBytes > this.#limits.hardBytes;
    const intervalMs = isHard ? config.min_gc_interval_when_hard_limited : config.min_gc_interval_when_soft_limited;
    return this.#settings.clock.monotonicMs() - this.#lastGcMs >= intervalMs;
  }

  #change(pressure: Pressure, usedBytes: number): void {
    if (pressure === this.#pressure) return;
    const used = Math.round(usedBytes / MIB);
    const limit = Math.round((pressure === "hard" ? this.#limits.hardBytes : this.#limits.softBytes) / MIB);
    if (pressure === "none") {
      this.#settings.logger.info(`memory is below its limit again: ${used} MiB of ${limit} MiB`);
    } else {
      const consequence = pressure === "soft" ? "senders wait" : "senders are refused with a hint when to retry";
      this.#settings.logger.warn(`memory is above its ${pressure} limit: ${used} MiB of ${limit} MiB; ${consequence}`);
    }
    this.#report(pressure);
  }

  #report(pressure: Pressure): void {
    this.#pressure = pressure;
    this.#host?.reportPressure(this.#settings.id, pressure);
  }
}

function pressureOf(usedBytes: number, limits: MemoryLimits): Pressure {
  if (usedBytes > limits.hardBytes) return "hard";
  return usedBytes > limits.softBytes ? "soft" : "none";
}
