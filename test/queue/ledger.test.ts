import { describe, expect, it } from "vitest";
import { admitBatch } from "../../src/core/admit-batch.ts";
import { ClientMetadata } from "../../src/core/client-metadata.ts";
import type { Consumer } from "../../src/core/consumer.ts";
import { ConsumeError } from "../../src/core/errors.ts";
import type { PipelineStage } from "../../src/queue/pipeline-account.ts";
import { exporterEntry } from "../../src/queue/queues.ts";
import { MetricsRegistry } from "../../src/service/metrics-registry.ts";
import type { Queues } from "../../src/queue/queues.ts";
import { logsBatch } from "../contract/admission-contract.ts";
import { settle } from "../support/test-clock.ts";
import { LogStorage } from "./log-storage.ts";
import { admit, ledgerLine, openAdmission, openQueues, payloadOf, TestSender } from "./support.ts";

const OPENED = { client: new ClientMetadata("grpc", "10.0.0.1"), opener: "receiver otlp" };

async function openOne() {
  const opened = openQueues([{ id: "a", sender: new TestSender().hang() }]);
  await opened.queues.start();
  return opened;
}

/** A pipeline of one processor in front of destination a; `edit` may drop records, or throw. */
function pipelineOf(
  queues: Queues,
  shortfall: PipelineStage["shortfall"],
  edit: (bodies: Consumer<"logs">) => Consumer<"logs">,
) {
  const account = queues.ledger.pipeline("logs", "logs", [{ processor: "test", shortfall }]);
  const entry = account.at(1, exporterEntry<"logs">(queues, "a"));
  return { account, entry, head: account.at(0, edit(entry)) };
}

/** Drops the first `count` records of each batch. */
function dropping(count: number): (next: Consumer<"logs">) => Consumer<"logs"> {
  return (next) => ({
    mutatesData: true,
    consume: async (batch, admission) => {
      let index = 0;
      for (const record of batch.view) if (index++ < count) record.drop();
      await next.consume(batch, admission);
    },
  });
}

function swallowing(): Consumer<"logs"> {
  return { mutatesData: false, consume: () => Promise.resolve() };
}

function doubling(next: Consumer<"logs">): Consumer<"logs"> {
  return {
    mutatesData: false,
    consume: async (batch, admission) => {
      await next.consume(batch, admission);
      await next.consume(batch.clone(), admission);
    },
  };
}

function failing(error: unknown): Consumer<"logs"> {
  return {
    mutatesData: false,
    consume: async () => {
      throw error;
    },
  };
}

describe("a pipeline's equation", () => {
  it("counts what a processor drops under its name", async () => {
    const { queues } = await openOne();
    const { account, head } = pipelineOf(queues, "dropped", dropping(2));
    await admitBatch(queues, head, logsBatch(["one", "two", "three"]), OPENED);
    expect(account.snapshot()).toMatchObject({ incoming: 3, admitted: 1, dropped: { test: 2 }, refused: 0 });
    queues.ledger.balance();
  });

  it("counts a refused batch as refused, whatever was dropped of it, so that its next try counts anew", async () => {
    const { queues } = await openOne();
    const { account, entry } = pipelineOf(queues, "dropped", dropping(0));
    const refusing: Consumer<"logs"> = {
      mutatesData: false,
      consume: async (batch, admission) => {
        await entry.consume(batch, admission);
        throw new ConsumeError("refused", "not now");
      },
    };
    const outcome = admitBatch(queues, account.at(0, refusing), logsBatch(["one", "two"]), OPENED);
    await expect(outcome).rejects.toMatchObject({ kind: "refused" });
    expect(account.snapshot()).toMatchObject({ incoming: 2, admitted: 0, dropped: {}, refused: 2 });
    expect(ledgerLine(queues, "a")).toMatchObject({ admitted: 0 });
    queues.ledger.balance();
  });

  it("counts what a processor holds, and takes it back when it lets it go", async () => {
    const { queues } = await openOne();
    const { account, entry, head } = pipelineOf(queues, "held", swallowing);
    await admitBatch(queues, head, logsBatch(["one", "two"]), OPENED);
    expect(account.snapshot()).toMatchObject({ incoming: 2, admitted: 0, held: 2 });
    queues.ledger.balance();

    // Its own admission, on its own clock.
    const admission = queues.admit({ client: ClientMetadata.internal, opener: "processor test" });
    await entry.consume(logsBatch(["one"]), admission);
    await admission.commit();
    expect(account.snapshot()).toMatchObject({ incoming: 2, admitted: 1, held: 1 });
    queues.ledger.balance();
  });

  it("counts what a processor creates, and what it joins", async () => {
    const { queues } = await openOne();
    const creating = pipelineOf(queues, "dropped", doubling);
    await admitBatch(queues, creating.head, logsBatch(["one", "two"]), OPENED);
    expect(creating.account.snapshot()).toMatchObject({ incoming: 2, created: 2, admitted: 4 });

    // The next generation of the graph has another processor there, and goes on counting.
    const joining = pipelineOf(queues, "joined", dropping(1));
    await admitBatch(queues, joining.head, logsBatch(["one", "two"]), OPENED);
    expect(joining.account.snapshot()).toMatchObject({ incoming: 4, created: 2, joined: 1, admitted: 5 });
    queues.ledger.balance();
  });
});

describe("a receiver's equation", () => {
  it("tells accepted from refused from failed, by receiver and transport, as the Collector's metrics", async () => {
    const { queues, meter } = await openOne();
    await admitBatch(queues, exporterEntry<"logs">(queues, "a"), logsBatch(), OPENED);
    for (const error of [new ConsumeError("refused", "full"), new TypeError("a bug")]) {
      await expect(admitBatch(queues, failing(error), logsBatch(), OPENED)).rejects.toBeInstanceOf(ConsumeError);
    }
    expect(queues.ledger.snapshot().receivers).toEqual([
      {
        receiver: "otlp",
        transport: "grpc",
        signal: "logs",
        received: 6,
        accepted: 2,
        refused: 2,
        failed: 2,
        pending: 0,
      },
    ]);
    for (const outcome of ["accepted", "refused", "failed"]) {
      expect(meter.value(`otelcol_receiver_${outcome}_log_records{receiver=otlp,transport=grpc}`)).toBe(2);
    }
  });

  it("holds while a request waits for its answer, and shows one that nobody settles", async () => {
    const { queues } = await openOne();
    openAdmission(queues, { items: 5 });
    expect(queues.ledger.snapshot().receivers[0]).toMatchObject({ received: 5, accepted: 0, pending: 5 });
    queues.ledger.balance();
  });
});

describe("a request that was refused unread", () => {
  const MEMORY = { receiver: "otlp", transport: "grpc", reason: "memory" } as const;

  it("is counted by receiver, transport and reason, with what it declared, and as metrics", async () => {
    const { queues, meter } = await openOne();
    for (const bytes of [100, 250]) queues.refusedUnread({ ...MEMORY, bytes });
    queues.refusedUnread({ ...MEMORY, transport: "http", reason: "too_large", bytes: 7 });
    expect(queues.ledger.snapshot().unread).toEqual([
      { ...MEMORY, requests: 2, bytes: 350 },
      { receiver: "otlp", transport: "http", reason: "too_large", requests: 1, bytes: 7 },
    ]);
    const labels = "{receiver=otlp,transport=grpc,reason=memory}";
    expect(meter.value(`signalbox_receiver_refused_unread_requests${labels}`)).toBe(2);
    expect(meter.value(`signalbox_receiver_refused_unread_bytes${labels}`)).toBe(350);
    queues.ledger.balance();
  });

  it("cannot break the sums, whatever size it declares", async () => {
    const { queues } = await openOne();
    for (let count = 0; count < 3; count++) queues.refusedUnread({ ...MEMORY, bytes: 2 ** 64 });
    expect(queues.ledger.snapshot().unread[0]).toMatchObject({ requests: 3, bytes: Number.MAX_SAFE_INTEGER });
  });

  it("is counted on by the next process, with a storage", async () => {
    const storage = new LogStorage();
    const first = openQueues([{ id: "a", sender: new TestSender().hang() }], { storage });
    await first.queues.start();
    first.queues.refusedUnread({ ...MEMORY, bytes: 100 });
    // The counts ride with the next record.
    await admit(first.queues, ["a"]);
    await first.queues.shutdown(AbortSignal.abort());

    const next = openQueues([{ id: "a", sender: new TestSender().hang() }], { storage });
    await next.queues.start();
    next.queues.refusedUnread({ ...MEMORY, bytes: 5 });
    expect(next.queues.ledger.snapshot("ever").unread).toEqual([{ ...MEMORY, requests: 2, bytes: 105 }]);
    expect(next.queues.ledger.snapshot("run").unread).toEqual([{ ...MEMORY, requests: 1, bytes: 5 }]);
  });
});

it("enlists nothing for a batch of which nothing is left", async () => {
  const { queues } = await openOne();
  const { head } = pipelineOf(queues, "dropped", dropping(2));
  await admitBatch(queues, head, logsBatch(["one", "two"]), OPENED);
  expect(ledgerLine(queues, "a")).toMatchObject({ admitted: 0, queued: 0, in_flight: 0 });
});

it("names the account that does not balance, and by how much", async () => {
  const { queues } = await openOne();
  await admit(queues, ["a"], payloadOf(3));
  queues.ledger.destination("a", "logs").sent.add(1);
  expect(() => queues.ledger.balance()).toThrow(/destination a, logs: -1 items more came in than are accounted for/);
});

it("balances a pipeline over a reload that takes away the processor that dropped", async () => {
  const { queues } = await openOne();
  const before = pipelineOf(queues, "dropped", dropping(1));
  await admitBatch(queues, before.head, logsBatch(["one", "two"]), OPENED);
  const after = queues.ledger.pipeline("logs", "logs", []);
  await admitBatch(queues, after.at(0, exporterEntry<"logs">(queues, "a")), logsBatch(["three"]), OPENED);
  expect(after.snapshot()).toMatchObject({ incoming: 3, admitted: 2, dropped: { test: 1 } });
  queues.ledger.balance();
});

it("balances over all runs what an earlier process evicted, though this one evicts nothing", async () => {
  const storage = new LogStorage();
  const queue = { queue_size: 1 };
  const sender = new TestSender().hang();
  const first = openQueues([{ id: "a", sender, queue, delivery: "best_effort" }], { storage });
  await first.queues.start();
  for (let count = 0; count < 3; count++) await admit(first.queues, ["a"]);
  expect(ledgerLine(first.queues, "a")).toMatchObject({ evicted: { drop_newest: 2 } });
  // The counts of the last one ride with the next record.
  await first.queues.shutdown(AbortSignal.abort());

  const next = openQueues([{ id: "a", queue, delivery: "best_effort" }], { storage });
  await next.queues.start();
  await settle();
  expect(ledgerLine(next.queues, "a")).toMatchObject({ carried_over: 1, sent: 1, evicted: { drop_newest: 0 } });
  next.queues.ledger.balance();
});

describe("over all runs, with a storage", () => {
  /** Three items in, of which one is refused; the destination keeps two. */
  async function firstRun(storage: LogStorage): Promise<void> {
    const { queues } = openQueues([{ id: "a", sender: new TestSender().hang() }], { storage });
    await queues.start();
    const { head } = pipelineOf(queues, "dropped", dropping(1));
    await admitBatch(queues, head, logsBatch(["one", "two", "three"]), OPENED);
    await expect(
      admitBatch(queues, failing(new ConsumeError("refused", "full")), logsBatch(["four"]), OPENED),
    ).rejects.toThrow("full");
    await queues.shutdown(AbortSignal.abort());
  }

  it("shows the earlier totals of every receiver, pipeline and destination at once, before anything comes in", async () => {
    const storage = new LogStorage();
    await firstRun(storage);
    const next = openQueues([{ id: "a", sender: new TestSender().hang() }], { storage });
    await next.queues.start();

    expect(next.queues.ledger.snapshot("ever")).toMatchObject({
      receivers: [{ receiver: "otlp", transport: "grpc", received: 4, accepted: 3, refused: 1, pending: 0 }],
      pipelines: [{ pipeline: "logs", incoming: 3, admitted: 2, dropped: { test: 1 } }],
      destinations: [{ destination: "a", carried_over: 0, admitted: 2, sent: 0, in_flight: 2 }],
    });
    expect(next.queues.ledger.snapshot("run")).toMatchObject({
      receivers: [{ received: 0, accepted: 0 }],
      destinations: [{ carried_over: 2, admitted: 0, in_flight: 2 }],
    });
    next.queues.ledger.balance();
  });

  it("counts as queued what belongs to a destination that is configured no more", async () => {
    const storage = new LogStorage();
    await firstRun(storage);
    const next = openQueues([{ id: "b" }], { storage });
    await next.queues.start();
    expect(ledgerLine(next.queues, "a")).toMatchObject({ carried_over: 2, queued: 2 });
    next.queues.ledger.balance();
  });

  it("goes on from the earlier totals when traffic comes again", async () => {
    const storage = new LogStorage();
    await firstRun(storage);
    const next = openQueues([{ id: "a" }], { storage });
    await next.queues.start();
    const { head } = pipelineOf(next.queues, "dropped", dropping(0));
    await admitBatch(next.queues, head, logsBatch(["five"]), OPENED);
    await settle();
    expect(next.queues.ledger.snapshot("ever")).toMatchObject({
      receivers: [{ received: 5, accepted: 4, refused: 1 }],
      pipelines: [{ incoming: 4, admitted: 3, dropped: { test: 1 } }],
      destinations: [{ admitted: 3, sent: 3, queued: 0, in_flight: 0 }],
    });
    next.queues.ledger.balance();
  });

  it("books once what damage took of the entries, says it, and adds up from then on", async () => {
    const storage = new LogStorage();
    await firstRun(storage);
    // As a storage does whose payload is damaged: the entry is not told, its admission's counts are.
    const [sequence, record] = [...storage.records].find(([, { kind }]) => kind === "admission")!;
    if (record.kind === "admission") storage.records.set(sequence, { ...record, entries: [] });

    const next = openQueues([{ id: "a" }], { storage });
    await next.queues.start();
    expect(next.logger.matching(/differ/)).toEqual([
      "error the ledger and the queue's storage differ, as damage leaves them: destination a: 2 log records are not in the storage any more",
    ]);
    expect(next.queues.ledger.snapshot("ever").destinations[0]).toMatchObject({ admitted: 2, dropped: { damaged: 2 } });
    next.queues.ledger.balance();
    await next.queues.shutdown(AbortSignal.abort());

    const third = openQueues([{ id: "a" }], { storage });
    await third.queues.start();
    expect(third.logger.matching(/differ/)).toEqual([]);
    expect(third.queues.ledger.snapshot("ever").destinations[0]).toMatchObject({ dropped: { damaged: 2 } });
    third.queues.ledger.balance();
  });

  it("books as carried over what stands in the storage without its admission's counts", async () => {
    const storage = new LogStorage();
    await firstRun(storage);
    const [sequence, record] = [...storage.records].find(([, { kind }]) => kind === "admission")!;
    storage.records.set(sequence, { ...record, ledger: [] });
    const next = openQueues([{ id: "a", sender: new TestSender().hang() }], { storage });
    await next.queues.start();
    expect(next.queues.ledger.snapshot("ever").destinations[0]).toMatchObject({ carried_over: 2, in_flight: 2 });
    next.queues.ledger.balance();
  });
});

describe("the equations as metrics", () => {
  it("have both sides of each account in one family, whose sums are equal", async () => {
    const registry = new MetricsRegistry();
    const { queues } = openQueues([{ id: "a", sender: new TestSender().hang() }, { id: "b" }], { meter: registry });
    await queues.start();
    const { head } = pipelineOf(queues, "dropped", dropping(1));
    await admitBatch(queues, head, logsBatch(["one", "two", "three"]), OPENED);
    openAdmission(queues, { items: 5 });
    await admit(queues, ["b"], payloadOf(4));
    await settle();

    for (const kind of ["destination", "pipeline", "receiver"]) {
      const sides = sidesOf(registry, `signalbox_ledger_${kind}_items`);
      expect(sides.came).toBeGreaterThan(0);
      expect(sides.went).toBe(sides.came);
    }
    const labels = { exporter: "a", data_type: "logs", side: "went", entry: "in_flight" };
    expect(registry.value("signalbox_ledger_destination_items", labels)).toBe(2);
    const dropped = { pipeline: "logs", side: "went", entry: "dropped", rule: "test" };
    expect(registry.value("signalbox_ledger_pipeline_items", dropped)).toBe(1);
    expect(registry.value("signalbox_ledger_imbalances", {})).toBe(0);
    queues.ledger.destination("a", "logs").sent.add(1);
    expect(registry.value("signalbox_ledger_imbalances", {})).toBe(1);
  });
});

function sidesOf(registry: MetricsRegistry, family: string): { came: number; went: number } {
  const sides = { came: 0, went: 0 };
  for (const { labels, value } of registry.collect().find(({ name }) => name === family)!.series) {
    if (typeof value === "number") sides[labels["side"] as "came" | "went"] += value;
  }
  return sides;
}
