/** `contractOf` over a processor that keeps every promise, and over one for each promise that breaks it. */
import { defineProcessor, z, type DefinedProcessor, type LogRecordView, type LogsBatch } from "signalbox/sdk";
import { contractOf, type ContractSettings } from "signalbox/sdk/testing";
import { describe, expect, test } from "vitest";
import { createBatch } from "../../src/core/batch.ts";
import { ClientMetadata } from "../../src/core/client-metadata.ts";
import { SIGNALS } from "../../src/core/signal.ts";
import { PROMISES } from "../../src/sdk/contract/promises.ts";
import { randomRequest } from "../../src/sdk/contract/random-request.ts";
import { quietHealthChecks } from "../testdata/processors/quiet_health_checks.ts";

const REQUEST = {
  logs: {
    resourceLogs: [
      {
        scopeLogs: [
          {
            logRecords: [{ body: { stringValue: "one" } }, { body: { stringValue: "two" } }],
          },
        ],
      },
    ],
  },
} as const;

const careful = defineProcessor({
  type: "careful",
  config: z.object({ value: z.string().default("yes") }),
  create(ctx) {
    let ticking = ctx.clock.after(0, () => undefined);
    ticking.cancel();
    const tick = (): void => void (ticking = ctx.clock.after(1_000, tick));
    return {
      start: tick,
      shutdown: () => ticking.cancel(),
      async logs(batch) {
        // On its own clock, which the contract moves where nothing else happens.
        const waits = [...batch].some(({ body }) => body === "one");
        if (waits) await new Promise<void>((resolve) => void ctx.clock.after(5_000, resolve));
        for (const record of batch) record.attributes.set("careful", ctx.config.value);
      },
      traces: () => undefined,
      metrics: () => undefined,
    };
  },
});

describe("a processor that keeps every promise", () => {
  test.for(contractOf(careful, { requests: [REQUEST], idempotent: true }))("$name", ({ check }) =>
    expect(check()).resolves.toBeUndefined(),
  );
});

describe("a processor that drops, and counts it", () => {
  const settings = { drops: "health_check", idempotent: true } as const;
  test.for(contractOf(quietHealthChecks, settings))("$name", ({ check }) => expect(check()).resolves.toBeUndefined());
});

describe("a processor that throws on purpose", () => {
  const strict = defineProcessor({
    type: "strict",
    logs(batch) {
      if ([...batch].length !== 2) throw new RangeError("not two records");
    },
  });
  const settings = { throws: true, mutatesData: false, requests: [REQUEST] };
  test.for(contractOf(strict, settings))("$name", ({ check }) => expect(check()).resolves.toBeUndefined());
});

type Logs = (batch: LogsBatch) => void | Promise<void>;
interface Fault {
  readonly processor: DefinedProcessor;
  readonly settings?: ContractSettings;
  readonly found: RegExp;
}

const onLogs = (logs: Logs): DefinedProcessor => defineProcessor({ type: "faulty", logs });

function onEach(edit: (record: LogRecordView) => void): DefinedProcessor {
  return onLogs((batch) => {
    for (const record of batch) edit(record);
  });
}

const FAULTS: Readonly<Record<string, Fault>> = {
  "takes its configuration, and leaves it as it was written": {
    processor: defineProcessor({ type: "faulty", config: z.object({ path: z.string() }), logs: () => undefined }),
    found: /path/,
  },
  "is created without side effects, and shut down without a start, twice": {
    processor: defineProcessor({
      type: "faulty",
      signals: ["logs"],
      create(ctx) {
        const timer = ctx.clock.after(1_000, () => undefined);
        return { logs: () => undefined, shutdown: () => timer.cancel() };
      },
    }),
    found: /create\(\) set a timer/,
  },
  "is shut down twice, and leaves no timer, connection, file, process or thread behind": {
    processor: defineProcessor({
      type: "faulty",
      signals: ["logs"],
      create: (ctx) => ({ logs: () => undefined, start: () => void ctx.clock.after(1_000, () => undefined) }),
    }),
    found: /timers left/,
  },
  "ends its shutdown soon where there is no patience left": {
    processor: defineProcessor({
      type: "faulty",
      signals: ["logs"],
      create: () => ({ logs: () => undefined, shutdown: () => new Promise(() => undefined) }),
    }),
    settings: { patienceMs: 100 },
    found: /shutdown\(\) was not done within 100 ms/,
  },
  "does, counts and logs nothing after its shutdown": {
    processor: defineProcessor({
      type: "faulty",
      signals: ["logs"],
      create: (ctx) => ({
        logs: () => undefined,
        shutdown: () => void ctx.clock.after(1_000, () => ctx.count("late")),
      }),
    }),
    found: /counted or logged/,
  },
  "takes an empty request": {
    processor: onLogs((batch) => void [...batch][0]!.body),
    found: /^logs: .*undefined/,
  },
  "takes every valid request, also with fields that stand twice or are not known": {
    processor: onEach((record) => void record.attributes.getString("a")!.length),
    found: /^logs request \d+: .*undefined/,
  },
  "hands on every record": {
    processor: onEach((record) => record.drop()),
    found: /records are missing/,
  },
  "counts each record that it drops": {
    processor: defineProcessor({
      type: "faulty",
      logs(batch, ctx) {
        for (const record of batch) record.drop();
        ctx.count("gone");
      },
    }),
    settings: { drops: "gone" },
    found: /counted as "gone"/,
  },
  "edits nothing": {
    processor: onEach((record) => record.attributes.set("edited", true)),
    settings: { mutatesData: false },
    found: /it edits/,
  },
  "settles every request as the rest of the pipeline does, and fails with an Error where it fails": {
    // oxlint-disable-next-line typescript/prefer-promise-reject-errors -- what a careless processor does
    processor: onLogs(() => Promise.reject("no Error")),
    settings: { throws: true },
    found: /threw no Error/,
  },
  "treats a request that was refused, and comes again, as if it came first": {
    processor: defineProcessor({
      type: "faulty",
      signals: ["logs"],
      create() {
        const seen = new Set<string>();
        return {
          logs(batch) {
            for (const record of batch) {
              const key = typeof record.body === "string" ? record.body : "";
              if (seen.has(key)) record.drop();
              seen.add(key);
            }
          },
        };
      },
    }),
    settings: { drops: true },
    found: /^logs request \d+/,
  },
  "keeps requests apart that it has at the same time, and hands on while another waits": {
    processor: defineProcessor({
      type: "faulty",
      signals: ["logs"],
      create() {
        let current: LogsBatch | undefined;
        return {
          async logs(batch) {
            current = batch;
            await Promise.resolve();
            for (const record of current) record.attributes.set("edited", true);
          },
        };
      },
    }),
    found: /logs|beside others/,
  },
  "uses no view once its request was handed on": {
    processor: defineProcessor({
      type: "faulty",
      logs(batch, ctx) {
        ctx.clock.after(1_000, () => void [...batch].length);
      },
    }),
    found: /handed on or answered/,
  },
  "does the same with the same request, in another instance too": {
    processor: defineProcessor({
      type: "faulty",
      signals: ["logs"],
      create() {
        let count = 0;
        return {
          logs(batch) {
            for (const record of batch) record.attributes.set("count", (count += 1));
          },
        };
      },
    }),
    found: /the second time/,
  },
  "leaves what it made as it is, when it comes again": {
    processor: onEach((record) => record.attributes.set("a", `${record.attributes.getString("a") ?? ""}+`)),
    settings: { idempotent: true },
    found: /^logs request \d+/,
  },
};

describe("a processor that breaks a promise", () => {
  test("there is one for each promise", () => {
    expect(Object.keys(FAULTS).toSorted()).toEqual(PROMISES.map(({ name }) => name).toSorted());
  });

  for (const [name, { processor, settings, found }] of Object.entries(FAULTS)) {
    test(`is found: ${name}`, async () => {
      const checks = contractOf(processor, { requests: [REQUEST], ...settings });
      await expect(checks.find((check) => check.name === name)!.check()).rejects.toThrow(found);
    });
  }

  test("is found where nobody awaits what it does with a view", async () => {
    const hasty = onLogs((batch) => {
      void Promise.resolve()
        .then(() => new Promise((resolve) => void setImmediate(resolve)))
        .then(() => [...batch].length);
    });
    const checks = contractOf(hasty);
    const check = checks.find(({ name }) => name === "uses no view once its request was handed on")!;
    await expect(check.check()).rejects.toThrow(/nobody could catch/);
  });

  test("is found where its function never ends, and the wait is bounded", async () => {
    const [endless] = contractOf(
      onLogs(() => new Promise(() => undefined)),
      { patienceMs: 100 },
    ).filter(({ name }) => name === "takes an empty request");
    await expect(endless!.check()).rejects.toThrow("logs() was not done within 100 ms");
  });
});

describe("contractOf", () => {
  test("refuses what is no processor, and a request that the processor does not take", () => {
    expect(() => contractOf({} as DefinedProcessor)).toThrow("write contractOf(myProcessor)");
    const traces = { resourceSpans: [] };
    expect(() =>
      contractOf(
        onLogs(() => undefined),
        { requests: [{ traces }] },
      ),
    ).toThrow("faulty has no traces()");
  });
});

describe("the random requests", () => {
  test.each(SIGNALS)("of %s have items, doubled messages and unknown fields", (signal) => {
    const made = Array.from({ length: 20 }, (_, seed) => randomRequest(signal, seed));
    const batches = made.map((bytes) =>
      createBatch(signal, bytes, { client: ClientMetadata.internal, arrivalUnixNano: 0n }),
    );
    expect(batches.filter(({ itemCount }) => itemCount > 0).length).toBeGreaterThan(10);
    expect(batches.some(({ merged }) => merged)).toBe(true);
    expect(made.some((bytes) => Buffer.from(bytes).includes("unknown"))).toBe(true);
  });
});
