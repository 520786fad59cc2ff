import assert from "node:assert/strict";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { SegmentLog } from "../../../src/queue/segment-log/segment-log.ts";
import type { CompletionRecord, EntryRef, StoredKey, StoredRecord } from "../../../src/queue/storage.ts";
import { FUZZ_TIMES, fuzz } from "../../support/fuzz.ts";
import type { TestClock } from "../../support/test-clock.ts";
import { diskError, MemoryDisk } from "./memory-disk.ts";
import { admission, bytesOf, completion, FOLDER, openLog, payload, refKey, replay } from "./model.ts";

/** Random lives of a log: groups, deliveries, every operation failing, a disk that is full, crashes at any moment, restarts. */
const RUNS = 120;
/** Longer runs have longer stories too. */
const STEPS_MAX = Math.min(60 * FUZZ_TIMES, 300);

/** For so many there is room in either half of the file that they are noted in. */
const NOTES_MAX = 4;

type Failing = MemoryDisk["failures"][number]["of"];

type Step =
  | {
      readonly do: "admit";
      readonly group: readonly { size: number; destinations: readonly string[]; state: number }[];
    }
  | { readonly do: "complete"; readonly picks: readonly number[] }
  | { readonly do: "note"; readonly picks: readonly number[] }
  | { readonly do: "write notes" }
  | { readonly do: "kill"; readonly segmentBytes: number }
  | { readonly do: "fail"; readonly of: readonly Failing[]; readonly keepBytes: number }
  | { readonly do: "fill"; readonly roomBytes: number }
  | { readonly do: "free" }
  | { readonly do: "wait" }
  | { readonly do: "crash"; readonly share: number; readonly segmentBytes: number }
  | { readonly do: "restart"; readonly segmentBytes: number };

const admitted = fc.record({
  size: fc.integer({ min: 0, max: 1500 }),
  destinations: fc.subarray(["a", "b", "c"]),
  /** 0 to 2: sets that key; 3 to 5: deletes it; else nothing. */
  state: fc.nat(12),
});
const segmentBytes = fc.constantFrom(600, 2048, 10_000);
const failing = fc.constantFrom<Failing>("write", "sync", "create", "truncate", "remove", "syncFolder", "writeFile");

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("admit" as const),
      group: fc.array(admitted, { minLength: 1, maxLength: 4 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("complete" as const),
      picks: fc.array(fc.nat(20), { minLength: 1, maxLength: 8 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("note" as const),
      picks: fc.array(fc.nat(20), { minLength: 1, maxLength: 4 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("write notes" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("kill" as const), segmentBytes }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("fail" as const),
      of: fc.array(failing, { minLength: 1, maxLength: 3 }),
      keepBytes: fc.nat(900),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("fill" as const), roomBytes: fc.nat(3000) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("free" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("wait" as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("crash" as const),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
      segmentBytes,
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("restart" as const), segmentBytes }) },
);

interface Entry {
  readonly ref: EntryRef;
  readonly id: number;
  readonly size: number;
}

/**
 * What the log must hold: lists, and no files. What failed is nothing, but for one thing: a crash before the next group
 * is kept may show it all the same, since the disk never said what it did (docs/decisions/0005-one-storage.md).
 */
class Life {
  readonly disk = new MemoryDisk();
  readonly live = new Map<string, Entry>();
  readonly seen = new Map<string, StoredKey>();
  readonly states = new Map<string, number>();
  totals = new Map<string, number>();
  log!: SegmentLog;
  clock!: TestClock;
  /** Completions that were noted and not written yet, oldest first. */
  #noted: CompletionRecord[] = [];
  #nextId = 1;
  /** Since the last group that was kept. */
  #failedIds = new Map<number, number>();
  #failedKeys = new Set<string>();
  #hasFailed = false;

  async open(bytes: number): Promise<void> {
    const opened = openLog(this.disk, { segmentBytes: bytes });
    ({ log: this.log, clock: this.clock } = opened);
    const { entries, seen, states, totals } = await replay(this.log);
    assert.doesNotMatch(opened.logger.lines.join("\n"), /missing|is not there|damaged in/);
    for (const { ref, admittedUnixMs: id, size } of entries) {
      const key = refKey(ref);
      if (this.live.has(key)) continue;
      assert.ok(this.#failedIds.has(id), `entry ${key} of admission ${id} came back`);
      this.live.set(key, { ref, id, size });
    }
    const found = new Set(entries.map(({ ref }) => refKey(ref)));
    for (const key of this.live.keys()) {
      if (found.has(key)) continue;
      assert.ok(this.#failedKeys.has(key), `entry ${key} is gone`);
      this.live.delete(key);
    }
    this.#compare(seen, states, totals);
    this.#failedIds = new Map();
    this.#failedKeys = new Set();
    this.#hasFailed = false;
  }

  /** Takes what was noted and not written. */
  async crash(share: number, bytes: number): Promise<void> {
    this.disk.failures.length = 0;
    this.disk.cutPower(share);
    this.#noted = [];
    await this.open(bytes);
  }

  /** Leaves what was noted, where there is a file for it. */
  async kill(bytes: number): Promise<void> {
    this.disk.failures.length = 0;
    const noted = this.#noted;
    this.#noted = [];
    if (noted.length > NOTES_MAX || !this.disk.files.has(`${FOLDER}/recent`)) return this.crash(1, bytes);
    for (const record of noted) this.#applyCompletion(record);
    await this.open(bytes);
  }

  note(picks: readonly number[]): void {
    if (this.#noted.length === NOTES_MAX) return;
    const record = completion(this.#pick(picks));
    this.#noted.push(record);
    this.log.note(record);
  }

  async writeNotes(): Promise<void> {
    if (this.#noted.length === 0) return;
    const written = await this.#append(this.#noted);
    for (const { entries } of this.#noted)
      for (const ref of entries) {
        if (written === undefined) this.#failedKeys.add(refKey(ref));
        else this.live.delete(refKey(ref));
      }
    if (written !== undefined) this.#noted = [];
  }

  #applyCompletion({ entries, ledger }: CompletionRecord): void {
    for (const ref of entries) this.live.delete(refKey(ref));
    for (const { counter, items } of ledger) this.totals.set(counter.id, (this.totals.get(counter.id) ?? 0) + items);
  }

  /** Of those that wait and are not noted as done. */
  #pick(picks: readonly number[]): EntryRef[] {
    const taken = new Set(this.#noted.flatMap(({ entries }) => entries.map(refKey)));
    const entries = [...this.live].filter(([key]) => !taken.has(key)).map(([, { ref }]) => ref);
    return [...new Set(picks.filter((pick) => pick < entries.length))].map((pick) => entries[pick]!);
  }

  async restart(bytes: number): Promise<void> {
    this.disk.failures.length = 0;
    // The journal writes what waits before it closes the log.
    await this.writeNotes();
    if (this.#noted.length > 0) return this.crash(1, bytes);
    await this.log.close();
    await this.open(bytes);
  }

  async admit(group: Extract<Step, { do: "admit" }>["group"]): Promise<void> {
    const planned = group.map(({ size, destinations, state }) => {
      const id = this.#nextId++;
      const seen = [{ source: "door", key: `request-${id}`, expiresUnixMs: this.clock.nowMs() + 1e9 }];
      const value = state > 2 ? undefined : Uint8Array.of(id % 256);
      const change = { owner: "one", key: `key-${state % 3}`, value };
      return { id, size, destinations, seen, state: state > 5 ? [] : [change] };
    });
    const first = await this.#append(planned.map(admission));
    if (first === undefined) return planned.forEach(({ id, size }) => this.#failedIds.set(id, size));
    for (const [offset, { id, size, destinations, seen, state }] of planned.entries()) {
      for (const index of destinations.keys()) {
        const ref = { sequence: first + offset, index };
        this.live.set(refKey(ref), { ref, id, size });
      }
      for (const key of seen) this.seen.set(key.key, key);
      for (const { key, value } of state) {
        if (value === undefined) this.states.delete(key);
        else this.states.set(key, value[0]!);
      }
    }
  }

  async complete(picks: readonly number[]): Promise<void> {
    const chosen = this.#pick(picks);
    const kept = await this.#append([completion(chosen)]);
    for (const key of chosen.map(refKey)) {
      if (kept === undefined) this.#failedKeys.add(key);
      else this.live.delete(key);
    }
  }

  async readAll(): Promise<void> {
    for (const { ref, id, size } of this.live.values()) {
      assert.deepEqual(await bytesOf(this.log, ref), Buffer.concat(payload(id, size).slices));
    }
  }

  async #append(records: readonly StoredRecord[]): Promise<number | undefined> {
    const sequence = await this.log.append(records).catch(() => undefined);
    this.#hasFailed = sequence === undefined;
    if (sequence === undefined) return undefined;
    this.#failedIds = new Map();
    this.#failedKeys = new Set();
    for (const { counter, items } of records.flatMap(({ ledger }) => ledger)) {
      this.totals.set(counter.id, (this.totals.get(counter.id) ?? 0) + items);
    }
    return sequence;
  }

  /** Where a failed group may have come back, what it changed did too: the model goes on from there. */
  #compare(
    seen: readonly StoredKey[],
    states: ReadonlyMap<string, Uint8Array>,
    totals: ReadonlyMap<string, number>,
  ): void {
    const found = [...states].map(([key, value]) => [key, value[0]!] as const);
    if (this.#hasFailed) {
      this.totals = new Map(totals);
      this.seen.clear();
      for (const key of seen) this.seen.set(key.key, key);
      this.states.clear();
      for (const [key, value] of found) this.states.set(key, value);
      return;
    }
    assert.deepEqual(new Map(totals), this.totals);
    assert.deepEqual(new Set(seen.map(({ key }) => key)), new Set(this.seen.keys()));
    assert.deepEqual(new Map(found), this.states);
  }
}

async function live(life: Life, action: Step): Promise<void> {
  const { disk } = life;
  if (action.do === "admit") await life.admit(action.group);
  else if (action.do === "complete") await life.complete(action.picks);
  else if (action.do === "note") life.note(action.picks);
  else if (action.do === "write notes") await life.writeNotes();
  else if (action.do === "kill") await life.kill(action.segmentBytes);
  else if (action.do === "fail") {
    for (const of of action.of) disk.failures.push({ of, error: diskError("EIO"), keepBytes: action.keepBytes });
    await life.admit([{ size: 200, destinations: ["a"], state: 9 }]);
    disk.failures.length = 0;
  } else if (action.do === "fill") {
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    disk.capacityBytes = disk.usedBytes + action.roomBytes;
  } else if (action.do === "free") disk.capacityBytes = Number.POSITIVE_INFINITY;
  else if (action.do === "wait") await life.clock.advance(300);
  else if (action.do === "crash") await life.crash(action.share, action.segmentBytes);
  else await life.restart(action.segmentBytes);
}

it("never loses what it acknowledged, never brings back what is completed or refused, and keeps totals, seen keys and state", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: STEPS_MAX }), async (steps) => {
      const life = new Life();
      await life.open(2048);
      for (const action of steps) {
        await live(life, action);
        await life.readAll();
      }
      // Whatever happened: with room and a disk that works it goes on, and gives the room back.
      life.disk.failures.length = 0;
      life.disk.capacityBytes = Number.POSITIVE_INFINITY;
      await life.clock.advance(1000);
      await life.writeNotes();
      await life.complete(Array.from({ length: life.live.size }, (_, index) => index));
      expect(life.live.size).toBe(0);
      for (let round = 0; round < 3; round += 1) await life.admit([{ size: 10_000, destinations: [], state: 9 }]);
      await life.restart(2048);
    }),
    fuzz(RUNS),
  );
}, 120_000);
