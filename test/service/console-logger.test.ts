import { describe, expect, it } from "vitest";
import { createConsoleLogger, toLogFields } from "../../src/service/console-logger.ts";
import { TestClock } from "../support/test-clock.ts";

function open(
  encoding: "console" | "json",
  fields: Record<string, unknown> = {},
): [string[], ReturnType<typeof createConsoleLogger>] {
  const lines: string[] = [];
  const write = (line: string): void => void lines.push(line);
  return [lines, createConsoleLogger({ clock: new TestClock(), write, level: "info", encoding }, toLogFields(fields))];
}

describe("the gateway's log", () => {
  it("is one line an entry for people, whatever a peer said", () => {
    const [lines, logger] = open("console");
    logger.with({ component: "exporters.debug" }).warn("a\n  peer said", { reason: 'no "room"' });
    expect(lines).toEqual([
      '2026-01-01T00:00:00.000Z  warn   a | peer said  component=exporters.debug  reason="no \\"room\\""\n',
    ]);
  });

  it("is one JSON object a line where it is asked for", () => {
    const [lines, logger] = open("json", { host: "edge-1", tags: ["a"] });
    logger.info("two\nlines", { items: 3, missing: undefined });
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      { ts: "2026-01-01T00:00:00.000Z", level: "info", msg: "two\nlines", host: "edge-1", tags: '["a"]', items: 3 },
    ]);
    expect(lines[0]!.indexOf("\n")).toBe(lines[0]!.length - 1);
  });

  it("leaves out what is below its level", () => {
    const [lines, logger] = open("console");
    logger.debug("detail");
    expect(lines).toEqual([]);
  });
});
