import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { REQUEST_BYTES_MAX } from "../../../src/core/limits.ts";
import { decodeJsonRequest } from "../../../src/wire/otlp/json-decode.ts";
import { encodeJsonRequest } from "../../../src/wire/otlp/json-encode.ts";
import { parseInteger } from "../../../src/wire/otlp/json-integer.ts";
import { fullDecode } from "./json-reference.ts";
import { fuzz } from "../../support/fuzz.ts";

const inRecord = (member: string): string => `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{${member}}]}]}]}`;
const MIB = 1024 * 1024;

/** A value inside 28 arrays. */
const nested = (value: string): string => `${'{"arrayValue":{"values":['.repeat(28)}${value}${"]}}".repeat(28)}`;

/** Text of about 4 MiB. What takes quadratic time at this size does not end within a test's time. */
const many = (piece: string): string => piece.repeat((4 * MIB) / piece.length);

describe("a request made to be slow ends in linear time", () => {
  it.each([
    ["white space", `${many(" ")}{}`],
    ["empty records", `{"resourceLogs":[{"scopeLogs":[{"logRecords":[${many("{},")}{}]}]}]}`],
    ["unknown lists", `{"x":[${many("[],")}0]}`],
    ["escapes", inRecord(`"severityText":"${many("\\u0000")}"`)],
    ["an unknown name of escapes", `{"${many("\\n")}":1}`],
    ["an integer with a tail of zeros", inRecord(`"timeUnixNano":"0.${many("0")}"`)],
    ["a double of many digits", inRecord(`"body":{"doubleValue":1.${many("0")}}`)],
    ["one name again and again", inRecord(`${many('"severityNumber":9,')}"severityNumber":0`)],
  ])("of %s", (_, text) => {
    const { bytes } = decodeJsonRequest("logs", text);
    expect(encodeJsonRequest("logs", bytes)).toMatch(/^\{/);
  });

  it("of nested values whose lengths are never as guessed", () => {
    const pair = `${nested(`{"stringValue":"${"a".repeat(200)}"}`)},${nested("{}")},`;
    const { bytes } = decodeJsonRequest("logs", inRecord(`"body":{"arrayValue":{"values":[${many(pair)}{}]}}`));
    expect(encodeJsonRequest("logs", bytes)).toMatch(/^\{/);
  });

  it("and of an error at its very end, with the path", () => {
    const text = `{"resourceLogs":[{"scopeLogs":[{"logRecords":[${many('{"flags":1},')}x]}]}]}`;
    expect(() => decodeJsonRequest("logs", text)).toThrow(
      /^resourceLogs\[0\].scopeLogs\[0\].logRecords\[\d{6}\]: found x/,
    );
  });
});

it("keeps values whose nested lengths take one, two and three bytes", () => {
  const tree = (size: number, depth: number): unknown =>
    depth === 0 ? { stringValue: "x".repeat(size) } : { arrayValue: { values: [tree(size, depth - 1), {}] } };
  for (const size of [0, 100, 127, 128, 16_000, 16_383, 16_384, 100_000]) {
    const values = [tree(1, 3), tree(size, 5), tree(2, 2)];
    const request = { resourceLogs: [{ scopeLogs: [{ logRecords: [{ body: { arrayValue: { values } } }] }] }] };
    const { bytes } = decodeJsonRequest("logs", JSON.stringify(request));
    expect(fullDecode("logs", bytes)).toEqual(request);
  }
});

it("refuses what would be larger than a request may be once it is protobuf", () => {
  const counts = `[${"0,".repeat(REQUEST_BYTES_MAX / 8)}0]`;
  const text = `{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"histogram":{"dataPoints":[{"bucketCounts":${counts}}]}}]}]}]}`;
  expect(() => decodeJsonRequest("metrics", text)).toThrow(
    "the request, encoded as protobuf, is larger than 67108864 bytes",
  );
});

describe("parseInteger", () => {
  it("reads every integer below 2^64 exactly", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 64n) + 1n, max: 2n ** 64n - 1n }), (value) => {
        const parsed = parseInteger(value.toString());
        if (parsed === undefined || parsed === "overflow") throw new Error(`${value} was not read`);
        const magnitude = (BigInt(parsed.high) << 32n) | BigInt(parsed.low);
        expect(parsed.isNegative ? -magnitude : magnitude).toBe(value);
      }),
      fuzz(),
    );
  });

  it.each([
    ["18446744073709551616", "overflow"],
    ["99999999999999999999", "overflow"],
    ["1e20", "overflow"],
    ["1e99999999999999999999", "overflow"],
    ["", undefined],
    ["-", undefined],
    ["+1", undefined],
    [" 1", undefined],
    ["0x10", undefined],
    ["1.5", undefined],
    ["1e-1", undefined],
    ["1e-99999999999999999999", undefined],
    ["1.", undefined],
    ["1_000", undefined],
  ])("answers %j with %s", (text, expected) => {
    expect(parseInteger(text)).toBe(expected);
  });

  it.each([
    ["007", 7],
    ["1.50e1", 15],
    ["1200e-2", 12],
    ["0e99999999999999999999", 0],
    ["0.000", 0],
    ["4294967295", 4294967295],
    ["000000000000000000000000000000000042", 42],
  ])("reads %s as %d", (text, low) => {
    expect(parseInteger(text)).toEqual({ isNegative: false, low, high: 0 });
  });
});
