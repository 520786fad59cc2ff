import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createBatch } from "../../../src/core/batch.ts";
import { ClientMetadata } from "../../../src/core/client-metadata.ts";
import { decodeJsonRequest } from "../../../src/wire/otlp/json-decode.ts";
import type { Attributes, AttributeValue, FoundAttribute } from "../../../src/wire/otlp/types.ts";
import { AttributeMemo } from "../../../src/wire/otlp/views/attribute-memo.ts";
import { fuzz } from "../../support/fuzz.ts";

const KEYS = ["a", "b", "ab", "job.id", "\u00e9", "\ufffd"];
const key = fc.constantFrom(...KEYS, "other");
const value = fc.oneof(
  fc.constantFrom({ stringValue: "v" }, { stringValue: "w" }, { intValue: "1" }, { boolValue: true }, {}, undefined),
  // Alike but for their first byte, of which the hash knows nothing; and too long to be remembered.
  fc.constantFrom("1", "2").map((first) => ({ stringValue: `${first}-machine-of-twenty` })),
  fc.constantFrom("1", "2").map((first) => ({ stringValue: first.repeat(600) })),
);
const record = fc.array(fc.record({ key, value }), { maxLength: 20 });

function attributesOf(records: readonly (readonly object[])[]): Attributes[] {
  const logRecords = records.map((attributes) => ({ attributes }));
  const { bytes } = decodeJsonRequest("logs", JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords }] }] }));
  const { view } = createBatch("logs", bytes, { client: ClientMetadata.internal, arrivalUnixNano: 0n });
  return [...view].map(({ attributes }) => attributes);
}

interface Made {
  readonly values: readonly (readonly [number, AttributeValue])[];
  readonly present: readonly string[];
}

function made(found: readonly FoundAttribute[], present: readonly string[]): Made {
  return { values: found.map(({ index, value: there }) => [index, there] as const), present };
}

describe("a memo", () => {
  it("makes of all attributes what find() finds in them, edited ones too", () => {
    const split = fc.nat({ max: KEYS.length });
    fc.assert(
      fc.property(fc.array(record, { maxLength: 6 }), split, fc.boolean(), (records, at, isEdited) => {
        const [values, presence] = [KEYS.slice(0, at), KEYS.slice(at)];
        const memo = new AttributeMemo({ values, presence }, made);
        for (const attributes of [...attributesOf(records), ...attributesOf(records.toReversed())]) {
          if (isEdited) attributes.set("b", "edited");
          const found = attributes.find(KEYS);
          const expected = made(
            found.filter(({ index }) => index < at),
            found.filter(({ index }) => index >= at).map(({ index }) => KEYS[index]!),
          );
          expect(attributes.recall(memo)).toEqual(found.length === 0 ? undefined : expected);
        }
      }),
      fuzz(1_000),
    );
  });

  it("makes one object of equal values, whatever else stands there, and whatever stands under keys that are only to be there", () => {
    const memo = new AttributeMemo({ values: ["machine"], presence: ["job"] }, () => ({}));
    const pair = (name: string, stringValue: string) => ({ key: name, value: { stringValue } });
    const [first, again, other, absent] = attributesOf([
      [pair("machine", "m"), pair("job", "1")],
      [pair("text", "t"), pair("machine", "m"), pair("job", "2")],
      [pair("machine", "n"), pair("job", "1")],
      [pair("machine", "m")],
    ]).map((attributes) => attributes.recall(memo));
    expect(again).toBe(first);
    expect(other).not.toBe(first);
    expect(absent).not.toBe(first);
  });

  it("may be asked while it makes something", () => {
    const [outer, inner] = attributesOf([
      [{ key: "a", value: { stringValue: "outer" } }],
      [{ key: "a", value: { stringValue: "inner" } }],
    ]);
    const texts: AttributeMemo<unknown> = new AttributeMemo({ values: ["a"] }, ([found]) =>
      found!.value === "outer" ? ["outer", inner!.recall(texts)] : found!.value,
    );
    expect(outer!.recall(texts)).toEqual(["outer", "inner"]);
    expect(outer!.recall(texts)).toEqual(["outer", "inner"]);
    expect(inner!.recall(texts)).toBe("inner");
  });
});
