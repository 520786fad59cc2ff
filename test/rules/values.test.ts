import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatPlainFloat, parseFloat64, parseInt64, truncateToInt64 } from "../../src/rules/go-numbers.ts";
import { valueText } from "../../src/rules/value-text.ts";
import type { AttributeValue } from "../../src/wire/otlp/types.ts";
import { fuzz } from "../support/fuzz.ts";

/** What Go 1.26's strconv gives; undefined for an error. */
const FLOATS: readonly (readonly [string, number | undefined])[] = [
  ["1_000", 1000],
  ["1_0.5", 10.5],
  ["0x1p-2", 0.25],
  ["0x1P3", 8],
  ["0x_1p1", 2],
  ["0x1_0p1", 32],
  ["0x.8p1", 1],
  ["1e5", 100_000],
  ["1E+5", 100_000],
  [".5", 0.5],
  ["5.", 5],
  ["+.5e-1", 0.05],
  ["inf", Infinity],
  ["+Inf", Infinity],
  ["-infinity", -Infinity],
  ["nan", Number.NaN],
  ["1e-999", 0],
  ["5e-324", 5e-324],
  ["4e-324", 5e-324],
  ["2e-324", 0],
  ["0x1p1023", 2 ** 1023],
  ["0x1p-1074", 5e-324],
  ["0x1p-1075", 0],
  ["0x1.8p-1075", 5e-324],
  ["0x1.00000000000008p0", 1],
  ["0x1.000000000000081p0", 1.0000000000000002],
  ["0x0p5", 0],
  ["-0x1p1", -2],
  ["1e999", undefined],
  ["-1e999", undefined],
  ["0x1p1024", undefined],
  ["Infinit", undefined],
  ["+nan", undefined],
  ["0x", undefined],
  ["0x1", undefined],
  ["0x1p", undefined],
  ["0xp1", undefined],
  ["0b1", undefined],
  ["0o7", undefined],
  ["1 ", undefined],
  [" 1", undefined],
  ["", undefined],
  ["+", undefined],
  ["e5", undefined],
  ["1e", undefined],
  ["1e+", undefined],
  ["1.2.3", undefined],
  ["1__0", undefined],
  ["_1", undefined],
  ["1_", undefined],
  ["1p3", undefined],
  ["\u0663", undefined],
];

const INTS: readonly (readonly [string, bigint | undefined])[] = [
  ["1", 1n],
  ["+1", 1n],
  ["-0", 0n],
  ["007", 7n],
  ["9223372036854775807", 2n ** 63n - 1n],
  ["-9223372036854775808", -(2n ** 63n)],
  ["9223372036854775808", undefined],
  ["-9223372036854775809", undefined],
  ["1_0", undefined],
  ["0x1", undefined],
  ["1.0", undefined],
  ["1e3", undefined],
  ["", undefined],
  ["-", undefined],
  [" 1", undefined],
  ["\u0663", undefined],
  ["9".repeat(100_000), undefined],
];

describe("a number from text", () => {
  test.for(FLOATS)("is the double that Go reads: %s", ([text, value]) => expect(parseFloat64(text)).toBe(value));
  test.for(INTS)("is the integer that Go reads: %s", ([text, value]) => expect(parseInt64(text)).toBe(value));

  test("reads what any double prints as", () => {
    const double = fc.double();
    const printed = fc.property(double, (value) => {
      expect(parseFloat64(String(value).replace("+", ""))).toBe(value + 0);
      expect(parseFloat64(formatPlainFloat(value))).toBe(value);
    });
    fc.assert(printed, fuzz());
  });

  test("takes hostile texts in no time", () => {
    const startMs = performance.now();
    for (const text of ["1".repeat(1e6), "1_".repeat(5e5), "0x".repeat(5e5), "1e".repeat(5e5)]) {
      expect([parseFloat64(text), parseInt64(text)]).toEqual([undefined, undefined]);
    }
    expect(performance.now() - startMs).toBeLessThan(200);
  });
});

describe("a double", () => {
  test.for([
    [1e21, "1000000000000000000000"],
    [1.2345678901234569e23, "123456789012345690000000"],
    [1e-7, "0.0000001"],
    [-2.5e-8, "-0.000000025"],
    [-0, "-0"],
    [0.1, "0.1"],
    [Infinity, "+Inf"],
    [-Infinity, "-Inf"],
    [Number.NaN, "NaN"],
  ] as const)("is written without an exponent: %s", ([value, text]) => expect(formatPlainFloat(value)).toBe(text));

  test.for([
    [1.9, 1n],
    [-1.9, -1n],
    [9.223372036854775e18, 9223372036854774784n],
    [2 ** 63, -(2n ** 63n)],
    [-1e19, -(2n ** 63n)],
    [Number.NaN, -(2n ** 63n)],
    [Infinity, -(2n ** 63n)],
  ] as const)("is cut to an integer as amd64 does it: %s", ([value, cut]) => expect(truncateToInt64(value)).toBe(cut));
});

const TEXTS: readonly (readonly [AttributeValue, string])[] = [
  ["<b>", "<b>"],
  [null, ""],
  [true, "true"],
  [12, "12"],
  [2n ** 63n - 1n, "9223372036854775807"],
  [1e21, "1e+21"],
  [1e-7, "1e-7"],
  [-0, "-0"],
  [Number.NaN, "json: unsupported value: NaN"],
  [-Infinity, "json: unsupported value: -Inf"],
  [Uint8Array.of(1, 2), "AQI="],
  [new Uint8Array(), ""],
  [[], "[]"],
  [["<b>", null, 1.5, -0, new Uint8Array(), Uint8Array.of(1)], '["<b>",null,1.5,-0,null,"AQ=="]'],
  [[Number.NaN], ""],
  [["\u2028\u2029\u0000\b\f\u007f"], '["\\u2028\\u2029\\u0000\\b\\f\u007f"]'],
  [
    new Map<string, AttributeValue>([
      ["\u{1f600}", 3],
      ["\uffff", 4],
      ["a", new Map()],
    ]),
    '{"a":{},"\uffff":4,"\u{1f600}":3}',
  ],
];

describe("a value as text", () => {
  test.for(TEXTS)("is what the Collector makes of it: %s", ([value, text]) => expect(valueText(value)).toBe(text));
});
