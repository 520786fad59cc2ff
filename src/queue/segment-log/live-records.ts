import type { EntryRef, StoredKey } from "../storage.ts";
import type { LatestMarks } from "./latest-marks.ts";
import { type AdmissionDescription, type MovedDescription } from "./record-codec.ts";

/** Where a payload's bytes lie. */
export interface PayloadPlace {
  readonly segment: number;
  readonly offset: number;
  readonly size: number;
  readonly checksum: number;
}

export interface LiveEntry {
  readonly destination: string;
  readonly signal: string;
  readonly itemCount: number;
  readonly place: PayloadPlace;
}

export interface LiveAdmission {
  readonly segment: number;
  /** Of its payloads. They count as live until the last entry is done. */
  readonly bytes: number;
  readonly admittedUnixMs: number;
  /** As it was written: what is made of it is rarely asked for, and would be garbage of some hundred ms of age. */
  readonly from: AdmissionDescription["from"];
  /** undefined once completed. */
  readonly entries: (LiveEntry | undefined)[];
  liveCount: number;
}

/** What a segment's records add to the state, and what must be carried on before its file goes. */
export interface SegmentState {
  recordCount: number;
  /** Sequence numbers; 0 where it has none. */
  first: number;
  last: number;
  liveCount: number;
  liveBytes: number;
  totals: Map<string, number>;
  readonly seen: StoredKey[];
  /** Keys of `#states` whose latest value stands here. */
  readonly states: Set<string>;
  /** Entries of other segments that are completed by a record here: without it they would come back. */
  readonly done: EntryRef[];
  /** Admissions of other segments that stand here too, by a moved record. */
  readonly moved: number[];
}

/** What of an admission must be written anew before its segment can go. */
export interface Movable {
  readonly description: Omit<MovedDescription, "payloads">;
  /** Of `description.entries`, by payloadIndex. */
  readonly places: readonly PayloadPlace[];
  readonly itemCounts: readonly number[];
}

/** In the place of a segment's number. */
export const NO_FILE = -1;

export function newSegmentState(): SegmentState {
  return {
    recordCount: 0,
    first: 0,
    last: 0,
    liveCount: 0,
    liveBytes: 0,
    totals: new Map(),
    seen: [],
    states: new Set(),
    done: [],
    moved: [],
  };
}

export function toLiveEntry(
  [destination, signal, itemCount, payloadIndex]: AdmissionDescription["entries"][number],
  places: readonly PayloadPlace[],
): LiveEntry {
  return { destination, signal, itemCount, place: places[payloadIndex]! };
}

export function placesOf(payloads: AdmissionDescription["payloads"], segment: number, from: number): PayloadPlace[] {
  let next = from;
  return payloads.map(([size, checksum]) => {
    const offset = next;
    next += size;
    return { segment, offset, size, checksum };
  });
}

export function toMovable(
  sequence: number,
  { admittedUnixMs, from, entries }: LiveAdmission,
  marks: LatestMarks<LiveEntry>,
): Movable {
  const places: PayloadPlace[] = [];
  const itemCounts: number[] = [];
  const tuples: MovedDescription["entries"][number][] = [];
  for (const [index, entry] of entries.entries()) {
    if (entry === undefined) continue;
    let payloadIndex = places.indexOf(entry.place);
    if (payloadIndex < 0) payloadIndex = places.push(entry.place) - 1;
    itemCounts[payloadIndex] = entry.itemCount;
    tuples.push([index, entry.destination, entry.signal, entry.itemCount, payloadIndex]);
  }
  const description = {
    of: sequence,
    at: admittedUnixMs,
    from,
    entries: tuples,
    ...marks.describeEntries(entries),
  };
  return { description, places, itemCounts };
}
