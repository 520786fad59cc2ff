import { expect, it } from "vitest";
import { SeenKeys } from "../../src/queue/seen-keys.ts";
import { TestClock } from "../support/test-clock.ts";

it("remembers no more keys than its bound, the latest ones", () => {
  const clock = new TestClock();
  const seen = new SeenKeys(clock, 3);
  const expiresUnixMs = clock.nowMs() + 60_000;
  for (const key of ["1", "2", "3", "4"]) {
    expect(seen.ask({ source: "x", key })).toEqual({ state: "new" });
    seen.done({ source: "x", key, expiresUnixMs });
  }
  expect(seen.size).toBe(3);
  expect(seen.ask({ source: "x", key: "4" })).toEqual({ state: "done" });
  expect(seen.ask({ source: "x", key: "1" })).toEqual({ state: "new" });
});

it("forgets what has expired, and keeps sources apart", async () => {
  const clock = new TestClock();
  const seen = new SeenKeys(clock);
  seen.done({ source: "x", key: "1", expiresUnixMs: clock.nowMs() + 10 });
  expect(seen.ask({ source: "y", key: "1" })).toEqual({ state: "new" });
  await clock.advance(10);
  seen.done({ source: "x", key: "2", expiresUnixMs: clock.nowMs() + 10 });
  expect(seen.size).toBe(1);
});
