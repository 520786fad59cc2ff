import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Signal } from "../../../src/core/signal.ts";
import { LIST_PAIRS_MAX, REQUEST_ITEMS_MAX } from "../../../src/wire/limits.ts";
import { encodeJsonBytes, encodeJsonRequest } from "../../../src/wire/otlp/json-encode.ts";
import { scanAccepted, scanRequest } from "../../../src/wire/otlp/scan.ts";
import { fuzz } from "../../support/fuzz.ts";
import { encodeReference } from "./reference.ts";

function field(number: number, content: Uint8Array): Buffer {
  const length: number[] = [];
  let rest = content.length;
  for (; rest >= 128; rest = Math.floor(rest / 128)) length.push((rest % 128) | 0x80);
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length, rest]), content]);
}

const filled = (size: number, pattern: Uint8Array | readonly number[]): Buffer =>
  Buffer.alloc(size, Buffer.from(pattern));
const recordsOf = (record: Uint8Array, count: number): Buffer =>
  field(1, field(2, Buffer.alloc(record.length * count, record)));
const bodyOf = (text: Uint8Array): Buffer => field(1, field(2, field(2, field(5, field(1, text)))));

async function isAlike(signal: Signal, bytes: Uint8Array): Promise<boolean> {
  const inSlices = Buffer.from(await encodeJsonBytes(signal, bytes));
  return inSlices.equals(Buffer.from(encodeJsonRequest(signal, bytes)));
}

describe("JSON in slices", () => {
  it("is the JSON at once, for records, metrics and fields out of order beyond the size of a step", async () => {
    const attributes = Array.from({ length: 5_000 }, (_, at) => ({ key: `k${at}`, value: { intValue: String(at) } }));
    const point = { attributes: attributes.slice(0, 3), asDouble: 0.5, timeUnixNano: "7" };
    const metric = { name: "m", gauge: { dataPoints: Array.from({ length: 5_000 }, () => point) } };
    const logs = encodeReference("logs", {
      resourceLogs: [{ schemaUrl: "s", scopeLogs: [{ logRecords: [{ attributes, body: { stringValue: "x" } }, {}] }] }],
    });
    expect(await isAlike("logs", logs)).toBe(true);
    expect(
      await isAlike(
        "metrics",
        encodeReference("metrics", { resourceMetrics: [{ scopeMetrics: [{ metrics: [metric] }] }] }),
      ),
    ).toBe(true);
    const record = encodeReference("logs", {
      resourceLogs: [{ scopeLogs: [{ logRecords: [{ severityNumber: 9 }] }] }],
    });
    const split = Buffer.concat([recordsOf(record, 10), field(2, Buffer.from("x")), recordsOf(record, 9_000)]);
    expect(await isAlike("logs", split)).toBe(true);
  });

  it("is the JSON at once for long texts, cut or broken anywhere", async () => {
    const pieces = fc.constantFrom("é", "\u0000", '"', "a", "😀", "\\").map((text) => Buffer.from(text));
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 7 }).map((some) => Buffer.from(some));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(pieces, bytes), { minLength: 1, maxLength: 9 }), async (parts) => {
        expect(await isAlike("logs", bodyOf(filled(1_100_000, Buffer.concat(parts))))).toBe(true);
      }),
      fuzz(4),
    );
  });

  it("lets others run meanwhile", async () => {
    let turns = 0;
    let isWriting = true;
    const count = (): void => {
      turns += 1;
      if (isWriting) setImmediate(count);
    };
    setImmediate(count);
    await encodeJsonBytes("logs", bodyOf(filled(8_000_000, [1])));
    isWriting = false;
    expect(turns).toBeGreaterThan(4);
  });
});

describe("the bounds of the doors", () => {
  it("take as many records and attributes as they say, and not one more", () => {
    const { index } = scanRequest("logs", recordsOf(Buffer.from([0x12, 0]), REQUEST_ITEMS_MAX));
    expect(index.itemCount).toBe(REQUEST_ITEMS_MAX);
    expect(() => scanRequest("logs", recordsOf(Buffer.from([0x12, 0]), REQUEST_ITEMS_MAX + 1))).toThrow(
      `log_records[${REQUEST_ITEMS_MAX}]: more than ${REQUEST_ITEMS_MAX} records in one request; send less at once`,
    );
    const list = (count: number): Buffer => recordsOf(field(2, filled(count * 2, [0x32, 0])), 1);
    expect(scanRequest("logs", list(LIST_PAIRS_MAX)).index.itemCount).toBe(1);
    expect(() => scanRequest("logs", list(LIST_PAIRS_MAX + 1))).toThrow("attributes in one list; send less at once");
  });

  it("count data points", () => {
    const points = (count: number): Buffer => field(1, field(2, field(2, field(5, filled(count * 2, [0x0a, 0])))));
    expect(scanRequest("metrics", points(10), { itemsMax: 10 }).index.itemCount).toBe(10);
    expect(() => scanRequest("metrics", points(11), { itemsMax: 10 })).toThrow(
      "more than 10 data points in one request",
    );
  });

  it("are not put to what was accepted before: it is written as JSON whatever processors added", async () => {
    const records = REQUEST_ITEMS_MAX + 1;
    const bytes = recordsOf(Buffer.from([0x12, 0]), records);
    expect(scanAccepted("logs", bytes).index.itemCount).toBe(records);
    expect((await encodeJsonBytes("logs", bytes)).length).toBeGreaterThan(records * 3);
    // More messages than a request may hold: 2^23 values in one list.
    const values = field(1, field(2, field(2, field(5, field(5, filled(2 ** 24 + 2, [0x0a, 0]))))));
    expect(() => scanRequest("logs", values)).toThrow("more messages than one request may hold");
    expect(scanAccepted("logs", values).index.itemCount).toBe(1);
  });
});
