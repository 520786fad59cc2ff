import type { ClientMetadata } from "../core/client-metadata.ts";
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
  /** Since the epoch. Not milliseconds: a number of 31 bits costs nothing beside the object, and a million may wait. */
  readonly admittedUnixSeconds: number;
  /** Absent where it never was a dead letter. */
  readonly replay?: Replay;
}

/** What `max_age` counts from: a letter that was replayed is as old as its replay, or it would expire again at once. */
export function sinceUnixMs({ admittedUnixSeconds, replay }: QueueEntry): number {
  return replay?.atUnixMs ?? admittedUnixSeconds * 1000;
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
