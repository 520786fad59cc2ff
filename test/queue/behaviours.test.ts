import { expect, it } from "vitest";
import { ConsumeError } from "../../src/core/errors.ts";
import { SENT_WHOLE } from "../../src/core/sender.ts";
import { settle, TestClock } from "../support/test-clock.ts";
import { admit, ledgerLine, openQueues, payloadOf, TestSender } from "./support.ts";

/** A backend that takes `delayMs` for each answer. */
function slow(clock: TestClock, delayMs: number): TestSender {
  const sender = new TestSender();
  return sender.answer(() => {
    clock.after(delayMs, () => sender.release());
    return "hang";
  });
}

/** Fails every second attempt. */
function flaky(): TestSender {
  let count = 0;
  return new TestSender().answer(() => (count++ % 2 === 0 ? new ConsumeError("retryable", "HTTP 503") : SENT_WHOLE));
}

it("delivers everything once to backends that are well, slow, flaky, and dead for a while; none delays another", async () => {
  const clock = new TestClock();
  const dead = new TestSender().fail("retryable");
  const senders = { well: new TestSender(), slow: slow(clock, 700), flaky: flaky(), dead };
  const ids = Object.keys(senders);
  const destinations = Object.entries(senders).map(([id, sender]) => ({ id, sender, queue: { num_consumers: 2 } }));
  const { queues, logger } = openQueues(destinations, { clock });
  await queues.start();
  for (let count = 0; count < 50; count++) {
    await admit(queues, ids, payloadOf(2));
    await clock.advance(100);
    queues.ledger.balance();
  }
  expect(senders.well.takenItems).toBe(100);
  expect(ledgerLine(queues, "dead")).toMatchObject({ sent: 0, queued: 96, in_flight: 4 });

  dead.work();
  await clock.advance(400_000);
  for (const id of ids) {
    expect([id, ledgerLine(queues, id)]).toMatchObject([id, { admitted: 100, sent: 100, queued: 0, in_flight: 0 }]);
  }
  for (const sender of Object.values(senders)) expect(new Set(sender.taken).size).toBe(50);
  expect(logger.matching(/destination (dead|well|slow) /)).toEqual([
    "warn destination dead unreachable: connect ECONNREFUSED; 2 log records kept in the queue",
    "info destination dead is back",
  ]);
  queues.ledger.balance();
});

it("costs no timer, and leaves none behind, where there is room and the backend is well", async () => {
  const { queues, clock } = openQueues([{ id: "a" }]);
  await queues.start();
  const admitted = admit(queues, ["a"], payloadOf(1), { deadline: clock.nowMs() + 10_000 });
  expect(clock.timerCount).toBe(0);
  await admitted;
  await settle();
  expect(clock.timerCount).toBe(0);
});
