import { describe, expect, it } from "vitest";
import { ClientMetadata } from "../../src/core/client-metadata.ts";
import { ConsumeError } from "../../src/core/errors.ts";
import { SENT_WHOLE } from "../../src/core/sender.ts";
import { settle, TestClock } from "../support/test-clock.ts";
import { LogStorage } from "./log-storage.ts";
import { admit, bodiesIn, ledgerLine, logsPayload, openQueues, payloadOf, TestSender, watch } from "./support.ts";

/** One destination "a" that is started. */
const bodies = ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf"];

async function openOne(settings: Parameters<typeof openQueues>[0][number] & { sender: TestSender }) {
  const opened = openQueues([{ id: "a", ...settings }]);
  await opened.queues.start();
  return { ...opened, sender: settings.sender };
}

function clientOf(tenant: string): ClientMetadata {
  const headers = { "x-tenant": [tenant], authorization: ["secret"] };
  return new ClientMetadata("grpc", "10.0.0.1", new Map(Object.entries(headers)));
}

describe("the sending queue", () => {
  it("sends what it holds, and counts it as sent", async () => {
    const { queues, meter, sender } = await openOne({ sender: new TestSender() });
    await admit(queues, ["a"], payloadOf(3));
    await settle();
    expect(sender.takenItems).toBe(3);
    expect(ledgerLine(queues, "a")).toMatchObject({ admitted: 3, sent: 3, queued: 0, in_flight: 0 });
    expect(meter.value("otelcol_exporter_sent_log_records{exporter=a}")).toBe(3);
    queues.ledger.balance();
  });

  it("sends at most num_consumers requests at a time, and a hung backend holds no more than these", async () => {
    const { queues, meter, sender } = await openOne({ sender: new TestSender().hang(), queue: { num_consumers: 2 } });
    for (let count = 0; count < 5; count++) await admit(queues, ["a"]);
    await settle();
    expect(sender.openCount).toBe(2);
    expect(meter.value("otelcol_exporter_in_flight_requests{exporter=a,data_type=logs}")).toBe(2);
    expect(meter.value("otelcol_exporter_queue_size{exporter=a,data_type=logs}")).toBe(5);
    expect(meter.value("otelcol_exporter_queue_capacity{exporter=a,data_type=logs}")).toBe(1000);
    sender.release();
    await settle();
    expect(sender.openCount).toBe(2);
    expect(ledgerLine(queues, "a")).toMatchObject({ sent: 1, queued: 2, in_flight: 2 });
    queues.ledger.balance();
  });

  it("gives room back when a request is done, and admits who waited", async () => {
    const { queues, sender } = await openOne({ sender: new TestSender().hang(), queue: { queue_size: 1 } });
    await admit(queues, ["a"]);
    const waiting = watch(admit(queues, ["a"]));
    await settle();
    expect(waiting.state).toBe("pending");
    sender.release();
    await settle();
    expect(waiting.state).toBe("ok");
  });

  it("counts what a backend rejected in part as rejected", async () => {
    const sender = new TestSender().answer(() => ({ rejectedItems: 2, message: "too old" }));
    const { queues, logger, meter } = await openOne({ sender });
    await admit(queues, ["a"], payloadOf(5));
    await settle();
    expect(ledgerLine(queues, "a")).toMatchObject({ sent: 3, rejected: 2 });
    expect(meter.value("otelcol_exporter_send_failed_log_records{exporter=a}")).toBe(2);
    expect(logger.lines).toEqual(["error destination a: 2 items rejected: too old"]);
  });

  it("rejects, counts and goes on when a backend says that it will never take a request; it says so once", async () => {
    const { queues, logger } = await openOne({ sender: new TestSender().fail("permanent", "HTTP 400: bad") });
    for (let count = 0; count < 3; count++) await admit(queues, ["a"], payloadOf(2));
    await settle();
    expect(ledgerLine(queues, "a")).toMatchObject({ rejected: 6, queued: 0, in_flight: 0 });
    expect(logger.lines).toEqual(["error destination a: 2 items rejected: HTTP 400: bad"]);
    queues.ledger.balance();
  });

  it("takes what an exporter throws, that is no ConsumeError, for a rejection", async () => {
    const sender = new TestSender().answer(() => {
      throw new TypeError("x is undefined");
    });
    const { queues } = await openOne({ sender });
    await admit(queues, ["a"]);
    await settle();
    expect(ledgerLine(queues, "a")).toMatchObject({ rejected: 1, in_flight: 0 });
  });
});

describe("retries", () => {
  it("waits 5 s, then 1.5 times as long each time, up to 30 s", async () => {
    const { queues, clock, sender } = await openOne({ sender: new TestSender().fail("retryable") });
    const startMs = clock.nowMs();
    await admit(queues, ["a"]);
    const times: number[] = [];
    for (let count = 0; count < 6; count++) {
      await settle();
      times.push(clock.nowMs() - startMs);
      expect(sender.requests.length).toBe(count + 1);
      await clock.advanceToNext();
    }
    const waits = times.slice(1).map((time, index) => time - times[index]!);
    expect(waits).toEqual([5000, 7500, 11_250, 16_875, 25_312.5]);
  });

  it("sends the same object in all attempts", async () => {
    const { queues, clock, sender } = await openOne({ sender: new TestSender().fail("retryable") });
    await admit(queues, ["a"]);
    await clock.advance(20_000);
    expect(sender.requests.length).toBeGreaterThan(2);
    expect(new Set(sender.requests).size).toBe(1);
  });

  it("spreads a wait by the jitter", async () => {
    const clock = new TestClock();
    const sender = new TestSender().fail("retryable");
    const { queues } = openQueues([{ id: "a", sender }], { clock, random: () => 0 });
    await queues.start();
    await admit(queues, ["a"]);
    await clock.advance(2_499);
    expect(sender.requests.length).toBe(1);
    await clock.advance(1);
    expect(sender.requests.length).toBe(2);
  });

  it("waits as long as the backend asks, and so do requests that had not failed", async () => {
    const sender = new TestSender().fail("retryable", "429", 60_000);
    const { queues, clock } = await openOne({ sender });
    await admit(queues, ["a"]);
    await settle();
    sender.work();
    await admit(queues, ["a"]);
    await clock.advance(59_999);
    expect(sender.requests.length).toBe(1);
    await clock.advance(1);
    expect(sender.takenItems).toBe(2);
  });

  it("gives up after max_elapsed_time: the batch is expired, counted", async () => {
    const { queues, clock, logger, meter } = await openOne({ sender: new TestSender().fail("retryable") });
    await admit(queues, ["a"], payloadOf(4));
    await clock.advance(300_000);
    expect(ledgerLine(queues, "a")).toMatchObject({ expired: 4, queued: 0, in_flight: 0 });
    expect(meter.value("otelcol_exporter_send_failed_log_records{exporter=a}")).toBe(4);
    expect(logger.matching(/expired/)).toEqual(["error destination a: 4 items expired: connect ECONNREFUSED"]);
    queues.ledger.balance();
  });

  it("never gives up where max_elapsed_time is 0s", async () => {
    const { queues, clock, sender } = await openOne({
      sender: new TestSender().fail("retryable"),
      retry: { max_elapsed_time: "0s" },
    });
    await admit(queues, ["a"]);
    await clock.advance(86_400_000);
    sender.work();
    await clock.advance(60_000);
    expect(ledgerLine(queues, "a")).toMatchObject({ sent: 1, expired: 0 });
  });

  it("tries once where retries are off", async () => {
    const { queues, sender } = await openOne({ sender: new TestSender().fail("retryable"), retry: { enabled: false } });
    await admit(queues, ["a"]);
    await settle();
    expect(sender.requests.length).toBe(1);
    expect(ledgerLine(queues, "a")).toMatchObject({ expired: 1 });
  });

  it("breaks an attempt off at its timeout and tries again", async () => {
    const { queues, clock, logger, sender } = await openOne({ sender: new TestSender().hang(), timeoutMs: 5_000 });
    await admit(queues, ["a"], payloadOf(2));
    await clock.advance(5_000);
    sender.work();
    expect(logger.lines).toEqual([
      "warn destination a unreachable: no answer within 5000 ms; 2 log records kept in the queue",
    ]);
    await clock.advance(5_000);
    expect(sender.takenItems).toBe(2);
    expect(clock.timerCount).toBe(0);
  });

  it("says that a destination went away, and that it is back, once each", async () => {
    const { queues, clock, logger, sender } = await openOne({ sender: new TestSender().fail("retryable") });
    for (let count = 0; count < 20; count++) await admit(queues, ["a"]);
    await clock.advance(60_000);
    sender.work();
    await clock.advance(60_000);
    expect(logger.lines).toEqual([
      "warn destination a unreachable: connect ECONNREFUSED; 1 log records kept in the queue",
      "info destination a is back",
    ]);
    expect(ledgerLine(queues, "a")).toMatchObject({ sent: 20 });
  });
});

describe("a request that is too large for the backend", () => {
  it("is split and sent in parts, down to the single record that is rejected", async () => {
    const sender = new TestSender().answer(({ payload }) => {
      const isTooLarge = payload.itemCount > 2 || bodiesIn(payload, bodies).includes("delta");
      return isTooLarge ? new ConsumeError("too_large", "HTTP 413") : SENT_WHOLE;
    });
    const { queues } = await openOne({ sender });
    await admit(queues, ["a"], logsPayload(bodies));
    await settle();
    const taken = sender.taken.flatMap((payload) => bodiesIn(payload, bodies));
    expect(taken).toEqual(bodies.filter((body) => body !== "delta"));
    expect(ledgerLine(queues, "a")).toMatchObject({ sent: 6, rejected: 1, in_flight: 0 });
    queues.ledger.balance();
  });
});

describe("a destination whose backends take requests of a bounded size", () => {
  it("gets larger ones split before the first attempt, every record once", async () => {
    const { queues, sender } = await openOne({ sender: new TestSender(), requestBytesMax: 30 });
    await admit(queues, ["a"], logsPayload(bodies));
    await settle();
    expect(sender.requests.length).toBeGreaterThan(2);
    expect(sender.requests.every(({ payload }) => payload.size <= 30)).toBe(true);
    expect(sender.taken.flatMap((payload) => bodiesIn(payload, bodies))).toEqual(bodies);
    expect(ledgerLine(queues, "a")).toMatchObject({ sent: bodies.length, in_flight: 0 });
    queues.ledger.balance();
  });

  it("gets a single record that is larger alone, as it is", async () => {
    const { queues, sender } = await openOne({ sender: new TestSender(), requestBytesMax: 5 });
    await admit(queues, ["a"], logsPayload(bodies));
    await settle();
    expect(sender.requests.map(({ payload }) => payload.itemCount)).toEqual(bodies.map(() => 1));
  });

  it("gets them split also where the sender waits for the answer", async () => {
    const { queues, sender } = await openOne({
      sender: new TestSender(),
      queue: { enabled: false },
      requestBytesMax: 30,
    });
    await admit(queues, ["a"], logsPayload(bodies));
    expect(sender.taken.flatMap((payload) => bodiesIn(payload, bodies))).toEqual(bodies);
  });
});

describe("batching from the queue", () => {
  const batch = { min_size: 10, flush_timeout: "200ms" };

  it("waits for min_size, and sends one request", async () => {
    const { queues, sender } = await openOne({ sender: new TestSender(), queue: { batch } });
    for (let count = 0; count < 3; count++) await admit(queues, ["a"], payloadOf(3));
    await settle();
    expect(sender.requests).toEqual([]);
    await admit(queues, ["a"], payloadOf(3));
    await settle();
    expect(sender.requests.map(({ payload }) => payload.itemCount)).toEqual([12]);
    expect(sender.requests[0]?.payload.slices.length).toBe(4);
  });

  it("sends what is there after flush_timeout", async () => {
    const { queues, clock, sender } = await openOne({ sender: new TestSender(), queue: { batch } });
    await admit(queues, ["a"], payloadOf(3));
    await clock.advance(100);
    await admit(queues, ["a"], payloadOf(1));
    await clock.advance(99);
    expect(sender.requests).toEqual([]);
    await clock.advance(1);
    expect(sender.requests.map(({ payload }) => payload.itemCount)).toEqual([4]);
    expect(clock.timerCount).toBe(0);
  });

  it("never exceeds max_size, and cuts a single request that does", async () => {
    const sender = new TestSender().hang();
    const queue = { num_consumers: 1, batch: { ...batch, min_size: 3, max_size: 3 } };
    const { queues } = await openOne({ sender, queue });
    await admit(queues, ["a"], logsPayload(["alpha", "bravo", "charlie", "delta", "echo"]));
    await admit(queues, ["a"], logsPayload(["foxtrot", "golf"]));
    await admit(queues, ["a"], logsPayload(["hotel", "india"]));
    for (let count = 0; count < 4; count++) {
      await settle();
      sender.release();
    }
    await settle();
    expect(sender.requests.map(({ payload }) => payload.itemCount)).toEqual([3, 2, 2]);
    expect(ledgerLine(queues, "a")).toMatchObject({ sent: 7, queued: 2 });
    queues.ledger.balance();
  });

  it("keeps senders apart whose partition metadata differ, and tells the exporter what they share", async () => {
    const queue = { batch: { ...batch, min_size: 4, partition: { metadata_keys: ["X-Tenant"] } } };
    const { queues, sender } = await openOne({ sender: new TestSender(), queue });
    for (const tenant of ["red", "blue", "red", "blue"]) {
      await admit(queues, ["a"], payloadOf(2), { client: clientOf(tenant) });
    }
    await settle();
    const sent = sender.requests.map(({ client, payload }) => ({
      tenant: client.get("x-tenant"),
      authorization: client.get("authorization"),
      items: payload.itemCount,
    }));
    expect(sent).toEqual([
      { tenant: ["red"], authorization: [], items: 4 },
      { tenant: ["blue"], authorization: [], items: 4 },
    ]);
  });

  it("sends a quiet partition in time though a busy one keeps all consumers busy", async () => {
    const queue = { num_consumers: 1, batch: { ...batch, min_size: 2, partition: { metadata_keys: ["x-tenant"] } } };
    const sender = new TestSender().hang();
    const { queues, clock } = await openOne({ sender, queue });
    for (let count = 0; count < 5; count++) await admit(queues, ["a"], payloadOf(2), { client: clientOf("busy") });
    await admit(queues, ["a"], payloadOf(1), { client: clientOf("quiet") });
    for (let count = 0; count < 20; count++) await admit(queues, ["a"], payloadOf(2), { client: clientOf("busy") });
    await clock.advance(200);
    for (let count = 0; count < 3; count++) {
      sender.release();
      await settle();
    }
    expect(sender.requests.some(({ client }) => client.first("x-tenant") === "quiet")).toBe(true);
  });
});

describe("a full queue", () => {
  it("drops what comes to a best-effort destination, counted, and makes nobody wait", async () => {
    const { queues, meter } = await openOne({
      sender: new TestSender().hang(),
      queue: { queue_size: 2 },
      delivery: "best_effort",
    });
    for (let count = 0; count < 5; count++) await admit(queues, ["a"], payloadOf(2));
    expect(ledgerLine(queues, "a")).toMatchObject({ admitted: 10, in_flight: 4, evicted: { drop_newest: 6 } });
    expect(meter.value("otelcol_exporter_enqueue_failed_log_records{exporter=a}")).toBe(6);
    queues.ledger.balance();
  });

  it("pushes the oldest out with drop_oldest, but never what is in flight", async () => {
    const sender = new TestSender().hang();
    const { queues } = await openOne({ sender, queue: { queue_size: 3, num_consumers: 1, overflow: "drop_oldest" } });
    const payloads = [1, 2, 3, 4, 5].map((items) => payloadOf(items));
    for (const payload of payloads) await admit(queues, ["a"], payload);
    expect(ledgerLine(queues, "a")).toMatchObject({ evicted: { drop_oldest: 2 + 3 }, in_flight: 1, queued: 9 });
    for (let count = 0; count < 3; count++) {
      sender.release();
      await settle();
    }
    expect(sender.taken.map(({ itemCount }) => itemCount)).toEqual([1, 4, 5]);
    queues.ledger.balance();
  });

  it("drops the newest where everything is in flight", async () => {
    const queue = { queue_size: 1, overflow: "drop_oldest" };
    const { queues } = await openOne({ sender: new TestSender().hang(), queue });
    await admit(queues, ["a"]);
    await admit(queues, ["a"]);
    expect(ledgerLine(queues, "a")).toMatchObject({ in_flight: 1, evicted: { drop_newest: 1 } });
  });

  it("counts what a required queue refused, and says in the refusal why it is full", async () => {
    const { queues, clock, meter } = await openOne({
      sender: new TestSender().fail("retryable"),
      queue: { queue_size: 1 },
    });
    await admit(queues, ["a"]);
    const refused = watch(admit(queues, ["a"], payloadOf(7), { deadline: clock.nowMs() + 1000 }));
    await clock.advance(1000);
    expect(refused.error?.message).toBe(
      "no room in the sending queue of a (logs), 1 of 1 requests used; the destination is unreachable: connect ECONNREFUSED",
    );
    expect(meter.value("otelcol_exporter_enqueue_failed_log_records{exporter=a}")).toBe(7);
  });
});

describe("destinations that are sent to while the sender waits", () => {
  it("retries until shortly before the sender's deadline, then refuses", async () => {
    const sender = new TestSender().fail("retryable");
    const { queues, clock } = await openOne({ sender, queue: { enabled: false }, retry: { initial_interval: "1s" } });
    const answer = watch(admit(queues, ["a"], payloadOf(1), { deadline: clock.nowMs() + 4000 }));
    await clock.advance(3499);
    expect(answer.state).toBe("pending");
    expect(sender.requests.length).toBe(3);
    await clock.advance(1);
    expect(answer.error).toMatchObject({ kind: "retryable" });
    expect(answer.error?.message).toBe("destination a did not take it in time: connect ECONNREFUSED");
    expect(ledgerLine(queues, "a")).toMatchObject({ admitted: 0, sent: 0 });
    expect(clock.timerCount).toBe(0);
    queues.ledger.balance();
  });

  it("answers in time though the exporter ignores that its attempt was broken off", async () => {
    const deaf = { send: () => new Promise<never>(() => undefined) };
    const { queues, clock } = openQueues([{ id: "a", sender: deaf, queue: { enabled: false } }]);
    await queues.start();
    const answer = watch(admit(queues, ["a"], payloadOf(1), { deadline: clock.nowMs() + 4000 }));
    await clock.advance(3600);
    expect(answer.state).toBe("retryable");
  });

  it("answers with wait_for_result once the backend has, within queue_size and num_consumers", async () => {
    const sender = new TestSender().hang();
    const queue = { wait_for_result: true, queue_size: 2, num_consumers: 1 };
    const { queues } = await openOne({ sender, queue });
    const answers = [1, 2, 3].map(() => watch(admit(queues, ["a"])));
    await settle();
    expect(sender.openCount).toBe(1);
    sender.release();
    await settle();
    expect(answers.map(({ state }) => state)).toEqual(["ok", "pending", "pending"]);
    sender.release();
    await settle();
    sender.release();
    await settle();
    expect(answers.map(({ state }) => state)).toEqual(["ok", "ok", "ok"]);
    expect(ledgerLine(queues, "a")).toMatchObject({ admitted: 3, sent: 3 });
    queues.ledger.balance();
  });

  it("gives a best-effort destination without a queue a plain one, so that nobody waits for it", async () => {
    const { queues, sender } = await openOne({
      sender: new TestSender().hang(),
      queue: { enabled: false },
      delivery: "best_effort",
    });
    await admit(queues, ["a"]);
    await admit(queues, ["a"]);
    expect(sender.openCount).toBe(1);
    expect(ledgerLine(queues, "a")).toMatchObject({ queued: 1, in_flight: 1 });
  });
});

describe("shutdown", () => {
  it("drains without waiting for company or for a long backoff", async () => {
    const batch = { min_size: 1000, flush_timeout: "1h" };
    const failing = new TestSender().fail("retryable");
    const quiet = new TestSender();
    const { queues, clock } = openQueues([
      { id: "failing", sender: failing },
      { id: "quiet", sender: quiet, queue: { batch } },
    ]);
    await queues.start();
    await admit(queues, ["failing", "quiet"]);
    await settle();
    failing.work();
    const left = await queues.shutdown(new AbortController().signal);
    expect(left).toEqual([]);
    expect([failing.takenItems, quiet.takenItems]).toEqual([1, 1]);
    expect(clock.timerCount).toBe(0);
  });

  it("tries a dead backend once a second until patience ends, then says what is lost", async () => {
    const { queues, clock, logger, sender } = await openOne({ sender: new TestSender().fail("retryable") });
    await admit(queues, ["a"], payloadOf(3));
    await settle();
    const end = new AbortController();
    const shutdown = queues.shutdown(end.signal);
    await clock.advance(3_500);
    expect(sender.requests.length).toBe(1 + 4);
    end.abort();
    expect(await shutdown).toEqual([{ destination: "a", signal: "logs", items: 3 }]);
    expect(logger.lines.at(-1)).toBe(
      "error destination a: 3 log records not sent before the end of shutdown; lost, as the queue is in memory (sending_queue.storage keeps it)",
    );
    expect(ledgerLine(queues, "a")).toMatchObject({ queued: 3, in_flight: 0 });
    expect(clock.timerCount).toBe(0);
    queues.ledger.balance();
  });

  it("breaks attempts off at the end, and does not wait for an exporter that ignores it", async () => {
    const deaf = { send: () => new Promise<never>(() => undefined) };
    const { queues, clock } = openQueues([{ id: "a", sender: deaf }]);
    await queues.start();
    await admit(queues, ["a"]);
    const end = new AbortController();
    const shutdown = queues.shutdown(end.signal);
    end.abort();
    await clock.advance(1000);
    expect(await shutdown).toEqual([{ destination: "a", signal: "logs", items: 1 }]);
  });

  it("is idempotent, and legal before start", async () => {
    const { queues } = openQueues([{ id: "a" }]);
    const { signal } = new AbortController();
    expect(await queues.shutdown(signal)).toEqual([]);
    expect(await queues.shutdown(signal)).toEqual([]);
  });

  it("waits for the answers on their way when its backend breaks another request, and begins nothing more", async () => {
    const storage = new LogStorage();
    const sender = new TestSender().hang();
    const { queues } = openQueues([{ id: "a", sender, queue: { num_consumers: 2 } }], { storage });
    await queues.start();
    for (const items of [3, 4, 5]) await admit(queues, ["a"], payloadOf(items));
    await settle();
    const shutdown = queues.shutdown(new AbortController().signal);
    sender.release(new ConsumeError("retryable", "socket hang up"));
    await settle();
    sender.release();
    expect(await shutdown).toEqual([{ destination: "a", signal: "logs", items: 3 + 5 }]);
    expect(sender.taken.map(({ itemCount }) => itemCount)).toEqual([4]);
    expect(sender.requests.length).toBe(2);
    queues.ledger.balance();
  });

  it("leaves what it could not send in a storage that lasts, for the next start", async () => {
    const storage = new LogStorage();
    const dead = openQueues([{ id: "a", sender: new TestSender().fail("retryable") }], { storage });
    await dead.queues.start();
    await admit(dead.queues, ["a"], payloadOf(3));
    await admit(dead.queues, ["a"], payloadOf(4));
    const end = new AbortController();
    end.abort();
    await dead.queues.shutdown(end.signal);
    expect(dead.logger.lines.at(-1)).toMatch(/7 log records not sent .* kept in the queue's storage/);

    const sender = new TestSender();
    const next = openQueues([{ id: "a", sender }], { storage });
    await next.queues.start();
    await settle();
    expect(sender.taken.map(({ itemCount }) => itemCount)).toEqual([3, 4]);
    expect(ledgerLine(next.queues, "a")).toMatchObject({ carried_over: 7, admitted: 0, sent: 7 });
    next.queues.ledger.balance();
    expect(storage.liveEntries()).toEqual([]);
  });
});
