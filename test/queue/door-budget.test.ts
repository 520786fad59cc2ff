import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { DoorClaim, DoorLease } from "../../src/core/component.ts";
import { ConsumeError } from "../../src/core/errors.ts";
import { SharedDoorBudget } from "../../src/queue/door-budget.ts";
import { PressureBoard } from "../../src/queue/pressure.ts";
import { fuzz } from "../support/fuzz.ts";
import { settle, TestClock } from "../support/test-clock.ts";

function openDoors(bytesMax = 100, smallBytes?: number) {
  const clock = new TestClock();
  const pressure = new PressureBoard();
  const doors = new SharedDoorBudget({ clock, pressure, bytesMax, ...(smallBytes !== undefined && { smallBytes }) });
  const acquire = (
    bytes: number,
    timeoutMs = Infinity,
    signal = new AbortController().signal,
    claim: DoorClaim = {},
  ) => {
    const asked: { lease: DoorLease | undefined; error: ConsumeError | undefined } = {
      lease: undefined,
      error: undefined,
    };
    doors.acquire(bytes, clock.nowMs() + timeoutMs, signal, claim).then(
      (lease) => (asked.lease = lease),
      (error: unknown) => (asked.error = ConsumeError.from(error)),
    );
    return asked;
  };
  /** As a door does: a refused request gives back what it held. */
  const grow = (holding: DoorLease, bytes: number) => {
    const asked = acquire(bytes, Infinity, undefined, { holding });
    const giveBack = async (): Promise<void> => {
      while (asked.lease === undefined && asked.error === undefined) await settle();
      holding.release();
    };
    void giveBack();
    return asked;
  };
  /** A body that comes under the lease; give way as a door does. */
  const arrive = (lease: DoorLease) => {
    const body = {
      receivedSize: 0,
      error: undefined as ConsumeError | undefined,
      giveWay: (error: ConsumeError): void => {
        body.error = error;
        lease.release();
      },
    };
    lease.watch(body);
    return body;
  };
  return { clock, pressure, doors, acquire, grow, arrive };
}

async function leaseOf(asked: { readonly lease: DoorLease | undefined }): Promise<DoorLease> {
  await settle();
  return asked.lease!;
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

describe("large requests", () => {
  const MIB = 1024 * 1024;
  const open = () => openDoors(256 * MIB);

  it("take four at a time, and never what is kept for small ones", async () => {
    const { doors, acquire } = open();
    const large = Array.from({ length: 6 }, () => acquire(60 * MIB));
    const small = Array.from({ length: 64 }, () => acquire(256 * 1024));
    await settle();
    expect(large.filter(({ lease }) => lease !== undefined)).toHaveLength(4);
    expect(small.every(({ lease }) => lease !== undefined)).toBe(true);
    expect(doors.bytesInFlight).toBe(256 * MIB);
    large[0]!.lease!.release();
    await settle();
    expect(large[4]!.lease).toBeDefined();
  });

  it("get their turn however many small ones come", async () => {
    const { acquire } = openDoors(1600, 10);
    const small = Array.from({ length: 160 }, () => acquire(10));
    const large = acquire(1000);
    await settle();
    expect(large.lease).toBeUndefined();
    let later = acquire(10);
    for (const { lease } of small) {
      lease!.release();
      await settle();
      if (later.lease === undefined) continue;
      later.lease.release();
      later = acquire(10);
    }
    await settle();
    expect(large.lease).toBeDefined();
  });

  it("that are alone may have all of it; together with what they hold, no more", async () => {
    const { acquire, grow } = openDoors(1600, 10);
    const first = await leaseOf(acquire(10));
    const grown = grow(first, 1590);
    const tooLarge = grow(first, 1591);
    await settle();
    expect(grown.lease).toBeDefined();
    expect(tooLarge.error).toMatchObject({ kind: "too_large" });
  });

  it("that hold and wait for each other all end: the youngest gives way, the oldest goes on", async () => {
    const { doors, acquire, grow } = openDoors(1600, 10);
    const firsts = [];
    for (let index = 0; index < 6; index++) firsts.push(await leaseOf(acquire(250)));
    const grown = firsts.map((lease) => grow(lease, 600));
    for (let turn = 0; turn < 20; turn++) await settle();
    expect(grown[0]!.lease).toBeDefined();
    expect(grown[5]!.error).toMatchObject({ kind: "refused", reason: "bytes_in_flight", retryAfterMs: 1000 });
    expect(doors.bytesInFlight).toBeLessThanOrEqual(1600);
    for (let turn = 0; turn < 40; turn++) {
      for (const { lease } of grown) lease?.release();
      await settle();
    }
    expect(grown.every(({ lease, error }) => (lease === undefined) !== (error === undefined))).toBe(true);
    expect([doors.bytesInFlight, doors.waiterCount]).toEqual([0, 0]);
  });

  it("that wait do not hold what small ones need", async () => {
    const { acquire, grow } = openDoors(1600, 10);
    const busy = await leaseOf(acquire(1500));
    const growing = [];
    for (let index = 0; index < 10; index++) growing.push(grow(await leaseOf(acquire(10)), 1500));
    const small = acquire(10);
    for (let turn = 0; turn < 20; turn++) await settle();
    expect(small.lease).toBeDefined();
    expect(growing.filter(({ error }) => error !== undefined).length).toBeGreaterThan(0);
    expect(growing[0]!.error).toBeUndefined();
    busy.release();
    await settle();
    expect(growing[0]!.lease).toBeDefined();
  });

  it("that wait hold half of what is kept for small ones at most: it comes free at their pace", async () => {
    const { acquire, grow } = openDoors(1600, 10);
    await leaseOf(acquire(1500));
    const growing = [];
    for (let index = 0; index < 6; index++) growing.push(grow(await leaseOf(acquire(10)), 1500));
    const busy = Array.from({ length: 4 }, () => acquire(10));
    const small = acquire(10);
    for (let turn = 0; turn < 20; turn++) await settle();
    expect([...busy, small].every(({ lease }) => lease !== undefined)).toBe(true);
    expect(growing.map(({ error }) => error !== undefined)).toEqual([false, false, false, false, false, true]);
  });

  it("that gave back what they held while they waited make nobody else give way", async () => {
    const { acquire, grow } = openDoors(1600, 10);
    await leaseOf(acquire(1000));
    const gone = new AbortController();
    const held = await leaseOf(acquire(400));
    const waiting = acquire(1100, Infinity, gone.signal, { holding: held });
    await settle();
    held.release();
    gone.abort();
    await settle();
    expect(waiting.error).toBeDefined();
    const next = grow(await leaseOf(acquire(400)), 1100);
    const behind = grow(await leaseOf(acquire(10)), 500);
    for (let turn = 0; turn < 20; turn++) await settle();
    expect([next.error, behind.error]).toEqual([undefined, undefined]);
  });

  it("never have more than the budget, and all end, whatever comes in which order", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ first: fc.integer({ min: 1, max: 300 }), next: fc.integer({ min: 1, max: 1300 }) }), {
          maxLength: 30,
        }),
        async (requests) => {
          const { doors, acquire, grow } = openDoors(1600, 100);
          const ended = { count: 0 };
          let peak = 0;
          const run = async ({ first, next }: { first: number; next: number }): Promise<void> => {
            const asked = acquire(first);
            while (asked.lease === undefined && asked.error === undefined) await settle();
            if (asked.lease !== undefined) {
              const grown = grow(asked.lease, next);
              while (grown.lease === undefined && grown.error === undefined) await settle();
              peak = Math.max(peak, doors.bytesInFlight);
              await settle();
              grown.lease?.release();
            }
            ended.count += 1;
          };
          await Promise.all(requests.map(run));
          await settle();
          expect([ended.count, doors.bytesInFlight, doors.waiterCount]).toEqual([requests.length, 0, 0]);
          expect(peak).toBeLessThanOrEqual(1600);
        },
      ),
      fuzz(),
    );
  });

  it("of a connection that holds more than a quarter are passed over by those of others", async () => {
    const { doors, clock } = openDoors(1600, 10);
    const [greedy, modest] = [{ leasedBytes: 0 }, { leasedBytes: 0 }];
    const admitted: string[] = [];
    const leases: DoorLease[] = [];
    const ask = (name: string, sender: { leasedBytes: number }): void => {
      const { signal } = new AbortController();
      const take = async (): Promise<void> => {
        leases.push(await doors.acquire(500, clock.nowMs() + 60_000, signal, { sender }));
        admitted.push(name);
      };
      void take();
    };
    for (const name of ["a1", "a2", "a3", "a4"]) ask(name, greedy);
    ask("b1", modest);
    await settle();
    expect([admitted, greedy.leasedBytes]).toEqual([["a1", "a2", "a3"], 1500]);
    leases[0]!.release();
    await settle();
    expect(admitted.at(-1)).toBe("b1");
    for (const lease of leases) lease.release();
    await settle();
    expect(admitted).toContain("a4");
  });
});

describe("a body that does not come", () => {
  it("gives way after a second and a half where others wait, with a hint", async () => {
    const { clock, acquire, arrive } = openDoors(100);
    const silent = arrive(await leaseOf(acquire(60)));
    const waiting = acquire(60);
    await clock.advance(999);
    expect(silent.error).toBeUndefined();
    await clock.advance(600);
    expect(silent.error).toMatchObject({ kind: "refused", reason: "too_slow", retryAfterMs: 1000 });
    expect(waiting.lease).toBeDefined();
    expect(clock.timerCount).toBe(0);
  });

  it("stays where its bytes were there and we had no time to read them", async () => {
    const { clock, acquire, arrive } = openDoors(100);
    const body = arrive(await leaseOf(acquire(60)));
    acquire(60);
    await clock.advance(1_000);
    body.receivedSize += 1_000_000;
    await clock.advance(250);
    expect(body.error).toBeUndefined();
  });

  it("stays where nobody waits, and where its room would help nobody any more", async () => {
    const { clock, acquire, arrive } = openDoors(100);
    const [first, second] = [arrive(await leaseOf(acquire(50))), arrive(await leaseOf(acquire(50)))];
    await clock.advance(60_000);
    expect([first.error, second.error]).toEqual([undefined, undefined]);
    acquire(50);
    await clock.advance(1_600);
    expect([first.error, second.error].filter((error) => error !== undefined)).toHaveLength(1);
  });

  it("stays as long as it comes fast enough for its size, which a drip is not", async () => {
    const MIB = 1024 * 1024;
    const { clock, acquire, arrive } = openDoors(128 * MIB);
    const honest = arrive(await leaseOf(acquire(50 * MIB)));
    const drip = arrive(await leaseOf(acquire(50 * MIB)));
    acquire(60 * MIB);
    for (let second = 0; second < 3; second++) {
      honest.receivedSize += MIB;
      drip.receivedSize += 30_000;
      await clock.advance(1_000);
    }
    expect([honest.error, drip.error?.reason]).toEqual([undefined, "too_slow"]);
  });

  it("is judged by nothing while its own request waits for more room, and not once it is whole", async () => {
    const { clock, acquire, grow, arrive } = openDoors(100);
    const held = await leaseOf(acquire(30));
    const growing = arrive(held);
    const whole = await leaseOf(acquire(60));
    arrive(whole);
    whole.watch(undefined);
    const larger = grow(held, 60);
    await clock.advance(4_000);
    expect([growing.error, larger.error]).toEqual([undefined, undefined]);
    whole.release();
    await settle();
    expect(larger.lease).toBeDefined();
  });
});

describe("the step ahead", () => {
  it("is smaller where room is short", async () => {
    const { doors, acquire } = openDoors(1024 * 1024);
    expect(doors.stepBytes).toBe(256 * 1024);
    await leaseOf(acquire(600 * 1024));
    expect(doors.stepBytes).toBe(16 * 1024);
  });
});
