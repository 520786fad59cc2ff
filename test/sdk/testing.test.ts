import { defineProcessor, Double, z } from "signalbox/sdk";
import { attributesOf, runProcessor } from "signalbox/sdk/testing";
import { describe, expect, it } from "vitest";
import { DecodeError } from "../../src/wire/decode-error.ts";
import { TestClock } from "../support/test-clock.ts";

const nothing = (): void => undefined;
const untouched = defineProcessor({ type: "mine", logs: nothing, traces: nothing, metrics: nothing });
const LOGS = { resourceLogs: [{ scopeLogs: [{ logRecords: [{ body: { stringValue: "a" } }, { eventName: "b" }] }] }] };

describe("runProcessor", () => {
  it("gives back what it was given where nothing is edited, for each signal", async () => {
    const traces = {
      resourceSpans: [{ scopeSpans: [{ spans: [{ name: "s", traceId: "0af7651916cd43dd8448eb211c80319c" }] }] }],
    };
    const metrics = { resourceMetrics: [{ scopeMetrics: [{ metrics: [{ name: "m", sum: { isMonotonic: true } }] }] }] };
    expect(await runProcessor(untouched, { logs: LOGS })).toEqual(LOGS);
    expect(await runProcessor(untouched, { traces })).toEqual(traces);
    expect(await runProcessor(untouched, { metrics })).toEqual(metrics);
  });

  it("gives an empty request where everything was dropped", async () => {
    const all = defineProcessor({
      type: "mine",
      logs(batch) {
        for (const record of batch) record.drop();
      },
    });
    expect(await runProcessor(all, { logs: LOGS })).toEqual({});
  });

  it("hands over settings, headers, id, clock, logger and counts", async () => {
    const clock = new TestClock();
    const seen: unknown[] = [];
    const curious = defineProcessor({
      type: "mine",
      config: z.object({ limit: z.int().default(3), name: z.string() }),
      logs(_batch, ctx) {
        seen.push(ctx.config, ctx.client.first("x-a"), ctx.client.transport, ctx.id, ctx.clock.nowMs());
        ctx.count("twice", 2);
        ctx.count("once");
        ctx.logger.with({ a: 1 }).info("said to nobody");
      },
    });
    await runProcessor(curious, {
      config: { name: "n" },
      client: { "X-A": "7" },
      transport: "http",
      id: "mine/two",
      clock,
      count: (event, value) => void seen.push(`${event} ${value}`),
      logs: LOGS,
    });
    expect(seen).toEqual([{ limit: 3, name: "n" }, "7", "http", "mine/two", clock.nowMs(), "twice 2", "once 1"]);
  });

  it("starts and shuts down an instance of the create form, also when it fails", async () => {
    const calls: string[] = [];
    const failing = defineProcessor({
      type: "mine",
      signals: ["logs"],
      create: () => ({
        start: () => void calls.push("start"),
        logs: () => Promise.reject(new RangeError("mine")),
        shutdown: () => void calls.push("shutdown"),
      }),
    });
    await expect(runProcessor(failing, { logs: LOGS })).rejects.toThrow(new RangeError("mine"));
    expect(calls).toEqual(["start", "shutdown"]);
  });

  it("refuses input that is no OTLP, settings that the schema refuses, and a signal that is not there", async () => {
    await expect(runProcessor(untouched, { logs: { resourceLogs: 3 } as object })).rejects.toThrow(DecodeError);
    await expect(runProcessor(untouched, { logs: LOGS, config: { a: 1 } })).rejects.toThrow(
      'Unrecognized key: \\"a\\"',
    );
    await expect(runProcessor(untouched, { logs: LOGS, traces: {} } as { logs: object })).rejects.toThrow(
      "give one of",
    );
    const logsOnly = defineProcessor({ type: "mine", logs: nothing });
    await expect(runProcessor(logsOnly, { traces: {} })).rejects.toThrow("mine has no traces() function");
  });

  it("keeps a view from being used after the run", async () => {
    const kept: { eventName: string }[] = [];
    const keeping = defineProcessor({ type: "mine", logs: (batch) => void kept.push(...batch) });
    await runProcessor(keeping, { logs: LOGS });
    expect(() => kept[0]?.eventName).toThrow("copy what must outlive it");
  });
});

describe("attributesOf", () => {
  it("turns what a processor set into plain values", async () => {
    const setting = defineProcessor({
      type: "mine",
      logs(batch) {
        for (const { attributes } of batch) {
          attributes.set("text", "t");
          attributes.set("flag", false);
          attributes.set("int", 3);
          attributes.set("large", 2n ** 62n);
          attributes.set("double", new Double(1));
          attributes.set("list", [1, "a"]);
          attributes.set("map", { inner: null });
          attributes.set("bytes", new Uint8Array([1]));
        }
      },
    });
    const output = await runProcessor(setting, { logs: LOGS });
    expect(attributesOf(output.resourceLogs?.[0]?.scopeLogs?.[0]?.logRecords?.[0]?.attributes)).toEqual({
      text: "t",
      flag: false,
      int: 3,
      large: 2n ** 62n,
      double: 1,
      list: [1, "a"],
      map: { inner: null },
      bytes: "AQ==",
    });
  });
});
