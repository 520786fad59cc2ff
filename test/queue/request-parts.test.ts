import { describe, expect, it, test } from "vitest";
import { ConsumeError } from "../../src/core/errors.ts";
import { SENT_WHOLE } from "../../src/core/sender.ts";
import type { OutgoingRequest, SendResult } from "../../src/core/sender.ts";
import { settle } from "../support/test-clock.ts";
import { LogStorage } from "./log-storage.ts";
import {
  admit,
  bodiesIn,
  ledgerLine,
  logsPayload,
  openQueues,
  queueConfig,
  retryConfig,
  TestSender,
  type TestDestination,
} from "./support.ts";

const BODIES = ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf"];

/** How a request comes to be sent in parts. */
const CUTS: readonly (readonly [string, Omit<TestDestination, "sender">, number])[] = [
  ["its backend finds it too large", {}, 2],
  ["batch.max_size", { queue: { batch: { min_size: 1, max_size: 2, flush_timeout: "1s" } } }, Infinity],
  ["the bytes that backends take", { requestBytesMax: 30 }, Infinity],
];

type Answer = SendResult | ConsumeError | "hang";

/** Takes so many requests of at most `itemsMax`, and answers the others with `then`. */
function takes(count: number, itemsMax: number, then: Answer): (request: OutgoingRequest) => Answer {
  let taken = 0;
  return ({ payload }) => {
    if (payload.itemCount > itemsMax) return new ConsumeError("too_large", "HTTP 413");
    taken += 1;
    return taken <= count ? SENT_WHOLE : then;
  };
}

function bodiesOf(sender: TestSender): string[] {
  return sender.taken.flatMap((payload) => bodiesIn(payload, BODIES));
}

const away = new ConsumeError("retryable", "HTTP 503");

describe.each(CUTS)("a request that is cut for %s", (_cut, destination, itemsMax) => {
  const open = async (sender: TestSender, storage: LogStorage) => {
    const opened = openQueues([{ id: "a", ...destination, sender }], { storage });
    await opened.queues.start();
    return opened;
  };

  test.each([0, 1, 2, 3])("goes on where it was after a crash: %i parts had arrived", async (count) => {
    const storage = new LogStorage();
    const dying = new TestSender().answer(takes(count, itemsMax, "hang"));
    const former = await open(dying, storage);
    await admit(former.queues, ["a"], logsPayload(BODIES));
    await settle();
    former.queues.ledger.balance();
    const arrived = bodiesOf(dying);
    expect(ledgerLine(former.queues, "a")).toMatchObject({ sent: arrived.length, in_flight: 7 - arrived.length });

    const sender = new TestSender().answer(takes(Infinity, itemsMax, "hang"));
    const next = await open(sender, storage);
    await settle();
    expect([...arrived, ...bodiesOf(sender)]).toEqual(BODIES);
    expect(ledgerLine(next.queues, "a")).toMatchObject({ carried_over: 7 - arrived.length, queued: 0, in_flight: 0 });
    next.queues.ledger.balance();
    expect(storage.liveEntries()).toEqual([]);
  });

  it("goes on where it was after a shutdown, whose ledger counts what arrived as sent", async () => {
    const storage = new LogStorage();
    const failing = new TestSender().answer(takes(1, itemsMax, away));
    const former = await open(failing, storage);
    await admit(former.queues, ["a"], logsPayload(BODIES));
    await settle();
    await former.queues.shutdown(AbortSignal.abort());
    const arrived = bodiesOf(failing);
    expect(arrived.length).toBeGreaterThan(0);
    expect(ledgerLine(former.queues, "a")).toMatchObject({ sent: arrived.length, queued: 7 - arrived.length });
    former.queues.ledger.balance();

    const sender = new TestSender().answer(takes(Infinity, itemsMax, "hang"));
    await open(sender, storage);
    await settle();
    expect([...arrived, ...bodiesOf(sender)]).toEqual(BODIES);
  });

  it("goes on where it was with the exporter that a reload brings", async () => {
    const failing = new TestSender().answer(takes(1, itemsMax, away));
    const { queues } = await open(failing, new LogStorage());
    await admit(queues, ["a"], logsPayload(BODIES));
    await settle();
    const arrived = bodiesOf(failing);
    const sender = new TestSender().answer(takes(Infinity, itemsMax, "hang"));
    const { queue, requestBytesMax = Infinity } = destination;
    const next = { id: "a", sender, queue: queueConfig(queue), retry: retryConfig(), timeoutMs: 0, requestBytesMax };
    const generation = queues.prepare([{ ...next, delivery: "required", signals: ["logs"] }]);
    queues.replace(generation, new AbortController().signal);
    await settle();
    await settle();
    expect(arrived.length).toBeGreaterThan(0);
    expect([...arrived, ...bodiesOf(sender)]).toEqual(BODIES);
    expect(queues.ledger.imbalances()).toEqual([]);
  });

  it("arrives once also where the storage cannot note what has arrived", async () => {
    const storage = new LogStorage();
    const sender = new TestSender().answer(takes(Infinity, itemsMax, "hang"));
    const { queues } = await open(sender, storage);
    const admitted = admit(queues, ["a"], logsPayload(BODIES));
    await admitted;
    storage.failures.push(new Error("ENOSPC"), new Error("ENOSPC"));
    await settle();
    expect(bodiesOf(sender)).toEqual(BODIES);
    expect(ledgerLine(queues, "a")).toMatchObject({ sent: 7, queued: 0, in_flight: 0 });
    queues.ledger.balance();
  });

  test.each(["requests", "items", "bytes"])(
    "has no more room than it had, in %s, and gives all of it back",
    async (sizer) => {
      const sender = new TestSender().answer(takes(1, itemsMax, "hang"));
      const queue = { ...destination.queue, sizer, queue_size: 10_000 };
      const { queues, meter } = openQueues([{ id: "a", ...destination, queue, sender }]);
      const used = (): number => meter.value("otelcol_exporter_queue_size{exporter=a,data_type=logs}") ?? Number.NaN;
      await queues.start();
      const payload = logsPayload(BODIES);
      await admit(queues, ["a"], payload);
      await settle();
      expect(used()).toBeGreaterThan(0);
      expect(used()).toBeLessThanOrEqual({ requests: 1, items: 7, bytes: payload.size }[sizer] ?? 0);
      sender.work();
      while (sender.openCount > 0) {
        sender.release();
        await settle();
      }
      expect(used()).toBe(0);
      queues.ledger.balance();
    },
  );
});

describe("a request of which nothing arrives", () => {
  it("is written once, however often it is cut: a backend that finds all too large costs one dead letter", async () => {
    const storage = new LogStorage();
    const { queues } = openQueues([{ id: "a", sender: new TestSender().fail("too_large", "HTTP 413") }], { storage });
    await queues.start();
    await admit(queues, ["a"], logsPayload(BODIES));
    await settle();
    expect(queues.deadLetters.box("a").letters()).toHaveLength(1);
    const records = [...storage.records.values()];
    expect(records.filter(({ kind }) => kind === "admission")).toHaveLength(1);
    queues.ledger.balance();
  });
});

describe("a request of very many parts", () => {
  it("has 256 entries at most in a record, and each part arrives once", async () => {
    const storage = new LogStorage();
    const sender = new TestSender();
    const batch = { min_size: 1, max_size: 1, flush_timeout: "1s" };
    const { queues } = openQueues([{ id: "a", sender, queue: { batch } }], { storage });
    await queues.start();
    const bodies = Array.from({ length: 1000 }, (_, index) => `body ${1000 + index}`);
    await admit(queues, ["a"], logsPayload(bodies));
    while (ledgerLine(queues, "a").in_flight > 0) await settle();
    expect(sender.taken.flatMap((payload) => bodiesIn(payload, bodies))).toEqual(bodies);
    const entries = [...storage.records.values()].map((record) => record.entries.length);
    expect(Math.max(...entries)).toBeLessThanOrEqual(256);
    queues.ledger.balance();
  });
});

describe("batches that are cut", () => {
  it("leave only the rest of all their entries, which is as old as the youngest of them", async () => {
    const storage = new LogStorage();
    const queue = { max_age: "1h", batch: { min_size: 7, flush_timeout: "1h" } };
    const failing = new TestSender().answer(takes(1, 4, away));
    const { queues, clock } = openQueues([{ id: "a", sender: failing, queue, requestBytesMax: 60 }], { storage });
    await queues.start();
    await admit(queues, ["a"], logsPayload(BODIES.slice(0, 3)));
    await clock.advance(60_000);
    await admit(queues, ["a"], logsPayload(BODIES.slice(3)));
    await settle();
    const admittedUnixMs = clock.nowMs();
    await queues.shutdown(AbortSignal.abort());
    const records = [...storage.records.values()].filter((record) => record.kind === "admission");
    const rests = records.filter(({ evicted }) => evicted.length > 0);
    expect(rests.map((record) => record.admittedUnixMs)).toEqual([Math.floor(admittedUnixMs / 1000) * 1000]);
    const sender = new TestSender();
    const next = openQueues([{ id: "a", sender }], { storage });
    await next.queues.start();
    await settle();
    expect([...bodiesOf(failing), ...bodiesOf(sender)]).toEqual(BODIES);
    next.queues.ledger.balance();
  });
});
