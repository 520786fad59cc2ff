import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { nodeDisk } from "../../../src/queue/segment-log/disk.ts";
import { SegmentLog } from "../../../src/queue/segment-log/segment-log.ts";
import { systemClock } from "../../../src/core/clock.ts";
import { RecordingLogger } from "../support.ts";
import { MemoryDisk } from "./memory-disk.ts";
import {
  admission,
  bytesOf,
  completion,
  FOLDER,
  openLog,
  payload,
  RECENT_BYTES,
  refKey,
  replay,
  RESERVE_BYTES,
} from "./model.ts";
import { fuzz } from "../../support/fuzz.ts";

const RUNS = Number(process.env["SIGNALBOX_FUZZ_RUNS"] ?? 60);

describe("the segment log", () => {
  it("gives back after a restart what was admitted and not completed, byte for byte", async () => {
    const disk = new MemoryDisk();
    const { log } = openLog(disk);
    await replay(log);
    const first = await log.append([
      admission({ id: 1, size: 100, destinations: ["a", "b"] }),
      admission({ id: 2, size: 50, destinations: ["b"] }),
    ]);
    await log.append([completion([{ sequence: first, index: 0 }])]);
    disk.cutPower(0);
    const { log: again } = openLog(disk);
    const { entries, totals } = await replay(again);
    expect(entries.map(({ ref, destination, itemCount, size }) => [refKey(ref), destination, itemCount, size])).toEqual(
      [
        [`${first}.1`, "b", 2, 100],
        [`${first + 1}.0`, "b", 3, 50],
      ],
    );
    expect(Object.fromEntries(totals)).toEqual({ "admitted|a": 2, "admitted|b": 5, sent: 1 });
    expect(await bytesOf(again, { sequence: first, index: 1 })).toEqual(Buffer.concat(payload(1, 100).slices));
    expect(await bytesOf(again, { sequence: first + 1, index: 0 })).toEqual(Buffer.concat(payload(2, 50).slices));
  });

  it("writes each distinct payload once, and one sync for a group", async () => {
    const disk = new MemoryDisk();
    const { log } = openLog(disk, { segmentBytes: 1e6 });
    await log.append([admission({ id: 0, size: 1, destinations: [] })]);
    const before = { bytes: disk.writtenBytes, syncs: disk.syncCount };
    await log.append(
      Array.from({ length: 10 }, (_, id) => admission({ id, size: 1000, destinations: ["a", "b", "c"] })),
    );
    expect(disk.syncCount - before.syncs).toBe(1);
    expect(disk.writtenBytes - before.bytes).toBeLessThan(10 * 1500);
  });

  it("writes no header of a sender but those that partitions are made by", async () => {
    const disk = new MemoryDisk();
    const { log } = openLog(disk, { headerNames: ["x-team"] });
    await log.append([admission({ id: 1, size: 10, destinations: ["a"] })]);
    const text = disk.files.get(disk.segmentPaths[0]!)!.bytes.toString("latin1");
    expect(text).not.toContain("secret-token");
    const { log: again } = openLog(disk);
    const { entries } = await replay(again);
    expect(entries[0]!.client.get("x-team")).toEqual(["blue"]);
    expect(entries[0]!.client.transport).toBe("grpc");
  });

  it("gives space back when destinations have taken their data, and keeps the ledger and the seen keys", async () => {
    const disk = new MemoryDisk();
    const { log, clock } = openLog(disk);
    const seen = [{ source: "forward", key: "chunk-1", expiresUnixMs: clock.nowMs() + 60_000 }];
    const stale = [{ source: "forward", key: "chunk-0", expiresUnixMs: clock.nowMs() - 1 }];
    await log.append([admission({ id: 0, size: 10, destinations: [], seen: [...seen, ...stale] })]);
    for (let id = 1; id <= 100; id += 1) {
      const sequence = await log.append([admission({ id, size: 900, destinations: ["a"] })]);
      await log.append([completion([{ sequence, index: 0 }])]);
    }
    expect(disk.bytes).toBeLessThan(3 * 4096);
    expect(disk.bytes + RESERVE_BYTES + RECENT_BYTES).toBe(log.bytes);
    const { entries, totals, seen: found } = await replay(openLog(disk).log);
    expect(entries).toEqual([]);
    expect(totals.get("sent")).toBe(100);
    expect(totals.get("admitted|a")).toBe(
      Array.from({ length: 100 }, (_, index) => ((index + 1) % 5) + 1).reduce((a, b) => a + b, 0),
    );
    expect(found).toEqual(seen);
  });

  it("removes segments around one that still waits, and does not bring back what they completed", async () => {
    const disk = new MemoryDisk();
    const { log } = openLog(disk);
    const waiting = await log.append([admission({ id: 1, size: 500, destinations: ["away", "here"] })]);
    await log.append([completion([{ sequence: waiting, index: 1 }])]);
    for (let id = 2; id <= 60; id += 1) {
      const sequence = await log.append([admission({ id, size: 900, destinations: ["here"] })]);
      await log.append([completion([{ sequence, index: 0 }])]);
    }
    expect(disk.segmentPaths.length).toBeLessThan(5);
    const { entries } = await replay(openLog(disk).log);
    expect(entries.map(({ destination }) => destination)).toEqual(["away"]);
  });

  it.for(["write", "sync"] as const)(
    "keeps nothing of a group whose %s fails, and goes on in a new file",
    async (of) => {
      const disk = new MemoryDisk();
      const { log } = openLog(disk);
      const first = await log.append([admission({ id: 1, size: 100, destinations: ["a"] })]);
      disk.failures.push({ of, error: new Error("EIO"), keepBytes: 80 });
      await expect(log.append([admission({ id: 2, size: 100, destinations: ["a"] })])).rejects.toThrow("EIO");
      const third = await log.append([admission({ id: 3, size: 100, destinations: ["a"] })]);
      expect(third).toBeGreaterThan(first + 1);
      expect(disk.segmentPaths).toHaveLength(2);
      for (const share of [0, 0.5, 1]) {
        const copy = disk.copy();
        copy.cutPower(share);
        const { entries } = await replay(openLog(copy).log);
        expect(entries.map(({ ref }) => ref.sequence)).toEqual([first, third]);
      }
    },
  );

  it("does not bring back a failed group that could not be cut off the file either", async () => {
    const disk = new MemoryDisk();
    const { log } = openLog(disk, { segmentBytes: 600 });
    const first = await log.append([admission({ id: 1, size: 100, destinations: ["a"] })]);
    disk.failures.push({ of: "sync", error: new Error("EIO") }, { of: "truncate", error: new Error("EIO too") });
    await expect(log.append([admission({ id: 2, size: 100, destinations: ["a"] })])).rejects.toThrow("EIO");
    const third = await log.append([admission({ id: 3, size: 100, destinations: ["a"] })]);
    const { entries } = await replay(openLog(disk).log);
    expect(entries.map(({ ref }) => ref.sequence)).toEqual([first, third]);
  });

  it("refuses a group beyond max_size with both numbers, and takes it when there is room again", async () => {
    const disk = new MemoryDisk();
    const { log } = openLog(disk, { bytesMax: 8192, segmentBytes: 2048 });
    const sequences: number[] = [];
    const fill = async (): Promise<void> => {
      for (let id = 0; id < 100; id += 1)
        sequences.push(await log.append([admission({ id, size: 900, destinations: ["a"] })]));
    };
    await expect(fill()).rejects.toThrow(/holds \d+ bytes of at most 8192/);
    await log.append([completion(sequences.slice(0, 4).map((sequence) => ({ sequence, index: 0 })))]);
    await log.append([completion([])]);
    await log.append([admission({ id: 9, size: 900, destinations: ["a"] })]);
  });

  it("refuses a file of a newer version and one that is not ours, with what to do", async () => {
    const disk = new MemoryDisk();
    const { log } = openLog(disk);
    await log.append([completion([])]);
    const newer = disk.copy();
    const file = newer.files.get(newer.segmentPaths[0]!)!.bytes;
    const { encodeFileHeader } = await import("../../../src/queue/segment-log/format.ts");
    const header = encodeFileHeader(1);
    header.writeUInt32LE(99, 8);
    const { crc32 } = await import("node:zlib");
    header.writeUInt32LE(crc32(header.subarray(0, 28)), 28);
    header.copy(file);
    await expect(replay(openLog(newer).log)).rejects.toThrow(
      /format version 99; this signalbox knows versions up to 2\n {2}run the version that wrote it/,
    );
    disk.files.set(`${FOLDER}/README.txt`, { bytes: Buffer.from("hello"), synced: Buffer.from("hello") });
    await replay(openLog(disk).log);
  });
});

describe("a damaged log", () => {
  async function createLog(): Promise<{ disk: MemoryDisk; refs: Map<string, number> }> {
    const disk = new MemoryDisk();
    const { log } = openLog(disk, { segmentBytes: 1e9 });
    const refs = new Map<string, number>();
    for (let id = 0; id < 12; id += 1) {
      const sequence = await log.append([admission({ id, size: 300 + id, destinations: ["a"] })]);
      refs.set(`${sequence}.0`, id);
    }
    return { disk, refs };
  }

  it("with any one bit flipped gives all other records, whole, and says what is lost", async () => {
    const { disk, refs } = await createLog();
    const path = disk.segmentPaths[0]!;
    const size = disk.files.get(path)!.bytes.length;
    for (let at = 0; at < size; at += 13) {
      const copy = disk.copy();
      copy.files.get(path)!.bytes[at]! ^= 1 << (at % 8);
      const { log, logger } = openLog(copy);
      const { entries } = await replay(log);
      expect(entries.length, `byte ${at}`).toBeGreaterThanOrEqual(refs.size - 1);
      for (const { ref } of entries) {
        const id = refs.get(refKey(ref))!;
        expect(await bytesOf(log, ref)).toEqual(Buffer.concat(payload(id, 300 + id).slices));
      }
      if (entries.length < refs.size) {
        expect(logger.lines.join("\n"), `byte ${at}`).toMatch(/the queue's storage (is damaged|ends with)/);
        expect([...copy.files.keys()].some((name) => name.startsWith(`${FOLDER}/damaged/`))).toBe(true);
      }
    }
  });

  it("names destination and items where only a payload is hit, and says it once", async () => {
    const { disk } = await createLog();
    const path = disk.segmentPaths[0]!;
    const bytes = disk.files.get(path)!.bytes;
    bytes[bytes.indexOf(Buffer.alloc(100, 3))]! ^= 1;
    const { log, logger } = openLog(disk);
    await replay(log);
    expect(logger.lines.join("\n")).toContain("4 log records for a are lost");
    const { log: again, logger: quiet } = openLog(disk);
    await replay(again);
    expect(quiet.lines.join("\n")).not.toContain("damaged");
  });

  it("cut off at any length gives every whole record before the cut", async () => {
    const { disk } = await createLog();
    const path = disk.segmentPaths[0]!;
    const whole = disk.files.get(path)!.bytes;
    let former = 0;
    for (let length = 0; length <= whole.length; length += 7) {
      const copy = disk.copy();
      copy.files.get(path)!.bytes = Buffer.from(whole.subarray(0, length));
      const { entries } = await replay(openLog(copy).log);
      expect(entries.length).toBeGreaterThanOrEqual(former);
      former = entries.length;
    }
    expect(former).toBeGreaterThanOrEqual(11);
  });

  it("made of garbage starts, keeps the garbage aside, and takes new data", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 3000 }), async (garbage) => {
        const disk = new MemoryDisk();
        const bytes = Buffer.from(garbage);
        disk.files.set(`${FOLDER}/segment-00000001.log`, { bytes, synced: bytes });
        const { log } = openLog(disk);
        expect((await replay(log)).entries).toEqual([]);
        const sequence = await log.append([admission({ id: 1, size: 10, destinations: ["a"] })]);
        expect((await replay(openLog(disk).log)).entries.map(({ ref }) => ref.sequence)).toEqual([sequence]);
      }),
      fuzz(RUNS),
    );
  });
});

describe("the segment log on a real disk", () => {
  let folder = "";
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it("survives a restart, with groups of more slices than one writev takes", async () => {
    folder = mkdtempSync(join(tmpdir(), "signalbox-log-"));
    const settings = { folder, disk: nodeDisk, clock: systemClock, logger: new RecordingLogger() };
    const log = new SegmentLog(settings);
    await replay(log);
    const records = Array.from({ length: 700 }, (_, id) => admission({ id, size: 2000, destinations: ["a", "b"] }));
    const first = await log.append(records);
    await log.append([completion(records.map((_, index) => ({ sequence: first + index, index: 0 })))]);
    await log.close();
    expect(new Set(readdirSync(folder).map((name) => statSync(join(folder, name)).mode & 0o777))).toEqual(
      new Set([0o600]),
    );
    const again = new SegmentLog(settings);
    const { entries } = await replay(again);
    expect(entries).toHaveLength(700);
    for (const { ref } of entries) {
      expect(await bytesOf(again, ref)).toEqual(Buffer.concat(payload(ref.sequence - first, 2000).slices));
    }
    await again.close();
  });
});
