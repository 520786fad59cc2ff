import { expect, it } from "vitest";
import { SegmentLog } from "../../src/queue/segment-log/segment-log.ts";
import { TestClock } from "../support/test-clock.ts";
import { MemoryDisk } from "./segment-log/memory-disk.ts";
import { FOLDER } from "./segment-log/model.ts";
import { openAdmission, openQueues, payloadOf, RecordingLogger, TestSender, type TestQueues } from "./support.ts";

const OWNER = "span_to_logs";

function open(disk?: MemoryDisk): TestQueues & { readonly sender: TestSender } {
  const clock = new TestClock();
  const sender = new TestSender().hang();
  const logger = new RecordingLogger();
  const storage = disk && new SegmentLog({ folder: FOLDER, disk, clock, logger, segmentBytes: 2000, reserveBytes: 64 });
  return { ...openQueues([{ id: "a", sender }], { clock, ...(storage && { storage }) }), sender };
}

/** Attaches `changes`, and commits, or gives up. */
async function change(
  { queues }: TestQueues,
  changes: Record<string, number | undefined>,
  isKept = true,
): Promise<void> {
  const admission = openAdmission(queues);
  admission.enlist({ destination: "a", signal: "logs", payload: payloadOf(1) });
  for (const [key, value] of Object.entries(changes)) {
    admission.attach({ owner: OWNER, key, value: value === undefined ? undefined : Uint8Array.of(value) });
  }
  if (isKept) await admission.commit();
  else admission.discard();
}

function stateOf({ queues }: TestQueues): Record<string, number> {
  return Object.fromEntries([...queues.stateOf(OWNER)].map(([key, value]) => [key, value[0]!]));
}

it("is given back to its component: the latest values of what was kept, and nothing of what was not", async () => {
  const gateway = open();
  await gateway.queues.start();
  await change(gateway, { "job-1": 1, "job-2": 2 });
  await change(gateway, { "job-1": 9 }, false);
  await change(gateway, { "job-2": undefined, "job-3": 3 });
  expect(stateOf(gateway)).toEqual({ "job-1": 1, "job-3": 3 });
  expect(gateway.queues.stateOf("another").size).toBe(0);
});

it("is there again after a kill, after many segments have gone, and in a process that only read it", async () => {
  const disk = new MemoryDisk();
  const first = open(disk);
  await first.queues.start();
  await change(first, { "job-1": 1, "job-2": 2 });
  await change(first, { "job-2": undefined });
  first.sender.work();
  for (let round = 0; round < 40; round += 1) {
    const committed = change(first, { "job-3": round });
    await first.clock.advance(1000);
    await committed;
  }
  disk.cutPower(1);
  for (let life = 0; life < 2; life += 1) {
    const next = open(disk);
    await next.queues.start();
    expect(stateOf(next)).toEqual({ "job-1": 1, "job-3": 39 });
  }
});

it("handed out does not change when more is attached", async () => {
  const gateway = open();
  await gateway.queues.start();
  await change(gateway, { "job-1": 1 });
  const before = gateway.queues.stateOf(OWNER);
  await change(gateway, { "job-1": 2 });
  expect(before.get("job-1")).toEqual(Uint8Array.of(1));
});
