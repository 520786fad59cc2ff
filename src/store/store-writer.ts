import { reopenBatch } from "../core/batch.ts";
import { ClientMetadata } from "../core/client-metadata.ts";
import type { Signal } from "../core/signal.ts";
import { DecodeError } from "../wire/decode-error.ts";
import { FolderLock, FolderLockedError } from "../core/folder-lock.ts";
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
  /** Undefined before the first append after a start or a rotation: the file is made when there is something for it. */
  #active: SegmentWriter | undefined;
  #sequenceLast = 0;
  #notes: WriterNotes = { warnings: [], removed: [] };

  private constructor(limits: StoreLimits, lock: FolderLock) {
    this.#limits = limits;
    const share = Math.max(SEGMENT_BYTES_MIN, limits.bytesMax / SEGMENTS_PER_SIZE);
    this.#segmentBytesMax = Math.min(SEGMENT_BYTES_MAX, share);
    this.#lock = lock;
    this.#adoptFolder();
  }

  /** Throws StoreError: locked, disk. */
  static open(limits: StoreLimits, nowMs: number): StoreWriter {
    try {
      createFolder(limits.directory);
      const lock = FolderLock.acquire(limits.directory, { pid: process.pid, sinceMs: nowMs });
      return StoreWriter.#openLocked(limits, lock, nowMs);
    } catch (error) {
      if (error instanceof FolderLockedError) throw lockedError(error);
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
    try {
      if (this.#isFull(arrivalMs)) this.#closeActive();
      const count = this.#appendTwice(signal, request, arrivalMs);
      this.prune(arrivalMs);
      return count;
    } catch (error) {
      throw appendError(error, this.#limits.directory);
    }
  }

  /** Forgets what is too old or too much, oldest first. Also called on a timer, because age passes without arrivals. */
  prune(nowMs: number): void {
    const oldestMs = nowMs - this.#limits.ageMsMax;
    if (this.#active !== undefined && this.#active.lastArrivalMs < oldestMs) this.#closeActive();
    const activeSize = this.#active === undefined ? 0 : segmentSize(this.#active.path);
    let total = this.#closed.reduce((sum, segment) => sum + segment.bytes, activeSize);
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
    if (sequence === this.#active?.sequence) {
      this.#abandonActive(FOUND_DAMAGED);
      return;
    }
    const found = this.#closed.find((segment) => segment.sequence === sequence && !segment.path.endsWith(".damaged"));
    if (found === undefined) return;
    const path = this.#moveAside(found.path, sequence, FOUND_DAMAGED);
    this.#closed = this.#closed.map((segment) => (segment === found ? { ...found, path } : segment));
  }

  close(): void {
    this.#closeActive();
    this.#lock.release();
  }

  #isFull(nowMs: number): boolean {
    if (this.#active === undefined) return false;
    if (nowMs - this.#active.firstArrivalMs > this.#limits.ageMsMax / SEGMENTS_PER_AGE) return true;
    return segmentSize(this.#active.path) > this.#segmentBytesMax;
  }

  #closeActive(): void {
    const active = this.#active;
    if (active === undefined) return;
    this.#active = undefined;
    try {
      active.close();
    } catch (error) {
      // What is committed stays in the write-ahead log beside the file, and is read from there.
      this.#notes.warnings.push(`store segment ${active.sequence} could not be completed: ${describe(error)}`);
    }
    const { path, sequence, lastArrivalMs } = active;
    this.#closed.push({ sequence, path, bytes: segmentSize(path), lastArrivalMs });
  }

  /** A damaged segment costs one more attempt, in a new segment, so that the batch at hand is not lost with it. */
  #appendTwice(signal: Signal, request: Uint8Array, arrivalMs: number): number {
    try {
      return this.#appendOnce(signal, request, arrivalMs);
    } catch (error) {
      if (!isDamage(error)) throw error;
      this.#abandonActive(describe(error));
      return this.#appendOnce(signal, request, arrivalMs);
    }
  }

  #appendOnce(signal: Signal, request: Uint8Array, arrivalMs: number): number {
    const arrivalUnixNano = BigInt(Math.round(arrivalMs)) * 1_000_000n;
    // First of all: bytes that are no request must not make a file.
    const batch = reopenBatch(signal, request, { client: ClientMetadata.internal, arrivalUnixNano });
    try {
      this.#active ??= this.#createSegment();
      return this.#active.append(signal, extractRows(signal, request, batch.view, arrivalMs), arrivalMs);
    } finally {
      batch.release();
    }
  }

  #createSegment(): SegmentWriter {
    const sequence = this.#sequenceLast + 1;
    const created = SegmentWriter.create(segmentPath(this.#limits.directory, sequence), sequence);
    this.#sequenceLast = sequence;
    return created;
  }

  #abandonActive(why: string): void {
    const active = this.#active;
    if (active === undefined) return;
    this.#active = undefined;
    active.abandon();
    const lastArrivalMs = segmentModifiedMs(active.path);
    const path = this.#moveAside(active.path, active.sequence, why);
    this.#closed.push({ sequence: active.sequence, path, bytes: segmentSize(path), lastArrivalMs });
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

  /** Lists what earlier runs left, and goes on with the last segment where it is whole. */
  #adoptFolder(): void {
    const files = listSegments(this.#limits.directory);
    this.#closed = files.map(({ sequence, path }) => ({
      sequence,
      path,
      bytes: segmentSize(path),
      lastArrivalMs: segmentModifiedMs(path),
    }));
    const last = files.at(-1);
    this.#sequenceLast = last?.sequence ?? 0;
    if (last?.isDamaged === false) this.#adoptLast(last.path, last.sequence);
  }

  #adoptLast(path: string, sequence: number): void {
    const reopened = tryReopen(path, sequence);
    const known = this.#closed.pop();
    if (typeof reopened !== "string") this.#active = reopened;
    else if (known !== undefined) this.#closed.push({ ...known, path: this.#moveAside(path, sequence, reopened) });
  }
}

const FOUND_DAMAGED = "a reader found it damaged";

/** The open segment, or why it cannot be gone on with. */
function tryReopen(path: string, sequence: number): SegmentWriter | string {
  try {
    return SegmentWriter.reopen(path, sequence) ?? "it is not whole, or of another version of the store";
  } catch (error) {
    if (isDiskTrouble(error)) throw error;
    return describe(error);
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

function lockedError(error: FolderLockedError): StoreError {
  const fix = "stop that one, or give this one a folder of its own: exporters.local_store.directory";
  return new StoreError("locked", `the store in ${error.message}\n  ${fix}`, error);
}
