import { describe, expect, it } from "vitest";
import { systemClock, type Clock } from "../../src/core/clock.ts";
import { createBatch } from "../../src/core/batch.ts";
import { ClientMetadata } from "../../src/core/client-metadata.ts";
import { LARGE_BATCH_ITEMS } from "../../src/core/limits.ts";
import { visitAll } from "../../src/rules/slices.ts";
import { encodeReference } from "../wire/otlp/reference.ts";

function batchOf(count: number) {
  const logRecords = Array.from({ length: count }, () => ({ severityNumber: 1 }));
  const bytes = encodeReference("logs", { resourceLogs: [{ scopeLogs: [{ logRecords }] }] });
  return createBatch("logs", bytes, { client: ClientMetadata.internal, arrivalUnixNano: 0n });
}

/** Each look at it is a millisecond later. */
function hurriedClock(): Clock {
  let nowMs = 0;
  return { ...systemClock, monotonicMs: () => nowMs++ };
}

describe("a batch's records", () => {
  it("are visited at once where the batch is small", () => {
    let visited = 0;
    const rest = visitAll(batchOf(100), Array.from({ length: 100 }), hurriedClock(), () => void visited++);
    expect([visited, rest]).toEqual([100, undefined]);
  });

  it("are visited with pauses in which others run where it is large, each once and in order", async () => {
    const batch = batchOf(LARGE_BATCH_ITEMS + 1);
    expect(batch.isLarge).toBe(true);
    const items = Array.from({ length: 200 }, (_, index) => index);
    const seen: number[] = [];
    const between: number[] = [];
    const rest = visitAll(batch, items, hurriedClock(), (item) => void seen.push(item));
    const look = (): void => {
      between.push(seen.length);
      if (seen.length < items.length) setImmediate(look);
    };
    setImmediate(look);
    await rest;
    expect(seen).toEqual(items);
    expect(between.length).toBeGreaterThan(3);
    expect(between[0]).toBeLessThan(50);
  });
});
