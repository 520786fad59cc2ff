import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { SegmentLog } from "../../../src/queue/segment-log/segment-log.ts";
import type { DeadLetterMark, EntryMark, EntryRef, StoredRecord } from "../../../src/queue/storage.ts";
import { fuzz } from "../../support/fuzz.ts";
import { MemoryDisk } from "./memory-disk.ts";
import { admission, bytesOf, completion, openLog, payload, refKey, replay } from "./model.ts";

const RUNS = Number(process.env["SIGNALBOX_FUZZ_RUNS"] ?? 60);

function letter(atUnixMs: number, of: Partial<DeadLetterMark> = {}): DeadLetterMark {
  return { reason: "rejected", atUnixMs, attempts: 3, message: "400 no such dataset", replays: 0, ...of };
}

/** An admission of which some entries are dead letters from the start. */
function withLetters(of: Parameters<typeof admission>[0], letters: ReadonlyMap<number, DeadLetterMark>): StoredRecord {
  const record = admission(of);
  const entries = record.entries.map((entry, index) => {
    const deadLetter = letters.get(index);
    return deadLetter === undefined ? entry : { ...entry, deadLetter };
  });
  return { ...record, entries };
}

function marking(...marks: readonly EntryMark[]): StoredRecord {
  return { ...completion([]), marks };
}

/** Pushes everything that went before into old segments. */
async function fill(log: SegmentLog, from: number, count: number): Promise<void> {
  for (let id = from; id < from + count; id += 1) {
    const sequence = await log.append([admission({ id, size: 900, destinations: ["here"] })]);
    await log.append([completion([{ sequence, index: 0 }])]);
  }
}

describe("dead letters in the segment log", () => {
  it("are told apart from what is queued, with reason, time, attempts and words, and keep their bytes", async () => {
    const disk = new MemoryDisk();
    const { log } = openLog(disk);
    const mark = letter(7, { reason: "overflow", attempts: 0, message: "" });
    const sequence = await log.append([
      withLetters({ id: 1, size: 100, destinations: ["slow", "fast"] }, new Map([[0, mark]])),
    ]);
    const { entries, letters } = await replay(openLog(disk).log);
    expect(entries.map(({ destination }) => destination)).toEqual(["fast"]);
    expect(letters).toMatchObject([
      { destination: "slow", itemCount: 2, size: 100, admittedUnixMs: 1, deadLetter: mark },
    ]);
    expect(await bytesOf(log, { sequence, index: 0 })).toEqual(Buffer.concat(payload(1, 100).slices));
  });

  it("come of queued entries, are queued again with their count, and go for good", async () => {
    const disk = new MemoryDisk();
    const { log } = openLog(disk);
    const sequence = await log.append([admission({ id: 1, size: 100, destinations: ["a"] })]);
    const ref = { sequence, index: 0 };
    await log.append([marking({ ref, deadLetter: letter(5) })]);
    expect((await replay(openLog(disk).log)).letters).toMatchObject([{ ref, deadLetter: letter(5) }]);
    await log.append([marking({ ref, replay: { atUnixMs: 9, count: 1 } })]);
    const replayed = await replay(openLog(disk).log);
    expect(replayed.letters).toEqual([]);
    expect(replayed.entries).toMatchObject([{ ref, replay: { atUnixMs: 9, count: 1 } }]);
    await log.append([marking({ ref, deadLetter: letter(11, { replays: 1 }) })]);
    expect((await replay(openLog(disk).log)).letters).toMatchObject([{ deadLetter: { replays: 1 } }]);
    await log.append([completion([ref])]);
    const gone = await replay(openLog(disk).log);
    expect([...gone.letters, ...gone.entries]).toEqual([]);
  });

  it("stay dead when the segment with the record that made them so is removed, and queued when that is", async () => {
    const disk = new MemoryDisk();
    const { log } = openLog(disk);
    // More than a quarter of a segment, so that it stays where it is and only the marks are carried on.
    const sequence = await log.append([admission({ id: 1, size: 1500, destinations: ["a", "b"] })]);
    const refs = [0, 1].map((index) => ({ sequence, index }));
    await fill(log, 2, 10);
    await log.append([marking(...refs.map((ref) => ({ ref, deadLetter: letter(5) })))]);
    await fill(log, 20, 20);
    await log.append([marking({ ref: refs[1]!, replay: { atUnixMs: 6, count: 1 } })]);
    await fill(log, 40, 40);
    expect(disk.segmentPaths.length).toBeLessThan(6);
    const { letters, entries } = await replay(openLog(disk).log);
    expect(letters.map(({ destination, deadLetter }) => [destination, deadLetter])).toEqual([["a", letter(5)]]);
    expect(entries.map(({ destination, replay: of }) => [destination, of])).toEqual([["b", { atUnixMs: 6, count: 1 }]]);
  });

  it("keep their segment on the disk, or are moved to another, and give the space back when they go", async () => {
    const disk = new MemoryDisk();
    const { log } = openLog(disk);
    const refs: EntryRef[] = [];
    for (let id = 0; id < 12; id += 1) {
      const size = 300;
      const mark = letter(id);
      const sequence = await log.append([withLetters({ id, size, destinations: ["a"] }, new Map([[0, mark]]))]);
      refs.push({ sequence, index: 0 });
      await fill(log, 100 + id * 10, 10);
    }
    const { letters } = await replay(openLog(disk.copy()).log);
    expect(letters.map(({ ref, deadLetter }) => [refKey(ref), deadLetter.atUnixMs])).toEqual(
      refs.map((ref, id) => [refKey(ref), id]),
    );
    for (const [id, ref] of refs.entries()) {
      expect(await bytesOf(log, ref)).toEqual(Buffer.concat(payload(id, 300).slices));
    }
    await log.append([completion(refs)]);
    await fill(log, 1000, 20);
    expect(disk.bytes).toBeLessThan(3 * 4096);
  });

  it("come beyond max_size, since they have a bound of their own, while requests are refused", async () => {
    const disk = new MemoryDisk();
    const { log } = openLog(disk, { bytesMax: 16_384, segmentBytes: 2048 });
    const full = async (): Promise<void> => {
      for (let id = 0; id < 100; id += 1) await log.append([admission({ id, size: 900, destinations: ["a"] })]);
    };
    await expect(full()).rejects.toThrow(/max_size/);
    const dead = withLetters({ id: 1, size: 900, destinations: ["a"] }, new Map([[0, letter(1)]]));
    await expect(log.append([dead])).resolves.toBeGreaterThan(0);
    await expect(log.append([admission({ id: 1, size: 900, destinations: ["a"] })])).rejects.toThrow(/max_size/);
  });
});

interface Held {
  readonly ref: EntryRef;
  readonly id: number;
  readonly size: number;
  readonly state: "queued" | DeadLetterMark;
  readonly replays: number;
}

type Step =
  | { readonly do: "admit"; readonly size: number; readonly dead: readonly boolean[] }
  | { readonly do: "complete" | "bury" | "replay"; readonly picks: readonly number[] }
  | { readonly do: "fail"; readonly keepBytes: number; readonly isUncut: boolean }
  | { readonly do: "crash"; readonly share: number };

const picks = fc.array(fc.nat(20), { minLength: 1, maxLength: 4 });

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("admit" as const),
      size: fc.integer({ min: 0, max: 1200 }),
      dead: fc.array(fc.boolean(), { minLength: 1, maxLength: 3 }),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constantFrom("complete" as const, "bury" as const, "replay" as const), picks }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("fail" as const), keepBytes: fc.nat(1000), isUncut: fc.boolean() }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("crash" as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
  },
);

/** The log with what ought to be in it: everything that an append acknowledged, and nothing else. */
class ModelledLog {
  readonly disk = new MemoryDisk();
  held = new Map<string, Held>();
  #opened = openLog(this.disk, { segmentBytes: 2048 });
  #nextId = 1;

  async run(action: Step): Promise<void> {
    if (action.do === "admit") await this.#admit(action.size, action.dead);
    else if (action.do === "crash") await this.#crash(action.share);
    else if (action.do === "fail") await this.#fail(action);
    else await this.#change(action.do, action.picks);
  }

  expected(): Map<string, unknown> {
    const whole = ({ id, size }: Held): string => Buffer.concat(payload(id, size).slices).toString("hex");
    return new Map([...this.held].map(([key, held]) => [key, [held.state, held.replays, whole(held)]]));
  }

  /** What a restart finds. */
  async found(): Promise<Map<string, unknown>> {
    const { log } = openLog(this.disk.copy(), { segmentBytes: 2048 });
    const { entries, letters } = await replay(log);
    const found = new Map<string, unknown>();
    for (const { ref, replay: of } of entries) {
      found.set(refKey(ref), ["queued", of?.count ?? 0, (await bytesOf(log, ref)).toString("hex")]);
    }
    for (const { ref, deadLetter } of letters) {
      found.set(refKey(ref), [deadLetter, deadLetter.replays, (await bytesOf(log, ref)).toString("hex")]);
    }
    return found;
  }

  async #admit(size: number, dead: readonly boolean[]): Promise<void> {
    const id = this.#nextId++;
    const marks = new Map(dead.flatMap((isDead, index) => (isDead ? [[index, letter(id)] as const] : [])));
    const destinations = dead.map((_, index) => `d${index}`);
    const sequence = await this.#append(withLetters({ id, size, destinations }, marks));
    if (sequence === undefined) return;
    for (const index of dead.keys()) {
      const ref = { sequence, index };
      this.held.set(refKey(ref), { ref, id, size, state: marks.get(index) ?? "queued", replays: 0 });
    }
  }

  async #change(to: "complete" | "bury" | "replay", which: readonly number[]): Promise<void> {
    const all = [...this.held.values()];
    const chosen = [...new Set(which)].flatMap((pick) => all[pick] ?? []);
    const fitting = chosen.filter(({ state }) => to === "complete" || (state === "queued") === (to === "bury"));
    const changed = fitting.map((held): Held => {
      if (to === "bury") return { ...held, state: letter(held.id, { replays: held.replays }) };
      return { ...held, state: "queued", replays: held.replays + 1 };
    });
    const record =
      to === "complete"
        ? completion(fitting.map(({ ref }) => ref))
        : marking(
            ...changed.map(({ ref, state, replays }) => {
              return state === "queued" ? { ref, replay: { atUnixMs: 1, count: replays } } : { ref, deadLetter: state };
            }),
          );
    if ((await this.#append(record)) === undefined) return;
    for (const held of changed) {
      if (to === "complete") this.held.delete(refKey(held.ref));
      else this.held.set(refKey(held.ref), held);
    }
  }

  /** With `isUncut` what it has written stays in the file. */
  async #fail({ keepBytes, isUncut }: Extract<Step, { do: "fail" }>): Promise<void> {
    const error = new Error("EIO");
    this.disk.failures.push({ of: "write", error, keepBytes });
    if (isUncut) this.disk.failures.push({ of: "truncate", error });
    // It may be written all the same: the log tries another file where it cannot begin one.
    await this.#admit(200, [false]);
    this.disk.failures.length = 0;
    // Until the next group is kept, a crash may bring it back (docs/decisions/0005-one-storage.md).
    if (isUncut) await this.#append(completion([]));
  }

  async #crash(share: number): Promise<void> {
    this.disk.cutPower(share);
    this.#opened = openLog(this.disk, { segmentBytes: 2048 });
    await replay(this.#opened.log);
  }

  async #append(record: StoredRecord): Promise<number | undefined> {
    // A log whose writes fail rests for a moment.
    await this.#opened.clock.advance(1000);
    return this.#opened.log.append([record]).catch(() => undefined);
  }
}

describe("dead letters in the segment log against a model", () => {
  it("are dead, queued or gone after any crash as the last acknowledged record says", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (steps) => {
        const model = new ModelledLog();
        for (const action of steps) await model.run(action);
        expect(await model.found()).toEqual(model.expected());
      }),
      fuzz(RUNS),
    );
  });
});
