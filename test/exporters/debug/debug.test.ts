import { readFileSync } from "node:fs";
import { Writable } from "node:stream";
import { describe, expect, test } from "vitest";
import type { z } from "zod";
import type { Exporter } from "../../../src/core/component.ts";
import { SENT_WHOLE } from "../../../src/core/sender.ts";
import { SIGNALS, type Signal } from "../../../src/core/signal.ts";
import { debugConfig } from "../../../src/exporters/debug/config.ts";
import { createDebugExporterFactory, debugExporterFactory } from "../../../src/exporters/debug/factory.ts";
import { formatFixed, formatGeneral, formatTime } from "../../../src/exporters/debug/go-format.ts";
import { StreamSink } from "../../../src/exporters/debug/text-sink.ts";
import { decodeJsonRequest } from "../../../src/wire/otlp/json-decode.ts";
import { TestClock } from "../../support/test-clock.ts";
import { type LoggedLine, NEVER, NO_HOST, outgoing, recordingLogger, testSettings } from "../test-exporter.ts";

/**
 * golden/<signal>.<verbosity>.txt is what a Collector v0.165.0 printed for golden/<signal>.json, sent to it over
 * OTLP/HTTP, with `use_internal_logger: false`.
 */
function golden(name: string): string {
  return readFileSync(new URL(`golden/${name}`, import.meta.url), "utf8");
}

const ITEM_COUNTS: Readonly<Record<Signal, number>> = { logs: 6, traces: 4, metrics: 9 };

function send(exporter: Exporter, signal: Signal): Promise<unknown> {
  const { bytes } = decodeJsonRequest(signal, golden(`${signal}.json`));
  // In two slices: what arrives is a list.
  return exporter.send(outgoing(signal, [bytes.subarray(0, 10), bytes.subarray(10)], ITEM_COUNTS[signal]), NEVER);
}

type Input = Partial<z.input<typeof debugConfig>>;

async function startExporter(
  config: Input,
  overrides: Parameters<typeof testSettings>[1] = {},
): Promise<{ exporter: Exporter; texts: string[]; opened: string[] }> {
  const texts: string[] = [];
  const opened: string[] = [];
  const factory = createDebugExporterFactory((path) => {
    opened.push(path);
    return { open: () => {}, write: (text) => void texts.push(text), close: () => {} };
  });
  const exporter = factory.create(testSettings("debug", overrides), debugConfig.parse(config));
  await exporter.start(NO_HOST);
  return { exporter, texts, opened };
}

/** Go's and V8's powers differ in the sixteenth digit, which only the bounds of exponential buckets show. */
function withoutLastDigits(text: string): string {
  return text.replaceAll(/\d\.\d{14,}/g, (digits) => Number(digits).toPrecision(14));
}

describe("what it prints", () => {
  test.each(
    SIGNALS.flatMap((signal) =>
      (["basic", "normal", "detailed"] as const).map((verbosity) => [signal, verbosity] as const),
    ),
  )("of %s with verbosity %s is what the Collector prints", async (signal, verbosity) => {
    const { exporter, texts } = await startExporter({ verbosity });
    expect(await send(exporter, signal)).toBe(SENT_WHOLE);
    expect(withoutLastDigits(texts.join(""))).toBe(withoutLastDigits(golden(`${signal}.${verbosity}.txt`)));
  });

  test("goes to stdout where nothing else is said, or to the named streams", async () => {
    expect((await startExporter({})).opened).toEqual(["stdout"]);
    expect((await startExporter({ output_paths: ["stderr", "stdout"] })).opened).toEqual(["stderr", "stdout"]);
  });

  test("goes to the gateway's own log where that is asked for", async () => {
    const lines: LoggedLine[] = [];
    const config = { verbosity: "normal", use_internal_logger: true } as const;
    const { exporter, opened } = await startExporter(config, { logger: recordingLogger(lines) });
    await send(exporter, "traces");
    expect(opened).toEqual([]);
    expect(lines.map(({ message }) => message.split("\n")[0])).toEqual([
      "Traces",
      "ResourceTraces #0 [https://s/1] service.name=w",
    ]);
    expect(lines[0]!.fields).toEqual({ "resource spans": 1, spans: 4 });
  });

  test("is nothing where the bytes are no request, and the batch is counted as failed", async () => {
    const { exporter, texts } = await startExporter({});
    const sent = exporter.send(outgoing("logs", [Buffer.from([0x0a, 0xff])]), NEVER);
    await expect(sent).rejects.toMatchObject({ name: "ConsumeError", kind: "permanent" });
    expect(texts).toEqual([]);
  });
});

async function shownOf(config: Input, count: number): Promise<number[]> {
  const clock = new TestClock();
  const { exporter, texts } = await startExporter(config, { clock });
  const perSecond: number[] = [];
  for (let second = 0; second < 2; second += 1) {
    texts.length = 0;
    for (let index = 0; index < count; index += 1) await send(exporter, "logs");
    perSecond.push(texts.length);
    await clock.advance(1000);
  }
  return perSecond;
}

describe("sampling", () => {
  test("shows everything where nothing else is said", async () => {
    expect(await shownOf({}, 20)).toEqual([20, 20]);
  });

  test("shows the first of each second, then every n-th", async () => {
    expect(await shownOf({ sampling_initial: 3, sampling_thereafter: 5 }, 20)).toEqual([6, 6]);
  });

  test("shows nothing after the first where thereafter is 0", async () => {
    expect(await shownOf({ sampling_initial: 3, sampling_thereafter: 0 }, 20)).toEqual([3, 3]);
  });

  test("counts each signal on its own", async () => {
    const { exporter, texts } = await startExporter(
      { sampling_initial: 1, sampling_thereafter: 0 },
      { clock: new TestClock() },
    );
    for (const signal of SIGNALS) await send(exporter, signal);
    expect(texts.length).toBe(3);
  });
});

describe("a stream that it writes to", () => {
  test("that takes nothing is not waited for: beyond a bound batches are not shown", () => {
    const stuck = new Writable({ write: () => {}, highWaterMark: 1 });
    const sink = new StreamSink("stdout", stuck);
    sink.open();
    sink.write("x".repeat(5 * 1024 * 1024));
    expect(() => sink.write("one more")).toThrow("not shown: stdout has not taken the last 4194304 bytes yet");
  });

  test("that broke fails batches and nothing else", async () => {
    const broken = new Writable({ write: (_chunk, _encoding, done) => done(new Error("EPIPE")) });
    const sink = new StreamSink("stdout", broken);
    sink.open();
    sink.write("first");
    await new Promise((resolve) => setImmediate(resolve));
    expect(() => sink.write("second")).toThrow("not shown: stdout: EPIPE");
  });

  test("is left without our listeners at shutdown", async () => {
    const before = process.stdout.listenerCount("error");
    const exporter = debugExporterFactory.create(testSettings("debug"), debugConfig.parse({}));
    await exporter.shutdown(NEVER);
    await exporter.start(NO_HOST);
    expect(process.stdout.listenerCount("error")).toBe(before + 1);
    await exporter.shutdown(NEVER);
    await exporter.shutdown(NEVER);
    expect(process.stdout.listenerCount("error")).toBe(before);
  });
});

describe("the configuration", () => {
  test("has the queue off, and no one waits for this destination", () => {
    expect(debugConfig.parse({}).sending_queue.enabled).toBe(false);
    expect(debugExporterFactory.delivery).toBe("best_effort");
  });

  test("refuses output_paths beside the internal logger, as the Collector does", () => {
    const result = debugConfig.safeParse({ use_internal_logger: true, output_paths: ["stderr"] });
    expect(result.error?.issues[0]?.message).toBe("output_paths is not supported when use_internal_logger is true");
  });
});

describe("numbers and times", () => {
  test.each([
    ["0", "1970-01-01 00:00:00 +0000 UTC"],
    ["1700000000123456789", "2023-11-14 22:13:20.123456789 +0000 UTC"],
    ["1700000000500000000", "2023-11-14 22:13:20.5 +0000 UTC"],
    ["1700000000000000001", "2023-11-14 22:13:20.000000001 +0000 UTC"],
  ])("%s ns are %s", (unixNano, expected) => {
    expect(formatTime(unixNano)).toBe(expected);
  });

  test.each([
    [0, "0.000000", "0"],
    [1.25, "1.250000", "1.25"],
    [-3, "-3.000000", "-3"],
    [1e-5, "0.000010", "1e-05"],
    [0.0001, "0.000100", "0.0001"],
    [1e20, "100000000000000000000.000000", "100000000000000000000"],
    [1e21, "1000000000000000000000.000000", "1e+21"],
    [1.5e300, `${BigInt(1.5e300)}.000000`, "1.5e+300"],
    [Number.NaN, "NaN", "NaN"],
    [Infinity, "+Inf", "+Inf"],
    [-Infinity, "-Inf", "-Inf"],
  ])("%d is %s with %%f and %s with %%v", (value, fixed, general) => {
    expect(formatFixed(value)).toBe(fixed);
    expect(formatGeneral(value)).toBe(general);
  });
});
