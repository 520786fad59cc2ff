import type { Logger } from "../../core/logger.ts";
import type { EntryRef } from "../storage.ts";
import { type ClosedState, CLOSED_NAME, readClosed, removeClosed } from "./closed-file.ts";
import { DamageReport } from "./damage.ts";
import type { Disk } from "./disk.ts";
import { FORMAT_VERSION, type SegmentEnd } from "./format.ts";
import type { LogState } from "./log-state.ts";
import {
  type AdmissionDescription,
  type CheckpointDescription,
  type CompletionDescription,
  type MovedDescription,
  parseDescription,
  toEnd,
} from "./record-codec.ts";
import { RESERVE_NAME } from "./reserve.ts";
import { codeOf, messageOf, type SegmentFiles, segmentName, segmentNumber } from "./segment-files.ts";
import { readSegment, type ReadFrame, type ReadSegment } from "./segment-reader.ts";

interface LogReplaySettings {
  readonly disk: Disk;
  readonly folder: string;
  readonly logger: Logger;
  readonly files: SegmentFiles;
  readonly state: LogState;
}

/** What the writer goes on from. */
export interface Replayed {
  readonly lastSegment: number;
  readonly end: SegmentEnd | undefined;
  readonly nextSequence: number;
}

interface Segment {
  readonly number: number;
  readonly read: ReadSegment;
  readonly checkpoints: readonly CheckpointDescription[];
}

/**
 * Names in the folder that are ours beside segments: the lock's (core/folder-lock.ts), the admin socket of a gateway that
 * was killed, what was set aside, and these.
 */
const OUR_NAMES = new Set([
  RESERVE_NAME,
  CLOSED_NAME,
  `${CLOSED_NAME}.new`,
  "lock.sqlite",
  "owner.json",
  "admin.sock",
  "damaged",
]);

/**
 * Reads all segments into the state, each record in its order, says what damage cost, and removes the files that count
 * no more. Rejects only where going on could do harm: a newer version's files, files that this user may not read.
 */
export async function replayLog(settings: LogReplaySettings): Promise<Replayed> {
  return new LogReplay(settings).run();
}

class LogReplay {
  readonly #settings: LogReplaySettings;
  readonly #report: DamageReport;
  /** By segment: what the segment behind it, a checkpoint, or closed.json says of its end. */
  readonly #knownEnds = new Map<number, SegmentEnd>();
  #nextSequence = 1;

  constructor(settings: LogReplaySettings) {
    this.#settings = settings;
    this.#report = new DamageReport(settings);
  }

  async run(): Promise<Replayed> {
    const { disk, folder, state } = this.#settings;
    const numbers = await this.#listSegments();
    const closed = await readClosed(disk, folder);
    if (closed !== undefined) this.#noteClosed(closed, numbers);
    const segments = await this.#readAll(numbers);
    this.#apply(segments);
    if (closed !== undefined && this.#isNewest(closed, numbers)) state.setTotals(closed.totals);
    this.#report.finish();
    await this.#removeUncounted(segments);
    await removeClosed(disk, folder);
    const last = segments.at(-1);
    const end = last && { segment: last.number, ...last.read.end };
    return { lastSegment: numbers.at(-1) ?? 0, end, nextSequence: this.#nextSequence };
  }

  async #listSegments(): Promise<number[]> {
    const { disk, folder, logger } = this.#settings;
    const names = await disk.list(folder);
    const foreign = names.filter((name) => segmentNumber(name) === undefined && !OUR_NAMES.has(name));
    if (foreign.length > 0) {
      const shown = foreign.slice(0, FOREIGN_NAMES_SHOWN).join(", ");
      logger.warn(
        `the folder ${folder} holds ${foreign.length} files that are not the queue's (${shown}); they are left alone`,
      );
    }
    return names.flatMap((name) => segmentNumber(name) ?? []).toSorted((a, b) => a - b);
  }

  /** A stale one (a crash came after it, and it could not be removed) is of an older segment, or of fewer bytes. */
  #isNewest({ end }: ClosedState, numbers: readonly number[]): boolean {
    return (numbers.at(-1) ?? 0) <= end.segment;
  }

  #noteClosed(closed: ClosedState, numbers: readonly number[]): void {
    if (!this.#isNewest(closed, numbers)) return;
    this.#knownEnds.set(closed.end.segment, closed.end);
    this.#nextSequence = closed.nextSequence;
  }

  /** From the newest to the oldest: each says how far the one before it counts, and checkpoints say it of older ones. */
  async #readAll(numbers: readonly number[]): Promise<Segment[]> {
    const segments: Segment[] = [];
    for (const number of numbers.toReversed()) {
      const read = await this.#readOne(number);
      if (read === undefined) continue;
      const checkpoints = checkpointsOf(read);
      this.#noteEnds(read, checkpoints);
      segments.unshift({ number, read, checkpoints });
    }
    return segments;
  }

  #noteEnds({ fileHeader: { former } }: ReadSegment, checkpoints: readonly CheckpointDescription[]): void {
    const ends = checkpoints.flatMap((checkpoint) => (checkpoint.ends ?? []).map(toEnd));
    if (former !== undefined) ends.push(former);
    for (const end of ends) if (!this.#knownEnds.has(end.segment)) this.#knownEnds.set(end.segment, end);
  }

  /** undefined for what is no file of ours although it has the name of one. */
  async #readOne(number: number): Promise<ReadSegment | undefined> {
    const { disk, folder, files, logger } = this.#settings;
    const name = segmentName(number);
    const known = this.#knownEnds.get(number);
    try {
      const file = await disk.openForReading(folder, name);
      try {
        const fileSize = await file.size();
        const read = await readSegment(file, known?.size);
        const { verdict, version } = read.fileHeader;
        if (verdict === "newer") throw newerVersion(folder, name, version);
        if (verdict === "foreign") {
          logger.warn(`${folder}/${name} is not a queue segment; it is left alone`);
          return undefined;
        }
        files.setSize(number, fileSize);
        await this.#report.add({ name, file, fileSize, read, known });
        return read;
      } finally {
        await file.close();
      }
    } catch (error) {
      const why = NO_FILES.get(codeOf(error));
      if (why === undefined) throw unreadable(folder, name, error);
      logger.warn(`${folder}/${name} ${why}; it is left alone`);
      return undefined;
    }
  }

  #apply(segments: readonly Segment[]): void {
    const { state } = this.#settings;
    const frames = segments.flatMap(({ number, read }) => read.frames.map((frame) => ({ number, frame })));
    const checkpoints = segments.flatMap((segment) => segment.checkpoints);
    const removed = new Set(checkpoints.flatMap((checkpoint) => checkpoint.removed));
    const failed = checkpoints.flatMap((checkpoint) => checkpoint.failed ?? []);
    const counts = (sequence: number): boolean => !failed.some(([from, to]) => sequence >= from && sequence <= to);
    for (const { number, read } of segments) {
      if (removed.has(number)) continue;
      state.addSegment(number);
      if (read.fileHeader.former !== undefined) state.ends.set(read.fileHeader.former, number);
    }
    const damaged: { readonly frame: ReadFrame; readonly ref: EntryRef }[] = [];
    for (const { number, frame } of frames.toSorted((a, b) => a.frame.header.sequence - b.frame.header.sequence)) {
      const { sequence } = frame.header;
      this.#nextSequence = Math.max(this.#nextSequence, sequence + 1);
      if (removed.has(number) || !counts(sequence)) continue;
      damaged.push(...this.#applyFrame(frame, number).map((ref) => ({ frame, ref })));
    }
    for (const [, to] of failed) this.#nextSequence = Math.max(this.#nextSequence, to + 1);
    // Only now: what was delivered since is no loss.
    for (const { frame, ref } of damaged) {
      const lost = state.lose(ref);
      if (lost !== undefined) this.#report.addLost(frame, lost);
    }
  }

  /** Returns the entries whose payloads are damaged. */
  #applyFrame({ header, description: bytes, payloadOffset, damagedPayloads }: ReadFrame, segment: number): EntryRef[] {
    const { state } = this.#settings;
    const { kind, sequence } = header;
    const description = parseDescription(bytes);
    if (kind === "completion") state.applyCompletion(description as CompletionDescription, segment);
    else if (kind === "checkpoint") state.applyCheckpoint(description as CheckpointDescription, segment);
    else if (kind === "moved") {
      const moved = description as MovedDescription;
      state.applyMoved(moved, segment, payloadOffset);
      return moved.entries
        .filter(([, , , , payloadIndex]) => damagedPayloads.includes(payloadIndex))
        .map(([index]) => ({ sequence: moved.of, index }));
    } else {
      const admission = description as AdmissionDescription;
      state.applyAdmission(sequence, admission, segment, payloadOffset);
      return [...admission.entries.entries()]
        .filter(([, [, , , payloadIndex]]) => damagedPayloads.includes(payloadIndex))
        .map(([index]) => ({ sequence, index }));
    }
    return [];
  }

  /** A crash came between the checkpoint that says so and this. */
  async #removeUncounted(segments: readonly Segment[]): Promise<void> {
    const { files, state } = this.#settings;
    const uncounted = segments.map(({ number }) => number).filter((number) => !state.hasSegment(number));
    if (uncounted.length > 0) await files.remove(uncounted);
  }
}

function checkpointsOf({ frames }: ReadSegment): CheckpointDescription[] {
  return frames
    .filter(({ header }) => header.kind === "checkpoint")
    .map(({ description }) => parseDescription(description) as CheckpointDescription);
}

/** What cannot hold data of ours, whatever it is called. */
const NO_FILES: ReadonlyMap<unknown, string> = new Map([
  ["EISDIR", "is a folder"],
  ["ENOENT", "leads nowhere"],
  ["ELOOP", "is a link in a circle"],
]);

const FOREIGN_NAMES_SHOWN = 5;

function newerVersion(folder: string, name: string, version: number): Error {
  return new UnreadableError(
    `${folder}/${name} has format version ${version}; this signalbox knows versions up to ${FORMAT_VERSION}\n` +
      "  run the version that wrote it, or give this one an empty folder",
  );
}

class UnreadableError extends Error {
  override readonly name = "UnreadableError";
}

function unreadable(folder: string, name: string, error: unknown): Error {
  if (error instanceof UnreadableError) return error;
  const fix = "make the file readable for the user that runs the gateway; it holds data that was accepted";
  return new UnreadableError(`${folder}/${name} cannot be read: ${messageOf(error)}\n  ${fix}`, { cause: error });
}
