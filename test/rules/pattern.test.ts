import { describe, expect, test } from "vitest";
import { compilePattern, PATTERN_LENGTH_MAX, PatternError } from "../../src/rules/pattern.ts";
import { AnswerCache, textFilter } from "../../src/rules/text-filter.ts";

describe("a pattern", () => {
  test("catches by name, and gives an empty text for a group that took no part", () => {
    const pattern = compilePattern("(?P<scheme>[a-z]+)://(?<host>[^/]+)(?P<path>/.*)?");
    expect(pattern.groupNames).toEqual(["scheme", "host", "path"]);
    expect(pattern.capture("see https://example.com")).toEqual(["https", "example.com", ""]);
    expect(pattern.capture("nothing")).toBeUndefined();
  });

  test("may use a name twice, as Go lets it, also beside texts that only look like groups", () => {
    const pattern = compilePattern("(?P<x>a)[(?P<x>](?P<x>b)\\(?(?P<n1>c)(d)\\Q(?P<x>\\E");
    expect(pattern.groupNames).toEqual(["x", "x", "n1", ""]);
    expect(pattern.capture("a(b(cd(?P<x>")).toEqual(["a", "b", "c", "d"]);
  });

  test.for([
    ["xx(yy", "missing closing ): `xx(yy`"],
    ["foo[z-a]bar", "invalid character class range: `z-a` at character 5"],
    ["ab{2,1}c", "invalid repeat count: `{2,1}` at character 3"],
    ["(a)\\1", "invalid escape sequence: `\\1` at character 4"],
    ["a(?=b)", "invalid or unsupported Perl syntax: `(?=` at character 2"],
    ["(a{1000}){1000}", "invalid repeat count: `{1000}` at character 3"],
    [`${"(".repeat(1100)}${")".repeat(1100)}`, `expression nests too deeply: \`${"(".repeat(80)}...\``],
    ["a".repeat(PATTERN_LENGTH_MAX + 1), "the pattern has 16385 characters, more than the limit of 16384"],
  ] as const)("that is none says what is wrong with it and where: %s", ([source, message]) => {
    expect(() => compilePattern(source)).toThrow(new PatternError(message));
  });

  test.for([
    "(a+)+$",
    "(a|a|aa)*c",
    "(.*)(.*)(.*)(.*)x$",
    "(x+x+)+y",
    "\\b(a+)+\\b$",
    "(a?){30}a{30}b",
    "^(([a-z])+.)+[A-Z]([a-z])+$",
  ])("takes time in proportion to the text, however hostile both are: %s", (source) => {
    const pattern = compilePattern(`(?P<all>${source})`);
    const text = (size: number): string => `${"a".repeat(size)}${"x".repeat(size)}!`;
    const msFor = (size: number): number => {
      const hostile = text(size);
      const startMs = performance.now();
      pattern.capture(hostile);
      return performance.now() - startMs;
    };
    const smallMs = Math.min(...[1, 2, 3].map(() => msFor(2_000)));
    const largeMs = Math.min(...[1, 2, 3].map(() => msFor(20_000)));
    // Ten times the text: a hundred times the time would be quadratic. Small figures are mostly noise.
    expect(largeMs).toBeLessThan(Math.max(40 * smallMs, 100));
  });
});

describe("a text filter", () => {
  test("compares whole texts when strict, and any part when a pattern", () => {
    const strict = textFilter(["a.c", "x"], { matchType: "strict", cacheEntries: 0 });
    expect(["a.c", "abc", "x", "xx"].map(strict)).toEqual([true, false, true, false]);
    const regexp = textFilter(["a.c", "^x$"], { matchType: "regexp", cacheEntries: 0 });
    expect(["a.c", "zabcz", "x", "xx"].map(regexp)).toEqual([true, true, true, false]);
  });

  test("gives the same answers with a cache of any size", () => {
    const texts = ["a1", "b", "a2", "b", "a1", "c".repeat(300), "a".repeat(300)];
    const plain = textFilter(["^a"], { matchType: "regexp", cacheEntries: 0 });
    for (const cacheEntries of [1, 2, 100]) {
      const cached = textFilter(["^a"], { matchType: "regexp", cacheEntries });
      expect([...texts, ...texts].map(cached)).toEqual([...texts, ...texts].map(plain));
    }
  });

  test("remembers no more answers than it may, and no long texts", () => {
    const asked: string[] = [];
    const cache = new AnswerCache(2, (text) => asked.push(text) > 0);
    for (const text of ["a", "a", "b", "b", "c", "c", "a", "a"]) cache.answer(text);
    expect(asked).toEqual(["a", "b", "c", "a"]);
    const long = "x".repeat(1_000);
    for (const text of [long, long]) cache.answer(text);
    expect(asked.filter((text) => text === long)).toHaveLength(2);
  });
});
