import { describe, expect, it } from "vitest";
import { ClientMetadata } from "../../../src/core/client-metadata.ts";
import { admissionBytesMaxOf } from "../../../src/queue/segment-log/record-room.ts";
import { SegmentLog } from "../../../src/queue/segment-log/segment-log.ts";
import { settle, TestClock } from "../../support/test-clock.ts";
import { admit, ledgerLine, openQueues, RecordingLogger, TestSender, type TestQueues, watch } from "../support.ts";
import { MemoryDisk } from "./memory-disk.ts";
import { FOLDER, payload } from "./model.ts";

const KIB = 1024;
const MAX_SIZE = 2048 * KIB;
const LARGEST = admissionBytesMaxOf(MAX_SIZE);

async function open(): Promise<TestQueues & { readonly disk: MemoryDisk; readonly sender: TestSender }> {
  const [clock, disk, sender] = [new TestClock(), new MemoryDisk(), new TestSender()];
  const storage = new SegmentLog({ folder: FOLDER, disk, clock, logger: new RecordingLogger(), bytesMax: MAX_SIZE });
  const opened = openQueues(
    [
      { id: "a", sender },
      { id: "spare", delivery: "best_effort" },
    ],
    { clock, storage },
  );
  await opened.queues.start();
  return { ...opened, disk, sender };
}

async function answerOf({ queues, clock }: TestQueues, bytes: number): Promise<string> {
  const answer = watch(admit(queues, ["a"], payload(1, bytes)));
  for (let turn = 0; turn < 50 && answer.state === "pending"; turn += 1) {
    await settle();
    await clock.advance(10);
  }
  return answer.state;
}

describe("max_size", () => {
  it("refuses at once and for good a request that no emptying makes room for, and nobody else", async () => {
    const gateway = await open();
    const others: string[] = [];
    for (let round = 0; round < 10; round += 1) {
      const [large, small] = await Promise.all([answerOf(gateway, 4000 * KIB), answerOf(gateway, 100)]);
      expect(large).toBe("too_large");
      others.push(small);
    }
    expect(new Set(others)).toEqual(new Set(["ok"]));
    await expect(admit(gateway.queues, ["a"], payload(1, LARGEST + 1))).rejects.toThrow(
      `${LARGEST + 1} bytes exceed the whole queue storage, which keeps requests of ${LARGEST}`,
    );
    expect(gateway.logger.matching(/cannot write|writes again/)).toEqual([]);
    gateway.queues.ledger.balance();
  });

  it("takes the largest that it promises to as often as the one before is delivered", async () => {
    const gateway = await open();
    for (let round = 0; round < 5; round += 1) {
      let answer = "";
      for (let tries = 0; tries < 10 && answer !== "ok"; tries += 1) {
        answer = await answerOf(gateway, LARGEST);
        await gateway.clock.advance(1000);
      }
      expect(answer, `round ${round}`).toBe("ok");
      for (let small = 0; small < 7; small += 1) expect(await answerOf(gateway, 10 * KIB)).toBe("ok");
    }
  });

  it("takes small requests while a large one finds no room, and the large one once there is some", async () => {
    const gateway = await open();
    gateway.sender.fail("retryable");
    expect(await answerOf(gateway, 1000 * KIB)).toBe("ok");
    const [large, ...small] = await Promise.all([
      answerOf(gateway, 1000 * KIB),
      ...Array.from({ length: 8 }, () => answerOf(gateway, 100)),
    ]);
    expect(large).toBe("retryable");
    expect(small).toEqual(small.map(() => "ok"));
    gateway.sender.work();
    await gateway.clock.advance(60_000);
    await answerOf(gateway, 100);
    expect(await answerOf(gateway, 1000 * KIB)).toBe("ok");
  });

  it("drops the copy of a best-effort destination that does not fit beside the others", async () => {
    const { queues } = await open();
    const admission = queues.admit({
      client: ClientMetadata.internal,
      opener: "receiver otlp",
      received: { signal: "logs", items: 1 },
    });
    admission.enlist({ destination: "a", signal: "logs", payload: payload(1, 1000 * KIB) });
    admission.enlist({ destination: "spare", signal: "logs", payload: payload(2, 1000 * KIB) });
    await admission.commit();
    expect(ledgerLine(queues, "spare")).toMatchObject({ evicted: { drop_newest: payload(2, 1).itemCount } });
    queues.ledger.balance();
  });
});
