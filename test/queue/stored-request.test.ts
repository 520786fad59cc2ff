import { describe, expect, it } from "vitest";
import { ConsumeError } from "../../src/core/errors.ts";
import type { OutgoingRequest } from "../../src/core/sender.ts";
import { SENT_WHOLE } from "../../src/core/sender.ts";
import { settle } from "../support/test-clock.ts";
import { LogStorage } from "./log-storage.ts";
import { admit, ledgerLine, openQueues, payloadOf, TestSender } from "./support.ts";

/** A backend that keeps what it was called with, and is away until it is told otherwise. */
class Away extends TestSender {
  isAway = true;
  constructor() {
    super();
    this.answer(() => (this.isAway ? new ConsumeError("retryable", "ECONNREFUSED") : SENT_WHOLE));
  }
}

async function openOver(storage: LogStorage | undefined, size: number) {
  const sender = new Away();
  const sizes: number[] = [];
  const opened = openQueues([{ id: "a", sender }], storage === undefined ? {} : { storage });
  await opened.queues.start();
  const payload = payloadOf(3, size);
  const original = sender.send.bind(sender);
  sender.send = (request: OutgoingRequest, signal: AbortSignal) => {
    sizes.push(request.payload.slices.reduce((sum, slice) => sum + slice.length, 0));
    return original(request, signal);
  };
  await admit(opened.queues, ["a"], payload);
  await settle();
  return { ...opened, sender, sizes };
}

describe("a request that waits for a backend that is away", () => {
  it("lets go of its bytes where the storage has them, and has the same ones for each attempt", async () => {
    const { clock, sender, sizes, queues } = await openOver(new LogStorage(), 10_000);
    expect(sizes).toEqual([10_000]);
    expect(sender.requests[0]!.payload).toEqual({ slices: [], size: 10_000, itemCount: 3 });
    await clock.advance(5_000);
    sender.isAway = false;
    await clock.advance(10_000);
    expect(sizes).toEqual([10_000, 10_000, 10_000]);
    expect(new Set(sender.requests).size).toBe(1);
    expect(ledgerLine(queues, "a")).toMatchObject({ sent: 3, in_flight: 0 });
    queues.ledger.balance();
  });

  it("keeps its bytes where the queue is in memory, and where they lie in small pieces", async () => {
    for (const [storage, size] of [
      [undefined, 10_000],
      [new LogStorage(), 300],
    ] as const) {
      const { sender } = await openOver(storage, size);
      expect(sender.requests[0]!.payload.slices).toHaveLength(1);
    }
  });

  it("that cannot be read again is dropped, counted, and holds nobody up", async () => {
    const storage = new LogStorage();
    const { clock, sender, sizes, queues, logger } = await openOver(storage, 10_000);
    storage.damaged.add("1.0");
    sender.isAway = false;
    await clock.advance(10_000);
    await admit(queues, ["a"], payloadOf(2, 9_000));
    await clock.advance(10_000);
    expect(sizes).toEqual([10_000, 9_000]);
    expect(logger.matching(/cannot be read back/)).toHaveLength(1);
    expect(ledgerLine(queues, "a")).toMatchObject({ sent: 2, dropped: { unreadable: 3 }, queued: 0, in_flight: 0 });
    queues.ledger.balance();
  });
});
