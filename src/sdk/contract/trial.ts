import assert from "node:assert/strict";
import type { Admission } from "../../core/admission.ts";
import { createBatch } from "../../core/batch.ts";
import { ClientMetadata, type Transport } from "../../core/client-metadata.ts";
import { systemClock, type Clock } from "../../core/clock.ts";
import { ConsumeError } from "../../core/errors.ts";
import type { Logger } from "../../core/logger.ts";
import type { Signal } from "../../core/signal.ts";
import type { DefinedProcessor } from "../define.ts";
import { ManualClock, settle } from "../manual-clock.ts";
import { openProcessor, type RunningProcessor } from "../runner.ts";
import { Activity } from "./activity.ts";
import { FlakyConsumer } from "./flaky-consumer.ts";

/** Real time for what a processor does outside of its clock, before that clock is moved on to its next timer. */
const REAL_WORK_MS = 50;

/** Real time in which what was closed has closed: sockets, processes and threads do so in their own. */
const CLOSING_MS = 1_000;

/** Real time for which everybody is watched after a shutdown; one that has left something open, until CLOSING_MS. */
const AFTERMATH_MS = 100;

export interface TrialSettings {
  /** As in the YAML; it goes through the schema. */
  readonly config: unknown;
  readonly client: Readonly<Record<string, string>>;
  readonly transport: Transport;
  /** Real time within which a function, a start, a shutdown must be done. */
  readonly patienceMs: number;
}

/**
 * One instance for each signal, with a rest of the pipeline behind them that a promise steers. Batches are run as
 * service/user-processor.ts runs them: the function, then the next consumer where something is left, then released.
 */
export class Trial implements AsyncDisposable {
  readonly clock = new ManualClock();
  readonly next = new FlakyConsumer();
  readonly processor: DefinedProcessor;
  /** What the function threw last, as it was. */
  thrown: unknown;
  /** Lines logged and events counted. */
  said = 0;
  /** What it does in the runtime beside its clock. */
  readonly activity = new Activity();
  #isOver = false;
  readonly #settings: TrialSettings;
  readonly #running: ReadonlyMap<Signal, RunningProcessor<Signal>>;
  readonly #counts = new Map<string, number>();
  readonly #strays: unknown[] = [];
  readonly #onStray = (thrown: unknown): void => void this.#strays.push(thrown);

  constructor(processor: DefinedProcessor, settings: TrialSettings) {
    this.processor = processor;
    this.#settings = settings;
    try {
      // Once for all signals, as the gateway does.
      const config: unknown = processor.config.parse(settings.config);
      this.#running = new Map(processor.signals.map((signal) => [signal, this.#open(signal, config)]));
    } catch (error) {
      this.#end();
      throw error;
    }
    process.on("unhandledRejection", this.#onStray);
  }

  static async start(processor: DefinedProcessor, settings: TrialSettings): Promise<Trial> {
    const trial = new Trial(processor, settings);
    try {
      for (const running of trial.#running.values()) await trial.#inTime(() => running.start(), "start()");
    } catch (error) {
      trial.#end();
      throw error;
    }
    return trial;
  }

  #open(signal: Signal, config: unknown): RunningProcessor<Signal> {
    const { processor, activity } = this;
    const say = (): void => {
      // Later than any check can wait; the test runner shows it as an error that nobody caught.
      if (this.#isOver) throw new Error(`${processor.type} counted or logged after its shutdown`);
      this.said += 1;
    };
    const logger: Logger = { debug: say, info: say, warn: say, error: say, with: () => logger };
    const clock = asPartOf(activity, this.clock);
    const count = (event: string, value = 1): void => {
      say();
      this.#counts.set(event, this.counted(event) + value);
    };
    const ctx = { id: processor.type, signal, config, logger, clock, count };
    return activity.run(() => openProcessor(processor, ctx));
  }

  counted(event: string): number {
    return this.#counts.get(event) ?? 0;
  }

  /** Rejects with ConsumeError: the pipeline's, or what the function threw made into one. */
  async deliver(signal: Signal, bytes: Uint8Array): Promise<void> {
    const client = clientOf(this.#settings);
    const batch = createBatch(signal, bytes, { client, arrivalUnixNano: this.clock.nowUnixNano() });
    try {
      await this.#call(this.#running.get(signal)!, signal, batch);
      if (batch.itemCount > 0) await this.next.for().consume(batch, admissionOf(client));
    } catch (thrown) {
      throw ConsumeError.from(thrown);
    } finally {
      batch.release();
    }
  }

  async #call(running: RunningProcessor<Signal>, signal: Signal, batch: ReturnType<typeof createBatch>): Promise<void> {
    try {
      await this.#inTime(() => running.call(batch), `${signal}()`);
    } catch (thrown) {
      this.thrown = thrown;
      throw thrown;
    }
  }

  /** What one request became, byte by byte; undefined where nothing was left of it. */
  async outputOf(signal: Signal, bytes: Uint8Array): Promise<Buffer | undefined> {
    const before = this.next.seen.length;
    await this.deliver(signal, bytes);
    return this.next.seen[before]?.bytes;
  }

  async shutdown(patience: AbortSignal = new AbortController().signal): Promise<void> {
    for (const running of this.#running.values()) {
      await this.#inTime(() => running.shutdown(patience), "shutdown()");
    }
  }

  /** Lets everything happen that is still to come. */
  async wait(durationMs: number): Promise<void> {
    await this.clock.advance(durationMs);
    await settle();
  }

  /** After shutdown(): what it left open once that had time to close. */
  async leftOpen(): Promise<readonly string[]> {
    await this.#realTime((elapsedMs) => elapsedMs >= CLOSING_MS || this.activity.open().length === 0);
    return this.activity.open();
  }

  /** After shutdown(): lets happen in real time what was not stopped. */
  async aftermath(): Promise<void> {
    await this.#realTime((elapsedMs) => elapsedMs >= (this.activity.open().length === 0 ? AFTERMATH_MS : CLOSING_MS));
  }

  /** Each turn is a setImmediate, which keeps a test runner's process alive where the work holds nothing open. */
  async #realTime(isDone: (elapsedMs: number) => boolean): Promise<void> {
    const startMs = systemClock.monotonicMs();
    while (!isDone(systemClock.monotonicMs() - startMs)) await settle();
  }

  async #inTime(act: () => void | Promise<void>, what: string): Promise<void> {
    const work = this.activity.run(act);
    if (work === undefined) return;
    let isSettled = false;
    const settled = (): void => void (isSettled = true);
    void Promise.resolve(work).then(settled, settled);
    await this.until(() => isSettled, `${what} was not done`);
    await work;
  }

  /** Waits in real time, and moves the processor's clock where only that can help. */
  async until(holds: () => boolean, problem: string): Promise<void> {
    const { patienceMs } = this.#settings;
    const startMs = systemClock.monotonicMs();
    // Each turn is a setImmediate, which keeps a test runner's process alive where the work holds nothing open.
    for (let elapsedMs = 0; !holds(); elapsedMs = systemClock.monotonicMs() - startMs) {
      assert.ok(elapsedMs <= patienceMs, `${problem} within ${patienceMs} ms`);
      if (elapsedMs > REAL_WORK_MS) await this.clock.advanceToNext();
      await settle();
    }
  }

  /** Throws with what was thrown where nobody could catch it. The instance is shut down whatever happened before. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.shutdown(AbortSignal.abort());
      await settle();
    } finally {
      this.#end();
    }
    assert.deepEqual(this.#strays, [], "something was thrown that nobody could catch");
  }

  #end(): void {
    this.#isOver = true;
    this.activity[Symbol.dispose]();
    process.off("unhandledRejection", this.#onStray);
  }
}

/** What follows from a timer of the processor's clock is the processor's doing too, whoever moves the clock. */
function asPartOf(activity: Activity, clock: Clock): Clock {
  return {
    nowMs: () => clock.nowMs(),
    nowUnixNano: () => clock.nowUnixNano(),
    monotonicMs: () => clock.monotonicMs(),
    after: (delayMs, callback) => clock.after(delayMs, () => activity.run(callback)),
  };
}

function clientOf({ client, transport }: TrialSettings): ClientMetadata {
  const headers = Object.entries(client).map(([name, value]) => [name.toLowerCase(), [value]] as const);
  return new ClientMetadata(transport, "127.0.0.1", new Map(headers));
}

/** The consumers behind a user's processor here look at no admission but its client. */
function admissionOf(client: ClientMetadata): Admission {
  return {
    client,
    deadline: Number.POSITIVE_INFINITY,
    signal: new AbortController().signal,
    enlist: doNothing,
    remember: () => ({ state: "new" }),
    attach: doNothing,
    commit: () => Promise.resolve(),
    discard: doNothing,
  };
}

function doNothing(): void {}
