import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { crc32 } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { nodeDisk } from "../../../src/queue/segment-log/disk.ts";
import { FORMAT_VERSION } from "../../../src/queue/segment-log/format.ts";
import type { SegmentLog } from "../../../src/queue/segment-log/segment-log.ts";
import { MemoryDisk } from "./memory-disk.ts";
import { admission, bytesOf, completion, FOLDER, openLog, refKey, replay } from "./model.ts";

const FIXTURE = fileURLToPath(new URL("../../testdata/queue-v1", import.meta.url));

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "signalbox-queue-v1-"));
  for (const name of readdirSync(FIXTURE).filter((file) => file.endsWith(".log"))) {
    cpSync(join(FIXTURE, name), join(folder, name));
  }
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function open(segmentBytes = 1500): { log: SegmentLog; lines: readonly string[] } {
  const { log, logger } = openLog(new MemoryDisk(), { folder, disk: nodeDisk, segmentBytes });
  return { log, lines: logger.lines };
}

function versionsOf(path: string): number[] {
  const segments = readdirSync(path).filter((name) => name.endsWith(".log"));
  return segments.map((name) => readFileSync(join(path, name)).readUInt32LE(8));
}

/** Of test/testdata/queue-v1, whose README says how it came to be. */
const WAITING = ["2.0 otlp_http logs 2", "6.0 otlp_http logs 4", "9.0 otlp_http traces 6", "11.0 otlp_http logs 7"];
const TOTALS = {
  "destination otlp_http logs admitted": 17,
  "destination debug logs admitted": 2,
  "destination otlp_http logs sent": 4,
  "destination debug logs sent": 2,
  "destination otlp_http traces admitted": 6,
};

async function read(log: SegmentLog): Promise<{
  waiting: string[];
  totals: Record<string, number>;
  seen: string[];
  states: Record<string, Uint8Array>;
}> {
  const { entries, totals, seen, states } = await replay(log);
  return {
    waiting: entries.map(
      ({ ref, destination, signal, itemCount }) => `${refKey(ref)} ${destination} ${signal} ${itemCount}`,
    ),
    totals: Object.fromEntries([...totals].map(([counter, items]) => [counter.replaceAll("\u001f", " "), items])),
    seen: seen.map(({ source, key }) => `${source} ${key}`),
    states: Object.fromEntries(states),
  };
}

describe("a folder of format version 1", () => {
  it("is read whole: what waits with its bytes, totals, seen keys and state, but not a group that failed", async () => {
    expect(versionsOf(folder)).toEqual([1, 1, 1]);
    const { log, lines } = open();
    const found = await read(log);
    expect(found.waiting).toEqual(WAITING);
    expect(found.totals).toEqual(TOTALS);
    expect(found.seen).toEqual(["fluent_forward chunk-1"]);
    expect(found.states).toEqual({ "job-1": Buffer.from([1, 2, 3]) });
    expect(lines).toEqual([]);
    expect(await bytesOf(log, { sequence: 6, index: 0 })).toEqual(Buffer.alloc(700, 4));
    await log.close();
  });

  it("is gone on with in version 2, and drains away segment by segment", async () => {
    const { log } = open();
    await replay(log);
    await log.append([completion([{ sequence: 2, index: 0 }]), admission({ id: 8, size: 2000, destinations: ["a"] })]);
    await log.append([completion([])]);
    await log.close();
    expect(versionsOf(folder)).toEqual([1, 1, FORMAT_VERSION, FORMAT_VERSION]);

    const { log: second } = open();
    const found = await read(second);
    // The failed group of version 1 stays out, although the checkpoint that says so may have been carried on.
    expect(found.waiting.slice(0, -1)).toEqual(WAITING.slice(1));
    expect(found.waiting.at(-1)).toContain(" a logs 4");
    await second.append([completion([6, 9, 11].map((sequence) => ({ sequence, index: 0 })))]);
    await second.append([completion([])]);
    await second.close();
    expect(versionsOf(folder).every((version) => version === FORMAT_VERSION)).toBe(true);

    const third = await read(open().log);
    expect(third.waiting).toEqual(found.waiting.slice(-1));
    expect(third.totals).toMatchObject(TOTALS);
    expect(third.seen).toEqual(["fluent_forward chunk-1"]);
    expect(third.states).toEqual({ "job-1": Buffer.from([1, 2, 3]) });
  });
});

describe("a segment of another version", () => {
  it("that is newer stops the start, unread, and says which version wrote it", async () => {
    const disk = new MemoryDisk();
    const { log } = openLog(disk);
    await log.append([completion([])]);
    await log.close();
    const header = disk.files.get(disk.segmentPaths[0]!)!.bytes;
    header.writeUInt32LE(FORMAT_VERSION + 1, 8);
    header.writeUInt32LE(crc32(header.subarray(0, 28)), 28);
    const before = disk.copy();
    const newer = `has format version ${FORMAT_VERSION + 1}; this signalbox knows versions up to ${FORMAT_VERSION}`;
    await expect(replay(openLog(disk).log)).rejects.toThrow(
      `${FOLDER}/segment-00000001.log ${newer}\n  run the version`,
    );
    expect(disk.segmentPaths).toEqual(before.segmentPaths);
    expect(disk.files.get(disk.segmentPaths[0]!)!.bytes).toEqual(before.files.get(before.segmentPaths[0]!)!.bytes);
  });
});
