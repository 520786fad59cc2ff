import { describe, expect, test } from "vitest";
import { QueryError } from "../../src/store/query-error.ts";
import { parseSpanMs, parseTime } from "../../src/store/time-range.ts";

const NOW_MS = Date.UTC(2026, 10, 24, 12);

describe("a point in time", () => {
  test.each([
    ["now", NOW_MS],
    ["-15m", NOW_MS - 900_000],
    ["-1h30m", NOW_MS - 5_400_000],
    ["-2d", NOW_MS - 172_800_000],
    ["2026-11-23T13:50:00Z", Date.UTC(2026, 10, 23, 13, 50)],
    ["2026-11-23T13:50Z", Date.UTC(2026, 10, 23, 13, 50)],
    ["2026-11-23 13:50", Date.UTC(2026, 10, 23, 13, 50)],
    ["2026-11-23", Date.UTC(2026, 10, 23)],
    ["2026-11-23T13:50:00.250+02:00", Date.UTC(2026, 10, 23, 11, 50, 0, 250)],
    ["1795435200000", 1_795_435_200_000],
  ])("%s is read", (text, ms) => {
    expect(parseTime(text, NOW_MS, "from")).toBe(ms * 1000);
  });

  test.each([
    "yesterday",
    "-",
    "-15",
    "15m",
    "2026",
    "2026-13-01",
    "2026-11-23T25:00",
    "1e12",
    "-99999d",
    "",
    "-1m-1m",
  ])("%j is refused with what to write", (text) => {
    expect(() => parseTime(text, NOW_MS, "from")).toThrow(QueryError);
  });
});

test("spans add up their parts", () => {
  expect(parseSpanMs("1h30m")).toBe(5_400_000);
  expect(parseSpanMs("250ms")).toBe(250);
  expect(parseSpanMs("1.5h")).toBe(5_400_000);
  expect(parseSpanMs("1h 30m")).toBeUndefined();
});
