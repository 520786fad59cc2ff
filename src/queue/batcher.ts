import type { ClientMetadata } from "../core/client-metadata.ts";
import type { BatchConfig } from "./config.ts";
import { EntryList, older } from "./queue-entry.ts";
import type { QueueEntry } from "./queue-entry.ts";

/** The entries that may share a batch: all, or those whose senders agree in the partition's metadata. */
interface Lane {
  readonly key: string;
  readonly entries: EntryList;
  /** In the batch's sizer. */
  size: number;
  /** When it began to wait for company: its flush is due flush_timeout later. */
  sinceMs: number;
}

/**
 * What is queued for one destination, and which of it makes the next request.
 *
 * Without `batch` each entry is a request of its own. With it a lane gives a batch when min_size is there, or when its
 * first entry has waited for flush_timeout; a batch is closed at the entry that reaches min_size, and before the one that
 * would exceed max_size. It knows no clock and no timer: the caller says what time it is.
 */
export class Batcher {
  readonly #config: BatchConfig | undefined;
  /** In the order in which they began to wait, so the first is due first. A lane without entries is not there. */
  readonly #lanes = new Map<string, Lane>();
  /** Those with at least min_size. */
  readonly #full = new Set<Lane>();

  constructor(config: BatchConfig | undefined) {
    this.#config = config;
  }

  get laneCount(): number {
    return this.#lanes.size;
  }

  add(entry: QueueEntry, nowMs: number): void {
    const lane = this.#laneOf(entry, nowMs);
    lane.entries.push(entry);
    this.#resize(lane, entry);
  }

  /** An entry that was taken but not dealt with. */
  putBack(entry: QueueEntry, nowMs: number): void {
    const lane = this.#laneOf(entry, nowMs);
    lane.entries.putBack(entry);
    this.#resize(lane, entry);
  }

  /** The entries of the next request, oldest first; undefined where none is due. */
  takeDue(nowMs: number, isFlushing: boolean): QueueEntry[] | undefined {
    const lane = this.#dueLane(nowMs, isFlushing);
    if (lane === undefined) return undefined;
    const taken = this.#takeBatch(lane);
    this.#lanes.delete(lane.key);
    this.#full.delete(lane);
    if (lane.entries.length > 0) {
      lane.sinceMs = nowMs;
      this.#lanes.set(lane.key, lane);
      if (this.#isFull(lane)) this.#full.add(lane);
    }
    return taken;
  }

  /** When a lane that is not full becomes due; undefined where none waits. */
  nextDueMs(): number | undefined {
    const [first] = this.#lanes.values();
    return first === undefined ? undefined : first.sinceMs + this.#flushMs();
  }

  /** Of all lanes; costs one look at each. */
  oldest(): QueueEntry | undefined {
    let oldest: QueueEntry | undefined;
    for (const { entries } of this.#lanes.values()) {
      const first = entries.first()!;
      oldest = oldest === undefined ? first : older(oldest, first);
    }
    return oldest;
  }

  /** Takes it away. */
  takeOldest(): QueueEntry | undefined {
    const oldest = this.oldest();
    if (oldest === undefined) return undefined;
    const lane = this.#lanes.get(this.#keyOf(oldest.client))!;
    this.#shift(lane);
    if (!this.#isFull(lane)) this.#full.delete(lane);
    if (lane.entries.length === 0) this.#lanes.delete(lane.key);
    return oldest;
  }

  /** A batch of several senders carries only what they agree in. */
  sharedMetadata(client: ClientMetadata): Map<string, readonly string[]> {
    const keys = this.#config?.metadata_keys ?? [];
    return new Map(keys.map((key) => [key.toLowerCase(), client.get(key)]));
  }

  #dueLane(nowMs: number, isFlushing: boolean): Lane | undefined {
    // The one that has waited too long goes before the full ones: busy lanes must not starve a quiet one.
    const [first] = this.#lanes.values();
    if (first !== undefined && (isFlushing || first.sinceMs + this.#flushMs() <= nowMs)) return first;
    const [full] = this.#full;
    return full;
  }

  #takeBatch(lane: Lane): QueueEntry[] {
    const { min_size: sizeMin = 0, max_size: sizeMax = 0 } = this.#config ?? {};
    const taken: QueueEntry[] = [];
    let size = 0;
    for (let next = lane.entries.first(); next !== undefined; next = lane.entries.first()) {
      const sizeWithNext = size + this.#sizeOf(next);
      if (taken.length > 0 && (size >= sizeMin || (sizeMax > 0 && sizeWithNext > sizeMax))) break;
      taken.push(this.#shift(lane));
      size = sizeWithNext;
    }
    return taken;
  }

  #shift(lane: Lane): QueueEntry {
    const entry = lane.entries.shift()!;
    lane.size -= this.#sizeOf(entry);
    return entry;
  }

  #laneOf(entry: QueueEntry, nowMs: number): Lane {
    const key = this.#keyOf(entry.client);
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      lane = { key, entries: new EntryList(), size: 0, sinceMs: nowMs };
      this.#lanes.set(key, lane);
    }
    return lane;
  }

  #resize(lane: Lane, entry: QueueEntry): void {
    lane.size += this.#sizeOf(entry);
    if (this.#isFull(lane)) this.#full.add(lane);
  }

  #isFull(lane: Lane): boolean {
    return lane.entries.length > 0 && lane.size >= (this.#config?.min_size ?? 0);
  }

  #flushMs(): number {
    return this.#config?.flush_timeout ?? 0;
  }

  #sizeOf(entry: QueueEntry): number {
    return this.#config?.sizer === "bytes" ? entry.bytes : entry.itemCount;
  }

  #keyOf(client: ClientMetadata): string {
    const keys = this.#config?.metadata_keys;
    if (keys === undefined || keys.length === 0) return "";
    return JSON.stringify(keys.map((key) => client.get(key)));
  }
}
