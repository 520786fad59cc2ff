import { describe, expect, test } from "vitest";
import { ConsumeError } from "../../src/core/errors.ts";
import type { DestinationSettings } from "../../src/queue/queues.ts";
import {
  admit,
  ledgerLine,
  openAdmission,
  openQueues,
  payloadOf,
  queueConfig,
  retryConfig,
  TestSender,
  type TestQueues,
} from "./support.ts";

const FOREVER = new AbortController().signal;

function destination(settings: Partial<DestinationSettings>): DestinationSettings {
  const sender = new TestSender();
  const queue = queueConfig({ num_consumers: 1 });
  const retry = retryConfig({ max_elapsed_time: "0s" });
  return { id: "a", sender, queue, retry, timeoutMs: 0, delivery: "required", signals: ["logs"], ...settings };
}

async function open(first: DestinationSettings): Promise<TestQueues> {
  const opened = openQueues([]);
  opened.queues.replace(opened.queues.prepare([first]), FOREVER);
  await opened.queues.start();
  return opened;
}

/** Lets everything that needs no time happen. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
}

describe("a destination that a reload changes", () => {
  test("has all that was queued in its new queue, in its order, and none of it twice", async () => {
    const former = destination({ sender: new TestSender().hang() });
    const { queues } = await open(former);
    const payloads = [1, 2, 3, 4].map((items) => payloadOf(items));
    for (const payload of payloads) await admit(queues, ["a"], payload);
    const next = new TestSender();
    const { released } = queues.replace(queues.prepare([{ ...former, sender: next }]), FOREVER);
    await settle();
    // The first is still with the former backend.
    expect(next.taken).toEqual(payloads.slice(1));
    (former.sender as TestSender).release();
    await released.get("a");
    expect((former.sender as TestSender).taken).toEqual([payloads[0]]);
    expect(queues.ledger.imbalances()).toEqual([]);
    expect(ledgerLine(queues, "a")).toMatchObject({ admitted: 10, sent: 10, queued: 0, in_flight: 0 });
  });

  test("gets from its former exporter what that could not send, once the attempt has failed", async () => {
    const old = new TestSender().hang();
    const former = destination({ sender: old });
    const { queues } = await open(former);
    const payload = payloadOf(5);
    await admit(queues, ["a"], payload);
    const next = new TestSender();
    const { released } = queues.replace(queues.prepare([{ ...former, sender: next }]), FOREVER);
    expect(ledgerLine(queues, "a")).toMatchObject({ queued: 0, in_flight: 5 });
    old.release(new ConsumeError("retryable", "gone"));
    await released.get("a");
    await settle();
    expect([old.taken, next.taken]).toEqual([[], [payload]]);
    expect(old.requests).toHaveLength(1);
    expect(queues.ledger.imbalances()).toEqual([]);
  });

  test("is not waited for longer than the patience: its attempt is broken off", async () => {
    const old = new TestSender().hang();
    const former = destination({ sender: old });
    const { queues, clock } = await open(former);
    await admit(queues, ["a"], payloadOf(5));
    const patience = new AbortController();
    const next = new TestSender();
    const { released } = queues.replace(queues.prepare([{ ...former, sender: next }]), patience.signal);
    patience.abort();
    await settle();
    await clock.advance(1000);
    await released.get("a");
    await settle();
    expect(next.takenItems).toBe(5);
  });

  test("wakes from the wait between two attempts: a mended endpoint is not kept waiting", async () => {
    const former = destination({ sender: new TestSender().fail("retryable") });
    const { queues } = await open(former);
    await admit(queues, ["a"], payloadOf(5));
    await settle();
    const next = new TestSender();
    queues.replace(queues.prepare([{ ...former, sender: next }]), FOREVER);
    await settle();
    expect(next.takenItems).toBe(5);
  });

  test("keeps what it accepted when its queue becomes smaller, and counts it in the new unit", async () => {
    const former = destination({ sender: new TestSender().hang() });
    const { queues, meter } = await open(former);
    for (let index = 0; index < 5; index += 1) await admit(queues, ["a"], payloadOf(10));
    const queue = queueConfig({ num_consumers: 1, sizer: "items", queue_size: 20 });
    const next = new TestSender().hang();
    queues.replace(queues.prepare([{ ...former, queue, sender: next }]), FOREVER);
    const size = "otelcol_exporter_queue_size{exporter=a,data_type=logs}";
    await settle();
    expect(meter.value(size)).toBe(40);
    next.work();
    while (next.openCount > 0) {
      next.release();
      await settle();
    }
    expect(meter.value(size)).toBe(0);
  });

  test("without a queue from now on, still sends what was queued", async () => {
    const former = destination({ sender: new TestSender().hang() });
    const { queues } = await open(former);
    for (let index = 0; index < 3; index += 1) await admit(queues, ["a"], payloadOf(1));
    const next = new TestSender();
    const queue = queueConfig({ enabled: false });
    queues.replace(queues.prepare([{ ...former, queue, sender: next }]), FOREVER);
    await settle();
    expect(next.takenItems).toBe(2);
  });
});

describe("a destination that a reload leaves as it is", () => {
  test("goes on with its queue, its exporter and the attempts under way", async () => {
    const former = destination({ sender: new TestSender().hang() });
    const { queues } = await open(former);
    await admit(queues, ["a"], payloadOf(1));
    const { released } = queues.replace(queues.prepare([{ ...former }]), FOREVER);
    expect(released.size).toBe(0);
    expect((former.sender as TestSender).openCount).toBe(1);
  });
});

describe("a destination that a reload removes", () => {
  test("is parked with all it has, named in the log, and goes on when it is back", async () => {
    const former = destination({ sender: new TestSender().fail("retryable") });
    const { queues, logger } = await open(former);
    await admit(queues, ["a"], payloadOf(7));
    await settle();
    queues.replace(queues.prepare([destination({ id: "b" })]), FOREVER);
    await settle();
    expect(logger.lines.join("\n")).toContain(
      "destination a was removed: 7 log records stay parked in memory (lost if the gateway ends before); they are sent when it is configured again",
    );
    expect(ledgerLine(queues, "a")).toMatchObject({ queued: 7 });
    expect(queues.ledger.imbalances()).toEqual([]);
    const back = new TestSender();
    queues.replace(queues.prepare([{ ...former, sender: back }]), FOREVER);
    await settle();
    expect(back.takenItems).toBe(7);
    expect(logger.lines.join("\n")).toContain("destination a is configured again: 7 log records that were parked");
    expect(queues.ledger.imbalances()).toEqual([]);
  });

  test("still takes the admissions that were opened while it was there", async () => {
    const former = destination({ sender: new TestSender() });
    const { queues } = await open(former);
    const admission = openAdmission(queues, { items: 3 });
    admission.enlist({ destination: "a", signal: "logs", payload: payloadOf(3) });
    const { settled } = queues.replace(queues.prepare([destination({ id: "b" })]), FOREVER);
    let isSettled = false;
    void settled.then(() => (isSettled = true));
    await settle();
    expect(isSettled).toBe(false);
    await admission.commit();
    await settled;
    expect(ledgerLine(queues, "a")).toMatchObject({ queued: 3 });
  });

  test("is lost with the process where its queue is in memory, and shutdown says so", async () => {
    const former = destination({ sender: new TestSender().fail("retryable") });
    const { queues, logger } = await open(former);
    await admit(queues, ["a"], payloadOf(7));
    await settle();
    queues.replace(queues.prepare([]), FOREVER);
    await settle();
    const left = await queues.shutdown(AbortSignal.abort());
    expect(left).toEqual([{ destination: "a", signal: "logs", items: 7 }]);
    expect(logger.lines.join("\n")).toContain("7 log records not sent before the end of shutdown; lost");
  });
});
