import { expect, it } from "vitest";
import { createBatch } from "../../src/core/batch.ts";
import { ClientMetadata } from "../../src/core/client-metadata.ts";
import type { Settings } from "../../src/core/component.ts";
import type { Consumer } from "../../src/core/consumer.ts";
import { ConsumeError } from "../../src/core/errors.ts";
import type { MetricLevel } from "../../src/core/meter.ts";
import { MetricsRegistry } from "../../src/service/metrics-registry.ts";
import type { HistogramValue } from "../../src/service/metrics-registry.ts";
import { ProcessorItems } from "../../src/service/processor-items.ts";
import { StageAdmission } from "../contract/stage.ts";
import { TestClock } from "../support/test-clock.ts";
import { RecordingLogger } from "../queue/support.ts";

class Bench {
  readonly clock = new TestClock();
  readonly registry: MetricsRegistry;
  readonly #items: ProcessorItems;

  constructor(level: MetricLevel) {
    this.registry = new MetricsRegistry(level);
    const id = { type: "under_test" };
    const settings: Settings = { id, logger: new RecordingLogger(), meter: this.registry, clock: this.clock };
    this.#items = new ProcessorItems(settings, "logs");
  }

  get durations(): HistogramValue | undefined {
    const family = this.registry.collect().find(({ name }) => name === "otelcol_processor_internal_duration");
    const value = family?.series[0]?.value;
    return typeof value === "object" ? value : undefined;
  }

  /** A consumer that takes its time, and then hands on. */
  async send(processor: (next: Consumer<"logs">) => Consumer<"logs">, behindMs: number): Promise<void> {
    const next = consumer(async () => this.clock.advance(behindMs));
    const whole = this.#items.before(processor(this.#items.behind(next)));
    const admission = new StageAdmission({ opener: "receiver otlp", client: ClientMetadata.internal, deadline: 0 });
    const context = { client: ClientMetadata.internal, arrivalUnixNano: 0n };
    await whole.consume(createBatch("logs", new Uint8Array(0), context), admission);
  }
}

function consumer(consume: Consumer<"logs">["consume"]): Consumer<"logs"> {
  return { mutatesData: false, consume };
}

it("times a processor from a batch's arrival until it is handed on, without what comes behind", async () => {
  const bench = new Bench("detailed");
  const slow = (next: Consumer<"logs">): Consumer<"logs"> =>
    consumer(async (batch, admission) => {
      await bench.clock.advance(30);
      await next.consume(batch, admission);
    });
  await bench.send(slow, 5000);
  expect(bench.durations).toMatchObject({ count: 1, sum: 0.03 });
});

it("times a processor that hands on nothing, or fails, until it ends", async () => {
  const bench = new Bench("detailed");
  const silent = (): Consumer<"logs"> => consumer(async () => bench.clock.advance(20));
  const failing = (): Consumer<"logs"> =>
    consumer(async () => {
      await bench.clock.advance(40);
      throw new ConsumeError("permanent", "no");
    });
  await bench.send(silent, 5000);
  await expect(bench.send(failing, 5000)).rejects.toThrow("no");
  expect(bench.durations).toMatchObject({ count: 2, sum: 0.06 });
});

it("reads no clock below level detailed", async () => {
  const bench = new Bench("normal");
  bench.clock.monotonicMs = () => expect.fail("the clock was read");
  await bench.send((next) => next, 0);
  expect(bench.durations).toBeUndefined();
  expect(bench.registry.collect().map(({ name }) => name)).toEqual([
    "otelcol_processor_incoming_items",
    "otelcol_processor_outgoing_items",
  ]);
});
