import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { createBatch, type Batch } from "../../../src/core/batch.ts";
import { ClientMetadata } from "../../../src/core/client-metadata.ts";
import { isSignal, type Signal } from "../../../src/core/signal.ts";
import { DecodeError } from "../../../src/wire/decode-error.ts";
import { joinSlices } from "../../../src/wire/otlp/payload.ts";
import { decodeNaive } from "./naive.ts";
import { decodeReference, REQUESTS } from "./reference.ts";
import { snapshotOfNaive, snapshotOfView } from "./view-snapshot.ts";

const context = { client: ClientMetadata.internal, arrivalUnixNano: 0n };
const folder = new URL("../../testdata/otlp/", import.meta.url);
const fixtures = readdirSync(folder).filter((name) => name.endsWith(".bin"));

function signalOf(name: string): Signal {
  const signal = name.replace(".bin", "").split("-").at(-1) ?? "";
  if (!isSignal(signal)) throw new Error(`the fixture ${name} names no signal`);
  return signal;
}

function open<S extends Signal>(signal: S, name: string): Batch<S> {
  return createBatch(signal, readFileSync(new URL(name, folder)), context);
}

describe.each(fixtures)("%s", (name) => {
  const signal = signalOf(name);
  const bytes = readFileSync(new URL(name, folder));

  it("reads as a full decode reads it", () => {
    const batch = open(signal, name);
    expect(batch.itemCount).toBeGreaterThan(0);
    expect(snapshotOfView(signal, batch.view)).toEqual(snapshotOfNaive(signal, decodeNaive(REQUESTS[signal], bytes)));
  });

  it("leaves as it came, and edited decodes to the edit and nothing else", () => {
    const batch = open(signal, name);
    expect(Buffer.from(joinSlices(batch.encode()))).toEqual(bytes);
    for (const group of batch.view.resourceGroups()) group.resource.attributes.set("machine.id", "m1");
    const edited = joinSlices(batch.encode());
    for (const group of batch.view.resourceGroups()) group.resource.attributes.delete("machine.id");
    expect(decodeReference(signal, joinSlices(batch.encode()))).toEqual(decodeReference(signal, bytes));
    expect(JSON.stringify(decodeReference(signal, edited))).toContain(
      '"key":"machine.id","value":{"stringValue":"m1"}',
    );
  });

  it("cut at any offset but between two groups is refused with a place", () => {
    let boundaries = 0;
    for (let size = 1; size < bytes.length; size++) if (!isRefused(signal, bytes.subarray(0, size))) boundaries++;
    expect(boundaries).toBe([...open(signal, name).view.resourceGroups()].length - 1);
  });
});

function isRefused(signal: Signal, bytes: Uint8Array): boolean {
  try {
    createBatch(signal, bytes, context);
    return false;
  } catch (thrown) {
    if (!(thrown instanceof DecodeError)) throw thrown;
    return true;
  }
}

describe("a request of the Collector", () => {
  it("has its fields in descending order, and is read all the same", () => {
    const batch = open("logs", "collector-logs.bin");
    const bytes = readFileSync(new URL("collector-logs.bin", folder));
    // KeyValue { value: "first", key: "twice" }: tag 2 before tag 1.
    expect(bytes.includes(Buffer.from("\x12\x07\x0a\x05first\x0a\x05twice", "latin1"))).toBe(true);
    const [first, second] = [...batch.view];
    expect(first?.attributes.getMany(["twice", "i", "s", "m"])).toEqual([
      "first",
      9007199254740993n,
      "naïve ☃",
      new Map<string, unknown>([
        ["k", "v"],
        ["e", null],
      ]),
    ]);
    expect(first?.attributes.kindOf("d")).toBe("double");
    expect(first?.attributes.get("empty")).toBeNull();
    expect([first?.traceId, first?.spanId]).toEqual(["0123456789abcdef0123456789abcdef", "0123456789abcdef"]);
    expect([first?.severityNumber, first?.eventName, first?.timeUnixNano]).toEqual([
      17,
      "job.failed",
      1764000000000000001n,
    ]);
    expect(second?.body).toBeInstanceOf(Map);
  });

  it("has every type of metric", () => {
    const batch = open("metrics", "collector-metrics.bin");
    const metrics = [...batch.view];
    const types = ["gauge", "sum", "histogram", "exponential_histogram", "summary", "none"];
    expect(metrics.map(({ type }) => type)).toEqual(types);
    const points = metrics.flatMap((metric) => [...metric.dataPoints()]);
    expect(points.map(({ value }) => value)).toEqual([1.5, -9, 5, undefined, undefined, undefined]);
    expect(points[4]?.negative).toEqual({ offset: 4, bucketCounts: [5n] });
    expect(points[5]?.quantiles?.[1]).toEqual({ quantile: 0.99, value: 5 });
    expect(metrics[1]?.isMonotonic).toBe(true);
    expect(metrics[2]?.aggregationTemporality).toBe(1);
  });
});

describe("the Python SDK", () => {
  it.each(["python-sdk", "collector-python"])("has its resource on all signals (%s)", (writer) => {
    const groups = [
      ...open("logs", `${writer}-logs.bin`).view.resourceGroups(),
      ...open("traces", `${writer}-traces.bin`).view.resourceGroups(),
      ...open("metrics", `${writer}-metrics.bin`).view.resourceGroups(),
    ];
    expect(groups).toHaveLength(3);
    for (const { resource } of groups) {
      expect(resource.attributes.getMany(["machine_id", "worker_id", "ports", "ratio", "ok", "service.name"])).toEqual([
        "railway-abc123",
        "worker-001",
        [1, 2],
        0.5,
        true,
        "unknown_service:python",
      ]);
    }
  });

  it("has spans with events, links and a status", () => {
    const spans = [...open("traces", "python-sdk-traces.bin").view];
    const step = spans.find(({ name }) => name === "step");
    expect([step?.statusCode, step?.statusMessage]).toEqual([2, "failed"]);
    expect(Array.from(step?.events() ?? [], (event) => event.attributes.get("exception.message"))).toEqual(["naïve ☃"]);
    expect(Array.from(step?.links() ?? [], ({ spanId }) => spanId)).toEqual([
      spans.find(({ name }) => name === "job")?.spanId,
    ]);
  });
});
