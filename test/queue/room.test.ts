import { describe, expect, it } from "vitest";
import { PressureBoard } from "../../src/queue/pressure.ts";
import { RoomList, RoomQueue } from "../../src/queue/room.ts";
import type { Need, RoomRefusal } from "../../src/queue/room.ts";
import { settle, TestClock } from "../support/test-clock.ts";

interface Wanted {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** A room list with queues of the given limits, and a way to ask for room that tells what became of it. */
function openRooms(limits: readonly number[], settings: { waitsForever?: boolean; syncP99Ms?: number } = {}) {
  const clock = new TestClock();
  const pressure = new PressureBoard();
  const { waitsForever = false, syncP99Ms = 0 } = settings;
  const rooms = new RoomList({ clock, pressure, syncP99Ms: () => syncP99Ms });
  const queues = limits.map((limit, index) => {
    const name = `queue ${index}`;
    return new RoomQueue({ name, limit, unit: "items", waitsForever, hint: () => "" });
  });
  for (const queue of queues) rooms.addQueue(queue);
  const ask = (sizes: readonly number[], wanted: Wanted = {}) => {
    const needs: Need[] = queues.flatMap((room, index) =>
      (sizes[index] ?? 0) > 0 ? [{ room, size: sizes[index]! }] : [],
    );
    const openedMs = clock.nowMs();
    const deadlineMs = wanted.timeoutMs === undefined ? Infinity : openedMs + wanted.timeoutMs;
    const { signal = new AbortController().signal } = wanted;
    const asked: { state: "waits" | "has room" | RoomRefusal } = { state: "has room" };
    const wait = rooms.take({ needs, openedMs, deadlineMs, signal });
    if (wait === undefined) return asked;
    asked.state = "waits";
    void wait.then((refusal) => (asked.state = refusal ?? "has room"));
    return asked;
  };
  return { clock, pressure, rooms, queues, ask };
}

function messageOf(asked: { state: unknown }): string {
  if (typeof asked.state !== "object" || asked.state === null || !("error" in asked.state)) return String(asked.state);
  return asked.state.error instanceof Error ? asked.state.error.message : "";
}

describe("room in the queues", () => {
  it("takes room at once, and sets no timer, where all queues have it", () => {
    const { ask, clock, queues } = openRooms([10, 10]);
    expect(ask([10, 3]).state).toBe("has room");
    expect(queues.map((queue) => queue.used)).toEqual([10, 3]);
    expect(clock.timerCount).toBe(0);
  });

  it("takes nothing anywhere while one queue has no room", () => {
    const { ask, queues } = openRooms([10, 10]);
    ask([10, 0]);
    expect(ask([1, 5]).state).toBe("waits");
    expect(queues.map((queue) => queue.used)).toEqual([10, 0]);
  });

  it("lets waiters go on by arrival, so that a small one does not overtake a large one", async () => {
    const { ask, rooms, queues } = openRooms([10]);
    ask([10]);
    const large = ask([8]);
    const small = ask([1]);
    rooms.giveBack(queues[0]!, 5);
    await settle();
    expect([large.state, small.state]).toEqual(["waits", "waits"]);
    rooms.giveBack(queues[0]!, 5);
    await settle();
    expect([large.state, small.state]).toEqual(["has room", "has room"]);
  });

  it("makes a newcomer wait behind one who lacks room in the same queue, though it would fit", () => {
    const { ask } = openRooms([10]);
    ask([5]);
    expect(ask([8]).state).toBe("waits");
    expect(ask([1]).state).toBe("waits");
  });

  it("lets the oldest have what one admission gives back in several queues, before a younger one looks", async () => {
    const { ask, rooms, queues } = openRooms([10, 10]);
    ask([10, 10]);
    const both = ask([6, 6]);
    const young = ask([6, 0]);
    rooms.giveBackAll(queues.map((room) => ({ room, size: 10 })));
    await settle();
    expect([both.state, young.state]).toEqual(["has room", "waits"]);
  });

  it("delays nobody who does not need the full queue", async () => {
    const { ask, rooms, queues } = openRooms([10, 10]);
    ask([10, 0]);
    expect(ask([1, 1]).state).toBe("waits");
    for (let turn = 0; turn < 20; turn++) {
      expect(ask([0, 5]).state).toBe("has room");
      rooms.giveBack(queues[1]!, 5);
    }
    await settle();
  });

  it("closes, for those behind, every queue in which a waiter has come to lack room", () => {
    const { ask } = openRooms([10, 10]);
    ask([10, 0]);
    expect(ask([1, 6]).state).toBe("waits");
    expect(ask([0, 5]).state).toBe("has room");
    // The first waiter needs 6 of the second queue and 5 are left: whoever comes now must not take them.
    expect(ask([0, 1]).state).toBe("waits");
  });

  it("lets those behind go on when the one who held them back leaves", async () => {
    const { ask, clock } = openRooms([10]);
    ask([5]);
    const large = ask([8], { timeoutMs: 2000 });
    const small = ask([1], { timeoutMs: 60_000 });
    await clock.advance(1500);
    expect(messageOf(large)).toMatch(/no room in the sending queue of queue 0, 5 of 10 items used/);
    expect(small.state).toBe("has room");
  });

  it("refuses half a second before the sender's deadline", async () => {
    const { ask, clock } = openRooms([1]);
    ask([1]);
    const waiter = ask([1], { timeoutMs: 10_000 });
    await clock.advance(9_499);
    expect(waiter.state).toBe("waits");
    await clock.advance(1);
    expect(waiter.state).toMatchObject({ error: { kind: "refused", retryAfterMs: 1000 } });
    expect(clock.timerCount).toBe(0);
  });

  it("leaves a slow storage four of its slow syncs, but never more than half of the timeout", async () => {
    const slow = openRooms([1], { syncP99Ms: 400 });
    slow.ask([1]);
    const patient = slow.ask([1], { timeoutMs: 10_000 });
    const hasty = slow.ask([1], { timeoutMs: 1000 });
    await slow.clock.advance(499);
    expect(hasty.state).toBe("waits");
    await slow.clock.advance(1);
    expect(messageOf(hasty)).toMatch(/no room/);
    await slow.clock.advance(10_000 - 1600 - 501);
    expect(patient.state).toBe("waits");
    await slow.clock.advance(1);
    expect(messageOf(patient)).toMatch(/no room/);
  });

  it("answers a sender without a deadline after five seconds", async () => {
    const { ask, clock } = openRooms([1]);
    ask([1]);
    const waiter = ask([1]);
    await clock.advance(4_999);
    expect(waiter.state).toBe("waits");
    await clock.advance(1);
    expect(messageOf(waiter)).toMatch(/no room/);
  });

  it("lets a source without a deadline wait for a blocking queue without end", async () => {
    const { ask, clock, rooms, queues } = openRooms([1], { waitsForever: true });
    ask([1]);
    const endless = ask([1]);
    const sender = ask([1], { timeoutMs: 10_000 });
    await clock.advance(3_600_000);
    expect(endless.state).toBe("waits");
    expect(messageOf(sender)).toMatch(/no room/);
    rooms.giveBack(queues[0]!, 1);
    await settle();
    expect(endless.state).toBe("has room");
    expect(clock.timerCount).toBe(0);
  });

  it("ends a wait when the sender has gone, and takes nothing for it", async () => {
    const { ask, clock, rooms, queues } = openRooms([1]);
    ask([1]);
    const gone = new AbortController();
    const waiter = ask([1], { signal: gone.signal });
    gone.abort();
    await settle();
    expect(messageOf(waiter)).toMatch(/went away/);
    rooms.giveBack(queues[0]!, 1);
    expect(queues[0]!.used).toBe(0);
    expect(clock.timerCount).toBe(0);
    expect(messageOf(await settled(ask([2], { signal: gone.signal })))).toMatch(/went away/);
  });

  it("gives no room under hard memory pressure, and gives it when that is over", async () => {
    const { ask, pressure } = openRooms([10]);
    pressure.report("memory_limiter", "hard");
    const waiter = ask([1], { timeoutMs: 10_000 });
    expect(waiter.state).toBe("waits");
    pressure.report("memory_limiter", "soft");
    await settle();
    expect(waiter.state).toBe("has room");
  });

  it("says memory, not room, when that was the reason", async () => {
    const { ask, clock, pressure } = openRooms([10]);
    pressure.report("memory_limiter", "hard");
    const waiter = ask([1], { timeoutMs: 10_000 });
    await clock.advance(10_000);
    expect(messageOf(waiter)).toMatch(/high memory usage/);
  });

  it("answers a sender without a deadline after five seconds of memory pressure too", async () => {
    const { ask, clock, pressure } = openRooms([10]);
    pressure.report("memory_limiter", "hard");
    const waiter = ask([1]);
    await clock.advance(5_000);
    expect(messageOf(waiter)).toMatch(/high memory usage/);
  });

  it("refuses all who wait at shutdown, and still admits what fits", async () => {
    const { ask, clock, rooms } = openRooms([10, 10]);
    ask([10, 0]);
    const waiter = ask([1, 1]);
    rooms.refuseWaiting();
    await settle();
    expect(messageOf(waiter)).toBe("shutting down");
    expect(ask([0, 1]).state).toBe("has room");
    expect(messageOf(await settled(ask([1, 0])))).toBe("shutting down");
    expect(clock.timerCount).toBe(0);
  });
});

async function settled<T>(result: T): Promise<T> {
  await settle();
  return result;
}
