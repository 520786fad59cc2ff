/**
 * The store's folder:
 *
 *   segment-00000007.sqlite            records that arrived together; the highest number is being written
 *   segment-00000007.sqlite-wal, -shm  SQLite's own, beside a segment that is open
 *   segment-00000003.sqlite.damaged    set aside, see StoreWriter; counts in the size, goes first
 *   lock.sqlite, owner.json            who writes here (core/folder-lock.ts)
 */
import { chmodSync, closeSync, openSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { createFolder as createMissing } from "../core/create-folder.ts";

const SEGMENT_NAME = /^segment-(\d{8,})\.sqlite(\.damaged)?$/;
const SIDE_FILES = ["", "-wal", "-shm"] as const;

export interface SegmentFile {
  readonly sequence: number;
  readonly path: string;
  readonly isDamaged: boolean;
}

export function segmentPath(directory: string, sequence: number): string {
  return join(directory, `segment-${String(sequence).padStart(8, "0")}.sqlite`);
}

/** Only its owner may read what workers logged. An existing folder keeps its mode: a person may have chosen it. */
export function createFolder(directory: string): void {
  const isCreated = createMissing(directory, 0o700);
  // Says ENOTDIR where a file stands at the place.
  readdirSync(directory);
  if (isCreated) chmodSync(directory, 0o700);
}

/** Oldest first. A folder that does not exist holds none. */
export function listSegments(directory: string): SegmentFile[] {
  const found: SegmentFile[] = [];
  for (const name of readNames(directory)) {
    const match = SEGMENT_NAME.exec(name);
    if (match !== null)
      found.push({ sequence: Number(match[1]), path: join(directory, name), isDamaged: match[2] !== undefined });
  }
  return found.toSorted(
    (left, right) => left.sequence - right.sequence || Number(right.isDamaged) - Number(left.isDamaged),
  );
}

function readNames(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** Bytes on disk of a segment with what stands beside it; 0 where it is gone. */
export function segmentSize(path: string): number {
  return SIDE_FILES.reduce((sum, suffix) => sum + (statSync(path + suffix, { throwIfNoEntry: false })?.size ?? 0), 0);
}

/** Bytes of the segment's own file. */
export function segmentFileSize(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/**
 * Makes the empty file of a new segment, for its owner alone even in a folder that others may read; SQLite gives its
 * side files the same mode. Side files that stand there already are leftovers whose segment a person has removed:
 * SQLite would take their contents for this segment's.
 */
export function createSegmentFile(path: string): void {
  for (const suffix of SIDE_FILES) rmSync(path + suffix, { force: true });
  closeSync(openSync(path, "wx", 0o600));
}

/** Its writer has closed it: it left no write-ahead log, or an empty one that a reader made. */
export function isClosedSegment(path: string): boolean {
  return segmentFileSize(`${path}-wal`) === 0;
}

/** Milliseconds since the epoch of the last write to the file; 0 where it is gone. */
export function segmentModifiedMs(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** Readers that still have it open read on; the room returns when they close it. */
export function unlinkSegment(path: string): void {
  for (const suffix of SIDE_FILES) rmSync(path + suffix, { force: true });
}

/** Renames a segment out of the readers' sight and keeps it for a person to look at. Returns its new path. */
export function setSegmentAside(path: string): string {
  const aside = `${path}.damaged`;
  for (const suffix of SIDE_FILES) {
    // The write-ahead log keeps its place beside its file, so that `sqlite3 <file> .recover` finds it.
    if (statSync(path + suffix, { throwIfNoEntry: false }) !== undefined) renameSync(path + suffix, aside + suffix);
  }
  return aside;
}

export function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
