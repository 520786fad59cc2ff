import type { ClientMetadata } from "../core/client-metadata.ts";
import type { EncodedPayload } from "../wire/otlp/types.ts";
import type { Sizer } from "./config.ts";
import type { EntryRef, Replay } from "./storage.ts";

/** One admitted batch in the queue of one destination. Its bytes are in the storage. */
export interface QueueEntry {
  readonly ref: EntryRef;
  readonly itemCount: number;
  readonly bytes: number;
  /** What it takes of the queue's room, in the queue's sizer. */
  readonly room: number;
  readonly client: ClientMetadata;
  /** Since the epoch. Not milliseconds: a number of 31 bits costs nothing beside the object, and a million may wait. See wholeSeconds(). */
  readonly admittedUnixSeconds: number;
  /** Absent where it never was a dead letter. */
  readonly replay?: Replay;
}

/** Rounded up: what is a second too young is sent or expires a second later, and nothing expires early. */
export function wholeSeconds(unixMs: number): number {
  return Math.ceil(unixMs / 1000);
}

/** What `max_age` counts from: a letter that was replayed is as old as its replay, or it would expire again at once. */
export function sinceUnixMs({ admittedUnixSeconds, replay }: QueueEntry): number {
  return replay?.atUnixMs ?? admittedUnixSeconds * 1000;
}

/** Nothing of a batch is too old before its youngest entry is. */
export function youngestUnixMs(entries: readonly QueueEntry[]): number {
  return Math.max(...entries.map(sinceUnixMs));
}

export interface Successors {
  readonly refs: readonly EntryRef[];
  readonly payloads: readonly EncodedPayload[];
  readonly client: ClientMetadata;
  readonly unit: Sizer;
}

/** Entries in the place of others: as old as the youngest of these, and within the room that they had. */
export function entriesInPlaceOf(former: readonly QueueEntry[], successors: Successors): QueueEntry[] {
  const { refs, payloads, client, unit } = successors;
  const admittedUnixSeconds = wholeSeconds(youngestUnixMs(former));
  const replays = former.flatMap(({ replay }) => replay ?? []);
  const replay = replays.length === 0 ? {} : { replay: latestOf(replays) };
  let left = sumRoom(former);
  const entries: QueueEntry[] = [];
  // From the last, which holds what there is where it is not enough for all: room is free when the request is done.
  for (let index = payloads.length - 1; index >= 0; index -= 1) {
    const { itemCount, size: bytes } = payloads[index]!;
    const room = Math.min(sizeIn(unit, { itemCount, bytes }), left);
    left -= room;
    entries.push({ ref: refs[index]!, itemCount, bytes, room, client, admittedUnixSeconds, ...replay });
  }
  return entries.toReversed();
}

/** Of this process only: what is read back from the storage after a restart was never a dead letter. */
function latestOf(replays: readonly Replay[]): Replay {
  return {
    atUnixMs: Math.max(...replays.map(({ atUnixMs }) => atUnixMs)),
    count: Math.max(...replays.map(({ count }) => count)),
  };
}

export function sumItems(entries: readonly QueueEntry[]): number {
  return entries.reduce((sum, entry) => sum + entry.itemCount, 0);
}

/** What an entry takes of a queue's room. */
export function sizeIn(unit: Sizer, { itemCount, bytes }: Pick<QueueEntry, "itemCount" | "bytes">): number {
  if (unit === "requests") return 1;
  return unit === "items" ? itemCount : bytes;
}

export function sumRoom(entries: readonly QueueEntry[]): number {
  return entries.reduce((sum, entry) => sum + entry.room, 0);
}

function isBefore(left: EntryRef, right: EntryRef): boolean {
  return left.sequence < right.sequence || (left.sequence === right.sequence && left.index < right.index);
}

export function older(left: QueueEntry, right: QueueEntry): QueueEntry {
  return isBefore(right.ref, left.ref) ? right : left;
}

// Below this the array is not worth compacting; above it at most half of the array is dead.
const COMPACT_HEAD_MIN = 64;

/** First in, first out, in constant time; an entry that comes back goes to its old place. */
export class EntryList {
  #entries: QueueEntry[] = [];
  #head = 0;

  get length(): number {
    return this.#entries.length - this.#head;
  }

  first(): QueueEntry | undefined {
    return this.#entries[this.#head];
  }

  push(entry: QueueEntry): void {
    this.#entries.push(entry);
  }

  shift(): QueueEntry | undefined {
    const entry = this.#entries[this.#head];
    if (entry === undefined) return undefined;
    this.#head += 1;
    if (this.#head >= COMPACT_HEAD_MIN && this.#head * 2 >= this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
    return entry;
  }

  /** Before all that are younger. Entries come back to the front, or are inherited oldest first, so the walk is short. */
  putBack(entry: QueueEntry): void {
    const last = this.#entries.at(-1);
    if (this.length === 0 || (last !== undefined && isBefore(last.ref, entry.ref))) return this.push(entry);
    let place = this.#head;
    while (place < this.#entries.length && isBefore(this.#entries[place]!.ref, entry.ref)) place += 1;
    this.#entries.splice(place, 0, entry);
  }
}
