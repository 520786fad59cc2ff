import { describe, expect, it } from "vitest";
import type { Admission } from "../../src/core/admission.ts";
import { admitBatch } from "../../src/core/admit-batch.ts";
import { createBatch } from "../../src/core/batch.ts";
import type { Batch } from "../../src/core/batch.ts";
import { ClientMetadata } from "../../src/core/client-metadata.ts";
import type { Consumer } from "../../src/core/consumer.ts";
import { ConsumeError } from "../../src/core/errors.ts";
import { fanOut } from "../../src/core/fan-out.ts";
import { exporterEntry } from "../../src/queue/queues.ts";
import type { Queues } from "../../src/queue/queues.ts";
import type { QueueStorage } from "../../src/queue/storage.ts";
import {
  admit,
  ledgerLine,
  logsRequest,
  openAdmission,
  openQueues,
  payloadOf,
  TestSender,
  watch,
} from "../queue/support.ts";
import { settle } from "../support/test-clock.ts";

/** A batch of two log records, as a receiver makes it. */
export function logsBatch(bodies: readonly string[] = ["one", "two"]): Batch<"logs"> {
  return createBatch("logs", logsRequest(bodies), { client: ClientMetadata.internal, arrivalUnixNano: 0n });
}

function logsPipeline(queues: Queues, id: string, exporters: readonly string[], processor?: Consumer<"logs">) {
  const stages = processor === undefined ? [] : [{ processor: "test", shortfall: "dropped" as const }];
  const account = queues.ledger.pipeline(id, "logs", stages);
  const entry = fanOut<"logs">(exporters.map((exporter) => exporterEntry(queues, exporter)));
  return { head: account.at(0, processor ?? entry), entry: account.at(stages.length, entry) };
}

function enlistAt(admission: Admission, destination: string): void {
  admission.enlist({ destination, signal: "logs", payload: payloadOf(1) });
}

const OPENED = { client: ClientMetadata.internal, opener: "receiver otlp" };

/** The promises of Admission that hold over any storage. */
export function describeAdmission(storageName: string, createStorage: () => QueueStorage): void {
  const openOver = (destinations: Parameters<typeof openQueues>[0]) =>
    openQueues(destinations, { storage: createStorage() });

  describe(`admission over ${storageName}`, () => {
    it("finds nothing in the other destinations when the last of three, over two pipelines, refuses", async () => {
      const senders = [new TestSender(), new TestSender(), new TestSender().hang()];
      const { queues, clock } = openOver([
        { id: "a", sender: senders[0]! },
        { id: "b", sender: senders[1]! },
        { id: "c", sender: senders[2]!, queue: { queue_size: 1 } },
      ]);
      await queues.start();
      await admit(queues, ["c"]);
      const pipelines = fanOut([
        logsPipeline(queues, "logs/1", ["a", "b"]).head,
        logsPipeline(queues, "logs/2", ["c"]).head,
      ]);

      const answer = watch(admitBatch(queues, pipelines, logsBatch(), { ...OPENED, deadline: clock.nowMs() + 2000 }));
      await clock.advance(2000);

      expect(answer.state).toBe("refused");
      expect(answer.error?.retryAfterMs).toBe(1000);
      expect([...senders[0]!.requests, ...senders[1]!.requests]).toEqual([]);
      for (const id of ["a", "b"])
        expect(ledgerLine(queues, id)).toMatchObject({ admitted: 0, queued: 0, in_flight: 0 });
      const { pipelines: lines } = queues.ledger.snapshot();
      expect(lines.map(({ incoming, admitted, refused }) => ({ incoming, admitted, refused }))).toEqual([
        { incoming: 2, admitted: 0, refused: 2 },
        { incoming: 2, admitted: 0, refused: 2 },
      ]);
      queues.ledger.balance();
    });

    it("waits for a branch that still awaits when another has rejected, and then leaves nothing behind", async () => {
      const sender = new TestSender();
      const { queues } = openOver([{ id: "a", sender }]);
      await queues.start();
      const gate = Promise.withResolvers<void>();
      const { head } = logsPipeline(queues, "logs/slow", ["a"]);
      const slow: Consumer<"logs"> = {
        mutatesData: false,
        consume: async (batch, admission) => {
          await gate.promise;
          await head.consume(batch, admission);
        },
      };
      const broken: Consumer<"logs"> = {
        mutatesData: false,
        consume: () => Promise.reject(new ConsumeError("permanent", "not this one")),
      };

      const answer = watch(admitBatch(queues, fanOut([broken, slow]), logsBatch(), OPENED));
      await settle();
      expect(answer.state).toBe("pending");
      gate.resolve();
      await settle();

      expect(answer.state).toBe("permanent");
      expect(sender.requests).toEqual([]);
      expect(ledgerLine(queues, "a")).toMatchObject({ admitted: 0, queued: 0 });
      queues.ledger.balance();
    });

    it("answers once every required destination has the batch in its queue, before any backend has it", async () => {
      const senders = [new TestSender().hang(), new TestSender().hang()];
      const { queues } = openOver([
        { id: "a", sender: senders[0]! },
        { id: "b", sender: senders[1]! },
      ]);
      await queues.start();

      await admit(queues, ["a", "b"], payloadOf(3));

      expect(ledgerLine(queues, "a")).toMatchObject({ admitted: 3, sent: 0 });
      expect(ledgerLine(queues, "b")).toMatchObject({ admitted: 3, sent: 0 });
      queues.ledger.balance();
    });

    it("takes an enlistment after commit or discard for a bug, which fails that request only", async () => {
      const { queues } = openOver([{ id: "a" }]);
      await queues.start();
      const committed = openAdmission(queues);
      await committed.commit();
      const discarded = openAdmission(queues);
      discarded.discard();

      for (const admission of [committed, discarded]) {
        expect(() => enlistAt(admission, "a")).toThrow(expect.objectContaining({ kind: "internal" }));
        await expect(admission.commit()).rejects.toMatchObject({ kind: "internal" });
      }
      await admit(queues, ["a"]);
      queues.ledger.balance();
    });

    it("allows discard twice and after commit, where it does nothing", async () => {
      const { queues } = openOver([{ id: "a", sender: new TestSender().hang() }]);
      await queues.start();
      const admission = openAdmission(queues);
      enlistAt(admission, "a");
      await admission.commit();
      admission.discard();
      admission.discard();

      expect(ledgerLine(queues, "a")).toMatchObject({ admitted: 1, in_flight: 1 });
      queues.ledger.balance();
    });

    it("refuses at once, as too large, what exceeds a whole queue, and says both numbers", async () => {
      const { queues } = openOver([{ id: "a", queue: { sizer: "items", queue_size: 10 } }]);
      await queues.start();

      const error = await admit(queues, ["a"], payloadOf(11)).catch((thrown: unknown) => ConsumeError.from(thrown));

      expect(error).toMatchObject({ kind: "too_large", retryAfterMs: undefined });
      expect(error).toHaveProperty("message", expect.stringMatching(/11 items .* 10 items/));
      queues.ledger.balance();
    });

    it("says done for a key that was admitted, and new again when its time is over", async () => {
      const { queues, clock } = openOver([{ id: "a" }]);
      await queues.start();
      const key = { source: "fluent_forward", key: "chunk-1" };
      const first = openAdmission(queues);
      expect(first.remember(key, 60_000)).toEqual({ state: "new" });
      expect(first.remember(key, 60_000)).toEqual({ state: "new" });
      await first.commit();

      const second = openAdmission(queues);
      expect(second.remember(key, 60_000)).toEqual({ state: "done" });
      second.discard();
      await clock.advance(60_000);
      const third = openAdmission(queues);
      expect(third.remember(key, 60_000)).toEqual({ state: "new" });
      third.discard();

      const [receiver] = queues.ledger.snapshot().receivers;
      expect(receiver).toMatchObject({ received: 3, accepted: 1 + 1, refused: 1, pending: 0 });
    });

    it("lets a second request with a key join the outcome of the first, and forgets the key when that fails", async () => {
      const { queues, clock } = openOver([{ id: "a", sender: new TestSender().hang(), queue: { queue_size: 1 } }]);
      await queues.start();
      await admit(queues, ["a"]);
      const key = { source: "fluent_forward", key: "chunk-2" };
      const first = openAdmission(queues, { deadline: clock.nowMs() + 4000 });
      first.remember(key, 60_000);
      enlistAt(first, "a");
      const commit = watch(first.commit());

      const second = openAdmission(queues);
      const remembered = second.remember(key, 60_000);
      if (remembered.state !== "joined") throw new Error(`expected joined, found ${remembered.state}`);
      const joined = watch(remembered.outcome);
      second.discard();
      await settle();
      expect(joined.state).toBe("pending");
      await clock.advance(4000);

      expect(commit.state).toBe("refused");
      expect(joined.state).toBe("refused");
      const third = openAdmission(queues);
      expect(third.remember(key, 60_000)).toEqual({ state: "new" });
      third.discard();
      queues.ledger.balance();
    });

    it("refuses where a destination without a queue refuses, after all of them have settled, and gives room back", async () => {
      const queued = new TestSender();
      const slow = new TestSender().hang();
      const { queues } = openOver([
        { id: "queued", sender: queued, queue: { queue_size: 1 } },
        { id: "slow", sender: slow, queue: { enabled: false } },
        { id: "broken", sender: new TestSender().fail("permanent", "400"), queue: { enabled: false } },
      ]);
      await queues.start();

      const answer = watch(admit(queues, ["queued", "slow", "broken"]));
      await settle();
      expect(answer.state).toBe("pending");
      slow.release();
      await settle();

      expect(answer.state).toBe("permanent");
      expect(queued.requests).toEqual([]);
      // At-least-once: what a destination without a queue took, it has; the ledger says so.
      expect(ledgerLine(queues, "slow")).toMatchObject({ admitted: 1, sent: 1 });
      await admit(queues, ["queued"]);
      await settle();
      expect(queued.takenItems).toBe(1);
      queues.ledger.balance();
    });

    it("settles every admission when it shuts down", async () => {
      const { queues, clock } = openOver([{ id: "a", sender: new TestSender().hang(), queue: { queue_size: 1 } }]);
      await queues.start();
      await admit(queues, ["a"]);
      const waiting = watch(admit(queues, ["a"]));

      queues.refuseWaiting();
      const end = new AbortController();
      const shutdown = queues.shutdown(end.signal);
      await settle();
      expect(waiting.state).toBe("refused");
      end.abort();
      await clock.advance(1000);

      expect(await shutdown).toEqual([{ destination: "a", signal: "logs", items: 1 }]);
      expect(clock.timerCount).toBe(0);
      queues.ledger.balance();
    });
  });
}
