import { fileURLToPath } from "node:url";
import { defineProcessor, z, type DefinedProcessor, type ProcessorInstance } from "signalbox/sdk";
import { beforeEach, describe, expect, it } from "vitest";
import type { Admission } from "../../src/core/admission.ts";
import type { Batch } from "../../src/core/batch.ts";
import type { Host, Processor } from "../../src/core/component.ts";
import { ClientMetadata } from "../../src/core/client-metadata.ts";
import { ConsumeError } from "../../src/core/errors.ts";
import type { Logger } from "../../src/core/logger.ts";
import { MetricsRegistry } from "../../src/service/metrics-registry.ts";
import { findProcessorAtFault } from "../../src/service/processor-fault.ts";
import { createUserProcessorFactory } from "../../src/service/user-processor.ts";
import { settle, TestClock } from "../support/test-clock.ts";

const ORIGIN = {
  type: "mine",
  file: fileURLToPath(import.meta.url),
  shownFile: "service/user-processor.test.ts",
};

let clock: TestClock;
let meter: MetricsRegistry;
let lines: string[];
let passedOn: Batch[];

beforeEach(() => {
  clock = new TestClock();
  meter = new MetricsRegistry();
  lines = [];
  passedOn = [];
});

const logger: Logger = {
  debug: () => undefined,
  info: (message) => void lines.push(`info ${message}`),
  warn: (message) => void lines.push(`warn ${message}`),
  error: (message) => void lines.push(`error ${message}`),
  with: () => logger,
};

function open(definition: DefinedProcessor, config: unknown = {}): Processor<"logs"> {
  const next = { mutatesData: false, consume: async (batch: Batch<"logs">) => void passedOn.push(batch) };
  const settings = { id: { type: "mine", name: "two" }, logger, meter, clock };
  return createUserProcessorFactory(definition, ORIGIN).create("logs", settings, definition.config.parse(config), next);
}

/** As much of a batch as the adapter itself touches; the views have their own tests. */
class CountedBatch {
  readonly signal = "logs";
  readonly context = { client: new ClientMetadata("grpc", "", new Map([["x-id", ["7"]]])), arrivalUnixNano: 5n };
  isReleased = false;
  regroupRefused = 0;
  itemCount: number;
  constructor(itemCount: number) {
    this.itemCount = itemCount;
  }
  get view(): this {
    return this;
  }
  release(): void {
    this.isReleased = true;
  }
}

function consume(processor: Processor<"logs">, batch = new CountedBatch(3), deadline = Infinity): Promise<void> {
  return processor.consume(batch as never, { deadline } as Admission);
}

const rejection = (promise: Promise<void>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

const dropTo = (itemCount: number) =>
  defineProcessor({
    type: "mine",
    logs: (batch) => void Object.assign(batch, { itemCount }),
  });

const value = (event: string): number | undefined =>
  meter.value("signalbox_processor_events", { processor: "mine/two", "otel.signal": "logs", event });

const throwing = () =>
  defineProcessor({
    type: "mine",
    logs() {
      throw new TypeError("no such\n  thing");
    },
  });

const failing = (name: string) => () => {
  throw new Error(name);
};

describe("a user's processor in a pipeline", () => {
  it("edits and passes on", async () => {
    await consume(open(dropTo(2)));
    expect(passedOn).toHaveLength(1);
  });

  it("counts the records that it could not move to their resource", async () => {
    const definition = defineProcessor({
      type: "mine",
      logs: (batch) => void Object.assign(batch, { regroupRefused: 4 }),
    });
    await consume(open(definition));
    const labels = { processor: "mine/two", "otel.signal": "logs" };
    expect(meter.value("signalbox_processor_regroup_refused_records", labels)).toBe(4);
  });

  it("does not pass on a batch of which nothing is left", async () => {
    const batch = new CountedBatch(3);
    await consume(open(dropTo(0)), batch);
    expect(passedOn).toEqual([]);
    expect(batch.isReleased).toBe(true);
  });

  it("is told its id, its signal, its settings, the sender and the time", async () => {
    const seen: unknown[] = [];
    const config = z.object({ limit: z.int().default(3) });
    const definition = defineProcessor({
      type: "mine",
      config,
      logs: (_batch, ctx) =>
        void seen.push(
          ctx.id,
          ctx.signal,
          ctx.config.limit,
          ctx.client.first("X-Id"),
          ctx.arrivalUnixNano,
          ctx.clock.nowMs(),
        ),
    });
    await consume(open(definition));
    expect(seen).toEqual(["mine/two", "logs", 3, "7", 5n, clock.nowMs()]);
  });

  it("counts under the user's own names, and no more than a hundred of them", async () => {
    const definition = defineProcessor({
      type: "mine",
      logs(_batch, ctx) {
        ctx.count("moved");
        ctx.count("moved", 2);
        for (const nonsense of [-1, 0, Number.NaN, Infinity]) ctx.count("moved", nonsense);
        for (let index = 0; index < 150; index++) ctx.count(`job-${index}`);
      },
    });
    await consume(open(definition));
    expect(value("moved")).toBe(3);
    expect(value("job-98")).toBe(1);
    expect(value("job-99")).toBeUndefined();
    expect(value("other")).toBe(51);
  });
});

describe("a user's mistake", () => {
  it("costs the batch an internal error that names the line, and the next batch goes on", async () => {
    let calls = 0;
    const definition = defineProcessor({
      type: "mine",
      logs() {
        if (calls++ === 0) throw new TypeError("no such thing");
      },
    });
    const processor = open(definition);
    const error = await rejection(consume(processor));
    expect(error).toBeInstanceOf(ConsumeError);
    expect(error).toMatchObject({
      kind: "internal",
      message: expect.stringMatching(
        /^processors\.mine\/two: logs\(\) threw TypeError: no such thing \(service\/user-processor\.test\.ts:\d+\)$/,
      ),
    });
    await consume(processor);
    expect(passedOn).toHaveLength(1);
  });

  it("in a promise is told as a rejection", async () => {
    const definition = defineProcessor({ type: "mine", logs: () => Promise.reject(new Error("later")) });
    expect(await rejection(consume(open(definition)))).toMatchObject({
      message: expect.stringContaining("logs() rejected with Error: later (service/"),
    });
  });

  it("that throws no Error is told all the same", async () => {
    for (const [thrown, shown] of [
      ["text", "string text"],
      [undefined, "undefined undefined"],
      [Object.create(null), "object (that cannot be shown)"],
    ] as const) {
      const definition = defineProcessor({ type: "mine", logs: () => Promise.reject(thrown as Error) });
      expect(await rejection(consume(open(definition)))).toMatchObject({
        message: `processors.mine/two: logs() rejected with ${shown} (service/user-processor.test.ts)`,
      });
    }
  });

  it("is logged once until a minute has passed without it", async () => {
    const processor = open(throwing());
    for (let time = 0; time < 5; time++) await rejection(consume(processor));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(
      /^error processors\.mine\/two: logs\(\) threw TypeError: no such thing \(.*:\d+\); this batch was answered/,
    );
  });

  it("that has ended is said once, and a new one is news", async () => {
    let isBroken = true;
    const definition = defineProcessor({
      type: "mine",
      logs() {
        if (isBroken) throw new Error("broken");
      },
    });
    const processor = open(definition);
    await rejection(consume(processor));
    isBroken = false;
    await consume(processor);
    await clock.advance(60_000);
    for (let time = 0; time < 3; time++) await consume(processor);
    isBroken = true;
    await rejection(consume(processor));
    expect(lines.map((line) => line.slice(0, 60))).toEqual([
      expect.stringMatching(/^error /),
      "info processors.mine/two: no batch has failed for a minute",
      expect.stringMatching(/^error /),
    ]);
  });

  it("of never coming back is answered when the sender's time is up", async () => {
    const stuck = defineProcessor({ type: "mine", logs: () => new Promise(() => undefined) });
    const answer = rejection(consume(open(stuck), new CountedBatch(1), clock.nowMs() + 5_000));
    await clock.advance(5_000);
    expect(await answer).toMatchObject({
      kind: "retryable",
      message: expect.stringContaining("was not done when the sender's time was up"),
    });
    expect(clock.timerCount).toBe(0);
  });

  it("of blocking the loop for a second is named once, and its end is said", async () => {
    let blockMs = 1_500;
    const definition = defineProcessor({
      type: "mine",
      logs: () => undefined,
    });
    const processor = open(definition);
    const monotonicMs = clock.monotonicMs.bind(clock);
    let readings = 0;
    // Every second reading is the one after the call.
    clock.monotonicMs = () => monotonicMs() + (readings++ % 2 === 1 ? blockMs : 0);
    await consume(processor);
    readings = 0;
    await consume(processor);
    expect(lines).toEqual([
      "warn processors.mine/two: logs() (service/user-processor.test.ts) kept the gateway from doing anything else for 1500 ms; split the work with await, or do less per batch",
    ]);
    blockMs = 0;
    await clock.advance(62_000);
    readings = 0;
    await consume(processor);
    expect(lines[1]).toBe("info processors.mine/two: logs() has not blocked for a minute");
  });
});

describe("the life of a user's processor", () => {
  const calls: string[] = [];
  const living = (instance: Partial<ProcessorInstance>) =>
    defineProcessor({
      type: "mine",
      signals: ["logs"],
      create: () => ({ logs: () => void calls.push("logs"), ...instance }),
    });
  const host = {} as Host;
  beforeEach(() => void calls.splice(0));

  it("is start, batches, shutdown; shutdown is idempotent, and nothing is taken after it", async () => {
    const processor = open(
      living({ start: () => void calls.push("start"), shutdown: () => void calls.push("shutdown") }),
    );
    await processor.start(host);
    await consume(processor);
    await processor.shutdown(AbortSignal.abort());
    await processor.shutdown(AbortSignal.abort());
    expect(calls).toEqual(["start", "logs", "shutdown"]);
    expect(await rejection(consume(processor))).toMatchObject({ kind: "refused" });
  });

  it("may end before it began", async () => {
    await open(living({ shutdown: () => void calls.push("shutdown") })).shutdown(AbortSignal.abort());
    expect(calls).toEqual([]);
  });

  it("ends when patience does, whatever its shutdown waits for", async () => {
    const processor = open(living({ shutdown: () => new Promise(() => undefined) }));
    await processor.start(host);
    const patience = new AbortController();
    const done = processor.shutdown(patience.signal);
    await settle();
    patience.abort();
    expect(await done).toBeUndefined();
  });

  it("says which line stopped the start, or went wrong at the end", async () => {
    await expect(open(living({ start: failing("no disk") })).start(host)).rejects.toThrow(
      /^processors\.mine\/two: start\(\) threw Error: no disk \(service\/user-processor\.test\.ts:\d+\)$/,
    );
    const processor = open(living({ shutdown: failing("no end") }));
    await processor.start(host);
    await processor.shutdown(new AbortController().signal);
    expect(lines[0]).toContain("error processors.mine/two: shutdown() threw Error: no end (service/");
    const broken = defineProcessor({ type: "mine", create: failing("no state") });
    expect(() => open(broken)).toThrow(/^processors\.mine\/two: create\(\) threw Error: no state \(service\//);
  });
});

describe("findProcessorAtFault", () => {
  it("knows nothing of an error that no processor's line is in, or that is no Error", () => {
    const elsewhere = { ...ORIGIN, file: "/elsewhere/mine.ts" };
    expect(findProcessorAtFault(new Error("ours"), [elsewhere])).toBeUndefined();
    expect(findProcessorAtFault("text", [ORIGIN])).toBeUndefined();
    expect(findProcessorAtFault(new Error("theirs"), [elsewhere, ORIGIN])?.type).toBe("mine");
  });
});
