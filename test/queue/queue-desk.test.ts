import { describe, expect, test } from "vitest";
import { DeadLetterDesk } from "../../src/queue/dead-letter-desk.ts";
import type { DestinationSettings } from "../../src/queue/queues.ts";
import { LogStorage } from "./log-storage.ts";
import {
  admit,
  ledgerLine,
  openQueues,
  payloadOf,
  queueConfig,
  retryConfig,
  TestSender,
  type TestQueues,
} from "./support.ts";

const FOREVER = new AbortController().signal;

function destination(id: string, sender: TestSender, queue: Record<string, unknown> = {}): DestinationSettings {
  const retry = retryConfig({ max_elapsed_time: "0s" });
  const config = queueConfig({ num_consumers: 1, ...queue });
  return { id, sender, queue: config, retry, timeoutMs: 0, delivery: "required", signals: ["logs"] };
}

interface Parked extends TestQueues {
  readonly storage: LogStorage;
  readonly heir: TestSender;
}

/** `a` was taken away with these requests in its queue; `b` is there. */
async function park(sizes: readonly number[], queue: Record<string, unknown> = {}): Promise<Parked> {
  const storage = new LogStorage();
  const opened = openQueues([], { storage });
  const { queues } = opened;
  const away = new TestSender().fail("retryable");
  const heir = new TestSender();
  queues.replace(queues.prepare([destination("a", away), destination("b", heir, queue)]), FOREVER);
  await queues.start();
  for (const size of sizes) await admit(queues, ["a"], payloadOf(size));
  await settle();
  queues.replace(queues.prepare([destination("b", heir, queue)]), FOREVER);
  await settle();
  return { ...opened, storage, heir };
}

/** Lets everything that needs no time happen. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 200; turn += 1) await Promise.resolve();
}

describe("the queues that a command sees", () => {
  test("are those in use, with what they hold, and those that are parked, with the age of the oldest", async () => {
    const { queues, clock } = await park([1, 2, 3]);
    const since = new Date(Math.floor(clock.nowMs() / 1000) * 1000).toISOString();
    await clock.advance(5000);
    const inUse = { destination: "b", signal: "logs", state: "in_use", size: 0, capacity: 1000, sizer: "requests" };
    expect(queues.desk().list()).toEqual([
      { destination: "a", signal: "logs", state: "parked", queued: 6, in_flight: 0, oldest: since },
      { ...inUse, queued: 0, in_flight: 0 },
    ]);
  });

  test("are named too where senders wait for the destination itself", async () => {
    const { queues } = openQueues([{ id: "direct", queue: { enabled: false } }]);
    await queues.start();
    expect(queues.desk().list()).toEqual([
      { destination: "direct", signal: "logs", state: "no_queue", queued: 0, in_flight: 0 },
    ]);
  });
});

describe("what is parked and moved to another destination", () => {
  test("is sent there once, oldest first, is evicted{moved} here and replayed there, and nothing of it is parked", async () => {
    const { queues, heir, storage } = await park([1, 2, 3]);
    expect(await queues.desk().move("a", "b", FOREVER)).toEqual({ items: 6, stay: [] });
    await settle();
    expect(heir.taken.map(({ itemCount }) => itemCount)).toEqual([1, 2, 3]);
    expect(ledgerLine(queues, "a")).toMatchObject({ admitted: 6, evicted: { moved: 6 }, queued: 0, in_flight: 0 });
    expect(ledgerLine(queues, "b")).toMatchObject({ admitted: 0, replayed: 6, sent: 6, queued: 0 });
    expect(queues.ledger.imbalances()).toEqual([]);
    expect(storage.liveEntries()).toEqual([]);
    expect(
      queues
        .desk()
        .list()
        .map((queue) => queue.destination),
    ).toEqual(["b"]);
  });

  test("is in one place or the other after a crash at any write, and the ledger holds over all runs", async () => {
    for (let kept = 0; kept <= 3; kept += 1) {
      const { queues, heir, storage } = await park([1, 2, 3]);
      heir.hang();
      storage.isHoldingAppends = true;
      void queues.desk().move("a", "b", FOREVER);
      await settle();
      const records = storage.groups.at(-1)!;
      expect(records).toHaveLength(1);
      for (let append = 0; append < kept; append += 1) {
        storage.releaseAppend();
        await settle();
      }
      // The process is gone here; the next one reads what the storage holds.
      storage.isHoldingAppends = false;
      const next = new TestSender().hang();
      const again = openQueues([], { storage });
      again.queues.replace(again.queues.prepare([destination("b", next)]), FOREVER);
      await again.queues.start();
      const inB = ledgerLine(again.queues, "b").queued + ledgerLine(again.queues, "b").in_flight;
      expect(ledgerLine(again.queues, "a").queued + inB).toBe(6);
      expect(inB > 0).toBe(kept > 0);
      expect(again.queues.ledger.imbalances()).toEqual([]);
    }
  });

  test("stays parked, in its order, where the storage cannot write, and says why", async () => {
    const { queues, storage } = await park([1, 2]);
    storage.failures.push(new Error("no space left"), new Error("no space left"));
    const { items, stay } = await queues.desk().move("a", "b", FOREVER);
    expect([items, stay]).toEqual([
      0,
      [{ signal: "logs", items: 3, reason: expect.stringContaining("no space left") as string }],
    ]);
    expect(ledgerLine(queues, "a")).toMatchObject({ queued: 3, evicted: {} });
    expect(queues.ledger.imbalances()).toEqual([]);
    expect(await queues.desk().move("a", "b", FOREVER)).toEqual({ items: 3, stay: [] });
  });

  test("waits for room like a sender, and stays parked where there is none for ten seconds", async () => {
    const { queues, clock, heir } = await park([1, 2, 3], { queue_size: 1 });
    heir.hang();
    const move = queues.desk().move("a", "b", FOREVER);
    await settle();
    await clock.advance(10_000);
    const { items, stay } = await move;
    expect(items).toBe(1);
    expect(stay).toEqual([
      { signal: "logs", items: 5, reason: expect.stringContaining("no room in the sending queue of b") as string },
    ]);
    heir.work().release();
    await settle();
    expect(await queues.desk().move("a", "b", FOREVER)).toEqual({ items: 5, stay: [] });
    await settle();
    expect(heir.taken.map(({ itemCount }) => itemCount)).toEqual([1, 2, 3]);
    expect(queues.ledger.imbalances()).toEqual([]);
  });

  test("stays where it alone is too large for the other queue, or damaged; the rest goes", async () => {
    const { queues, storage, heir } = await park([1, 20, 3], { queue_size: 10, sizer: "items" });
    storage.damaged.add("1.0");
    const { items, stay } = await queues.desk().move("a", "b", FOREVER);
    await settle();
    expect(items).toBe(3);
    expect(stay).toMatchObject([{ items: 21 }]);
    expect(heir.takenItems).toBe(3);
    expect(queues.ledger.imbalances()).toEqual([]);
  });

  test("goes to its own destination where that is configured again meanwhile, and nothing twice", async () => {
    const { queues, storage, heir } = await park([1, 2, 3]);
    storage.isHoldingAppends = true;
    const move = queues.desk().move("a", "b", FOREVER);
    await settle();
    const back = new TestSender();
    queues.replace(queues.prepare([destination("a", back), destination("b", heir)]), FOREVER);
    storage.isHoldingAppends = false;
    storage.releaseAppend(new Error("no space left"));
    await settle();
    while (storage.heldAppendCount > 0) storage.releaseAppend();
    await move;
    await settle();
    expect(back.takenItems + heir.takenItems).toBe(6);
    expect(back.takenItems).toBeGreaterThan(0);
    expect(queues.ledger.imbalances()).toEqual([]);
  });
});

describe("what is parked and dropped", () => {
  test("is gone for good, as dropped{by_command}", async () => {
    const { queues, storage } = await park([1, 2, 3]);
    expect(await queues.desk().drop("a")).toEqual({ items: 6, stay: [] });
    expect(ledgerLine(queues, "a")).toMatchObject({ dropped: { by_command: 6 }, queued: 0 });
    expect(queues.ledger.imbalances()).toEqual([]);
    expect(storage.liveEntries()).toEqual([]);
  });

  test("stays where the storage cannot write", async () => {
    const { queues, storage } = await park([1, 2]);
    storage.failures.push(new Error("no space left"));
    await expect(queues.desk().drop("a")).rejects.toThrow("no space left");
    expect(ledgerLine(queues, "a")).toMatchObject({ dropped: {}, queued: 3 });
    expect(queues.ledger.imbalances()).toEqual([]);
  });
});

describe("a command about queues", () => {
  test("is refused where the destination is configured, nothing is parked, or the other one cannot take it", async () => {
    const { queues } = await park([1]);
    const desk = queues.desk();
    await expect(desk.drop("b")).rejects.toThrow("b is configured, so its queue is not parked");
    await expect(desk.move("b", "a", FOREVER)).rejects.toThrow("b is configured, so its queue is not parked");
    await expect(desk.drop("otlp")).rejects.toThrow("nothing is parked for otlp");
    await expect(desk.move("a", "c", FOREVER)).rejects.toThrow("c is not configured for logs, so it cannot take");
    await expect(desk.move("a", "a", FOREVER)).rejects.toThrow("a cannot inherit from itself");
    expect(ledgerLine(queues, "a")).toMatchObject({ queued: 1 });
  });
});

describe("what is parked and made dead letters", () => {
  test("can be looked at, is replayed when its destination is back, and the ledger holds over both runs", async () => {
    const { queues, storage } = await park([1, 2, 3]);
    expect(await queues.desk().bury("a")).toEqual({ items: 6, stay: [] });
    const letters = queues.deadLetters.box("a").letters();
    expect(letters.map(({ itemCount, mark }) => [itemCount, mark.reason, mark.message])).toEqual([
      [1, "parked", "a is not configured"],
      [2, "parked", "a is not configured"],
      [3, "parked", "a is not configured"],
    ]);
    expect(ledgerLine(queues, "a")).toMatchObject({ admitted: 6, dead_lettered: 6, queued: 0, in_flight: 0 });
    expect(queues.ledger.snapshot().dead_letters).toMatchObject([{ destination: "a", added: 6, kept: 6 }]);
    expect(queues.ledger.imbalances()).toEqual([]);
    await queues.shutdown(AbortSignal.abort());

    const back = new TestSender();
    const next = openQueues([{ id: "a", sender: back }], { storage });
    await next.queues.start();
    expect(back.taken).toEqual([]);
    const desk = new DeadLetterDesk(
      next.queues.deadLetters,
      (to, signal) => next.queues.replayTarget(to, signal),
      next.clock,
    );
    expect(await desk.replay([], FOREVER)).toMatchObject({ letters: 3, items: 6 });
    await settle();
    expect(back.takenItems).toBe(6);
    expect(next.queues.ledger.imbalances()).toEqual([]);
  });

  test("leaves parked what finds no room there, and no other letter leaves for it", async () => {
    const { queues } = await park([1, 2, 3]);
    queues.deadLetters.box("a").configure({ ...queueConfig({}).dead_letters, max_count: 2 });
    expect(await queues.desk().bury("a")).toEqual({
      items: 3,
      stay: [{ signal: "logs", items: 3, reason: expect.stringMatching(/^its dead letters are full/) }],
    });
    expect(await queues.desk().bury("a")).toMatchObject({ items: 0, stay: [{ items: 3 }] });
    expect(ledgerLine(queues, "a")).toMatchObject({ dead_lettered: 3, queued: 3 });
    expect(queues.ledger.imbalances()).toEqual([]);
  });

  test("stays parked where it cannot be written", async () => {
    const { queues, storage } = await park([1, 2]);
    storage.failures.push(new Error("EIO"));
    await expect(queues.desk().bury("a")).rejects.toThrow("EIO");
    expect(queues.deadLetters.box("a").letters()).toEqual([]);
    expect(await queues.desk().bury("a")).toEqual({ items: 3, stay: [] });
    expect(queues.ledger.imbalances()).toEqual([]);
  });
});
