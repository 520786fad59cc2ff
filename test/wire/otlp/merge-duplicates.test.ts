import { describe, expect, it } from "vitest";
import { createBatch } from "../../../src/core/batch.ts";
import { ClientMetadata } from "../../../src/core/client-metadata.ts";
import { DecodeError } from "../../../src/wire/decode-error.ts";
import { joinSlices } from "../../../src/wire/otlp/payload.ts";
import type { LogRecordView, MetricView } from "../../../src/wire/otlp/types.ts";

const context = { client: ClientMetadata.internal, arrivalUnixNano: 0n };

function field(number: number, ...content: (string | Uint8Array)[]): Buffer {
  const bytes = Buffer.concat(content.map((part) => Buffer.from(part)));
  const size = bytes.length < 0x80 ? [bytes.length] : [(bytes.length & 0x7f) | 0x80, bytes.length >> 7];
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...size]), bytes]);
}

const text = (value: string): Buffer => field(1, value);

function openLog(...content: Uint8Array[]): {
  readonly record: LogRecordView;
  readonly merged: boolean;
  readonly bytes: Uint8Array;
} {
  const batch = createBatch("logs", field(1, field(2, field(2, ...content))), context);
  const [record] = [...batch.view];
  return { record: record!, merged: batch.merged, bytes: joinSlices(batch.encode()) };
}

describe("a message that stands twice", () => {
  it("is not noticed where it stands once", () => {
    expect(openLog(field(5, text("one"))).merged).toBe(false);
  });

  it("reads and leaves as one body, the last string of two", () => {
    const { record, merged, bytes } = openLog(field(5, text("secret")), field(5, text("shown")));
    expect([record.body, merged]).toEqual(["shown", true]);
    expect(Buffer.from(bytes).includes("secret")).toBe(false);
  });

  it("hides nothing from a redaction of body and values", () => {
    const pair = field(6, field(1, "k"), field(2, text("secret")), field(2, text("secret too")));
    const batch = createBatch(
      "logs",
      field(1, field(2, field(2, field(5, text("secret")), field(5, text("secret")), pair, pair))),
      context,
    );
    for (const record of batch.view) {
      record.body = "***";
      for (const [key] of record.attributes) record.attributes.set(key, "***");
    }
    expect(Buffer.from(joinSlices(batch.encode())).includes("secret")).toBe(false);
  });

  it("joins two arrays, and forgets an array before a string", () => {
    const array = (value: string): Buffer => field(5, field(1, text(value)));
    expect(openLog(field(5, array("a"), array("b"))).record.body).toEqual(["a", "b"]);
    expect(openLog(field(5, array("a"), text("s"), array("b"))).record.body).toEqual(["b"]);
    expect(openLog(field(5, array("a"), array("b"), text("s"))).record.body).toBe("s");
  });

  it("counts only the points of the metric's last data", () => {
    const gauge = field(5, field(1), field(1));
    const sum = field(7, field(1));
    const batch = createBatch("metrics", field(1, field(2, field(2, gauge, sum))), context);
    const [metric]: MetricView[] = [...batch.view];
    expect([batch.merged, batch.itemCount, metric?.type, [...(metric?.dataPoints() ?? [])].length]).toEqual([
      true,
      1,
      "sum",
      1,
    ]);
  });

  it("keeps unknown fields of both halves", () => {
    const { bytes } = openLog(field(5, text("a"), field(15, "left")), field(5, field(15, "right")));
    expect(Buffer.from(bytes).includes("left")).toBe(true);
    expect(Buffer.from(bytes).includes("right")).toBe(true);
  });

  it("is refused where it stands twice on so many levels that merging would copy the request over and over", () => {
    let value: Buffer = text("x".repeat(2000));
    for (let level = 0; level < 8; level++) value = Buffer.concat([field(5, field(1)), field(5, field(1, value))]);
    expect(() => openLog(field(5, value))).toThrow(DecodeError);
  });
});
