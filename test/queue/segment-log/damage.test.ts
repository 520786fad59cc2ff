import { beforeAll, describe, expect, it } from "vitest";
import { frameSize } from "../../../src/queue/segment-log/format.ts";
import { readSegment, type ReadFrame } from "../../../src/queue/segment-log/segment-reader.ts";
import type { CompletionDescription } from "../../../src/queue/segment-log/record-codec.ts";
import { parseDescription } from "../../../src/queue/segment-log/record-codec.ts";
import { SegmentLog } from "../../../src/queue/segment-log/segment-log.ts";
import { SLOW_TESTS } from "../../support/slow-tests.ts";
import { TestClock } from "../../support/test-clock.ts";
import { admit, openQueues, RecordingLogger, TestSender, type TestQueues } from "../support.ts";
import { MemoryDisk } from "./memory-disk.ts";
import { FOLDER, payload } from "./model.ts";

/** Requests of 17 KB until the file is a MiB long; each has a size of its own, which names it. */
const REQUESTS = 58;
const SIZE = 17_800;
const MIB = 1024 * 1024;
/** Of the places that are hit; `npm run test:slow` hits them all. */
const STRIDE = SLOW_TESTS ? 1 : 11;

const sizeOf = (id: number): number => SIZE + id;
const idOf = (size: number): number => size - SIZE;
const itemsOf = (ids: Iterable<number>): number =>
  [...ids].reduce((sum, id) => sum + payload(id, sizeOf(id)).itemCount, 0);

interface Gateway extends TestQueues {
  readonly lines: () => readonly string[];
  readonly here: TestSender;
  readonly away: TestSender;
}

/** The queues of two destinations over a log on `disk`: `here` takes all, `away` takes nothing until it `works`. */
function openGateway(disk: MemoryDisk, isAway: boolean, segmentBytes = 32 * MIB): Gateway {
  const clock = new TestClock();
  const logger = new RecordingLogger();
  const storage = new SegmentLog({ folder: FOLDER, disk, clock, logger, segmentBytes, reserveBytes: 64 });
  const here = new TestSender();
  const away = isAway ? new TestSender().hang() : new TestSender();
  const queues = openQueues(
    [
      { id: "here", sender: here },
      { id: "away", sender: away },
    ],
    { clock, storage },
  );
  return { ...queues, lines: () => [...logger.lines, ...queues.logger.lines], here, away };
}

/** What a gateway leaves that was killed, or stopped in order, while `away` was away. */
async function createDisk(end: "killed" | "stopped", segmentBytes?: number): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  const { queues, clock } = openGateway(disk, true, segmentBytes);
  await queues.start();
  for (let id = 0; id < REQUESTS; id += 1) {
    await admit(queues, ["here", "away"], payload(id, sizeOf(id)));
    if (id % 8 === 7) await clock.advance(100);
  }
  // Until what was delivered is written down.
  for (let turn = 0; turn < 20; turn += 1) await clock.advance(100);
  const killed = disk.copy();
  const stopping = queues.shutdown(AbortSignal.abort());
  await clock.advance(1000);
  await stopping;
  return end === "killed" ? killed : disk;
}

/** Starts over what is left, delivers everything, stops. */
async function deliver(disk: MemoryDisk): Promise<{
  readonly away: number[];
  readonly here: number[];
  readonly text: string;
  readonly damaged: number;
  readonly imbalances: readonly string[];
}> {
  const { queues, lines, here, away, clock } = openGateway(disk, false);
  await queues.start();
  const stopping = queues.shutdown(new AbortController().signal);
  while (await clock.advanceToNext());
  await stopping;
  for (const taken of [...here.taken, ...away.taken]) {
    const expected = Buffer.concat(payload(idOf(taken.size), taken.size).slices);
    expect(Buffer.concat(taken.slices).equals(expected)).toBe(true);
  }
  const line = queues.ledger.snapshot("ever").destinations.find(({ destination }) => destination === "away");
  const damaged = line?.dropped["damaged"] ?? 0;
  const idsOf = (sender: TestSender): number[] => sender.taken.map(({ size }) => idOf(size));
  const imbalances = queues.ledger.imbalances();
  return { away: idsOf(away), here: idsOf(here), text: lines().join("\n"), damaged, imbalances };
}

async function framesOf(disk: MemoryDisk): Promise<{ frame: ReadFrame; from: number; to: number }[]> {
  const file = await disk.openForReading(FOLDER, "segment-00000001.log");
  const { frames } = await readSegment(file);
  let to = 32;
  return frames.map((frame) => {
    const from = to;
    to += frameSize(frame.header);
    return { frame, from, to };
  });
}

const ALL = Array.from({ length: REQUESTS }, (_, id) => id);

describe("a queue file of 1 MiB with one bit flipped at every 1,000th byte", () => {
  let whole: MemoryDisk;
  beforeAll(async () => {
    whole = await createDisk("killed");
  });

  it("is a MiB, and whole it gives everything to the one that was away, and nothing to the other", async () => {
    expect(whole.files.get(whole.segmentPaths[0]!)!.bytes.length).toBeGreaterThan(MIB);
    const { away, here, text, damaged } = await deliver(whole.copy());
    expect(away.toSorted((a, b) => a - b)).toEqual(ALL);
    expect({ here, text, damaged }).toEqual({ here: [], text: "", damaged: 0 });
  });

  it("starts, says what is lost and whose, sets it aside, delivers the rest exactly once, and the ledger balances", async () => {
    const size = whole.files.get(whole.segmentPaths[0]!)!.bytes.length;
    let hitCount = 0;
    for (let at = 0; at < size; at += 1000 * STRIDE) {
      const disk = whole.copy();
      disk.files.get(disk.segmentPaths[0]!)!.bytes[at]! ^= 1 << ((at / 1000) % 8);
      const { away, here, text, damaged, imbalances } = await deliver(disk);
      const lost = ALL.filter((id) => !away.includes(id));
      const where = `byte ${at}`;
      expect(here, where).toEqual([]);
      expect(new Set(away).size, where).toBe(away.length);
      expect(imbalances, where).toEqual([]);
      expect(lost.length, where).toBeLessThanOrEqual(1);
      expect(damaged, where).toBe(itemsOf(lost));
      if (lost.length === 1) {
        hitCount += 1;
        expect(text, where).toContain(`the queue's storage is damaged: ${itemsOf(lost)} log records for away are lost`);
        expect(text, where).toContain(`damaged in 1 places, 1 records, ${sizeOf(lost[0]!)} bytes`);
      } else if (text !== "")
        expect(text, where).toMatch(/damaged in 1 places where everything stands twice: nothing is lost/);
      const isAside = [...disk.files.keys()].some((name) => name.startsWith(`${FOLDER}/damaged/`));
      expect(isAside, where).toBe(text !== "");
    }
    // Nearly all bytes are payload.
    expect(hitCount).toBeGreaterThan(1000 / STRIDE);
  }, 120_000);
});

describe("a queue file cut off around every record's boundary", () => {
  it("after a kill gives every record before the cut exactly once, and names the one that is cut through", async () => {
    const whole = await createDisk("killed");
    const frames = await framesOf(whole);
    for (const { at, where } of cuts(frames)) {
      const disk = whole.copy();
      const stored = disk.files.get(disk.segmentPaths[0]!)!;
      stored.bytes = Buffer.from(stored.bytes.subarray(0, at));
      const { away, here, text, imbalances } = await deliver(disk);
      const before = frames.filter(({ frame, from }) => from + payloadEnd(frame) <= at);
      expect(
        away.toSorted((a, b) => a - b),
        where,
      ).toEqual(admittedIn(before));
      // What was delivered is known again as far as its record is there; of the last ones also where only the note is left
      // that a consumer made before it went on, which the file of notes may hold or have dropped already.
      expect(notDeliveredIn(before), where).toEqual(expect.arrayContaining(here));
      expect(here, where).toHaveLength(new Set(here).size);
      expect(imbalances, where).toEqual([]);
      const cut = frames.find(
        ({ frame, from }) => from + 32 + frame.header.descriptionSize <= at && from + payloadEnd(frame) > at,
      );
      if (cut !== undefined && cut.frame.header.kind === "admission") {
        expect(text, where).toMatch(
          /ends with 1 unfinished records \(\d log records for here, \d log records for away\)/,
        );
      }
      expect(text, where).not.toContain("are lost");
    }
  }, 120_000);

  it("after a stop in order also says how many records and bytes are missing, and the ledger has their items as damaged", async () => {
    const whole = await createDisk("stopped");
    const frames = await framesOf(whole);
    const size = whole.files.get(whole.segmentPaths[0]!)!.bytes.length;
    for (const { at, where } of cuts(frames)) {
      const disk = whole.copy();
      const stored = disk.files.get(disk.segmentPaths[0]!)!;
      stored.bytes = Buffer.from(stored.bytes.subarray(0, at));
      const { away, text, damaged, imbalances } = await deliver(disk);
      const before = frames.filter(({ frame, from }) => from + payloadEnd(frame) <= at);
      expect(
        away.toSorted((a, b) => a - b),
        where,
      ).toEqual(admittedIn(before));
      expect(imbalances, where).toEqual([]);
      const lost = ALL.filter((id) => !away.includes(id));
      expect(damaged, where).toBe(itemsOf(lost));
      if (lost.length > 0)
        expect(text, where).toContain(`destination away: ${itemsOf(lost)} log records are not in the storage`);
      if (at < size)
        expect(text, where).toMatch(
          new RegExp(`damaged in \\d places, ${frames.length - before.length} records, \\d+ bytes`),
        );
    }
  }, 120_000);

  it("in the middle of the log is no torn write: the next segment says how far it counted", async () => {
    const whole = await createDisk("killed", 300_000);
    expect(whole.segmentPaths.length).toBeGreaterThan(2);
    const stored = whole.files.get(whole.segmentPaths[0]!)!;
    const missing = stored.bytes.length - 100_000;
    stored.bytes = Buffer.from(stored.bytes.subarray(0, 100_000));
    const { away, text, imbalances } = await deliver(whole);
    expect(new Set(away).size).toBe(away.length);
    expect(text).not.toContain("unfinished");
    expect(text).toMatch(/damaged in 2 places, \d+ records, \d+ bytes/);
    expect(Number(/(\d+) bytes/.exec(text)?.[1])).toBeGreaterThanOrEqual(missing);
    expect(imbalances).toEqual([]);
  });
});

describe("a disk that cannot read some blocks", () => {
  it("costs the records that lie in them, and no start", async () => {
    const disk = await createDisk("killed");
    disk.unreadable.push({ path: disk.segmentPaths[0]!, from: 500_000, to: 500_001 });
    const { away, damaged, imbalances } = await deliver(disk);
    const lost = ALL.filter((id) => !away.includes(id));
    expect(lost).toHaveLength(1);
    expect(damaged).toBe(itemsOf(lost));
    expect(imbalances).toEqual([]);
  });

  it("starts where the damage cannot be set aside either", async () => {
    const disk = await createDisk("killed");
    const { bytes } = disk.files.get(disk.segmentPaths[0]!)!;
    bytes[bytes.length >> 1]! ^= 1;
    disk.capacityBytes = 0;
    const { queues, lines } = openGateway(disk, true);
    await queues.start();
    expect(lines().join("\n")).toMatch(/1 log records|log records for away are lost/);
    expect(lines().join("\n")).toContain("could not be set aside in /queue/damaged: ENOSPC");
  });
});

/** From a frame's first byte to the last of its payloads: what counts of it. */
function payloadEnd({ header }: ReadFrame): number {
  return 32 + header.descriptionSize + header.payloadSize;
}

function* cuts(frames: readonly { readonly to: number }[]): Iterable<{ at: number; where: string }> {
  for (const { to } of [{ to: 32 }, ...frames].filter((_, index) => index % STRIDE === 0)) {
    for (const offset of [-1, 0, 1, 32]) yield { at: to + offset, where: `cut at ${to} + ${offset}` };
  }
}

/** Sequence numbers begin at 1 and each request is an admission, with completions between them. */
function admittedIn(frames: readonly { readonly frame: ReadFrame }[]): number[] {
  return frames.flatMap(({ frame }) => (frame.header.kind === "admission" ? [idOf(frame.header.payloadSize)] : []));
}

function notDeliveredIn(frames: readonly { readonly frame: ReadFrame }[]): number[] {
  const done = new Set<number>();
  for (const { frame } of frames) {
    if (frame.header.kind !== "completion") continue;
    for (const [sequence] of (parseDescription(frame.description) as CompletionDescription).done) done.add(sequence);
  }
  return frames.flatMap(({ frame: { header } }) => {
    return header.kind === "admission" && !done.has(header.sequence) ? [idOf(header.payloadSize)] : [];
  });
}
