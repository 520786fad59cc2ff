import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { listSegments, segmentPath } from "../../src/store/segment-folder.ts";
import { StoreError } from "../../src/store/store-error.ts";
import { StoreWriter } from "../../src/store/store-writer.ts";
import {
  ask,
  closeWriter,
  logsRequest,
  messages,
  NOON_MS,
  openReader,
  openWriter,
  spansRequest,
  testFolder,
  testLimits,
  TRACE_A,
  worker,
} from "./store-fixtures.ts";
import type { LogsPage } from "./store-fixtures.ts";

const HOUR_MS = 3_600_000;
const MIB = 1024 * 1024;

function lines(count: number, body: string): Uint8Array {
  return logsRequest(Array.from({ length: count }, (_, index) => ({ body: `${body} ${index}` })));
}

function storeError(run: () => unknown): StoreError {
  try {
    run();
  } catch (error) {
    if (error instanceof StoreError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("a restart", () => {
  test("goes on in the same segment with everything that was committed", () => {
    const limits = testLimits();
    const first = openWriter(limits);
    first.append("logs", lines(3, "before"), NOON_MS);
    closeWriter(first);
    const second = openWriter(limits);
    second.append("logs", lines(2, "after"), NOON_MS + 1);
    expect(listSegments(limits.directory).map(({ sequence }) => sequence)).toEqual([1]);
    expect(messages(openReader(limits.directory), "")).toHaveLength(5);
  });

  test("after a kill finds what was committed before it", () => {
    const limits = testLimits();
    const killed = openWriter(limits);
    killed.append("logs", lines(3, "committed"), NOON_MS);
    // What a killed process leaves: the file with its write-ahead log, and no goodbye.
    const after = testFolder();
    for (const name of readdirSync(limits.directory)) copyFileSync(join(limits.directory, name), join(after, name));
    expect(existsSync(`${segmentPath(after, 1)}-wal`)).toBe(true);
    const writer = openWriter({ ...limits, directory: after });
    writer.append("logs", lines(1, "next"), NOON_MS);
    expect(messages(openReader(after), "")).toHaveLength(4);
    expect(writer.takeNotes().warnings).toEqual([]);
  });

  test("after a write torn in the middle of the log keeps every whole commit before it", () => {
    const limits = testLimits();
    const killed = openWriter(limits);
    killed.append("logs", lines(3, "whole"), NOON_MS);
    const wholeSize = statSync(`${segmentPath(limits.directory, 1)}-wal`).size;
    killed.append("logs", lines(50, "torn"), NOON_MS);
    const after = testFolder();
    for (const name of readdirSync(limits.directory)) copyFileSync(join(limits.directory, name), join(after, name));
    truncateSync(`${segmentPath(after, 1)}-wal`, wholeSize + 3_000);
    openWriter({ ...limits, directory: after });
    expect(messages(openReader(after), "")).toHaveLength(3);
  });
});

describe("damage", () => {
  test("a last segment that is no database is set aside with a warning, and the store goes on", () => {
    const limits = testLimits();
    mkdirSync(limits.directory, { recursive: true });
    writeFileSync(segmentPath(limits.directory, 7), "this was a disk once".repeat(1000));
    const writer = openWriter(limits);
    writer.append("logs", lines(1, "new"), NOON_MS);
    const { warnings } = writer.takeNotes();
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/store segment 7 is set aside as .*segment-00000007\.sqlite\.damaged: .*\.recover/);
    expect(listSegments(limits.directory).map(({ sequence, isDamaged }) => ({ sequence, isDamaged }))).toEqual([
      { sequence: 7, isDamaged: true },
      { sequence: 8, isDamaged: false },
    ]);
    expect(messages(openReader(limits.directory), "")).toEqual(["new 0"]);
  });

  test.each([
    ["cut short", (path: string) => truncateSync(path, 20_000)],
    ["cut to nothing", (path: string) => truncateSync(path, 0)],
    ["overwritten in the middle", (path: string) => overwrite(path, 8_192, 40_000)],
  ])("a last segment that is %s never stops a start", (_name, damage) => {
    const limits = testLimits();
    const first = openWriter(limits);
    first.append("logs", lines(500, "old"), NOON_MS);
    closeWriter(first);
    damage(segmentPath(limits.directory, 1));
    for (let start = 0; start < 3; start++) {
      const writer = openWriter(limits);
      writer.append("logs", lines(1, `start ${start}`), NOON_MS + start);
      const { warnings } = writer.takeNotes();
      expect(warnings).toHaveLength(start === 0 ? 1 : 0);
      closeWriter(writer);
    }
    expect(messages(openReader(limits.directory), "")).toEqual(["start 2 0", "start 1 0", "start 0 0"]);
  });

  test("a segment that breaks under the writer costs itself, not the batch at hand", () => {
    const limits = testLimits();
    const writer = openWriter(limits);
    // More than the writer keeps in memory, or it would not notice.
    const filler = "x".repeat(1_000);
    for (let batch = 0; batch < 10; batch++) writer.append("logs", lines(1_000, filler), NOON_MS);
    closeWriter(writer);
    const next = openWriter(limits);
    overwrite(segmentPath(limits.directory, 1), 4_096, statSync(segmentPath(limits.directory, 1)).size);
    expect(next.append("logs", lines(2_000, "new"), NOON_MS)).toBe(2_000);
    expect(next.takeNotes().warnings).toHaveLength(1);
    expect(messages(openReader(limits.directory), "", { limit: "1000" })).toHaveLength(1_000);
  });

  test("an older segment found damaged is left out, said so, and set aside when told", () => {
    const limits = testLimits();
    const writer = openWriter(limits);
    writer.append("logs", lines(3, "old"), NOON_MS);
    writer.append("logs", lines(3, "new"), NOON_MS + 10 * HOUR_MS);
    overwrite(segmentPath(limits.directory, 1), 0, 30_000);
    const reader = openReader(limits.directory);
    const { json } = ask<LogsPage>(reader, "/api/logs");
    expect(json.records).toHaveLength(3);
    expect(json.warnings).toEqual(["segment 1 is damaged; its records are missing here"]);
    for (const sequence of reader.damaged) writer.setAside(sequence);
    expect(writer.takeNotes()).toMatchObject({ removed: [1] });
    expect(ask<LogsPage>(reader, "/api/logs").json.warnings).toBeUndefined();
  });
});

function overwrite(path: string, from: number, to: number): void {
  const file = openSync(path, "r+");
  writeSync(file, Buffer.alloc(to - from, 0xa5), 0, to - from, from);
  closeSync(file);
}

describe("bounds", () => {
  test("the oldest segments go when the size is reached, and the newest records stay", () => {
    const limits = testLimits({ bytesMax: 6 * MIB });
    const writer = openWriter(limits);
    const filler = "x".repeat(1_000);
    for (let batch = 0; batch < 60; batch++) {
      writer.append("logs", lines(200, `batch${batch} ${filler}`), NOON_MS + batch);
      const size = listSegments(limits.directory).reduce((sum, { path }) => sum + statSync(path).size, 0);
      expect(size).toBeLessThan(limits.bytesMax + 2 * MIB);
    }
    expect(writer.takeNotes().removed.length).toBeGreaterThan(0);
    const reader = openReader(limits.directory);
    expect(messages(reader, "batch59", { limit: "1000" })).toHaveLength(200);
    expect(messages(reader, "batch0")).toEqual([]);
  });

  test("what arrived too long ago goes, whatever its own time says", () => {
    const limits = testLimits({ ageMsMax: 24 * HOUR_MS });
    const writer = openWriter(limits);
    writer.append("logs", lines(1, "first"), NOON_MS);
    writer.append("logs", logsRequest([{ body: "late", atMs: NOON_MS - 999 * HOUR_MS }]), NOON_MS + 20 * HOUR_MS);
    writer.prune(NOON_MS + 30 * HOUR_MS);
    expect(messages(openReader(limits.directory), "")).toEqual(["late"]);
  });

  test("age passes without arrivals: the last segment goes too", () => {
    const limits = testLimits({ ageMsMax: 24 * HOUR_MS });
    const writer = openWriter(limits);
    writer.append("logs", lines(1, "only"), NOON_MS);
    writer.prune(NOON_MS + 25 * HOUR_MS);
    expect(writer.takeNotes().removed).toEqual([1]);
    expect(messages(openReader(limits.directory), "")).toEqual([]);
    writer.append("logs", lines(1, "next"), NOON_MS + 26 * HOUR_MS);
    expect(messages(openReader(limits.directory), "")).toEqual(["next 0"]);
  });

  test("segments set aside count in the size and go first", () => {
    const limits = testLimits({ bytesMax: 4 * MIB });
    writeFileSync(`${segmentPath(limits.directory, 1)}.damaged`, Buffer.alloc(5 * MIB));
    const writer = openWriter(limits);
    writer.append("logs", lines(1, "new"), NOON_MS);
    expect(existsSync(`${segmentPath(limits.directory, 1)}.damaged`)).toBe(false);
    expect(messages(openReader(limits.directory), "")).toEqual(["new 0"]);
  });
});

describe("the folder", () => {
  test("is created for its owner alone, with what leads to it", () => {
    const directory = join(testFolder(), "deep", "store");
    openWriter(testLimits({ directory }));
    expect(statSync(directory).mode & 0o777).toBe(0o700);
  });

  test("keeps its segments to their owner even where others may read the folder", () => {
    const limits = testLimits();
    chmodSync(limits.directory, 0o755);
    openWriter(limits).append("logs", lines(1, "private"), NOON_MS);
    const names = readdirSync(limits.directory).filter((name) => name.startsWith("segment-"));
    expect(names).toHaveLength(3);
    for (const name of names) expect(statSync(join(limits.directory, name)).mode & 0o777).toBe(0o600);
  });

  test("in which a person removed a segment but not its log starts anew without its contents", () => {
    const limits = testLimits();
    const killed = openWriter(limits);
    killed.append("logs", lines(3, "removed"), NOON_MS);
    const after = testFolder();
    copyFileSync(`${segmentPath(limits.directory, 1)}-wal`, `${segmentPath(after, 1)}-wal`);
    openWriter({ ...limits, directory: after });
    expect(messages(openReader(after), "")).toEqual([]);
  });

  test("refuses a second gateway, saying who has it and what to do", () => {
    const limits = testLimits();
    openWriter(limits);
    const error = storeError(() => StoreWriter.open(limits, NOON_MS));
    expect(error.kind).toBe("locked");
    expect(error.message).toContain(
      `in use by another gateway (process ${process.pid}, since 2026-11-24T12:00:00.000Z)`,
    );
    expect(error.message).toContain("directory");
  });

  test("is free again after closing", () => {
    const limits = testLimits();
    closeWriter(openWriter(limits));
    expect(() => openWriter(limits)).not.toThrow();
  });

  test("that cannot be written is an error that says what to do", () => {
    const file = join(testFolder(), "file");
    writeFileSync(file, "");
    const error = storeError(() => StoreWriter.open(testLimits({ directory: join(file, "store") }), NOON_MS));
    expect(error.kind).toBe("disk");
    expect(error.message).toContain("make room on its disk");
  });
});

describe("a disk that fails", () => {
  test("is an error that may pass, and the store goes on when it does", () => {
    const limits = testLimits({ ageMsMax: 24 * HOUR_MS });
    const writer = openWriter(limits);
    writer.append("logs", lines(1, "before"), NOON_MS);
    // The next segment cannot be made where its folder is not.
    const away = `${limits.directory}-away`;
    renameSync(limits.directory, away);
    for (let attempt = 0; attempt < 3; attempt++) {
      const error = storeError(() => writer.append("logs", lines(1, "after"), NOON_MS + 2 * HOUR_MS));
      expect(error.kind).toBe("disk");
      expect(error.message).toContain("make room on its disk");
    }
    renameSync(away, limits.directory);
    writer.append("logs", lines(1, "after"), NOON_MS + 2 * HOUR_MS);
    expect(messages(openReader(limits.directory), "")).toEqual(["after 0", "before 0"]);
  });
});

describe("an append", () => {
  test("of bytes that are no OTLP is refused whole, and the next is stored", () => {
    const limits = testLimits();
    const writer = openWriter(limits);
    const good = lines(2, "good");
    expect(storeError(() => writer.append("logs", good.subarray(0, good.length - 3), NOON_MS)).kind).toBe("bad_data");
    writer.append("logs", good, NOON_MS);
    expect(messages(openReader(limits.directory), "")).toHaveLength(2);
  });

  test("counts items, and stores a resource once however often it comes", () => {
    const limits = testLimits();
    const writer = openWriter(limits);
    const resource = worker("m", "w", "comfyui");
    const span = { name: "a", traceId: TRACE_A, spanId: "0000000000000001", atMs: NOON_MS, endMs: NOON_MS, resource };
    expect(writer.append("logs", logsRequest([{ resource }, { resource }]), NOON_MS)).toBe(2);
    expect(writer.append("traces", spansRequest([span]), NOON_MS)).toBe(1);
    expect(writer.append("logs", new Uint8Array(0), NOON_MS)).toBe(0);
    const { json } = ask<{ machines: unknown[] }>(openReader(limits.directory), "/api/machines");
    expect(json.machines).toMatchObject([{ machine_id: "m", logs: 2, spans: 1, workers: [{ worker_id: "w" }] }]);
  });
});
