import { existsSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { Store } from "../../src/store/store.ts";
import type { StoreSettings } from "../../src/store/store.ts";
import { StoreError } from "../../src/store/store-error.ts";
import { recordingLogger } from "../exporters/test-exporter.ts";
import type { LoggedLine } from "../exporters/test-exporter.ts";
import { TestClock } from "../support/test-clock.ts";
import { logsRequest, NOON_MS, testFolder, testLimits } from "./store-fixtures.ts";
import type { LogsPage, TestLog } from "./store-fixtures.ts";

async function openStore(
  settings: Partial<StoreSettings> = {},
): Promise<{ store: Store; clock: TestClock; logged: LoggedLine[]; directory: string }> {
  const clock = new TestClock(NOON_MS);
  const logged: LoggedLine[] = [];
  const limits = testLimits();
  const store = await Store.open({ ...limits, clock, logger: recordingLogger(logged), ...settings });
  onTestFinished(() => store.close());
  return { store, clock, logged, directory: settings.directory ?? limits.directory };
}

function append(store: Store, logs: readonly TestLog[]): Promise<number> {
  const bytes = logsRequest(logs);
  return store.append("logs", { slices: [bytes], size: bytes.length, itemCount: logs.length });
}

async function find(store: Store, q: string, limit = 1000): Promise<LogsPage> {
  const answer = await store.ask("/api/logs", new URLSearchParams({ q, limit: String(limit) }).toString());
  return JSON.parse(new TextDecoder().decode(answer.body)) as LogsPage;
}

describe("a store that cannot be opened", () => {
  test.runIf(existsSync("/proc/self"))("says so at once where its folder cannot be made", async () => {
    const logged: LoggedLine[] = [];
    const settings = { ...testLimits(), clock: new TestClock(NOON_MS), logger: recordingLogger(logged) };
    await expect(Store.open({ ...settings, directory: "/proc/x/y" })).rejects.toMatchObject({
      kind: "disk",
      message:
        "the store's folder /proc/x/y cannot be made or read: ENOENT: no such file or directory, mkdir '/proc/x'\n" +
        "  name one that the gateway's user may write to: exporters.local_store.directory",
    });
    expect(logged).toEqual([]);
  });

  test("says so where a file stands in its place", async () => {
    const directory = join(testFolder(), "file");
    writeFileSync(directory, "");
    await expect(openStore({ directory })).rejects.toMatchObject({ kind: "disk" });
    await expect(openStore({ directory: join(directory, "below") })).rejects.toMatchObject({ kind: "disk" });
  });

  test("makes all folders above it, for its owner alone", async () => {
    const directory = join(testFolder(), "a", "b");
    await openStore({ directory });
    expect(statSync(directory).mode & 0o777).toBe(0o700);
  });

  test("says only that its folder is locked, and not that its thread has ended", async () => {
    const { directory } = await openStore();
    const logged: LoggedLine[] = [];
    await expect(openStore({ directory, logger: recordingLogger(logged) })).rejects.toMatchObject({ kind: "locked" });
    expect(logged).toEqual([]);
  });
});

describe("the store and its threads", () => {
  test("what was appended is found as soon as the append has resolved", async () => {
    const { store } = await openStore();
    expect(await append(store, [{ body: "hello" }, { body: "world" }])).toBe(2);
    expect((await find(store, "hello")).records).toHaveLength(1);
  });

  test("takes a payload in slices and leaves the caller's buffers alone", async () => {
    const { store } = await openStore();
    const whole = logsRequest([{ body: "sliced" }]);
    const pool = new Uint8Array(10_000);
    pool.set(whole, 5_000);
    const slices = [pool.subarray(5_000, 5_007), pool.subarray(5_007, 5_000 + whole.length)];
    await store.append("logs", { slices, size: whole.length, itemCount: 1 });
    expect(pool.length).toBe(10_000);
    expect((await find(store, "sliced")).records).toHaveLength(1);
  });

  test("100,000 records are stored while others search, and every one is found", async () => {
    const { store } = await openStore();
    const batches = Array.from({ length: 100 }, (_, batch) =>
      append(
        store,
        Array.from({ length: 1000 }, (__, index) => ({
          body: `line number${index}`,
          attributes: { job_id: `job-${batch}` },
          level: index % 100 === 0 ? 17 : 9,
        })),
      ),
    );
    const counts: number[] = [];
    const writing = { isDone: false };
    const searching = (async () => {
      while (!writing.isDone) counts.push((await find(store, "number7")).records.length);
    })();
    const stored = await Promise.all(batches);
    writing.isDone = true;
    await searching;
    expect(stored.reduce((sum, count) => sum + count, 0)).toBe(100_000);
    // A search sees whole batches, and never fewer than the one before.
    expect(counts).toEqual(counts.toSorted((left, right) => left - right));
    expect((await find(store, "number7")).records).toHaveLength(100);
    expect((await find(store, "level:error job_id:job-42")).records).toHaveLength(10);
    const machines = await store.ask("/api/machines", "");
    expect(new TextDecoder().decode(machines.body)).toContain('"logs":100000,"error_logs":1000');
  }, 120_000);

  test("bytes that are no OTLP reject that append and no other", async () => {
    const { store } = await openStore();
    const bad = store.append("logs", { slices: [Uint8Array.of(10, 200, 1)], size: 3, itemCount: 1 });
    const good = append(store, [{ body: "good" }]);
    await expect(bad).rejects.toMatchObject({ kind: "bad_data" });
    expect(await good).toBe(1);
  });

  test("age is looked at while nothing arrives", async () => {
    const { store, clock, directory } = await openStore({ ageMsMax: 3_600_000 });
    await append(store, [{ body: "old" }]);
    await clock.advance(3_700_000);
    // The prune runs in its thread; an answer of the writer comes after it.
    await append(store, [{ body: "new" }]);
    expect(readdirSync(directory)).not.toContain("segment-00000001.sqlite");
    expect((await find(store, "")).records.map((record) => record.message)).toEqual(["new"]);
  });

  test("a segment that a reader finds damaged is set aside, with one warning in the log", async () => {
    const { store, clock, logged, directory } = await openStore({ ageMsMax: 24 * 3_600_000 });
    await append(store, [{ body: "first" }]);
    await clock.advance(2 * 3_600_000);
    await append(store, [{ body: "second" }]);
    damage(directory);
    const page = await find(store, "");
    expect(page.warnings).toHaveLength(1);
    await append(store, [{ body: "third" }]);
    expect(logged.filter(({ level }) => level === "warn").map(({ message }) => message)).toEqual([
      expect.stringContaining("store segment 1 is set aside"),
    ]);
    expect((await find(store, "")).records.map((record) => record.message)).toEqual(["third", "second"]);
  });

  test("a slow question does not hold up a quick one, and more than can wait are refused", async () => {
    const { store } = await openStore();
    await append(store, [{ body: "x" }]);
    const asked = await Promise.allSettled(Array.from({ length: 80 }, () => find(store, "")));
    const refused = asked.filter((outcome) => outcome.status === "rejected");
    expect(refused.length).toBeGreaterThan(0);
    for (const { reason } of refused) expect(reason).toMatchObject({ kind: "busy" });
    expect(asked.length - refused.length).toBeGreaterThanOrEqual(64);
  });

  test("a reader that does not end its question is ended, and the next question is answered by a new one", async () => {
    const { store, clock } = await openStore();
    await append(store, [{ body: "x" }]);
    // The thread is still starting when its time is over: as good as stuck.
    const stuck = find(store, "");
    await clock.advance(10_000);
    await expect(stuck).rejects.toMatchObject({ kind: "over_budget" });
    expect((await find(store, "")).records).toHaveLength(1);
  });

  test("a second store on the same folder is refused, and its threads end", async () => {
    const { directory } = await openStore();
    const second = openStore({ directory });
    await expect(second).rejects.toThrow(StoreError);
    await expect(second).rejects.toMatchObject({ kind: "locked" });
  });

  test("closing stores what was appended before, refuses what comes after, and may be done twice", async () => {
    const { store, directory, clock } = await openStore();
    const before = append(store, [{ body: "before" }]);
    const closing = store.close();
    await expect(append(store, [{ body: "after" }])).rejects.toMatchObject({ kind: "closed" });
    await expect(store.ask("/api/logs", "")).rejects.toMatchObject({ kind: "closed" });
    await closing;
    await store.close();
    expect(await before).toBe(1);
    expect(clock.timerCount).toBe(0);
    const again = await openStore({ directory });
    expect((await find(again.store, "")).records.map((record) => record.message)).toEqual(["before"]);
  });
});

function damage(directory: string): void {
  const path = `${directory}/segment-00000001.sqlite`;
  writeFileSync(path, Buffer.alloc(statSync(path).size, 0xa5));
}
