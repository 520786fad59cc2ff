import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createBatch } from "../../../src/core/batch.ts";
import { ClientMetadata } from "../../../src/core/client-metadata.ts";
import { decodeJsonRequest } from "../../../src/wire/otlp/json-decode.ts";
import type { Attributes } from "../../../src/wire/otlp/types.ts";
import { fuzz } from "../../support/fuzz.ts";

// Keys of equal and of different lengths, one beyond ASCII, and one that bytes which are no UTF-8 read as.
const key = fc.constantFrom("a", "b", "ab", "job.id", "job_id", "jobId", "\u00e9", "\ufffd", "x".repeat(200));
const value = fc.constantFrom({ stringValue: "v" }, { intValue: "1" }, {}, undefined);
const edit = fc.tuple(fc.constantFrom("set", "insert", "delete"), key);

function attributesOf(pairs: readonly object[]): Attributes {
  const text = JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords: [{ attributes: pairs }] }] }] });
  const { bytes } = decodeJsonRequest("logs", text);
  const [record] = createBatch("logs", bytes, { client: ClientMetadata.internal, arrivalUnixNano: 0n }).view;
  return record!.attributes;
}

describe("getMany and find", () => {
  it("answer as get() does for each key, doubled keys and edits included, for a frozen list and for any other", () => {
    const pairs = fc.array(fc.record({ key, value }), { maxLength: 12 });
    fc.assert(
      fc.property(pairs, fc.array(edit, { maxLength: 4 }), fc.array(key, { maxLength: 10 }), (given, edits, keys) => {
        const attributes = attributesOf(given);
        for (const [what, name] of edits) {
          if (what === "delete") attributes.delete(name);
          else attributes[what](name, "edited");
        }
        const expected = keys.map((name) => attributes.get(name));
        expect(attributes.getMany(keys)).toEqual(expected);
        expect(attributes.getMany(Object.freeze([...keys]))).toEqual(expected);
        const there = keys.flatMap((name, index) =>
          attributes.has(name) ? [{ index, value: attributes.get(name) }] : [],
        );
        expect(attributes.find(keys).map(({ index, value: found }) => ({ index, value: found }))).toEqual(there);
      }),
      fuzz(1_000),
    );
  });

  it("go by the keys as they are now where the list may change", () => {
    const attributes = attributesOf([{ key: "a", value: { stringValue: "v" } }]);
    const keys = ["a", "b"];
    expect(attributes.getMany(keys)).toEqual(["v", undefined]);
    keys.reverse();
    expect(attributes.getMany(keys)).toEqual([undefined, "v"]);
  });
});
