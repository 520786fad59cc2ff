import { describe, expect, it } from "vitest";
import { createBatch, type Batch } from "../../../src/core/batch.ts";
import { ClientMetadata } from "../../../src/core/client-metadata.ts";
import { MESSAGE_DEPTH_MAX } from "../../../src/core/limits.ts";
import { SIGNALS, type Signal } from "../../../src/core/signal.ts";
import { DecodeError } from "../../../src/wire/decode-error.ts";
import { RECORD_COLUMNS } from "../../../src/wire/otlp/batch-index.ts";
import { scanRequest } from "../../../src/wire/otlp/scan.ts";
import { decodeNaive, type NaiveMessage } from "./naive.ts";
import { encodeReference, REQUESTS } from "./reference.ts";
import { snapshotOfNaive, snapshotOfView } from "./view-snapshot.ts";

const context = { client: ClientMetadata.internal, arrivalUnixNano: 0n };

/** A length-delimited field with a one-byte tag and length. */
function field(number: number, ...content: (number | readonly number[])[]): number[] {
  const bytes = content.flat();
  return [(number << 3) | 2, bytes.length, ...bytes];
}

/** A logs request with one record of these bytes. */
function logRecord(...content: (number | readonly number[])[]): Uint8Array {
  return Uint8Array.from(field(1, field(2, field(2, ...content))));
}

function errorOf(signal: Signal, bytes: Uint8Array): DecodeError {
  try {
    scanRequest(signal, bytes);
  } catch (thrown) {
    if (thrown instanceof DecodeError) return thrown;
    throw thrown;
  }
  throw new Error("the scan accepted the bytes");
}

const RECORD = "resourceLogs[0].scopeLogs[0].logRecords[0]";
const RECORD_PROTO = "otlp logs: resource_logs[0].scope_logs[0].log_records[0]";

describe("scanRequest", () => {
  it.each([
    [
      "a length past the end",
      [0x2a, 9, 1],
      `${RECORD}.body`,
      "body: length 9 runs past the end (offset 6, 1 bytes left)",
    ],
    ["a length cut off", [0x2a], `${RECORD}.body`, "body: the length is missing (offset 6)"],
    [
      "a wrong wire type",
      [0x10, 9, 0x28, 1],
      `${RECORD}.body`,
      "body: found varint, expected length-delimited (offset 8)",
    ],
    [
      "bytes where a number belongs",
      [0x12, 1, 9],
      `${RECORD}.severityNumber`,
      "severity_number: found length-delimited, expected varint (offset 6)",
    ],
    ["a start of a group", [0x2b], `${RECORD}.body`, "body: found group start, expected length-delimited (offset 6)"],
    ["an unknown group", [0xa3, 6, 0xa4, 6], `${RECORD}.field 100`, "field 100: group start is not allowed (offset 6)"],
    ["wire type 7", [0xa7, 6], `${RECORD}.field 100`, "field 100: wire type 7 is not allowed (offset 6)"],
    ["field number 0", [0x02, 0], `${RECORD}.field 0`, "field 0: field number 0 is not allowed (offset 6)"],
    ["a varint cut off", [0x10, 0x80], `${RECORD}.severityNumber`, "severity_number: the varint is cut off (offset 6)"],
    [
      "a varint of eleven bytes",
      [0x10, ...Array.from({ length: 10 }, () => 0x80), 1],
      `${RECORD}.severityNumber`,
      "severity_number: the varint is longer than 64 bits (offset 6)",
    ],
    [
      "a varint of 65 bits",
      [0x10, ...Array.from({ length: 9 }, () => 0xff), 2],
      `${RECORD}.severityNumber`,
      "severity_number: the varint is longer than 64 bits (offset 6)",
    ],
    [
      "a fixed64 cut off",
      [0x09, 1, 2],
      `${RECORD}.timeUnixNano`,
      "time_unix_nano: length 8 runs past the end (offset 6, 2 bytes left)",
    ],
    ["a fixed32 cut off", [0x45, 1], `${RECORD}.flags`, "flags: length 4 runs past the end (offset 6, 1 bytes left)"],
    [
      "a trace id of 3 bytes",
      [0x4a, 3, 1, 2, 3],
      `${RECORD}.traceId`,
      "trace_id: found 3 bytes, expected 16 (offset 6)",
    ],
    [
      "an unknown field past the end",
      [0xa2, 6, 5, 1],
      `${RECORD}.field 100`,
      "field 100: length 5 runs past the end (offset 6, 1 bytes left)",
    ],
    [
      "a field number above 2^29",
      [0x82, 0x80, 0x80, 0x80, 0x80, 1, 0],
      `${RECORD}.field 0`,
      "field 0: the field number is larger than 2^29 - 1 (offset 6)",
    ],
  ])("refuses %s, with the path and the offset", (_what, content, path, message) => {
    const error = errorOf("logs", logRecord(content));
    expect(error.message).toBe(`${RECORD_PROTO}.${message}`);
    expect(error.path).toBe(path);
    expect(error.offset).toBe(Number(/offset (\d+)/.exec(message)?.[1]));
  });

  it("looks into a text whose first byte of the length happens to fit the value", () => {
    // 131 bytes of AnyValue: tag 1 and a length of 0x81 0x7f, which is 16,257 and not 129.
    const value = [0x0a, 0x81, 0x7f, ...Array.from({ length: 128 }, () => 0x61)];
    const record = [0x2a, ...varint(value.length), ...value];
    const scope = [0x12, ...varint(record.length), ...record];
    const group = [0x12, ...varint(scope.length), ...scope];
    const error = errorOf("logs", Uint8Array.from([0x0a, ...varint(group.length), ...group]));
    expect(error.path).toBe(`${RECORD}.body.stringValue`);
  });

  it("names the element of a list that is wrong", () => {
    const good = field(6, field(1, 0x61));
    const bad = field(6, field(1, 0x61), 0x12, 0x7f);
    const error = errorOf("logs", logRecord(good, good, bad));
    expect(error.path).toBe(`${RECORD}.attributes[2].value`);
  });

  it("names the place in spans and metrics", () => {
    expect(errorOf("traces", Uint8Array.from(field(1, field(2, [0x12, 5])))).message).toBe(
      "otlp traces: resource_spans[0].scope_spans[0].spans[0]: length 5 runs past the end (offset 4, 0 bytes left)",
    );
    const packed = field(1, field(2, field(2, field(9, field(1, field(6, 1, 2, 3))))));
    expect(errorOf("metrics", Uint8Array.from(packed)).message).toBe(
      "otlp metrics: resource_metrics[0].scope_metrics[0].metrics[0].histogram.data_points[0].bucket_counts[0]: 3 packed bytes are no multiple of 8 (offset 10)",
    );
  });

  it("accepts an empty request", () => {
    for (const signal of SIGNALS) expect(scanRequest(signal, new Uint8Array(0)).index.itemCount).toBe(0);
  });

  it("counts data points, not metrics", () => {
    const points = [{ asInt: "1" }, { asInt: "2" }];
    const bytes = encodeReference("metrics", {
      resourceMetrics: [
        { scopeMetrics: [{ metrics: [{ gauge: { dataPoints: points } }, { sum: { dataPoints: points } }, {}] }] },
      ],
    });
    const { index } = scanRequest("metrics", bytes);
    expect([index.itemCount, index.recordCount]).toEqual([4, 3]);
  });

  it("keeps 12 bytes of index a record", () => {
    const logRecords = Array.from({ length: 5000 }, () => ({ severityNumber: 9 }));
    const { index } = scanRequest("logs", encodeReference("logs", { resourceLogs: [{ scopeLogs: [{ logRecords }] }] }));
    expect(index.recordCount).toBe(5000);
    expect(index.records.byteLength).toBe(5000 * 12);
    expect(RECORD_COLUMNS * 4).toBe(12);
  });

  it("accepts nesting to the limit and refuses one more", () => {
    // Request, two groups, record, AnyValue of the body: each array adds two messages, the last AnyValue may hold a string.
    const levelsLeft = MESSAGE_DEPTH_MAX - 5;
    const deep = (arrays: number, inner: object): object =>
      arrays === 0 ? inner : { arrayValue: { values: [deep(arrays - 1, inner)] } };
    const request = (inner: object): Uint8Array =>
      encodeReference("logs", {
        resourceLogs: [{ scopeLogs: [{ logRecords: [{ body: deep(Math.floor(levelsLeft / 2), inner) }] }] }],
      });
    const isOdd = levelsLeft % 2 === 1;
    const atLimit = isOdd ? { arrayValue: {} } : { stringValue: "deep" };
    const past = isOdd ? { arrayValue: { values: [{}] } } : { arrayValue: {} };
    expect(scanRequest("logs", request(atLimit)).index.itemCount).toBe(1);
    expect(() => scanRequest("logs", request(past))).toThrow(`nested deeper than ${MESSAGE_DEPTH_MAX} messages`);
    expect(errorOf("logs", request(past)).path).toContain(`${RECORD}.body.arrayValue.values[0]`);
  });

  it("accepts as many groups and messages as the limits say, and refuses one more", () => {
    const groups = Uint8Array.from(Array.from({ length: 10 }, () => field(1)).flat());
    expect(scanRequest("logs", groups, { groupsMax: 10, messagesMax: 10 }).index.resourceCount).toBe(10);
    expect(() => scanRequest("logs", groups, { groupsMax: 9 })).toThrow(
      "otlp logs: resource_logs[9]: more than 9 groups in one request; send less at once (offset 18)",
    );
    expect(() => scanRequest("logs", groups, { messagesMax: 9 })).toThrow("more messages than one request may hold");
  });

  it("refuses deep nesting without exhausting the stack", () => {
    let bytes = Buffer.alloc(0);
    // From the inside out: arrays in arrays, then the body of a record of a scope group of a resource group.
    const tags = [...Array.from({ length: 10_000 }, () => [0x0a, 0x2a]).flat(), 0x2a, 0x12, 0x12, 0x0a];
    for (const tag of tags) bytes = Buffer.concat([Buffer.from([tag, ...varint(bytes.length)]), bytes]);
    expect(() => scanRequest("logs", bytes)).toThrow(`nested deeper than ${MESSAGE_DEPTH_MAX} messages`);
  });
});

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}

const attributes = [
  { key: "job_id", value: { stringValue: "é" } },
  { key: "n", value: { arrayValue: { values: [{ intValue: "-1" }, { kvlistValue: { values: [{ key: "k" }] } }] } } },
];

const SAMPLES: Readonly<Record<Signal, object>> = {
  logs: {
    resourceLogs: [
      {
        resource: { attributes },
        schemaUrl: "u",
        scopeLogs: [
          {
            scope: { name: "s", attributes },
            logRecords: [
              {
                timeUnixNano: "5",
                severityNumber: 9,
                body: { stringValue: "b" },
                attributes,
                spanId: Buffer.alloc(8, 1),
              },
            ],
          },
        ],
      },
    ],
  },
  traces: {
    resourceSpans: [
      {
        resource: { droppedAttributesCount: 3 },
        scopeSpans: [
          {
            spans: [
              {
                name: "n",
                kind: 2,
                flags: 257,
                endTimeUnixNano: "7",
                attributes,
                events: [{ name: "e", timeUnixNano: "1" }],
                links: [{ traceState: "t", spanId: Buffer.alloc(8, 2) }],
                status: { code: 2, message: "m" },
              },
            ],
          },
        ],
      },
    ],
  },
  metrics: {
    resourceMetrics: [
      {
        scopeMetrics: [
          {
            metrics: [
              { name: "g", gauge: { dataPoints: [{ asDouble: 1.5, attributes: [attributes[0]] }] } },
              { sum: { isMonotonic: true, dataPoints: [{ asInt: "-3" }] } },
              {
                histogram: {
                  dataPoints: [{ count: "3", sum: 2, bucketCounts: ["1", "2"], explicitBounds: [0.5], min: 0 }],
                },
              },
              {
                exponentialHistogram: {
                  dataPoints: [{ scale: -2, positive: { offset: -1, bucketCounts: ["300", "1"] } }],
                },
              },
              { summary: { dataPoints: [{ quantileValues: [{ quantile: 0.5, value: 2 }] }] } },
            ],
          },
        ],
      },
    ],
  },
};

function open(signal: Signal, bytes: Uint8Array): Batch | DecodeError {
  try {
    return createBatch(signal, bytes, context);
  } catch (thrown) {
    if (thrown instanceof DecodeError) return thrown;
    throw thrown;
  }
}

/** Damaged bytes are either refused with a place, or read to the end as a full decode reads them: no crash, no silent zero. */
function check(signal: Signal, bytes: Uint8Array): "refused" | "read" {
  const opened = open(signal, bytes);
  if (opened instanceof DecodeError) {
    const namesPlace = /^otlp \w+: .*offset \d+/.test(opened.message) && opened.path !== "";
    if (!namesPlace || (opened.offset ?? Infinity) > bytes.length) throw opened;
    return "refused";
  }
  const naive: NaiveMessage = decodeNaive(REQUESTS[signal], bytes);
  expect(snapshotOfView(signal, opened.view)).toEqual(snapshotOfNaive(signal, naive));
  return "read";
}

describe.each(SIGNALS)("damaged %s", (signal) => {
  const sample = encodeReference(signal, SAMPLES[signal]);

  it("cut at any offset are refused with a place", () => {
    for (let size = 1; size < sample.length; size++) expect(check(signal, sample.slice(0, size))).toBe("refused");
  });

  it("with any bit flipped are refused with a place or read to the end", () => {
    const outcomes = { refused: 0, read: 0 };
    for (let bit = 0; bit < sample.length * 8; bit++) {
      const damaged = Uint8Array.from(sample);
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      outcomes[check(signal, damaged)]++;
    }
    expect(outcomes.refused).toBeGreaterThan(100);
    expect(outcomes.read).toBeGreaterThan(100);
  });
});
