import { describe, expect, it } from "vitest";
import { ConsumeError } from "../../src/core/errors.ts";
import { DeadLetterDesk } from "../../src/queue/dead-letter-desk.ts";
import type { LetterSummary } from "../../src/queue/dead-letter-desk.ts";
import type { Queues } from "../../src/queue/queues.ts";
import { settle } from "../support/test-clock.ts";
import type { TestClock } from "../support/test-clock.ts";
import { LogStorage } from "./log-storage.ts";
import { admit, bodiesIn, logsPayload, openQueues, payloadOf, TestSender } from "./support.ts";

const HOUR_MS = 3_600_000;
const FOREVER = { max_elapsed_time: "0s" };

function deskOf(queues: Queues, clock: TestClock): DeadLetterDesk {
  return new DeadLetterDesk(
    queues.deadLetters,
    (destination, signal) => queues.replayTarget(destination, signal),
    clock,
  );
}

async function lettersOf(queues: Queues, clock: TestClock, filter: readonly string[] = []): Promise<LetterSummary[]> {
  const letters: LetterSummary[] = [];
  for await (const letter of deskOf(queues, clock).list(filter)) letters.push(letter);
  return letters;
}

function lineOf(queues: Queues, destination: string): Record<string, unknown> {
  const line = queues.ledger.snapshot().destinations.find((one) => one.destination === destination);
  return { ...line };
}

const never = new AbortController().signal;

describe("overflow: dead_letter", () => {
  it("makes nobody wait: the other destination gets everything at once, the overflow is kept in the same append", async () => {
    const storage = new LogStorage();
    const slow = new TestSender().hang();
    const fast = new TestSender();
    const { queues, clock } = openQueues(
      [
        { id: "slow", sender: slow, queue: { queue_size: 2, num_consumers: 1, overflow: "dead_letter" } },
        { id: "fast", sender: fast },
      ],
      { storage },
    );
    await queues.start();
    const nowMs = clock.nowMs();
    for (let items = 1; items <= 5; items += 1) await admit(queues, ["slow", "fast"], payloadOf(items));
    expect(clock.nowMs()).toBe(nowMs);
    expect(fast.takenItems).toBe(15);
    expect(storage.groups.filter(([record]) => record?.kind === "admission")).toHaveLength(5);
    expect(
      (await lettersOf(queues, clock)).map(({ items, reason, destination }) => [items, reason, destination]),
    ).toEqual([
      [3, "overflow", "slow"],
      [4, "overflow", "slow"],
      [5, "overflow", "slow"],
    ]);
    expect(lineOf(queues, "slow")).toMatchObject({ admitted: 15, dead_lettered: 12, in_flight: 1, queued: 2 });
    queues.ledger.balance();
  });

  it("comes back by a replay when there is room, once, also after a restart, and the ledger balances over both runs", async () => {
    const storage = new LogStorage();
    const queue = { queue_size: 1, num_consumers: 1, overflow: "dead_letter" };
    const first = openQueues([{ id: "a", sender: new TestSender().hang(), queue }], { storage });
    await first.queues.start();
    for (const items of [1, 2, 3]) await admit(first.queues, ["a"], payloadOf(items));
    await first.queues.shutdown(AbortSignal.abort());

    const sender = new TestSender();
    const { queues, clock } = openQueues([{ id: "a", sender, queue: { ...queue, queue_size: 10 } }], { storage });
    await queues.start();
    await settle();
    expect(sender.takenItems).toBe(1);
    const desk = deskOf(queues, clock);
    const both = await Promise.all([desk.replay([], never), desk.replay([], never)]);
    expect(both.reduce((sum, { letters }) => sum + letters, 0)).toBe(2);
    await settle();
    expect(sender.takenItems).toBe(6);
    expect(await lettersOf(queues, clock)).toEqual([]);
    expect(lineOf(queues, "a")).toMatchObject({ carried_over: 1, replayed: 5, sent: 6 });
    queues.ledger.balance();
    await queues.shutdown(never);
    const third = openQueues([{ id: "a", sender: new TestSender(), queue }], { storage });
    await third.queues.start();
    expect(await lettersOf(third.queues, third.clock)).toEqual([]);
    third.queues.ledger.balance();
  });

  it("is refused as dead letters too where the storage cannot write, and takes no room then", async () => {
    const storage = new LogStorage();
    const queue = { queue_size: 1, num_consumers: 1, overflow: "dead_letter" };
    const { queues, clock, meter } = openQueues([{ id: "a", sender: new TestSender().hang(), queue }], { storage });
    await queues.start();
    await admit(queues, ["a"], payloadOf(1));
    storage.failures.push(new Error("EIO"));
    await expect(admit(queues, ["a"], payloadOf(2))).rejects.toThrow("cannot write");
    expect(await lettersOf(queues, clock)).toEqual([]);
    expect(meter.value("signalbox_dead_letter_bytes{exporter=a}")).toBe(0);
    queues.ledger.balance();
  });
});

describe("what a backend will never take", () => {
  it("is kept where it lies, with the backend's words and the attempts, and can be replayed when that is mended", async () => {
    const storage = new LogStorage();
    let isMended = false;
    const sender = new TestSender().answer(() =>
      isMended ? { rejectedItems: 0, message: "" } : new ConsumeError("permanent", "400 no such dataset"),
    );
    const { queues, clock, logger } = openQueues([{ id: "a", sender }], { storage });
    await queues.start();
    await admit(queues, ["a"], payloadOf(4));
    await settle();
    const letters = await lettersOf(queues, clock);
    expect(letters).toMatchObject([
      { destination: "a", signal: "logs", items: 4, reason: "rejected", attempts: 1, message: "400 no such dataset" },
    ]);
    expect(logger.matching(/4 items rejected: 400 no such dataset; kept as dead letters/)).toHaveLength(1);
    expect(storage.records.size).toBe(2);
    expect(lineOf(queues, "a")).toMatchObject({ rejected: 0, dead_lettered: 4 });
    await deskOf(queues, clock).replay([], never);
    await settle();
    const [again] = await lettersOf(queues, clock);
    expect(again).toMatchObject({ id: letters[0]!.id, replays: 1 });
    isMended = true;
    await deskOf(queues, clock).replay([`id=${again!.id}`], never);
    await settle();
    expect(sender.takenItems).toBe(4);
    expect(lineOf(queues, "a")).toMatchObject({ admitted: 4, replayed: 8, dead_lettered: 8, sent: 4 });
    queues.ledger.balance();
  });

  it("is kept in part where the rest was taken: a request split for its size keeps its one bad record", async () => {
    const storage = new LogStorage();
    const sender = new TestSender().answer(({ payload }) => {
      if (bodiesIn(payload, ["bad"]).length === 0) return { rejectedItems: 0, message: "" };
      return new ConsumeError("too_large", "413");
    });
    const { queues, clock } = openQueues([{ id: "a", sender }], { storage });
    await queues.start();
    await admit(queues, ["a"], logsPayload(["one", "bad", "two", "six"]));
    await settle();
    expect(await lettersOf(queues, clock)).toMatchObject([{ items: 1, reason: "rejected", message: "413" }]);
    expect(lineOf(queues, "a")).toMatchObject({ sent: 3, dead_lettered: 1 });
    queues.ledger.balance();
    await queues.shutdown(never);
    const again = openQueues([{ id: "a", sender: new TestSender() }], { storage });
    await again.queues.start();
    const [letter] = again.queues.deadLetters.box("a").letters();
    expect(JSON.stringify(await again.queues.deadLetters.read(letter!))).toContain("bad");
    again.queues.ledger.balance();
  });

  it("is counted as rejected, and not kept, where dead letters are off, and in memory where nobody asked for them", async () => {
    for (const queue of [{ dead_letters: { rejected: false } }, { dead_letters: { enabled: false } }]) {
      const { queues, clock } = openQueues([{ id: "a", sender: new TestSender().fail("permanent"), queue }], {
        storage: new LogStorage(),
      });
      await queues.start();
      await admit(queues, ["a"], payloadOf(4));
      await settle();
      expect(await lettersOf(queues, clock)).toEqual([]);
      expect(lineOf(queues, "a")).toMatchObject({ rejected: 4, dead_lettered: 0 });
      queues.ledger.balance();
    }
    const { queues, clock } = openQueues([{ id: "a", sender: new TestSender().fail("permanent") }]);
    await queues.start();
    await admit(queues, ["a"], payloadOf(4));
    await settle();
    expect(await lettersOf(queues, clock)).toEqual([]);
  });

  it("waits in the hands of its consumer while the storage cannot write it, and is kept when that is over", async () => {
    const storage = new LogStorage();
    const sender = new TestSender().answer(({ payload }) =>
      bodiesIn(payload, ["bad"]).length === 0
        ? { rejectedItems: 0, message: "" }
        : new ConsumeError("too_large", "413"),
    );
    const { queues, clock } = openQueues([{ id: "a", sender }], { storage });
    await queues.start();
    await admit(queues, ["a"], logsPayload(["one", "bad"]));
    storage.failures.push(new Error("ENOSPC"));
    await settle();
    queues.ledger.balance();
    await clock.advance(2_000);
    expect(await lettersOf(queues, clock)).toHaveLength(1);
    queues.ledger.balance();
  });
});

describe("a partial success", () => {
  it("is counted and not kept, unless asked; kept, it is marked and left out of a replay that does not name it", async () => {
    const rejecting = new TestSender().answer(() => ({ rejectedItems: 1, message: "1 too old" }));
    const plain = openQueues([{ id: "a", sender: rejecting }], { storage: new LogStorage() });
    await plain.queues.start();
    await admit(plain.queues, ["a"], payloadOf(3));
    await settle();
    expect(await lettersOf(plain.queues, plain.clock)).toEqual([]);

    const queue = { dead_letters: { partial_success: true } };
    const { queues, clock } = openQueues([{ id: "a", sender: rejecting, queue }], { storage: new LogStorage() });
    await queues.start();
    await admit(queues, ["a"], payloadOf(3));
    await settle();
    expect(await lettersOf(queues, clock)).toMatchObject([
      { reason: "partial_success", items: 3, message: "1 too old" },
    ]);
    expect(lineOf(queues, "a")).toMatchObject({ sent: 2, rejected: 1, dead_lettered: 0 });
    expect(await deskOf(queues, clock).replay([], never)).toMatchObject({ letters: 0, leftOutLetters: 1 });
    rejecting.work();
    expect(await deskOf(queues, clock).replay(["reason=partial_success"], never)).toMatchObject({
      letters: 1,
      items: 3,
    });
    await settle();
    expect(lineOf(queues, "a")).toMatchObject({ sent: 5, rejected: 1, replayed: 3 });
    queues.ledger.balance();
  });
});

describe("age", () => {
  it("expires into dead letters what waited longer than max_age for a backend that was away, and sends the rest", async () => {
    const sender = new TestSender().fail("retryable");
    const queue = { max_age: "6h", num_consumers: 1 };
    const { queues, clock } = openQueues([{ id: "a", sender, queue, retry: FOREVER }], { storage: new LogStorage() });
    await queues.start();
    for (const items of [1, 2]) await admit(queues, ["a"], payloadOf(items));
    await clock.advance(3 * HOUR_MS);
    await admit(queues, ["a"], payloadOf(4));
    await clock.advance(3 * HOUR_MS + 60_000);
    expect((await lettersOf(queues, clock)).map(({ items, reason }) => [items, reason])).toEqual([
      [1, "too_old"],
      [2, "too_old"],
    ]);
    sender.work();
    await clock.advance(60_000);
    expect(sender.takenItems).toBe(4);
    expect(lineOf(queues, "a")).toMatchObject({ admitted: 7, sent: 4, dead_lettered: 3 });
    queues.ledger.balance();
  });

  it("expires nothing early, whatever part of a second it was admitted in, over a restart too", async () => {
    const storage = new LogStorage();
    const queue = { max_age: "3s" };
    const settings = { queue, retry: { ...FOREVER, initial_interval: "100ms", max_interval: "100ms" } };
    const sender = new TestSender().fail("retryable");
    const first = openQueues([{ id: "a", sender, ...settings }], { storage });
    const { clock } = first;
    await first.queues.start();
    await clock.advance(900 + 1000 - (clock.nowMs() % 1000));
    await admit(first.queues, ["a"], payloadOf(3));
    await clock.advance(1000);
    await first.queues.shutdown(AbortSignal.abort());
    const { queues } = openQueues([{ id: "a", sender, ...settings }], { storage, clock });
    await queues.start();
    for (let waitedMs = 1000; waitedMs < 2900; waitedMs += 100) await clock.advance(100);
    expect(await lettersOf(queues, clock)).toEqual([]);
    for (let waitedMs = 0; waitedMs < 1200; waitedMs += 100) await clock.advance(100);
    expect(await lettersOf(queues, clock)).toMatchObject([{ reason: "too_old", items: 3 }]);
  });

  it("counts on after a restart, and anew from a replay", async () => {
    const storage = new LogStorage();
    const queue = { max_age: "1h" };
    const first = openQueues([{ id: "a", sender: new TestSender().fail("retryable"), queue, retry: FOREVER }], {
      storage,
    });
    await first.queues.start();
    await admit(first.queues, ["a"], payloadOf(3));
    await first.queues.shutdown(AbortSignal.abort());
    const { clock } = first;
    await clock.advance(2 * HOUR_MS);
    const sender = new TestSender();
    const { queues } = openQueues([{ id: "a", sender, queue }], { storage, clock });
    await queues.start();
    await settle();
    expect(sender.requests).toEqual([]);
    expect(await lettersOf(queues, clock)).toMatchObject([{ reason: "too_old", attempts: 0, items: 3 }]);
    await deskOf(queues, clock).replay([], never);
    await settle();
    expect(sender.takenItems).toBe(3);
    queues.ledger.balance();
  });

  it("lets what max_elapsed_time gave up become a dead letter, with its attempts", async () => {
    const sender = new TestSender().fail("retryable");
    const { queues, clock } = openQueues([{ id: "a", sender, retry: { max_elapsed_time: "40s" } }], {
      storage: new LogStorage(),
    });
    await queues.start();
    await admit(queues, ["a"], payloadOf(3));
    await clock.advance(60_000);
    const [letter] = await lettersOf(queues, clock);
    expect(letter).toMatchObject({ reason: "retries_ended", items: 3, attempts: sender.requests.length });
    expect(lineOf(queues, "a")).toMatchObject({ expired: 0, dead_lettered: 3 });
    queues.ledger.balance();
  });

  it("expires a million entries without one write of a million", async () => {
    const storage = new LogStorage();
    const queue = { max_age: "1h", queue_size: 10_000, num_consumers: 4 };
    const first = openQueues([{ id: "a", sender: new TestSender().hang(), queue }], { storage });
    await first.queues.start();
    for (let count = 0; count < 500; count += 1) await admit(first.queues, ["a"], payloadOf(1));
    await first.queues.shutdown(AbortSignal.abort());
    await first.clock.advance(2 * HOUR_MS);
    const { queues } = openQueues([{ id: "a", queue }], { storage, clock: first.clock });
    await queues.start();
    await first.clock.advance(1_000);
    expect(lineOf(queues, "a")).toMatchObject({ dead_lettered: 500, queued: 0 });
    expect(Math.max(...storage.groups.map((group) => group.length))).toBeLessThanOrEqual(8);
  });
});

describe("the bound", () => {
  async function reject(
    config: Record<string, unknown>,
    items: readonly number[],
    storage = new LogStorage(),
  ): Promise<ReturnType<typeof openQueues>> {
    const opened = openQueues(
      [{ id: "a", sender: new TestSender().fail("permanent"), queue: { num_consumers: 1, dead_letters: config } }],
      { storage },
    );
    await opened.queues.start();
    for (const count of items) {
      await admit(opened.queues, ["a"], payloadOf(count, count * 1024));
      await settle();
    }
    return opened;
  }

  it("lets the oldest leave, counted and said once, by bytes and by count", async () => {
    for (const config of [{ max_size: "9KiB" }, { max_count: 3 }]) {
      const { queues, clock, meter, logger } = await reject(config, [1, 2, 3, 4, 1]);
      const items = (await lettersOf(queues, clock)).map((letter) => letter.items);
      expect(items).toEqual([3, 4, 1]);
      expect(meter.value("signalbox_evicted_dead_letter_items{exporter=a,data_type=logs}")).toBe(3);
      expect(meter.value("signalbox_dead_letters{exporter=a}")).toBe(3);
      expect(meter.value("signalbox_dead_lettered_items{exporter=a,data_type=logs,reason=rejected}")).toBe(11);
      expect(logger.matching(/dead letters are full .*the oldest leave/).length).toBeGreaterThanOrEqual(1);
      queues.ledger.balance();
    }
  });

  it("leaves a sum that a reader can make: what went there is what was replayed, evicted, dropped, or is there, over restarts too", async () => {
    const storage = new LogStorage();
    const first = await reject({ max_count: 2 }, [1, 2, 3, 4], storage);
    const desk = deskOf(first.queues, first.clock);
    const [oldest] = await lettersOf(first.queues, first.clock);
    expect(await desk.drop([`id=${oldest!.id}`])).toEqual({ letters: 1, items: 3 });
    const line = {
      destination: "a",
      signal: "logs",
      carried_over: 0,
      added: 10,
      replayed: 0,
      evicted: 3,
      dropped: 3,
      kept: 4,
    };
    expect(first.queues.ledger.snapshot().dead_letters).toEqual([line]);
    await first.queues.shutdown(never);

    const second = await reject({ max_count: 2 }, [], storage);
    expect(second.queues.ledger.snapshot("ever").dead_letters).toEqual([line]);
    await deskOf(second.queues, second.clock).replay([], never);
    await settle();
    expect(second.queues.ledger.snapshot().dead_letters).toEqual([
      { ...line, carried_over: 4, added: 4, replayed: 4, evicted: 0, dropped: 0, kept: 4 },
    ]);
    expect(second.queues.ledger.snapshot("ever").dead_letters).toEqual([{ ...line, added: 14, replayed: 4 }]);
  });

  it("keeps what there is where it says so, and counts the newest as rejected", async () => {
    const { queues, clock } = await reject({ max_count: 2, when_full: "drop_newest" }, [1, 2, 3]);
    expect((await lettersOf(queues, clock)).map(({ items }) => items)).toEqual([1, 2]);
    expect(lineOf(queues, "a")).toMatchObject({ dead_lettered: 3, rejected: 3 });
    queues.ledger.balance();
  });

  it("keeps nothing that is larger than the whole", async () => {
    const { queues, clock } = await reject({ max_size: "3KiB" }, [1, 4]);
    expect((await lettersOf(queues, clock)).map(({ items }) => items)).toEqual([1]);
    expect(lineOf(queues, "a")).toMatchObject({ dead_lettered: 1, rejected: 4 });
    queues.ledger.balance();
  });
});

describe("a replay", () => {
  it("waits for room as senders do, says what found none, and leaves that where it is", async () => {
    const storage = new LogStorage();
    const sender = new TestSender().hang();
    const queue = { queue_size: 2, num_consumers: 1, overflow: "dead_letter" };
    const { queues, clock } = openQueues([{ id: "a", sender, queue }], { storage });
    await queues.start();
    for (const items of [1, 2, 3, 4, 5]) await admit(queues, ["a"], payloadOf(items));
    await settle();
    const replay = deskOf(queues, clock).replay([], never);
    await settle();
    sender.release();
    await clock.advance(30_000);
    const report = await replay;
    expect(report).toMatchObject({ letters: 1, items: 3 });
    expect(report.refused).toMatchObject([
      { destination: "a", letters: 2, reason: expect.stringContaining("no room") },
    ]);
    expect((await lettersOf(queues, clock)).map(({ items }) => items)).toEqual([4, 5]);
    queues.ledger.balance();
  });

  it("says of a destination that is gone that it is, and keeps its letters", async () => {
    const storage = new LogStorage();
    const first = openQueues([{ id: "old", sender: new TestSender().fail("permanent") }], { storage });
    await first.queues.start();
    await admit(first.queues, ["old"], payloadOf(1));
    await settle();
    await first.queues.shutdown(never);
    const { queues, clock } = openQueues([{ id: "new" }], { storage });
    await queues.start();
    expect((await deskOf(queues, clock).replay([], never)).refused).toEqual([
      { destination: "old", letters: 1, reason: "old is not configured for logs" },
    ]);
    expect(await lettersOf(queues, clock)).toHaveLength(1);
  });

  it("chooses by destination, signal, reason, time, id, and by the job id or an attribute of a record", async () => {
    const { queues, clock } = openQueues(
      ["a", "b"].map((id) => ({ id, sender: new TestSender().fail("permanent") })),
      { storage: new LogStorage() },
    );
    await queues.start();
    await admit(queues, ["a", "b"], payloadOf(1, 0));
    await settle();
    await clock.advance(HOUR_MS);
    await admit(queues, ["a"], payloadOf(2, 0));
    await settle();
    const count = async (...filter: string[]): Promise<number> => (await lettersOf(queues, clock, filter)).length;
    expect(await count("destination=a")).toBe(2);
    expect(await count("destination=a", "until=30m")).toBe(1);
    expect(await count("since=30m")).toBe(1);
    expect(await count("signal=traces")).toBe(0);
    expect(await count("reason=rejected")).toBe(3);
    expect(await count("job=job-1")).toBe(0);
    expect(await count(`id=${(await lettersOf(queues, clock))[0]!.id}`)).toBe(1);
    await expect(count("destnation=a")).rejects.toThrow('no key "destnation"\n  did you mean destination?');
    await expect(count("reason=rejcted")).rejects.toThrow("did you mean rejected?");
    await expect(count("since=yesterday")).rejects.toThrow(/write a span before now/);
    await expect(count("a")).rejects.toThrow("is not key=value");
    expect(await deskOf(queues, clock).drop(["destination=b"])).toEqual({ letters: 1, items: 1 });
    expect(await count()).toBe(2);
    queues.ledger.balance();
  });
});
