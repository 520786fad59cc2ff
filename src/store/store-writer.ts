import { createBatch } from "../core/batch.ts";
import { ClientMetadata } from "../core/client-metadata.ts";
import type { Signal } from "../core/signal.ts";
import { DecodeError } from "../wire/decode-error.ts";
import { FolderLock } from "./folder-lock.ts";
import { extractRows } from "./rows.ts";
import {
  createFolder,
  listSegments,
  segmentModifiedMs,
  segmentPath,
  segmentSize,
  setSegmentAside,
  unlinkSegment,
} from "./segment-folder.ts";
import { SegmentWriter } from "./segment-writer.ts";
import { isDamage, isDiskTrouble } from "./sqlite-error.ts";
import { StoreError } from "./store-error.ts";

export interface StoreLimits {
  readonly directory: string;
  /** All segments together, with what SQLite keeps beside them. */
  readonly bytesMax: number;
  /** By arrival, not by the times in the records. */
  readonly ageMsMax: number;
}

/** What the writer has to say besides its answer: each is logged once by the main thread. */
export interface WriterNotes {
  readonly warnings: string[];
  /** Sequences of segments that are gone; readers close theirs, so that the disk gives the room back. */
  readonly removed: number[];
}

// Sixteen segments hold the size, twenty-four the age: pruning then forgets a sixteenth at once, and a search over
// everything opens some forty files. The floor keeps a tiny store from rotating with every batch.
const SEGMENTS_PER_SIZE = 16;
const SEGMENTS_PER_AGE = 24;
const SEGMENT_BYTES_MIN = 1024 * 1024;
// Above it nothing gets faster, and quick_check after a crash takes longer than a start may.
const SEGMENT_BYTES_MAX = 128 * 1024 * 1024;

interface ClosedSegment {
  readonly sequence: number;
  readonly path: string;
  readonly bytes: number;
  readonly lastArrivalMs: number;
}

/** The store's only writer: appends, rotates, prunes, sets damaged segments aside. Synchronous; lives in the writer thread. */
export class StoreWriter {
  readonly #limits: StoreLimits;
  readonly #segmentBytesMax: number;
  readonly #lock: FolderLock;
  /** Oldest first; without the active one. */
  #closed: ClosedSegment[] = [];
  #active: SegmentWriter;
  #sequenceLast = 0;
  #notes: WriterNotes = { warnings: [], removed: [] };

  private constructor(limits: StoreLimits, lock: FolderLock) {
    this.#limits = limits;
    this.#segmentBytesMax = Math.min(
      SEGMENT_BYTES_MAX,
      Math.max(SEGMENT_BYTES_MIN, limits.bytesMax / SEGMENTS_PER_SIZE),
    );
    this.#lock = lock;
    this.#active = this.#adoptFolder();
  }

  /** Throws StoreError: locked, disk. */
  static open(limits: StoreLimits, nowMs: number): StoreWriter {
    try {
      createFolder(limits.directory);
      return StoreWriter.#openLocked(
        limits,
        FolderLock.acquire(limits.directory, { pid: process.pid, sinceMs: nowMs }),
        nowMs,
      );
    } catch (error) {
      throw error instanceof StoreError ? error : diskError(error, limits.directory);
    }
  }

  static #openLocked(limits: StoreLimits, lock: FolderLock, nowMs: number): StoreWriter {
    try {
      const writer = new StoreWriter(limits, lock);
      writer.prune(nowMs);
      return writer;
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /** Takes what there is to say since the last call. */
  takeNotes(): WriterNotes {
    const notes = this.#notes;
    this.#notes = { warnings: [], removed: [] };
    return notes;
  }

  /** Stores one request, whole or not at all; returns its items. Throws StoreError: bad_data, disk, internal. */
  append(signal: Signal, request: Uint8Array, arrivalMs: number): number {
    if (this.#isFull(arrivalMs)) this.#rotate();
    const count = this.#appendTwice(signal, request, arrivalMs);
    this.prune(arrivalMs);
    return count;
  }

  /** Forgets what is too old or too much, oldest first. Also called on a timer, because age passes without arrivals. */
  prune(nowMs: number): void {
    const oldestMs = nowMs - this.#limits.ageMsMax;
    const lastMs = this.#active.lastArrivalMs;
    if (lastMs > 0 && lastMs < oldestMs) this.#rotate();
    let total = this.#closed.reduce((sum, segment) => sum + segment.bytes, segmentSize(this.#active.path));
    for (;;) {
      const oldest = this.#closed[0];
      if (oldest === undefined || (total <= this.#limits.bytesMax && oldest.lastArrivalMs >= oldestMs)) return;
      unlinkSegment(oldest.path);
      this.#closed.shift();
      this.#notes.removed.push(oldest.sequence);
      total -= oldest.bytes;
    }
  }

  /** A reader found this segment damaged. */
  setAside(sequence: number): void {
    if (sequence === this.#active.sequence) return this.#replaceActive("a reader found it damaged");
    const found = this.#closed.find((segment) => segment.sequence === sequence && !segment.path.endsWith(".damaged"));
    if (found === undefined) return;
    const path = this.#moveAside(found.path, sequence, "a reader found it damaged");
    this.#closed = this.#closed.map((segment) => (segment === found ? { ...found, path } : segment));
  }

  close(): void {
    this.#active.close();
    this.#lock.release();
  }

  #isFull(nowMs: number): boolean {
    const firstMs = this.#active.firstArrivalMs;
    if (firstMs === 0) return false;
    if (nowMs - firstMs > this.#limits.ageMsMax / SEGMENTS_PER_AGE) return true;
    return segmentSize(this.#active.path) > this.#segmentBytesMax;
  }

  #rotate(): void {
    this.#closeActive();
    this.#active = this.#createSegment();
  }

  #closeActive(): void {
    const { path, sequence } = this.#active;
    const lastArrivalMs = this.#active.lastArrivalMs;
    this.#active.close();
    this.#closed.push({ sequence, path, bytes: segmentSize(path), lastArrivalMs });
  }

  #createSegment(): SegmentWriter {
    this.#sequenceLast++;
    return SegmentWriter.create(segmentPath(this.#limits.directory, this.#sequenceLast), this.#sequenceLast);
  }

  /** A damaged segment costs one more attempt, in a new segment, so that the batch at hand is not lost with it. */
  #appendTwice(signal: Signal, request: Uint8Array, arrivalMs: number): number {
    try {
      return this.#appendOnce(signal, request, arrivalMs);
    } catch (error) {
      if (!isDamage(error)) throw appendError(error, this.#limits.directory);
      this.#replaceActive(describe(error));
    }
    try {
      return this.#appendOnce(signal, request, arrivalMs);
    } catch (error) {
      throw appendError(error, this.#limits.directory);
    }
  }

  #appendOnce(signal: Signal, request: Uint8Array, arrivalMs: number): number {
    const arrivalUnixNano = BigInt(Math.round(arrivalMs)) * 1_000_000n;
    const batch = createBatch(signal, request, { client: ClientMetadata.internal, arrivalUnixNano });
    try {
      return this.#active.append(signal, extractRows(signal, request, batch.view, arrivalMs), arrivalMs);
    } finally {
      batch.release();
    }
  }

  #replaceActive(why: string): void {
    const { path, sequence } = this.#active;
    const lastArrivalMs = segmentModifiedMs(path);
    this.#active.abandon();
    const aside = this.#moveAside(path, sequence, why);
    this.#closed.push({ sequence, path: aside, bytes: segmentSize(aside), lastArrivalMs });
    this.#active = this.#createSegment();
  }

  #moveAside(path: string, sequence: number, why: string): string {
    const aside = setSegmentAside(path);
    this.#notes.warnings.push(
      `store segment ${sequence} is set aside as ${aside}: ${why}. Its records are not found any more; ` +
        `what is left of them: sqlite3 ${aside} .recover`,
    );
    this.#notes.removed.push(sequence);
    return aside;
  }

  /** Lists what earlier runs left and goes on with the last segment, where it is whole. */
  #adoptFolder(): SegmentWriter {
    const files = listSegments(this.#limits.directory);
    this.#closed = files.map(({ sequence, path }) => ({
      sequence,
      path,
      bytes: segmentSize(path),
      lastArrivalMs: segmentModifiedMs(path),
    }));
    const last = files.at(-1);
    this.#sequenceLast = last?.sequence ?? 0;
    return (last?.isDamaged === false ? this.#reopen(last.path, last.sequence) : undefined) ?? this.#createSegment();
  }

  #reopen(path: string, sequence: number): SegmentWriter | undefined {
    const reopened = this.#tryReopen(path, sequence);
    const known = this.#closed.pop();
    if (typeof reopened !== "string") return reopened;
    const aside = this.#moveAside(path, sequence, reopened);
    if (known !== undefined) this.#closed.push({ ...known, path: aside });
    return undefined;
  }

  #tryReopen(path: string, sequence: number): SegmentWriter | string {
    try {
      return SegmentWriter.reopen(path, sequence) ?? "it is not whole, or of another version of the store";
    } catch (error) {
      if (isDiskTrouble(error)) throw error;
      return describe(error);
    }
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function appendError(error: unknown, directory: string): StoreError {
  if (error instanceof StoreError) return error;
  if (error instanceof DecodeError) return new StoreError("bad_data", error.message, error);
  if (isDiskTrouble(error)) return diskError(error, directory);
  return new StoreError("internal", `the store could not write: ${describe(error)}`, error);
}

function diskError(error: unknown, directory: string): StoreError {
  return new StoreError(
    "disk",
    `the store in ${directory} cannot be written: ${describe(error)}\n` +
      "  make room on its disk and check that the folder belongs to the user that runs the gateway, or lower exporters.local_store.max_bytes",
    error,
  );
}
