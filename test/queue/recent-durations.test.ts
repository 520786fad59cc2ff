import { expect, it } from "vitest";
import { RecentDurations } from "../../src/queue/recent-durations.ts";

it("is 0 before the first sample, and follows the first ones at once", () => {
  const durations = new RecentDurations();
  expect(durations.p99()).toBe(0);
  durations.add(7);
  expect(durations.p99()).toBe(7);
  durations.add(9);
  expect(durations.p99()).toBe(9);
});

it("follows the latest samples and forgets old ones", () => {
  const durations = new RecentDurations();
  for (let count = 0; count < 128; count++) durations.add(count === 0 ? 5000 : 1);
  expect(durations.p99()).toBe(1);
  for (let count = 0; count < 128; count++) durations.add(300);
  expect(durations.p99()).toBe(300);
});
