import { describe, expect, it } from "vitest";
import { ClientMetadata } from "../../src/core/client-metadata.ts";
import { SENT_WHOLE } from "../../src/core/sender.ts";
import { GROUP_ADMISSIONS_MAX, GROUP_BYTES_MAX } from "../../src/queue/journal.ts";
import type { AdmissionRecord, StoredRecord } from "../../src/queue/storage.ts";
import { settle } from "../support/test-clock.ts";
import { LogStorage } from "./log-storage.ts";
import { admit, ledgerLine, openAdmission, openQueues, payloadOf, TestSender, watch } from "./support.ts";

async function openOver(storage: LogStorage, ids = ["a"], queue: Record<string, unknown> = {}) {
  const senders = ids.map(() => new TestSender().hang());
  const destinations = ids.map((id, index) => ({ id, sender: senders[index]!, queue }));
  const opened = openQueues(destinations, { storage });
  await opened.queues.start();
  return { ...opened, senders };
}

function admissionsIn(group: readonly StoredRecord[]): AdmissionRecord[] {
  return group.filter((record) => record.kind === "admission");
}

describe("group commit", () => {
  it("answers no sender before the append that holds its admission has ended", async () => {
    const storage = new LogStorage();
    const { queues, senders } = await openOver(storage);
    storage.isHoldingAppends = true;
    const answer = watch(admit(queues, ["a"]));
    await settle();
    expect(answer.state).toBe("pending");
    expect(senders[0]!.requests).toEqual([]);
    storage.releaseAppend();
    await settle();
    expect(answer.state).toBe("ok");
    expect(senders[0]!.requests.length).toBe(1);
  });

  it("writes together what waited while the previous append ran, one append at a time", async () => {
    const storage = new LogStorage();
    const { queues } = await openOver(storage);
    storage.isHoldingAppends = true;
    const answers = Array.from({ length: 5 }, () => watch(admit(queues, ["a"])));
    await settle();
    expect(storage.heldAppendCount).toBe(1);
    storage.releaseAppend();
    await settle();
    expect(storage.groups.map((group) => group.length)).toEqual([1, 4]);
    expect(answers.map(({ state }) => state)).toEqual(["ok", "pending", "pending", "pending", "pending"]);
    storage.releaseAppend();
    await settle();
    expect(answers.every(({ state }) => state === "ok")).toBe(true);
  });

  it("keeps a group within its number of admissions", async () => {
    const storage = new LogStorage();
    const { queues } = await openOver(storage);
    storage.isHoldingAppends = true;
    const answers = Array.from({ length: GROUP_ADMISSIONS_MAX + 11 }, () => watch(admit(queues, ["a"])));
    for (let group = 0; group < 3; group++) {
      await settle();
      storage.releaseAppend();
    }
    await settle();
    expect(storage.groups.map((group) => group.length)).toEqual([1, GROUP_ADMISSIONS_MAX, 10]);
    expect(answers.every(({ state }) => state === "ok")).toBe(true);
  });

  it("keeps a group within its bytes, but writes a single larger admission", async () => {
    const storage = new LogStorage();
    const { queues } = await openOver(storage);
    storage.isHoldingAppends = true;
    const half = payloadOf(1, GROUP_BYTES_MAX / 2);
    const huge = payloadOf(1, GROUP_BYTES_MAX + 1);
    for (const payload of [half, half, half, half, huge, half]) void admit(queues, ["a"], payload);
    for (let group = 0; group < 5; group++) {
      await settle();
      storage.releaseAppend();
    }
    await settle();
    expect(storage.groups.map((group) => group.length)).toEqual([1, 2, 1, 1, 1]);
  });

  it("writes a payload once, however many destinations it goes to", async () => {
    const storage = new LogStorage();
    const { queues } = await openOver(storage, ["a", "b", "c"]);
    await admit(queues, ["a", "b", "c"]);
    const [record] = admissionsIn(storage.groups[0]!);
    expect(record?.entries.map(({ destination }) => destination)).toEqual(["a", "b", "c"]);
    expect(new Set(record?.entries.map(({ payload }) => payload)).size).toBe(1);
  });

  it("stores seen keys and state with the admission, or not at all", async () => {
    const storage = new LogStorage();
    const { queues } = await openOver(storage);
    const remembered = (key: string) => {
      const admission = openAdmission(queues);
      admission.remember({ source: "fluent_forward", key }, 60_000);
      admission.attach({ owner: "spans", key, value: Uint8Array.of(1) });
      return admission;
    };
    await remembered("kept").commit();
    remembered("dropped").discard();
    storage.failures.push(new Error("disk full"));
    await expect(remembered("failed").commit()).rejects.toMatchObject({ kind: "retryable" });
    expect(storage.seenKeys()).toEqual([{ source: "fluent_forward", key: "kept" }]);
    expect(
      [...storage.records.values()].flatMap((record) => (record.kind === "admission" ? record.state : [])),
    ).toEqual([{ owner: "spans", key: "kept", value: Uint8Array.of(1) }]);
  });
});

describe("a storage that fails", () => {
  it("refuses the group, retryably, gives its room back, and says so once", async () => {
    const storage = new LogStorage();
    const { queues, logger, senders } = await openOver(storage, ["a", "b"], { queue_size: 2 });
    storage.failures.push(new Error("ENOSPC: no space left"), new Error("ENOSPC: no space left"));
    for (let count = 0; count < 2; count++) {
      const answer = watch(admit(queues, ["a", "b"]));
      await settle();
      expect(answer.error).toMatchObject({ kind: "retryable", retryAfterMs: 1000 });
      expect(answer.error?.message).toMatch(/ENOSPC/);
    }
    expect(senders.flatMap(({ requests }) => requests)).toEqual([]);
    expect(ledgerLine(queues, "a")).toMatchObject({ admitted: 0, queued: 0 });

    // Both places of both queues are free again.
    await admit(queues, ["a", "b"]);
    await admit(queues, ["a", "b"]);
    expect(logger.lines).toEqual([
      "error the queue storage cannot write; requests are refused until it can",
      "info the queue storage writes again",
    ]);
    queues.ledger.balance();
  });

  it("rejects only the group that failed", async () => {
    const storage = new LogStorage();
    const { queues } = await openOver(storage);
    storage.isHoldingAppends = true;
    const first = watch(admit(queues, ["a"]));
    const second = watch(admit(queues, ["a"]));
    await settle();
    storage.releaseAppend(new Error("EIO"));
    await settle();
    storage.releaseAppend();
    await settle();
    expect([first.state, second.state]).toEqual(["retryable", "ok"]);
    queues.ledger.balance();
  });

  it("puts back what an admission would have pushed out", async () => {
    const storage = new LogStorage();
    const { queues, senders } = await openOver(storage, ["a"], {
      queue_size: 3,
      num_consumers: 1,
      overflow: "drop_oldest",
    });
    for (const items of [1, 2, 3]) await admit(queues, ["a"], payloadOf(items));
    storage.failures.push(new Error("EIO"));
    const answer = watch(admit(queues, ["a"], payloadOf(4)));
    await settle();
    expect(answer.state).toBe("retryable");
    expect(ledgerLine(queues, "a")).toMatchObject({ queued: 5, in_flight: 1, evicted: {} });
    for (let count = 0; count < 3; count++) {
      senders[0]!.release();
      await settle();
    }
    expect(senders[0]!.taken.map(({ itemCount }) => itemCount)).toEqual([1, 2, 3]);
    queues.ledger.balance();
  });

  it("keeps the room of what would be pushed out until it is, so that it can come back", async () => {
    const storage = new LogStorage();
    const queue = { sizer: "items", queue_size: 10, num_consumers: 1, overflow: "drop_oldest" };
    const { queues, meter } = await openOver(storage, ["a"], queue);
    await admit(queues, ["a"], payloadOf(1));
    await admit(queues, ["a"], payloadOf(9));
    storage.isHoldingAppends = true;
    const pushing = watch(admit(queues, ["a"], payloadOf(1)));
    const meanwhile = watch(admit(queues, ["a"], payloadOf(5)));
    await settle();
    storage.releaseAppend(new Error("EIO"));
    await settle();
    expect([pushing.state, meanwhile.state]).toEqual(["retryable", "ok"]);
    expect(ledgerLine(queues, "a")).toMatchObject({ queued: 9, in_flight: 1, evicted: { drop_newest: 5 } });
    expect(meter.value("otelcol_exporter_queue_size{exporter=a,data_type=logs}")).toBe(10);
    queues.ledger.balance();
  });

  it("keeps completions that it could not write, and writes them later without spinning", async () => {
    const storage = new LogStorage();
    const { queues, clock, senders } = await openOver(storage);
    await admit(queues, ["a"], payloadOf(2));
    storage.failures.push(new Error("EIO"), new Error("EIO"));
    senders[0]!.release();
    await settle();
    expect(storage.liveEntries()).toEqual(["a: 2"]);
    expect(storage.groups.length).toBe(2);
    await clock.advance(1000);
    expect(storage.groups.length).toBe(3);
    await clock.advance(1000);
    expect(storage.liveEntries()).toEqual([]);
    expect(ledgerLine(queues, "a")).toMatchObject({ sent: 2, in_flight: 0 });
  });
});

describe("completions", () => {
  it("ride with the next group, or go alone when none has come for a while", async () => {
    const storage = new LogStorage(50);
    const { queues, clock, senders } = await openOver(storage);
    await admit(queues, ["a"]);
    await admit(queues, ["a"]);
    senders[0]!.release();
    await settle();
    expect(storage.groups.length).toBe(2);
    await admit(queues, ["a"]);
    expect(storage.groups.at(-1)?.map(({ kind }) => kind)).toEqual(["completion", "admission"]);
    senders[0]!.release();
    await clock.advance(50);
    expect(storage.groups.at(-1)?.map(({ kind }) => kind)).toEqual(["completion"]);
  });

  it("are all written when the gateway has shut down", async () => {
    const storage = new LogStorage(50);
    const { queues, senders } = await openOver(storage);
    await admit(queues, ["a"]);
    senders[0]!.release();
    await settle();
    await queues.shutdown(new AbortController().signal);
    expect(storage.liveEntries()).toEqual([]);
    expect(storage.isClosed).toBe(true);
  });
});

describe("a start over what a former process left", () => {
  it("sends what was not completed, remembers seen keys, and balances over both runs", async () => {
    const storage = new LogStorage();
    const { queues, clock, senders } = await openOver(storage);
    const key = { source: "fluent_forward", key: "chunk" };
    const admission = openAdmission(queues, { items: 2 });
    admission.remember(key, 60_000);
    admission.enlist({ destination: "a", signal: "logs", payload: payloadOf(2) });
    await admission.commit();
    await admit(queues, ["a"], payloadOf(3));
    senders[0]!.release();
    await settle();

    // The process dies here: no shutdown.
    const sender = new TestSender();
    const next = openQueues([{ id: "a", sender }], { storage, clock });
    await next.queues.start();
    await settle();
    expect(sender.taken.map(({ itemCount }) => itemCount)).toEqual([3]);
    const again = openAdmission(next.queues);
    expect(again.remember(key, 60_000)).toEqual({ state: "done" });
    again.discard();
    next.queues.ledger.balance();
    expect(ledgerLine(next.queues, "a")).toMatchObject({ carried_over: 3, sent: 3 });
  });

  it("leaves alone what belongs to a destination that is no longer configured, and names it", async () => {
    const storage = new LogStorage();
    const { queues } = await openOver(storage);
    await admit(queues, ["a"], payloadOf(5));
    const next = openQueues([{ id: "b" }], { storage });
    await next.queues.start();
    expect(next.logger.lines).toEqual([
      "warn the storage holds 5 log records for a, which is not configured; they stay there until it is configured again",
    ]);
    expect(storage.liveEntries()).toEqual(["a: 5"]);
  });

  it("keeps more than a queue that has been made smaller holds, and admits nothing until it has drained", async () => {
    const storage = new LogStorage();
    const { queues } = await openOver(storage);
    for (let count = 0; count < 3; count++) await admit(queues, ["a"]);
    const sender = new TestSender().hang();
    const next = openQueues([{ id: "a", sender, queue: { queue_size: 2 } }], { storage });
    await next.queues.start();
    const waiting = watch(admit(next.queues, ["a"]));
    await settle();
    sender.release();
    await settle();
    expect(waiting.state).toBe("pending");
    sender.release();
    await settle();
    expect(waiting.state).toBe("ok");
    next.queues.ledger.balance();
  });
});

describe("reading back", () => {
  it("sends a batch whose bytes come back in any order, and drops what is damaged, counted", async () => {
    const storage = new LogStorage();
    storage.isHoldingReads = true;
    const sender = new TestSender();
    const { queues, logger } = openQueues([{ id: "a", sender, queue: { num_consumers: 3 } }], { storage });
    await queues.start();
    for (const items of [1, 2, 3]) await admit(queues, ["a"], payloadOf(items));
    storage.damaged.add("2.0");
    await settle();
    expect(storage.heldReadCount).toBe(3);
    for (const index of [2, 1, 0]) {
      storage.releaseRead(index);
      await settle();
    }
    expect(sender.taken.map(({ itemCount }) => itemCount)).toEqual([3, 1]);
    expect(ledgerLine(queues, "a")).toMatchObject({ sent: 4, dropped: { unreadable: 2 }, in_flight: 0 });
    expect(logger.lines).toEqual(["error destination a: 2 items cannot be read back: checksum mismatch"]);
    queues.ledger.balance();
  });

  it("that fails because the gateway stops leaves the entries queued: they stay in the storage, and the ledger says so", async () => {
    const storage = new LogStorage();
    storage.isHoldingReads = true;
    const { queues, logger, clock } = openQueues([{ id: "a" }], { storage });
    await queues.start();
    await admit(queues, ["a"], payloadOf(3));
    await settle();
    const stopping = queues.shutdown(AbortSignal.abort());
    await settle();
    await clock.advance(1_000);
    await stopping;
    storage.damaged.add("1.0");
    storage.releaseRead();
    await settle();
    expect(ledgerLine(queues, "a")).toMatchObject({ admitted: 3, queued: 3, in_flight: 0, dropped: {} });
    expect(storage.liveEntries()).toEqual(["a: 3"]);
    expect(logger.matching(/cannot be read back/)).toEqual([]);
    queues.ledger.balance();
  });

  it("of what was sent when nothing can be written any more leaves it queued, since the next process sends it again", async () => {
    const storage = new LogStorage();
    const sender = new TestSender();
    let answer = (): void => undefined;
    // It does not honour the abort of its attempt.
    sender.send = () =>
      new Promise((resolve) => {
        answer = () => resolve(SENT_WHOLE);
      });
    const { queues, clock } = openQueues([{ id: "a", sender }], { storage });
    await queues.start();
    await admit(queues, ["a"], payloadOf(3));
    await settle();
    const stopping = queues.shutdown(AbortSignal.abort());
    await clock.advance(1_000);
    await stopping;
    answer();
    await settle();
    expect(storage.liveEntries()).toEqual(["a: 3"]);
    expect(ledgerLine(queues, "a")).toMatchObject({ sent: 0, queued: 3, in_flight: 0 });
    queues.ledger.balance();
  });
});

it("keeps transport and address of a sender with its admission", async () => {
  const storage = new LogStorage();
  const { queues } = await openOver(storage);
  const client = new ClientMetadata("http", "10.0.0.7");
  await admit(queues, ["a"], payloadOf(1), { client });
  expect(admissionsIn(storage.groups[0]!)[0]?.client).toBe(client);
});

describe("a storage without room for all of a group", () => {
  function noRoomFrom(storage: LogStorage, bytesMax: number, code = "ENOSPC"): void {
    const append = storage.append.bind(storage);
    storage.append = (records) => {
      const bytes = records.flatMap((record) => (record.kind === "admission" ? record.entries : []));
      const isTooMuch = bytes.reduce((sum, { payload }) => sum + payload.size, 0) > bytesMax;
      if (isTooMuch) storage.failures.push(Object.assign(new Error(`${code}: of the test`), { code }));
      return append(records);
    };
  }

  /** One that does not fit among sixteen that do, in one group. */
  async function sendTogether(storage: LogStorage) {
    const opened = await openOver(storage);
    storage.isHoldingAppends = true;
    void admit(opened.queues, ["a"], payloadOf(1, 10));
    const large = watch(admit(opened.queues, ["a"], payloadOf(1, 5000)));
    const small = Array.from({ length: 16 }, () => watch(admit(opened.queues, ["a"], payloadOf(1, 10))));
    await settle();
    storage.isHoldingAppends = false;
    while (storage.heldAppendCount > 0) storage.releaseAppend();
    await settle();
    return { ...opened, large, small };
  }

  it("refuses the one that does not fit alone, for now, and keeps the others", async () => {
    const storage = new LogStorage();
    noRoomFrom(storage, 1000);
    const { large, small, logger, queues } = await sendTogether(storage);
    expect(large.state).toBe("retryable");
    expect(small.map(({ state }) => state)).toEqual(small.map(() => "ok"));
    await admit(queues, ["a"], payloadOf(1, 10));
    await expect(admit(queues, ["a"], payloadOf(1, 5000))).rejects.toMatchObject({ kind: "retryable" });
    await admit(queues, ["a"], payloadOf(1, 10));
    // Nothing about small ones: they never stopped.
    expect(logger.lines).toEqual([
      "error the queue storage cannot write; requests of 5000 bytes and more are refused until it can",
    ]);
    queues.ledger.balance();
  });

  it("refuses for good what no file may be as large as, and from then on before it joins a group", async () => {
    const storage = new LogStorage();
    noRoomFrom(storage, 1000, "EFBIG");
    const { large, small, logger, queues } = await sendTogether(storage);
    expect(large.state).toBe("too_large");
    expect(small.map(({ state }) => state)).toEqual(small.map(() => "ok"));
    const groups = storage.groups.length;
    await expect(admit(queues, ["a"], payloadOf(1, 5000))).rejects.toMatchObject({ kind: "too_large" });
    expect(storage.groups.length).toBe(groups);
    expect(logger.lines).toEqual([
      "warn the queue storage cannot keep a request of 5000 bytes, nor larger ones: these are refused for good; raise the bound on the size of a file (ulimit -f)",
    ]);
    queues.ledger.balance();
  });

  it("is tried some ten times for 256 that wait, where none of them fits", async () => {
    const storage = new LogStorage();
    noRoomFrom(storage, 0);
    const { queues } = await openOver(storage);
    storage.isHoldingAppends = true;
    const answers = Array.from({ length: 257 }, () => watch(admit(queues, ["a"])));
    await settle();
    storage.isHoldingAppends = false;
    storage.releaseAppend();
    await settle();
    expect(new Set(answers.map(({ state }) => state))).toEqual(new Set(["retryable"]));
    expect(storage.groups.length).toBeLessThan(12);
    queues.ledger.balance();
  });
});
