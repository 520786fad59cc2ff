import type { Admission } from "../core/admission.ts";
import type { Batch } from "../core/batch.ts";
import { formatComponentId } from "../core/component-id.ts";
import type { Processor, ProcessorFactory, Settings } from "../core/component.ts";
import type { Consumer } from "../core/consumer.ts";
import { ConsumeError } from "../core/errors.ts";
import type { Counter } from "../core/meter.ts";
import type { Signal } from "../core/signal.ts";
import type { DefinedProcessor } from "../sdk/define.ts";
import { openProcessor, type RunningProcessor } from "../sdk/runner.ts";
import { guardAgainstExit } from "./processor-exit-guard.ts";
import { describeThrown, faultLocation, runAs, type ProcessorOrigin } from "./processor-fault.ts";
import { StateLog } from "./state-log.ts";

/** A processor that keeps the loop this long delays every other request by as much; the doors' deadlines are seconds. */
const BLOCKING_MS = 1_000;

/** Names come from the user's code; more than this many are values from the data, and would fill the metrics. */
const EVENTS_MAX = 100;

/** Makes a component of what defineProcessor returned. `origin` is where it stands, for messages. */
export function createUserProcessorFactory(definition: DefinedProcessor, origin: ProcessorOrigin): ProcessorFactory {
  guardAgainstExit();
  return {
    kind: "processor",
    type: definition.type,
    config: definition.config,
    signals: definition.signals,
    create: (signal, settings, config, next) =>
      new UserProcessor(definition, origin, { signal, settings, config, next }),
  };
}

interface Place<S extends Signal> {
  readonly signal: S;
  readonly settings: Settings;
  readonly config: unknown;
  readonly next: Consumer<S>;
}

/**
 * Runs a user's function over each batch and hands the batch on. Whatever the function does wrong costs that batch an
 * `internal` ConsumeError that names its line, and nothing else.
 */
class UserProcessor<S extends Signal> implements Processor<S> {
  readonly mutatesData = true;
  readonly #origin: ProcessorOrigin;
  readonly #place: Place<S>;
  readonly #name: string;
  readonly #running: RunningProcessor<S>;
  readonly #faults: StateLog;
  readonly #blocking: StateLog;
  readonly #regroupRefused: Counter;
  #isShutDown = false;

  constructor(definition: DefinedProcessor, origin: ProcessorOrigin, place: Place<S>) {
    const { signal, settings, config } = place;
    const { logger, clock } = settings;
    const id = formatComponentId(settings.id);
    this.#origin = origin;
    this.#place = place;
    this.#name = `processors.${id}`;
    this.#faults = new StateLog(clock);
    this.#blocking = new StateLog(clock);
    this.#regroupRefused = settings.meter.counter(
      "signalbox_processor_regroup_refused_records",
      { processor: id, "otel.signal": signal },
      {
        description: "Records that could not move to another resource, because the bounds on regrouping were reached.",
        unit: "{records}",
      },
    );
    const count = createEventCounter(settings, signal);
    try {
      this.#running = runAs(origin, () => openProcessor(definition, { id, signal, config, logger, clock, count }));
    } catch (thrown) {
      throw new Error(this.#blame("create() threw", thrown), { cause: thrown });
    }
  }

  async start(): Promise<void> {
    try {
      await runAs(this.#origin, () => this.#running.start());
    } catch (thrown) {
      throw new Error(this.#blame("start() threw", thrown), { cause: thrown });
    }
  }

  async shutdown(signal: AbortSignal): Promise<void> {
    this.#isShutDown = true;
    try {
      await Promise.race([runAs(this.#origin, () => this.#running.shutdown(signal)), aborted(signal)]);
    } catch (thrown) {
      this.#place.settings.logger.error(this.#blame("shutdown() threw", thrown));
    }
  }

  async consume(batch: Batch<S>, admission: Admission): Promise<void> {
    if (this.#isShutDown) throw new ConsumeError("refused", `${this.#name}: has been shut down`);
    await this.#run(batch, admission);
    if (batch.regroupRefused > 0) this.#regroupRefused.add(batch.regroupRefused);
    if (batch.itemCount === 0) return batch.release();
    return this.#place.next.consume(batch, admission);
  }

  async #run(batch: Batch<S>, admission: Admission): Promise<void> {
    let verb = "threw";
    try {
      const pending = this.#callTimed(batch);
      verb = "rejected with";
      if (pending !== undefined) await this.#untilDeadline(pending, admission);
    } catch (thrown) {
      throw this.#failure(verb, thrown);
    }
    if (this.#faults.ends()) this.#place.settings.logger.info(`${this.#name}: no batch has failed for a minute`);
  }

  /** Only the part up to the function's first await can be measured; what follows a wait is not told apart from waiting. */
  #callTimed(batch: Batch<S>): void | Promise<void> {
    const { clock } = this.#place.settings;
    const startMs = clock.monotonicMs();
    try {
      return runAs(this.#origin, () => this.#running.call(batch));
    } finally {
      this.#reportBlocking(clock.monotonicMs() - startMs, batch);
    }
  }

  /** A function that never comes back would hold its request, and its share of the doors' memory, for ever. */
  async #untilDeadline(pending: Promise<void>, admission: Admission): Promise<void> {
    const { clock } = this.#place.settings;
    const leftMs = admission.deadline - clock.nowMs();
    if (leftMs === Infinity) return pending;
    const late = Promise.withResolvers<never>();
    const timer = clock.after(leftMs, () => late.reject(this.#lateError()));
    try {
      await Promise.race([pending, late.promise]);
    } finally {
      timer.cancel();
    }
  }

  #lateError(): ConsumeError {
    const { shownFile } = this.#origin;
    const what = `${this.#place.signal}() was not done when the sender's time was up`;
    return new ConsumeError("retryable", `${this.#name}: ${what} (${shownFile}); bound what it waits for`);
  }

  #reportBlocking(durationMs: number, batch: Batch<S>): void {
    const { settings, signal } = this.#place;
    if (durationMs >= BLOCKING_MS) {
      if (!this.#blocking.begins("blocking")) return;
      settings.logger.warn(
        `${this.#name}: ${signal}() (${this.#origin.shownFile}) kept the gateway from doing anything else for ${Math.round(durationMs)} ms; split the work with await, or do less per batch`,
        { items: batch.itemCount },
      );
    } else if (this.#blocking.ends()) {
      settings.logger.info(`${this.#name}: ${signal}() has not blocked for a minute`);
    }
  }

  #failure(verb: string, thrown: unknown): ConsumeError {
    if (thrown instanceof ConsumeError) return thrown;
    const message = this.#blame(`${this.#place.signal}() ${verb}`, thrown);
    if (this.#faults.begins(faultLocation(this.#origin, thrown))) {
      this.#place.settings.logger.error(`${message}; this batch was answered with an error, others go on`);
    }
    return new ConsumeError("internal", message, { cause: thrown });
  }

  #blame(what: string, thrown: unknown): string {
    return `${this.#name}: ${what} ${describeThrown(thrown)} (${faultLocation(this.#origin, thrown)})`;
  }
}

function createEventCounter(settings: Settings, signal: Signal): (event: string, value?: number) => void {
  const counters = new Map<string, Counter>();
  const open = (event: string): Counter => {
    const labels = { processor: formatComponentId(settings.id), "otel.signal": signal, event };
    const description = "What the processor counted under names of its own.";
    const counter = settings.meter.counter("signalbox_processor_events", labels, { description });
    counters.set(event, counter);
    return counter;
  };
  return (event, value = 1) => {
    // A counter never goes back, and a NaN would stay in it for ever.
    if (!(value > 0 && Number.isFinite(value))) return;
    const name = counters.has(event) || counters.size < EVENTS_MAX ? event : "other";
    (counters.get(name) ?? open(name)).add(value);
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
