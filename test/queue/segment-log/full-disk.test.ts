import { describe, expect, it } from "vitest";
import { SegmentLog } from "../../../src/queue/segment-log/segment-log.ts";
import { TestClock } from "../../support/test-clock.ts";
import { admit, ledgerLine, openQueues, RecordingLogger, TestSender, type TestQueues, watch } from "../support.ts";
import { MemoryDisk } from "./memory-disk.ts";
import { FOLDER, payload } from "./model.ts";

const KIB = 1024;
const DISK = 400 * KIB;
const RESERVE = 100 * KIB;

function open(disk: MemoryDisk): TestQueues & { readonly sender: TestSender } {
  const clock = new TestClock();
  const logger = new RecordingLogger();
  const storage = new SegmentLog({ folder: FOLDER, disk, clock, logger, reserveBytes: RESERVE });
  const sender = new TestSender().fail("retryable");
  const retry = { initial_interval: "100ms", max_interval: "100ms", max_elapsed_time: "0s" };
  return { ...openQueues([{ id: "a", sender, retry }], { clock, storage }), sender };
}

let nextId = 0;

/** "ok", or how it was refused. */
async function send({ queues, clock }: TestQueues): Promise<string> {
  const answer = watch(admit(queues, ["a"], payload(nextId++, 3 * KIB)));
  for (let turn = 0; turn < 20 && answer.state === "pending"; turn += 1) await clock.advance(10);
  return answer.state;
}

describe("a disk that the queue itself has filled", () => {
  it("is left again as often as it is filled, and what was accepted is sent once", async () => {
    const disk = new MemoryDisk();
    disk.capacityBytes = DISK;
    const gateway = open(disk);
    await gateway.queues.start();
    let accepted = 0;
    for (let round = 0; round < 5; round += 1) {
      gateway.sender.fail("retryable");
      let refusals = 0;
      for (let tries = 0; refusals < 10; tries += 1) {
        expect(tries).toBeLessThan(1000);
        if ((await send(gateway)) === "ok") accepted += 1;
        else refusals += 1;
      }
      // Takes all from now on, while senders go on.
      gateway.sender.work();
      const before = accepted;
      for (let tries = 0; accepted < before + 300; tries += 1) {
        expect(tries, `round ${round}: ${accepted - before} taken`).toBeLessThan(2000);
        if ((await send(gateway)) === "ok") accepted += 1;
        else await gateway.clock.advance(50);
      }
    }
    await gateway.clock.advance(10_000);
    expect(new Set(gateway.sender.taken.map(({ size }) => size))).toEqual(new Set([3 * KIB]));
    expect(gateway.sender.taken).toHaveLength(accepted);
    expect(ledgerLine(gateway.queues, "a")).toMatchObject({ queued: 0, in_flight: 0 });
    gateway.queues.ledger.balance();
  });
});
