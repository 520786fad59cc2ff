import { describe, expect, it } from "vitest";
import { createBatch, type Batch } from "../../src/core/batch.ts";
import { ClientMetadata } from "../../src/core/client-metadata.ts";
import { joinSlices } from "../../src/wire/otlp/payload.ts";
import { Double, type AttributeInput, type LogRecordView } from "../../src/wire/otlp/types.ts";
import { encodeReference } from "../wire/otlp/reference.ts";

const context = { client: ClientMetadata.internal, arrivalUnixNano: 0n };

const text = (key: string, stringValue: string): object => ({ key, value: { stringValue } });

function logsOf(...logRecords: readonly object[]): Batch<"logs"> {
  return createBatch("logs", encodeReference("logs", { resourceLogs: [{ scopeLogs: [{ logRecords }] }] }), context);
}

function reopen(batch: Batch<"logs">): LogRecordView[] {
  return [...createBatch("logs", joinSlices(batch.encode()), context).view];
}

function firstOf(batch: Batch<"logs">): LogRecordView {
  const [record] = [...batch.view];
  if (record === undefined) throw new Error("the batch has no record");
  return record;
}

describe("editing a batch", () => {
  it("tolerates dropping the current record, and every one", () => {
    const batch = logsOf(...Array.from({ length: 10 }, (_, severityNumber) => ({ severityNumber })));
    for (const record of batch.view) if (record.severityNumber % 3 !== 0) record.drop();
    expect(batch.itemCount).toBe(4);
    expect(Array.from(batch.view, ({ severityNumber }) => severityNumber)).toEqual([0, 3, 6, 9]);
    expect(reopen(batch).map(({ severityNumber }) => severityNumber)).toEqual([0, 3, 6, 9]);
    for (const record of batch.view) record.drop();
    expect([batch.itemCount, batch.encode().size, [...batch.view.resourceGroups()].length]).toEqual([0, 0, 0]);
  });

  it("tolerates deleting and adding attributes while they are iterated", () => {
    const batch = logsOf({ attributes: [text("a", "1"), text("b", "2"), text("c", "3")] });
    const { attributes } = firstOf(batch);
    const seen: string[] = [];
    for (const [key] of attributes) {
      seen.push(key);
      attributes.delete(key);
      attributes.set(`${key}${key}`, key);
    }
    expect(seen).toEqual(["a", "b", "c", "aa", "bb", "cc"]);
    expect([...attributes.keys()]).toEqual(["aaaa", "bbbb", "cccc"]);
  });

  it("shows an edit through every view of the same record", () => {
    const batch = logsOf({ body: { stringValue: "old" } });
    const [first, second] = [firstOf(batch), firstOf(batch)];
    expect(second.body).toBe("old");
    first.body = "new";
    first.attributes.set("k", "v");
    expect([second.body, second.attributes.get("k")]).toEqual(["new", "v"]);
  });

  it("rewrites and removes every occurrence of a key", () => {
    const batch = logsOf({ attributes: [text("k", "secret 1"), text("x", "y"), text("k", "secret 2")] });
    const { attributes } = firstOf(batch);
    expect([attributes.get("k"), attributes.size]).toEqual(["secret 1", 3]);
    attributes.set("k", "***");
    expect([...attributes]).toEqual([
      ["k", "***"],
      ["x", "y"],
    ]);
    expect(Buffer.from(joinSlices(batch.encode())).includes("secret")).toBe(false);
    attributes.delete("k");
    expect(reopen(batch)[0]?.attributes.size).toBe(1);
  });

  it("finds keys that are not UTF-8 under the text that they read as", () => {
    const bytes = Buffer.from(
      encodeReference("logs", {
        resourceLogs: [{ scopeLogs: [{ logRecords: [{ attributes: [text("a~", "secret")] }] }] }],
      }),
    );
    bytes[bytes.indexOf("~")] = 0xff;
    const batch = createBatch("logs", bytes, context);
    const { attributes } = firstOf(batch);
    const [key] = [...attributes.keys()];
    expect(key).toBe("a\ufffd");
    expect(attributes.delete("a\ufffd")).toBe(true);
    expect(Buffer.from(joinSlices(batch.encode())).includes("secret")).toBe(false);
  });

  it("writes ints, doubles and empty values as they were meant", () => {
    const batch = logsOf({});
    const { attributes } = firstOf(batch);
    const kinds: readonly (readonly [AttributeInput, string, unknown])[] = [
      [1, "int", 1],
      [new Double(1), "double", 1],
      [1.5, "double", 1.5],
      [2 ** 60, "double", 2 ** 60],
      [2n ** 60n, "int", 2n ** 60n],
      [5n, "int", 5],
      [null, "empty", null],
      [{ a: [true] }, "kvlist", new Map([["a", [true]]])],
      [new Uint8Array([1]), "bytes", new Uint8Array([1])],
    ];
    kinds.forEach(([value], index) => attributes.set(String(index), value));
    const read = reopen(batch)[0]!.attributes;
    expect(kinds.map((_, index) => read.kindOf(String(index)))).toEqual(kinds.map(([, kind]) => kind));
    expect(kinds.map((_, index) => read.get(String(index)))).toEqual(kinds.map(([, , value]) => value));
  });

  it("refuses what cannot be written, and leaves the batch as it was", () => {
    const batch = logsOf({ body: { stringValue: "old" } });
    const before = batch.encode();
    const record = firstOf(batch);
    const loop: AttributeInput[] = [];
    loop.push(loop);
    expect(() => record.attributes.set("k", 2n ** 63n)).toThrow(TypeError);
    expect(() => record.attributes.set("k", loop)).toThrow("nested too deeply, or contains itself");
    expect(() => record.attributes.set("k", { f: () => 1 } as object as AttributeInput)).toThrow(
      "a value of type function",
    );
    expect(() => (record.traceId = "abc")).toThrow('expected 32 hex digits or "", found "abc"');
    expect(() => (record.timeUnixNano = -1n)).toThrow(TypeError);
    expect(() => (record.severityNumber = 1.5)).toThrow(TypeError);
    expect(() => (record.flags = -1)).toThrow(TypeError);
    expect(() => Reflect.set(record, "severityText", 5)).toThrow("expected a string, found number");
    expect(batch.encode()).toBe(before);
  });

  it("may write one value while another is being written", () => {
    const batch = logsOf({});
    const { attributes } = firstOf(batch);
    const outer = {
      get inner(): string {
        attributes.set("other", "x".repeat(300));
        return "y";
      },
    };
    attributes.set("k", outer);
    expect([...reopen(batch)[0]!.attributes]).toEqual([
      ["other", "x".repeat(300)],
      ["k", new Map([["inner", "y"]])],
    ]);
  });

  it("keeps a value as it was when it was written", () => {
    const batch = logsOf({});
    const value = ["before"];
    firstOf(batch).attributes.set("k", value);
    value[0] = "after";
    expect(firstOf(batch).attributes.get("k")).toEqual(["before"]);
  });

  it("costs no more than linear time where every one of many attributes is read and edited", () => {
    const attributes = Array.from({ length: 20_000 }, (_, index) => text(`key ${index}`, "v"));
    const batch = logsOf({ attributes });
    const view = firstOf(batch).attributes;
    // Were each step a walk over all, this would be hundreds of millions of steps, and at the size of a real attack run into the test's timeout.
    for (const key of view.keys()) if (view.get(key) === "v") view.set(key, "w");
    for (const key of view.keys()) view.delete(key);
    expect(view.size).toBe(0);
  });

  it("never keeps a large request alive for a few bytes of it", () => {
    const batch = logsOf({ body: { stringValue: "x".repeat(1_000_000) } }, { body: { stringValue: "small" } });
    firstOf(batch).drop();
    for (const slice of batch.encode().slices) expect(slice.buffer.byteLength).toBeLessThan(4096);
  });

  it("references large untouched runs instead of copying them", () => {
    const batch = logsOf({ body: { stringValue: "x".repeat(1_000_000) } });
    firstOf(batch).resource.attributes.set("k", "v");
    const { slices, size } = batch.encode();
    expect(slices.length).toBeGreaterThan(1);
    expect(slices.reduce((sum, slice) => sum + slice.length, 0)).toBe(size);
    expect(reopen(batch)[0]?.resource.attributes.get("k")).toBe("v");
  });
});
