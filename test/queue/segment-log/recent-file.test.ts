import { describe, expect, it } from "vitest";
import type { SegmentLog } from "../../../src/queue/segment-log/segment-log.ts";
import { diskError, MemoryDisk } from "./memory-disk.ts";
import { admission, completion, FOLDER, openLog, RECENT_BYTES, refKey, replay } from "./model.ts";

async function openedLog(disk: MemoryDisk): Promise<SegmentLog> {
  const { log } = openLog(disk);
  await replay(log);
  return log;
}

async function admitOne(log: SegmentLog, id: number): Promise<{ sequence: number; index: number }> {
  return { sequence: await log.append([admission({ id, size: 100, destinations: ["here"] })]), index: 0 };
}

/** What a start over a copy of the disk finds. */
async function found(disk: MemoryDisk): Promise<{ entries: string[]; sent: number; lines: string[] }> {
  const { log, logger } = openLog(disk.copy());
  const { entries, totals } = await replay(log);
  return { entries: entries.map(({ ref }) => refKey(ref)), sent: totals.get("sent") ?? 0, lines: logger.lines };
}

describe("a completion that was noted before its record was written", () => {
  it("holds after a kill, over more kills and restarts, and its items are counted once", async () => {
    const disk = new MemoryDisk();
    const log = await openedLog(disk);
    const [first, second] = [await admitOne(log, 1), await admitOne(log, 2)];
    log.note(completion([first]));
    expect(await found(disk)).toEqual({ entries: [refKey(second)], sent: 1, lines: [] });
    // The next process is killed before it writes anything, and the one after it right after its first group.
    const again = await openedLog(disk);
    expect(await found(disk)).toEqual({ entries: [refKey(second)], sent: 1, lines: [] });
    disk.failures.push({ of: "sync", error: diskError("EIO") });
    await expect(again.append([completion([])])).rejects.toThrow("EIO");
    expect(await found(disk)).toEqual({ entries: [refKey(second)], sent: 1, lines: [] });
    const third = await admitOne(again, 3);
    expect(await found(disk)).toEqual({ entries: [refKey(second), refKey(third)], sent: 1, lines: [] });
    await again.close();
    expect(await found(disk)).toEqual({ entries: [refKey(second), refKey(third)], sent: 1, lines: [] });
  });

  it("holds for whoever opens the log next, though it would make a file of another size", async () => {
    const disk = new MemoryDisk();
    const log = await openedLog(disk);
    const refs = [];
    for (let id = 1; id <= 12; id += 1) refs.push(await admitOne(log, id));
    for (const ref of refs) log.note(completion([ref]));
    for (const recentBytes of [4096, 512]) {
      const { entries, totals } = await replay(openLog(disk.copy(), { recentBytes }).log);
      expect([entries.length, totals.get("sent")]).toEqual([0, 12]);
    }
    // One that only reads makes no file, and leaves this one as it is.
    disk.files.delete(`${FOLDER}/recent`);
    const before = [...disk.files.keys()];
    const { log: reader } = openLog(disk, { isOnlyRead: true });
    expect((await replay(reader)).entries).toHaveLength(12);
    expect([...disk.files.keys()]).toEqual(before);
  });

  it("is counted once where its record was written too", async () => {
    const disk = new MemoryDisk();
    const log = await openedLog(disk);
    const ref = await admitOne(log, 1);
    const record = completion([ref]);
    log.note(record);
    await log.append([record]);
    expect(await found(disk)).toEqual({ entries: [], sent: 1, lines: [] });
    // Its segment goes, and with it the record; the note is still there.
    for (let id = 2; id < 200; id += 1) await log.append([completion([await admitOne(log, id)])]);
    expect(disk.segmentPaths[0]).not.toContain("00001.log");
    expect(await found(disk)).toEqual({ entries: [], sent: 199, lines: [] });
  });

  it("keeps a dead letter dead", async () => {
    const disk = new MemoryDisk();
    const log = await openedLog(disk);
    const ref = await admitOne(log, 1);
    const deadLetter = { reason: "rejected", atUnixMs: 5, attempts: 1, message: "no", replays: 0 } as const;
    log.note({ kind: "completion", entries: [], marks: [{ ref, deadLetter }], ledger: [] });
    const next = await openedLog(disk.copy());
    await admitOne(next, 2);
    const { log: last } = openLog(disk);
    const { letters } = await replay(last);
    expect(letters.map((letter) => letter.deadLetter)).toEqual([deadLetter]);
    await admitOne(last, 3);
    const { letters: later } = await replay(openLog(disk).log);
    expect(later.map((letter) => letter.deadLetter)).toEqual([deadLetter]);
  });

  it("is done again where a power cut took the note, and not where it left it", async () => {
    for (const share of [0, 1]) {
      const disk = new MemoryDisk();
      const log = await openedLog(disk);
      const ref = await admitOne(log, 1);
      log.note(completion([ref]));
      const recent = disk.files.get(`${FOLDER}/recent`)!;
      if (share === 1) recent.synced = Buffer.from(recent.bytes);
      disk.cutPower(share);
      expect(await found(disk)).toEqual({ entries: share === 1 ? [] : [refKey(ref)], sent: share, lines: [] });
    }
  });

  it("is not kept where there are more than the file has room for, and room returns when they are written", async () => {
    const disk = new MemoryDisk();
    const log = await openedLog(disk);
    const refs = await Promise.all(Array.from({ length: 1 }, () => admitOne(log, 1)));
    for (let id = 2; id <= 60; id += 1) refs.push(await admitOne(log, id));
    const records = refs.map((ref) => completion([ref]));
    for (const record of records) {
      log.note(record);
    }
    expect(disk.files.get(`${FOLDER}/recent`)!.bytes.length).toBeLessThanOrEqual(RECENT_BYTES);
    const kept = 60 - (await found(disk)).entries.length;
    expect(kept).toBeGreaterThan(10);
    expect(kept).toBeLessThan(60);
    await log.append(records);
    const last = await admitOne(log, 61);
    log.note(completion([last]));
    expect(await found(disk)).toEqual({ entries: [], sent: 61, lines: [] });
  });

  it("is done again where the file cannot be written any more, which is said once", async () => {
    const disk = new MemoryDisk();
    const { log, logger } = openLog(disk);
    await replay(log);
    const [first, second] = [await admitOne(log, 1), await admitOne(log, 2)];
    disk.failures.push({ of: "writeNow", error: diskError("EIO") });
    log.note(completion([first]));
    log.note(completion([second]));
    expect(logger.lines.join("\n")).toMatch(
      /^warn .* could not write \/queue\/recent: EIO.*; a kill then repeats what was delivered in its last 100 ms/,
    );
    expect(logger.lines).toHaveLength(1);
    // It is not there: a mark that is too old would say that what comes was committed by nobody.
    expect(disk.files.has(`${FOLDER}/recent`)).toBe(false);
    expect((await found(disk)).entries).toEqual([refKey(first), refKey(second)]);
  });
});

describe("a start that cannot make the file", () => {
  it("goes on without, and says what that costs", async () => {
    const disk = new MemoryDisk();
    disk.capacityBytes = 1000;
    const { log, logger } = openLog(disk);
    await replay(log);
    expect(logger.lines.join("\n")).toMatch(/could not make \/queue\/recent: ENOSPC/);
    disk.capacityBytes = 1_000_000;
    const ref = await admitOne(log, 1);
    log.note(completion([ref]));
    // It was made with the first segment.
    expect(await found(disk)).toEqual({ entries: [], sent: 1, lines: [] });
  });
});
