import { describe, expect, it } from "vitest";
import type { DoorLease } from "../../src/core/component.ts";
import { ConsumeError } from "../../src/core/errors.ts";
import { SharedDoorBudget } from "../../src/queue/door-budget.ts";
import { PressureBoard } from "../../src/queue/pressure.ts";
import { settle, TestClock } from "../support/test-clock.ts";

function openDoors(bytesMax = 100) {
  const clock = new TestClock();
  const pressure = new PressureBoard();
  const doors = new SharedDoorBudget({ clock, pressure, bytesMax });
  const acquire = (bytes: number, timeoutMs = Infinity, signal = new AbortController().signal) => {
    const asked: { lease: DoorLease | undefined; error: ConsumeError | undefined } = {
      lease: undefined,
      error: undefined,
    };
    doors.acquire(bytes, clock.nowMs() + timeoutMs, signal).then(
      (lease) => (asked.lease = lease),
      (error: unknown) => (asked.error = ConsumeError.from(error)),
    );
    return asked;
  };
  return { clock, pressure, doors, acquire };
}

describe("the doors' budget", () => {
  it("bounds the bytes in flight and counts a lease back once", async () => {
    const { doors, acquire } = openDoors();
    const first = acquire(60);
    const second = acquire(60);
    await settle();
    expect(second.lease).toBeUndefined();
    first.lease?.release();
    first.lease?.release();
    await settle();
    expect(second.lease).toBeDefined();
    expect(doors.bytesInFlight).toBe(60);
  });

  it("serves by arrival: a small request does not overtake a large one", async () => {
    const { acquire } = openDoors();
    const first = acquire(60);
    const large = acquire(90);
    const small = acquire(10);
    await settle();
    expect([large.lease, small.lease]).toEqual([undefined, undefined]);
    first.lease?.release();
    await settle();
    expect([large.lease, small.lease].map((lease) => lease !== undefined)).toEqual([true, true]);
  });

  it("follows a request whose size turns out different, without waiting", async () => {
    const { doors, acquire } = openDoors();
    const first = acquire(10);
    await settle();
    first.lease?.resize(150);
    expect(doors.bytesInFlight).toBe(150);
    const second = acquire(50);
    await settle();
    expect(second.lease).toBeUndefined();
    first.lease?.resize(20);
    await settle();
    expect(second.lease).toBeDefined();
    first.lease?.release();
    first.lease?.resize(90);
    second.lease?.release();
    expect(doors.bytesInFlight).toBe(0);
  });

  it("refuses at once, as too large, what exceeds the whole budget", async () => {
    const { acquire } = openDoors();
    const asked = acquire(101);
    await settle();
    expect(asked.error).toMatchObject({ kind: "too_large" });
    expect(asked.error?.message).toMatch(/101 bytes .* 100 bytes/);
  });

  it("lets doors wait under soft pressure", async () => {
    const { pressure, acquire } = openDoors();
    pressure.report("memory_limiter", "soft");
    const asked = acquire(10);
    await settle();
    expect(asked.lease).toBeUndefined();
    pressure.report("memory_limiter", "none");
    await settle();
    expect(asked.lease).toBeDefined();
  });

  it("refuses at hard pressure, those who wait too, with a hint", async () => {
    const { clock, pressure, acquire } = openDoors();
    pressure.report("memory_limiter", "soft");
    const waiting = acquire(10);
    await settle();
    pressure.report("memory_limiter", "hard");
    const late = acquire(10);
    await settle();
    for (const { error } of [waiting, late]) {
      expect(error).toMatchObject({
        kind: "refused",
        retryAfterMs: 1000,
        message: expect.stringMatching(/high memory usage/),
      });
    }
    expect(clock.timerCount).toBe(0);
  });

  it("takes the worst of what reporters say", async () => {
    const { doors, pressure } = openDoors();
    pressure.report("memory_limiter", "soft");
    pressure.report("memory_limiter/2", "hard");
    pressure.report("memory_limiter", "none");
    expect(doors.pressure).toBe("hard");
    pressure.report("memory_limiter/2", "none");
    expect(doors.pressure).toBe("none");
  });

  it("refuses half a second before the sender's deadline", async () => {
    const { clock, acquire } = openDoors();
    acquire(60);
    const large = acquire(90, 10_000);
    const small = acquire(10);
    await clock.advance(9_499);
    expect(large.error).toBeUndefined();
    await clock.advance(1);
    expect(large.error).toMatchObject({
      kind: "refused",
      retryAfterMs: 1000,
      message: expect.stringMatching(/60 of 100 bytes/),
    });
    expect(small.error).toMatchObject({ kind: "refused" });
    expect(clock.timerCount).toBe(0);
  });

  it("gives up a place in the line when the sender has gone", async () => {
    const { clock, doors, acquire } = openDoors();
    acquire(60);
    const gone = new AbortController();
    const waiting = acquire(90, 10_000, gone.signal);
    const behind = acquire(10);
    await settle();
    gone.abort();
    await settle();
    expect(waiting.error).toMatchObject({ kind: "refused" });
    expect(behind.lease).toBeDefined();
    expect([doors.waiterCount, clock.timerCount]).toEqual([0, 0]);
  });

  it("refuses those who wait at shutdown", async () => {
    const { doors, acquire } = openDoors();
    const inside = acquire(60);
    const waiting = acquire(90);
    await settle();
    doors.refuseWaiting();
    const late = acquire(90);
    const fits = acquire(10);
    await settle();
    expect(waiting.error).toMatchObject({ kind: "refused", message: "shutting down" });
    expect(late.error).toMatchObject({ kind: "refused" });
    expect([inside.lease, fits.lease].every((lease) => lease !== undefined)).toBe(true);
  });

  it("says why it refuses: bytes in flight, memory, the stop", async () => {
    const { clock, pressure, doors, acquire } = openDoors();
    acquire(100);
    const late = acquire(1, 1000);
    await clock.advance(1000);
    const waiting = acquire(1);
    pressure.report("test", "hard");
    const atOnce = acquire(1);
    await settle();
    pressure.report("test", "none");
    const held = acquire(1);
    doors.refuseWaiting();
    const after = acquire(1);
    await settle();
    const reasons = [late, waiting, atOnce, held, after].map(({ error }) => error?.reason);
    expect(reasons).toEqual(["bytes_in_flight", "memory", "memory", "shutting_down", "shutting_down"]);
  });
});
