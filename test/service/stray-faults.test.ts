import { expect, it } from "vitest";
import type { Logger } from "../../src/core/logger.ts";
import { StrayFaults } from "../../src/service/stray-faults.ts";
import { TestClock } from "../support/test-clock.ts";

const FETCH = { type: "mine", place: "mine.ts:3", message: "processors.mine: an error reached nobody: fetch failed" };
const TIMER = { ...FETCH, place: "mine.ts:9", message: "processors.mine: an error reached nobody: late" };

function open(): { faults: StrayFaults; clock: TestClock; lines: string[] } {
  const clock = new TestClock();
  const lines: string[] = [];
  const say = (message: string): void => void lines.push(message);
  const logger: Logger = { debug: say, info: say, warn: say, error: say, with: () => logger };
  return { faults: new StrayFaults(logger, clock), clock, lines };
}

it("says each place once, and how many there were when a minute was quiet; then it is news again", async () => {
  const { faults, clock, lines } = open();
  for (let batch = 0; batch < 50; batch++) {
    faults.report(FETCH);
    await clock.advance(3_000);
  }
  faults.report(TIMER);
  expect(lines).toEqual([FETCH.message, TIMER.message]);
  await clock.advance(120_000);
  expect(lines.slice(2)).toEqual(["errors of processors that reached nobody: 51 in all, none for a minute"]);
  expect(clock.timerCount).toBe(0);
  faults.report(FETCH);
  expect(lines.slice(3)).toEqual([FETCH.message]);
});

it("says how many there were when the gateway ends, and leaves no timer", () => {
  const { faults, clock, lines } = open();
  faults.report(FETCH);
  faults.report(FETCH);
  faults[Symbol.dispose]();
  expect(lines).toEqual([FETCH.message, "errors of processors that reached nobody: 2 in all, until the end"]);
  expect(clock.timerCount).toBe(0);
});
