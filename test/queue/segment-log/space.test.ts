import { describe, expect, it } from "vitest";
import type { SegmentLog } from "../../../src/queue/segment-log/segment-log.ts";
import type { EntryRef } from "../../../src/queue/storage.ts";
import { diskError, MemoryDisk } from "./memory-disk.ts";
import { admission, bytesOf, completion, openLog, payload, refKey, replay } from "./model.ts";

const SEGMENT = 20_000;

describe("the room of the log", () => {
  it("comes back to next to nothing when everything is delivered", async () => {
    const disk = new MemoryDisk();
    const { log } = openLog(disk, { segmentBytes: SEGMENT });
    const refs: EntryRef[] = [];
    for (let id = 0; id < 300; id += 1) {
      refs.push({ sequence: await log.append([admission({ id, size: 900, destinations: ["a"] })]), index: 0 });
    }
    expect(disk.bytes).toBeGreaterThan(300 * 900);
    await log.append([completion(refs)]);
    await log.append([completion([])]);
    await log.close();
    expect(disk.bytes).toBeLessThan(2 * SEGMENT);
  });

  /** One request in a hundred is for a destination that is away: each holds a segment of things that are delivered. */
  it("is bounded where old entries hold many segments: they are moved, for a third more writing at most", async () => {
    const disk = new MemoryDisk();
    const { log } = openLog(disk, { segmentBytes: SEGMENT });
    const waiting = new Map<string, { readonly ref: EntryRef; readonly id: number }>();
    let payloadBytes = 0;
    let largest = 0;
    for (let id = 0; id < 6000; id += 1) {
      const isAway = id % 100 === 0;
      payloadBytes += 900;
      const sequence = await log.append([admission({ id, size: 900, destinations: [isAway ? "away" : "here"] })]);
      if (isAway) waiting.set(`${sequence}.0`, { ref: { sequence, index: 0 }, id });
      else await log.append([completion([{ sequence, index: 0 }])]);
      largest = Math.max(largest, disk.bytes);
    }
    await log.close();
    const liveBytes = waiting.size * 900;
    // Unmoved, each of the 60 would hold a segment of its own: 1.2 MB.
    expect(largest).toBeLessThan(4 * liveBytes + 7 * SEGMENT);
    // Descriptions and completions are written too; what was moved is a small part.
    const written = disk.writtenBytes / payloadBytes;
    process.stdout.write(
      `compaction: at most ${largest} bytes for ${liveBytes} that wait, ${written.toFixed(2)} bytes written for one taken\n`,
    );
    expect(written).toBeLessThan(2.6);
    const again = openLog(disk, { segmentBytes: SEGMENT }).log;
    const { entries, totals } = await replay(again);
    expect(entries.map(({ ref }) => refKey(ref))).toEqual([...waiting.keys()]);
    for (const { ref, id } of waiting.values()) {
      expect(await bytesOf(again, ref)).toEqual(Buffer.concat(payload(id, 900).slices));
    }
    expect(totals.get("sent")).toBe(5940);
  });

  it("of a moved entry goes too: its completion holds, wherever that stands, and after a power cut", async () => {
    const disk = new MemoryDisk();
    const { log } = openLog(disk, { segmentBytes: 4000 });
    const first = await log.append([admission({ id: 1, size: 500, destinations: ["away", "here"] })]);
    await log.append([completion([{ sequence: first, index: 1 }])]);
    const fill = async (rounds: number): Promise<void> => {
      for (let id = 2; id < 2 + rounds; id += 1) {
        const sequence = await log.append([admission({ id, size: 900, destinations: ["here"] })]);
        const pin = await log.append([admission({ id: 1000 + id, size: 10, destinations: ["slow"] })]);
        await log.append([completion([{ sequence, index: 0 }])]);
        pins.push({ sequence: pin, index: 0 });
      }
    };
    const pins: EntryRef[] = [];
    await fill(60);
    expect(disk.segmentPaths[0]).not.toContain("segment-00000001");
    await log.append([completion([{ sequence: first, index: 0 }])]);
    await fill(150);
    for (const share of [0, 1]) {
      const copy = disk.copy();
      copy.cutPower(share);
      const { entries } = await replay(openLog(copy, { segmentBytes: 4000 }).log);
      expect(entries.map(({ ref }) => refKey(ref))).toEqual(pins.map(refKey));
    }
  });
});

describe("a moved entry", () => {
  it("that is completed stays so where the segment it was moved to outlives the one that says so", async () => {
    const disk = new MemoryDisk();
    const opened = openLog(disk, { segmentBytes: 4000 });
    const moved = await opened.log.append([admission({ id: 1, size: 100, destinations: ["away"] })]);
    const waiting: EntryRef[] = [];
    /** Each pair fills a segment; what waits of it is too much of it to be moved out. */
    const fill = async (log: SegmentLog, pairs: number): Promise<void> => {
      for (let id = 0; id < pairs; id += 1) {
        const pin = await log.append([admission({ id: 100 + id, size: 1700, destinations: ["slow"] })]);
        const sequence = await log.append([admission({ id: 200 + id, size: 2500, destinations: ["here"] })]);
        await log.append([completion([{ sequence, index: 0 }])]);
        waiting.push({ sequence: pin, index: 0 });
      }
    };
    /** Each fills a segment and is delivered. */
    const pass = async (log: SegmentLog, count = 6): Promise<void> => {
      for (let id = 0; id < count; id += 1) {
        const sequence = await log.append([admission({ id: 300 + id, size: 3900, destinations: ["here"] })]);
        await log.append([completion([{ sequence, index: 0 }])]);
      }
    };
    await pass(opened.log, 1);
    await fill(opened.log, 10);
    expect(disk.segmentPaths[0]).not.toContain("segment-00000001");
    await pass(opened.log);
    await opened.log.append([completion([{ sequence: moved, index: 0 }])]);
    await pass(opened.log);
    const isHeld = `[${moved},0]`;
    expect(checkpointsIn(disk)).toContain(isHeld);
    const again = openLog(disk, { segmentBytes: 4000 }).log;
    expect((await replay(again)).entries.map(({ ref }) => refKey(ref))).toEqual(waiting.map(refKey));
    await pass(again);
    const { entries } = await replay(openLog(disk.copy(), { segmentBytes: 4000 }).log);
    expect(entries.map(({ ref }) => refKey(ref))).toEqual(waiting.map(refKey));
    // With its home gone it cannot come back, and nothing is carried on for it.
    await again.append([completion(waiting)]);
    await pass(again);
    expect(checkpointsIn(disk)).not.toContain(isHeld);
    expect((await replay(openLog(disk.copy(), { segmentBytes: 4000 }).log)).entries).toEqual([]);
  });
});

describe("a disk that fails", () => {
  it("is not asked more often than four times a second, and gathers no files", async () => {
    const disk = new MemoryDisk();
    const { log, clock } = openLog(disk);
    await log.append([admission({ id: 0, size: 10, destinations: ["a"] })]);
    const before = disk.segmentPaths.length;
    let failures = 0;
    for (let id = 1; id <= 1000; id += 1) {
      disk.failures.push({ of: "sync", error: diskError("EIO") });
      await expect(log.append([admission({ id, size: 10, destinations: ["a"] })])).rejects.toThrow("EIO");
      if (disk.failures.length === 0) failures += 1;
      disk.failures.length = 0;
      await clock.advance(1);
    }
    expect(failures).toBeLessThanOrEqual(6);
    expect(disk.segmentPaths.length - before).toBeLessThanOrEqual(1);
    await clock.advance(300);
    await log.append([admission({ id: 2000, size: 10, destinations: ["a"] })]);
    const { entries } = await replay(openLog(disk).log);
    expect(entries.map(({ admittedUnixMs }) => admittedUnixMs)).toEqual([0, 2000]);
  });

  it("never syncs a file again whose sync has failed", async () => {
    const disk = new MemoryDisk();
    const { log } = openLog(disk);
    await log.append([admission({ id: 0, size: 10, destinations: ["a"] })]);
    const [failed] = disk.segmentPaths;
    disk.failures.push({ of: "sync", error: diskError("EIO") });
    await expect(log.append([admission({ id: 1, size: 10, destinations: ["a"] })])).rejects.toThrow("EIO");
    const { bytes } = disk.files.get(failed!)!;
    for (let id = 2; id < 9; id += 1) await log.append([admission({ id, size: 10, destinations: ["a"] })]);
    expect(disk.files.get(failed!)!.bytes).toEqual(bytes);
    expect(disk.segmentPaths).toHaveLength(2);
  });

  it("reads later what it cannot read now: files run out, and come back", async () => {
    const disk = new MemoryDisk();
    const { log, clock } = openLog(disk, { cacheBytesMax: 0 });
    const sequence = await log.append([admission({ id: 1, size: 10, destinations: ["a"] })]);
    for (let times = 0; times < 20; times += 1) disk.failures.push({ of: "open", error: diskError("EMFILE") });
    const read = bytesOf(log, { sequence, index: 0 });
    await clock.advance(120_000);
    expect(await read).toEqual(Buffer.concat(payload(1, 10).slices));
  });
});

describe("what a removed segment said", () => {
  it("holds where its file comes back after a power cut, and the checkpoint that said so is gone as well", async () => {
    const disk = new MemoryDisk();
    const { log } = openLog(disk, { segmentBytes: 2000 });
    const first = await log.append([admission({ id: 1, size: 1900, destinations: ["a"] })]);
    await log.append([completion([{ sequence: first, index: 0 }])]);
    // The file of segment 1 cannot be removed, whatever comes.
    const keep = disk.files.get(disk.segmentPaths[0]!)!;
    const path = disk.segmentPaths[0]!;
    for (let id = 2; id < 12; id += 1) {
      disk.files.set(path, keep);
      disk.failures.push({ of: "remove", error: diskError("EACCES") });
      const sequence = await log.append([admission({ id, size: 1900, destinations: ["a"] })]);
      await log.append([completion([{ sequence, index: 0 }])]);
      disk.failures.length = 0;
    }
    disk.files.set(path, keep);
    const { entries, totals } = await replay(openLog(disk, { segmentBytes: 2000 }).log);
    expect(entries).toEqual([]);
    expect(totals.get("sent")).toBe(11);
  });

  it("of a deleted key is forgotten at last, and never brings an older value back", async () => {
    const disk = new MemoryDisk();
    const { log } = openLog(disk, { segmentBytes: 2000 });
    const set = (value: number | undefined) => ({
      owner: "o",
      key: "job",
      value: value === undefined ? undefined : Uint8Array.of(value),
    });
    /** Fills a segment with what is delivered at once. */
    const fill = async (id: number, state: ReturnType<typeof set>[] = []): Promise<void> => {
      const sequence = await log.append([admission({ id, size: 1900, destinations: ["here"], state })]);
      await log.append([completion([{ sequence, index: 0 }])]);
    };
    // Its file stays, with the value in it.
    const oldest = await log.append([admission({ id: 1, size: 1900, destinations: ["away"], state: [set(1)] })]);
    await fill(2, [set(undefined)]);
    for (let id = 3; id < 6; id += 1) await fill(id);
    expect(disk.segmentPaths.some((path) => path.endsWith("2.log"))).toBe(false);
    expect((await replay(openLog(disk.copy(), { segmentBytes: 2000 }).log)).states.size).toBe(0);
    await log.append([completion([{ sequence: oldest, index: 0 }])]);
    for (let id = 6; id < 12; id += 1) await fill(id);
    expect((await replay(openLog(disk.copy(), { segmentBytes: 2000 }).log)).states.size).toBe(0);
    expect(checkpointsIn(disk)).not.toContain('"job"');
  });

  /** Fails before anything, or with so many bytes written that cannot be cut off the file again. */
  async function refuse(disk: MemoryDisk, log: SegmentLog, keepBytes: number): Promise<void> {
    const error = diskError("EIO");
    disk.failures.push({ of: "write", error, keepBytes }, { of: "truncate", error });
    await expect(log.append([admission({ id: 9, size: 100, destinations: ["a"] })])).rejects.toThrow("EIO");
    disk.failures.length = 0;
  }

  it("of how far another counts holds: a refused request that could not be cut off does not come back", async () => {
    const disk = new MemoryDisk();
    const { log } = openLog(disk, { segmentBytes: 2000 });
    const first = await log.append([admission({ id: 1, size: 100, destinations: ["away"] })]);
    await refuse(disk, log, 700);
    for (let round = 0; round < 4; round += 1) {
      // Each round ends a segment of completions alone, which the next one removes with the header that said it.
      await log.append([completion([])]);
      await refuse(disk, log, 0);
      await log.append([completion([])]);
      const { entries } = await replay(openLog(disk.copy(), { segmentBytes: 2000 }).log);
      expect(entries.map(({ ref }) => ref.sequence)).toEqual([first]);
    }
    expect(disk.segmentPaths).toHaveLength(2);
    // Another process carries it on as well, until that segment goes.
    const next = openLog(disk, { segmentBytes: 2000 }).log;
    expect((await replay(next)).entries.map(({ ref }) => ref.sequence)).toEqual([first]);
    for (let id = 10; id < 20; id += 1) {
      const sequence = await next.append([admission({ id, size: 1900, destinations: ["here"] })]);
      await next.append([completion([{ sequence, index: 0 }])]);
    }
    const { entries } = await replay(openLog(disk.copy(), { segmentBytes: 2000 }).log);
    expect(entries.map(({ ref }) => ref.sequence)).toEqual([first]);
    expect(checkpointsIn(disk)).toContain('"ends":[[1,');
    await next.append([completion([{ sequence: first, index: 0 }])]);
    for (let id = 20; id < 26; id += 1) {
      const sequence = await next.append([admission({ id, size: 1900, destinations: ["here"] })]);
      await next.append([completion([{ sequence, index: 0 }])]);
    }
    expect(checkpointsIn(disk)).not.toContain('"ends"');
  });
});

/** Their descriptions. */
function checkpointsIn(disk: MemoryDisk): string {
  const written = disk.segmentPaths.map((path) => disk.files.get(path)!.bytes.toString("latin1")).join("");
  const found = written.match(/\{"removed":[^}]*\}/g) ?? [];
  expect(found).not.toEqual([]);
  return found.join("\n");
}
