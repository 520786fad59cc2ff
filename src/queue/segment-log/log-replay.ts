import type { Logger } from "../../core/logger.ts";
import type { EntryRef } from "../storage.ts";
import { type ClosedState, readClosed, removeClosed } from "./closed-file.ts";
import { DamageReport } from "./damage.ts";
import type { Disk } from "./disk.ts";
import { FORMAT_VERSION, type SegmentEnd } from "./format.ts";
import { isBesideLog, isLogFile } from "./log-files.ts";
import type { LogState } from "./log-state.ts";
import {
  type AdmissionDescription,
  type CheckpointDescription,
  type CompletionDescription,
  type MovedDescription,
  parseDescription,
  toEnd,
} from "./record-codec.ts";
import { type Inventory, sayMissing, takeInventory } from "./missing-segments.ts";
import type { CommittedMark, RecentState } from "./recent-file.ts";
import { codeOf, messageOf, type SegmentFiles, segmentName, segmentNumber } from "./segment-files.ts";
import { readSegment, type ReadFrame, type ReadSegment } from "./segment-reader.ts";

interface LogReplaySettings {
  readonly disk: Disk;
  readonly folder: string;
  readonly logger: Logger;
  readonly files: SegmentFiles;
  readonly state: LogState;
  /** What the last process said beside the log. */
  readonly recent: RecentState;
}

/** What the writer goes on from. */
export interface Replayed {
  readonly lastSegment: number;
  readonly end: SegmentEnd | undefined;
  readonly nextSequence: number;
  /** The last completion that was noted and stands in the segments. */
  readonly durableNote: number;
}

interface Segment {
  readonly number: number;
  readonly read: ReadSegment;
  readonly checkpoints: readonly CheckpointDescription[];
}

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
  #durableNote = 0;

  constructor(settings: LogReplaySettings) {
    this.#settings = settings;
    this.#report = new DamageReport(settings);
  }

  async run(): Promise<Replayed> {
    const { disk, folder, state, recent, logger } = this.#settings;
    const numbers = await this.#listSegments();
    const found = await readClosed(disk, folder);
    const closed = found !== undefined && this.#isNewest(found, numbers) ? found : undefined;
    if (closed !== undefined) this.#knownEnds.set(closed.end.segment, closed.end);
    this.#nextSequence = Math.max(closed?.nextSequence ?? 1, recent.mark?.nextSequence ?? 1);
    const segments = await this.#readAll(numbers);
    const inventory = takeInventory(segments, newestOf(recent.mark, closed?.end));
    this.#apply(segments);
    this.#restoreTotals(inventory);
    if (closed !== undefined) state.setTotals(closed.totals);
    sayMissing(inventory, folder, logger);
    this.#report.finish();
    await this.#removeUncounted(segments);
    await removeClosed(disk, folder);
    const last = segments.at(-1);
    const end = last && { segment: last.number, ...last.read.end };
    // A file that is missing may come back: its number is not used again.
    const lastSegment = Math.max(numbers.at(-1) ?? 0, inventory.missingNewest?.segment ?? 0);
    return { lastSegment, end, nextSequence: this.#nextSequence, durableNote: this.#durableNote };
  }

  /** What the ledger counted in segments that are missing, or not whole: they were closed, so that what is said of them is all. */
  #restoreTotals({ held }: Inventory): void {
    const { state } = this.#settings;
    for (const [segment, [, , recordCount, , , totals]] of held)
      if (state.recordCount(segment) < recordCount) state.restoreTotals(segment, totals);
  }

  async #listSegments(): Promise<number[]> {
    const { disk, folder, logger } = this.#settings;
    const names = await disk.list(folder);
    const foreign = names.filter((name) => !isLogFile(name) && !isBesideLog(name));
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
    const { disk, folder, files, logger, recent } = this.#settings;
    const { mark } = recent;
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
        const isBehindMark = mark?.segment === number && read.end.size < mark.size;
        const end = known ?? (isBehindMark ? mark : undefined);
        const uncommittedFrom = mark?.isExact === true && known === undefined ? committedSize(mark, number) : Infinity;
        await this.#report.add({ name, file, fileSize, read, known: end, uncommittedFrom });
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
    const { state, recent } = this.#settings;
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
      state.countRecord(sequence, number);
      damaged.push(...this.#applyFrame(frame, number).map((ref) => ({ frame, ref })));
    }
    for (const [, to] of failed) this.#nextSequence = Math.max(this.#nextSequence, to + 1);
    this.#durableNote = state.noted;
    state.applyNotes(recent.notes);
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

/** A mark may be older than a stop in order, where a power cut came between. */
function newestOf(
  mark: CommittedMark | undefined,
  end: SegmentEnd | undefined,
): CommittedMark | SegmentEnd | undefined {
  if (mark === undefined || end === undefined) return mark ?? end;
  return end.segment > mark.segment ? end : mark;
}

/** How much of a segment was committed, by a mark that cannot be older than the last commit. */
function committedSize({ segment, size }: CommittedMark, number: number): number {
  if (segment > number) return Infinity;
  return segment === number ? size : 0;
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
