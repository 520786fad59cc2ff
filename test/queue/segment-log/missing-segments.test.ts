import { describe, expect, it } from "vitest";
import { nodeDisk } from "../../../src/queue/segment-log/disk.ts";
import { MemoryDisk } from "./memory-disk.ts";
import { admission, completion, FOLDER, openLog, refKey, replay } from "./model.ts";

/** Requests of a KiB for `away`, four to a segment of 4 KiB; of every segment one is delivered. Nothing is closed: a kill. */
async function killedWith(requests: number): Promise<{ disk: MemoryDisk; waiting: string[] }> {
  const disk = new MemoryDisk();
  const { log } = openLog(disk);
  await replay(log);
  const waiting: string[] = [];
  for (let id = 1; id <= requests; id += 1) {
    const sequence = await log.append([admission({ id, size: 1000, destinations: ["away"] })]);
    if (id % 4 === 1) await log.append([completion([{ sequence, index: 0 }])]);
    else waiting.push(refKey({ sequence, index: 0 }));
  }
  return { disk, waiting };
}

async function startOver(disk: MemoryDisk): Promise<{ entries: string[]; lines: string[]; admitted: number }> {
  const { log, logger } = openLog(disk);
  const { entries, totals } = await replay(log);
  const found = entries.map(({ ref }) => refKey(ref));
  // It goes on.
  await log.append([admission({ id: 999, size: 10, destinations: ["away"] })]);
  return { entries: found, lines: logger.lines, admitted: totals.get("admitted|away") ?? 0 };
}

const nameOf = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

describe("after a kill, a queue file that is missing", () => {
  it.each(["the oldest", "one in the middle"])("is named with its records and bytes: %s", async (which) => {
    const { disk, waiting } = await killedWith(24);
    const paths = disk.segmentPaths;
    expect(paths.length).toBeGreaterThan(4);
    const whole = await startOver(disk.copy());
    expect([whole.lines, whole.entries]).toEqual([[], waiting]);
    const path = which === "the oldest" ? paths[0]! : paths[2]!;
    const size = disk.files.get(path)!.bytes.length;
    disk.files.delete(path);
    const { entries, lines, admitted } = await startOver(disk);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(
      new RegExp(`error /queue/${nameOf(path)} is missing: \\d+ records \\(\\d+ to \\d+\\), ${size} bytes;`),
    );
    expect(entries.length).toBeLessThan(waiting.length);
    expect(
      entries.every((entry) => waiting.includes(entry) || whole.entries.includes(entry) || entry.endsWith("0")),
    ).toBe(true);
    // What the ledger counted in it stands elsewhere too, so that it can say whose records are lost.
    expect(admitted).toBe(whole.admitted);
  });

  it("is named where it is the newest, as far as the mark beside the log knows it", async () => {
    const { disk } = await killedWith(24);
    const path = disk.segmentPaths.at(-1)!;
    const size = disk.files.get(path)!.bytes.length;
    disk.files.delete(path);
    const { lines, entries } = await startOver(disk);
    expect(lines.join("\n")).toMatch(
      new RegExp(
        `${nameOf(path)} is missing, the queue file that was written last: \\d+ records \\(\\d+ to \\d+\\), ${size} bytes`,
      ),
    );
    expect(lines.join("\n")).toContain("whose they were is not known");
    expect(entries.length).toBeGreaterThan(8);
    // Its number names no other file.
    expect(disk.segmentPaths.at(-1)! > path).toBe(true);
  });

  it("is not told from one that went in order, where the newest is missing too", async () => {
    const { disk } = await killedWith(24);
    const paths = disk.segmentPaths;
    disk.files.delete(paths[1]!);
    disk.files.delete(paths.at(-1)!);
    const { lines } = await startOver(disk);
    expect(lines.join("\n")).toMatch(new RegExp(`warn /queue/${nameOf(paths[1]!)} is not there: .*it went in order`));
    expect(lines.join("\n")).toContain(`${nameOf(paths.at(-1)!)} is missing`);
  });

  it("is said of all of them where the folder was emptied but for the lock and the mark", async () => {
    const { disk } = await killedWith(24);
    for (const path of disk.segmentPaths) disk.files.delete(path);
    const { lines, entries } = await startOver(disk);
    expect(entries).toEqual([]);
    expect(lines.join("\n")).toMatch(/segment-0000000\d.log is missing, the queue file that was written last/);
  });

  it("is said once: the next start knows what there is", async () => {
    const { disk } = await killedWith(24);
    disk.files.delete(disk.segmentPaths[2]!);
    expect((await startOver(disk)).lines).toHaveLength(1);
    const again = disk.copy();
    expect((await startOver(again)).lines).toEqual([]);
  });

  it.each([0, 10])("is said of one that was cut to %s bytes, wherever it stands", async (size) => {
    const { disk } = await killedWith(24);
    for (const path of [disk.segmentPaths[0]!, disk.segmentPaths[2]!, disk.segmentPaths.at(-1)!]) {
      const damaged = disk.copy();
      const stored = damaged.files.get(path)!;
      const before = stored.bytes.length;
      stored.bytes = stored.bytes.subarray(0, size);
      const { lines } = await startOver(damaged);
      expect(lines.join("\n"), path).toMatch(new RegExp(`damaged in 1 places, \\d+ records, ${before - size} bytes`));
    }
  });

  it("is never said of one that went in order, over restarts, kills and power cuts", async () => {
    const disk = new MemoryDisk();
    let next = 1;
    for (let life = 0; life < 12; life += 1) {
      const { log, logger } = openLog(disk);
      const { entries } = await replay(log);
      // Deliver some of what waits, oldest and newest, and take more.
      for (const { ref } of entries.filter((_, index) => index % 3 !== life % 3)) await log.append([completion([ref])]);
      for (let id = 0; id < 9; id += 1) {
        const sequence = await log.append([admission({ id: next++, size: 900, destinations: ["away"] })]);
        if (id % 2 === life % 2) await log.append([completion([{ sequence, index: 0 }])]);
      }
      expect(logger.lines, `life ${life}`).toEqual([]);
      if (life % 3 === 0) await log.close();
      if (life % 3 === 1) disk.cutPower((life % 4) / 3);
    }
  });
});

/** The last group is written in part, and the mark does not know it: a kill came in between. */
async function killedWhileWriting(): Promise<{ disk: MemoryDisk; waiting: string[] }> {
  const { disk, waiting } = await killedWith(10);
  const { log } = openLog(disk);
  await replay(log);
  waiting.push(
    refKey({ sequence: await log.append([admission({ id: 11, size: 500, destinations: ["away"] })]), index: 0 }),
  );
  const mark = Buffer.from(disk.files.get(`${FOLDER}/recent`)!.bytes);
  await log.append([admission({ id: 12, size: 1000, destinations: ["away"] })]);
  disk.files.get(`${FOLDER}/recent`)!.bytes = mark;
  const last = disk.files.get(disk.segmentPaths.at(-1)!)!;
  last.bytes = last.bytes.subarray(0, last.bytes.length - 600);
  return { disk, waiting };
}

describe("after a kill, the end of the newest queue file", () => {
  it("that was cut off or zeroed below what was committed is a loss with its records and bytes, at any length", async () => {
    const { disk, waiting } = await killedWith(10);
    const path = disk.segmentPaths.at(-1)!;
    const whole = disk.files.get(path)!.bytes;
    for (let cut = 8; cut < whole.length - 32; cut += 104) {
      for (const isZeroed of [false, true]) {
        const damaged = disk.copy();
        const kept = whole.subarray(0, whole.length - cut);
        damaged.files.get(path)!.bytes = isZeroed ? Buffer.concat([kept, Buffer.alloc(cut)]) : Buffer.from(kept);
        const { lines, entries } = await startOver(damaged);
        const where = `${isZeroed ? "zeroed" : "cut"} by ${cut}`;
        const isLost = entries.length < waiting.length;
        // Of the last record's description there is a copy: without that everything is there.
        if (isLost)
          expect(lines.join("\n"), where).toMatch(/storage is damaged in \d places, [1-9]\d* records, \d+ bytes/);
        else expect(lines.join("\n"), where).toContain("the queue's storage is damaged in");
        expect(lines.join("\n"), where).not.toContain("answered");
      }
    }
  });

  it("that was written and not committed is said to be of nobody who was answered", async () => {
    const { disk, waiting } = await killedWhileWriting();
    const { lines, entries } = await startOver(disk);
    expect(lines).toEqual([
      "info the queue's storage ends with 1 unfinished records (3 log records for away): a crash came while they were written, and their senders were not answered",
    ]);
    expect(entries).toEqual(waiting);
  });

  it.each(["after a power cut", "without the mark"])(
    "that is unfinished may be of senders who were answered, %s",
    async (when) => {
      const { disk, waiting } = await killedWhileWriting();
      if (when === "after a power cut") disk.boot += 1;
      else disk.files.delete(`${FOLDER}/recent`);
      const { lines, entries } = await startOver(disk);
      expect(lines.join("\n")).toContain("or the file was cut off: whether their senders were answered is not known");
      expect(entries).toEqual(waiting);
    },
  );
});

describe("on Linux", () => {
  it.skipIf(process.platform !== "linux")(
    "the boot of the system has an id, which holds as long as it runs",
    async () => {
      const id = await nodeDisk.bootId();
      expect(id).toMatch(/^[0-9a-f-]{36}$/);
      expect(await nodeDisk.bootId()).toBe(id);
    },
  );
});
