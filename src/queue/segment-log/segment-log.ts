import { type Clock, sleep } from "../../core/clock.ts";
import type { Logger } from "../../core/logger.ts";
import type { EncodedPayload } from "../../wire/otlp/types.ts";
import { isNoRoom, NoRoomError } from "../no-room.ts";
import type { CompletionRecord, EntryRef, QueueStorage, ReplayVisitor, StoredRecord } from "../storage.ts";
import { writeClosed } from "./closed-file.ts";
import { MOVED_BYTES_MAX, segmentToCompact } from "./compaction.ts";
import type { Disk } from "./disk.ts";
import { checksumOf, type EncodedFrame, encodeFrame, FILE_HEADER_BYTES, type FrameKind } from "./format.ts";
import { replayLog } from "./log-replay.ts";
import { type Movable, NO_FILE, type PayloadPlace } from "./live-records.ts";
import { LogState } from "./log-state.ts";
import { cacheKey, PayloadCache } from "./payload-cache.ts";
import {
  type AdmissionDescription,
  type CheckpointDescription,
  type CompletionDescription,
  describeAdmission,
  describeCompletion,
  type MovedDescription,
  toRef,
} from "./record-codec.ts";
import { type CommittedMark, RecentFile } from "./recent-file.ts";
import { admissionBytesMaxOf, estimateBytes, fileSizes, isBoundedRecord } from "./record-room.ts";
import { isNoSpace, Reserve } from "./reserve.ts";
import { codeOf, messageOf, SegmentFiles, segmentName } from "./segment-files.ts";
import { SegmentWriter } from "./segment-writer.ts";

export interface SegmentLogSettings {
  /** Exists, and belongs to this gateway alone. */
  readonly folder: string;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Of the sender's headers only these are written. Default: none. */
  readonly headerNames?: readonly string[];
  /** A new file is begun beyond this. Default 32 MiB, or a sixteenth of `bytesMax`: space returns in steps of it. */
  readonly segmentBytes?: number;
  /** All files together; requests beyond it are refused, completions are not. Default: the disk's own end. */
  readonly bytesMax?: number;
  /** Payloads kept in memory beside the disk. Default 16 MiB. */
  readonly cacheBytesMax?: number;
  /** See Reserve. Default 1 MiB, or a sixteenth of `bytesMax`. */
  readonly reserveBytes?: number;
  /** See RecentFile. Default 512 KiB, or a thirty-second of `bytesMax`. */
  readonly recentBytes?: number;
  /** It is replayed and closed, nothing else: no file is made. Default false. */
  readonly isOnlyRead?: boolean;
}

/** A healthy destination is some hundred ms behind. One that is further behind reads from the page cache, at 30 us a request. */
const CACHE_BYTES = 16 * 1024 * 1024;

/** A power cut within this time delivers again what was just delivered; a longer one saves little. */
const COMPLETION_DELAY_MS = 100;

/** A disk that fails again and again is asked no more often: each attempt begins a file. */
const RETRY_MS = 250;

/** A read that fails for another reason than damage is tried again so often, ever later: some three seconds. */
const READ_ATTEMPTS_MAX = 6;
const READ_RETRY_MS = 100;

interface Written {
  readonly kind: FrameKind;
  readonly sequence: number;
  readonly description: object;
  readonly payloads: readonly EncodedPayload[];
  /** The description as JSON, where it is known already. */
  readonly bytes?: Buffer | undefined;
}

interface Failures {
  readonly count: number;
  readonly error: unknown;
  readonly atMs: number;
  /** The smallest that had no room, as estimated; 0 after a failure of another kind. */
  readonly bytes: number;
}

/**
 * The queue's storage as a log of segments; format.ts has the layout, segment-writer.ts what a failed write does.
 * Removing: a segment in which nothing is live goes after a checkpoint has carried on what in it still counts. One that
 * is mostly dead while much of the files is waste is moved first (compaction.ts).
 */
export class SegmentLog implements QueueStorage {
  readonly isDurable = true;
  readonly completionDelayMs = COMPLETION_DELAY_MS;
  readonly admissionBytesMax: number;
  readonly #settings: SegmentLogSettings;
  readonly #segmentBytes: number;
  readonly #state = new LogState();
  readonly #cache: PayloadCache;
  readonly #files: SegmentFiles;
  readonly #writer: SegmentWriter;
  readonly #reserve: Reserve;
  readonly #recent: RecentFile;
  #nextSequence = 1;
  /** Of the segment that is written to. */
  #firstSequence = 0;
  /** Of the last writes, all of which failed. */
  #failures: Failures | undefined;
  /** The segment that was active when nothing was to be compacted: until the next one there is nothing new. */
  #tidySegment = -1;
  /** Files that count no more are removed beside the next appends. */
  #removing: Promise<void> = Promise.resolve();
  #removingCount = 0;
  #isClosed = false;

  constructor(settings: SegmentLogSettings) {
    this.#settings = settings;
    const { disk, folder, clock, logger, cacheBytesMax = CACHE_BYTES, bytesMax } = settings;
    const { segmentBytes, reserveBytes, recentBytes } = { ...fileSizes(bytesMax), ...settings };
    this.admissionBytesMax = bytesMax === undefined ? Infinity : admissionBytesMaxOf(bytesMax);
    this.#segmentBytes = segmentBytes;
    this.#cache = new PayloadCache(cacheBytesMax);
    this.#files = new SegmentFiles({ disk, folder, logger });
    this.#writer = new SegmentWriter({ disk, folder, files: this.#files, segmentBytes });
    this.#reserve = new Reserve({ disk, folder, clock, logger, bytes: reserveBytes });
    this.#recent = new RecentFile({ disk, folder, logger, bytes: recentBytes });
  }

  async replay(visitor: ReplayVisitor): Promise<void> {
    const { disk, folder, logger, clock, isOnlyRead = false } = this.#settings;
    const [files, state] = [this.#files, this.#state];
    const recent = await this.#recent.open();
    const replayed = await replayLog({ disk, folder, logger, files, state, recent });
    this.#writer.adopt(replayed.lastSegment, replayed.end);
    this.#nextSequence = replayed.nextSequence;
    this.#recent.noted(replayed.durableNote);
    // A new file in the place of one that still says something would forget it.
    if (!isOnlyRead && state.noted === replayed.durableNote) await this.#recent.ensure(this.#committed());
    state.tell(visitor, clock.nowMs());
  }

  /** Called in the turn in which the record is handed to the journal, which writes it later. */
  note(record: CompletionRecord): void {
    this.#recent.note(record);
  }

  async append(records: readonly StoredRecord[]): Promise<number> {
    this.#assertRested(records);
    try {
      const first = await this.#appendWithRoom(records);
      this.#failures = undefined;
      return first;
    } catch (error) {
      const atMs = this.#settings.clock.monotonicMs();
      const bytes = isNoRoom(error) ? Math.min(estimateBytes(records), this.#failures?.bytes ?? Infinity) : 0;
      this.#failures = { count: (this.#failures?.count ?? 0) + 1, error, atMs, bytes };
      throw error;
    }
  }

  /** Once more where the disk is full and segments could be removed. */
  async #appendWithRoom(records: readonly StoredRecord[]): Promise<number> {
    try {
      return await this.#append(records);
    } catch (error) {
      if (!isNoSpace(error)) throw error;
      await this.#reserve.release();
      if (!(await this.#removeDead())) throw error;
      return this.#append(records);
    }
  }

  read(ref: EntryRef): EncodedPayload | Promise<EncodedPayload> {
    const found = this.#state.place(ref);
    if (found === undefined) return Promise.reject(new Error(`entry ${ref.sequence}.${ref.index} is not in the log`));
    const cached = this.#cache.get(cacheKey(found.place));
    return cached ?? this.#readPayload(found.place, found.itemCount);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#removing;
    await this.#writer.close();
    await this.#recent.close();
    await this.#files.close();
    const { end } = this.#writer;
    if (end === undefined) return;
    const { disk, folder, logger } = this.#settings;
    const state = { end, nextSequence: this.#nextSequence, totals: [...this.#state.totals()] };
    await writeClosed(disk, folder, state).catch((error: unknown) => {
      logger.warn(`the queue's storage could not note that it is closed: ${messageOf(error)}; nothing is lost by it`);
    });
  }

  /** Bytes of all files. */
  get bytes(): number {
    return this.#files.bytes + this.#reserve.bytes + this.#recent.bytes;
  }

  async #append(records: readonly StoredRecord[]): Promise<number> {
    if (!this.#reserve.isThere || !this.#hasRoom(records)) await this.#makeRoom(records);
    const dead = this.#state.deadSegments(this.#writer.segment);
    const isBeginning = this.#writer.isBetweenSegments && records.length + dead.length > 0;
    const before = this.#checkpoint(dead, isBeginning);
    if (this.#tidySegment !== this.#writer.segment) before.push(...(await this.#moves()));
    // Used up even where the write fails: a number never names two records.
    const first = this.#nextSequence + before.length;
    const frames = before.map((frame) => this.#numbered(frame));
    for (const record of records) frames.push(this.#numbered(this.#describe(record)));
    if (frames.length === 0) return first;
    const encoded = frames.map(encode);
    const { segment, offset, former } = await this.#writer.write(encoded);
    if (offset === FILE_HEADER_BYTES) this.#firstSequence = frames[0]!.sequence;
    this.#recent.commit(this.#committed());
    if (former !== undefined) this.#state.ends.set(former, segment);
    this.#applyAll(frames, encoded, segment, offset);
    this.#recent.noted(this.#state.noted);
    if (isBeginning) await this.#recent.ensure(this.#committed());
    if (dead.length > 0) this.#remove(dead);
    return first;
  }

  #committed(): Omit<CommittedMark, "isExact"> {
    const { segment, size, frameCount } = this.#writer.end ?? { segment: 0, size: 0, frameCount: 0 };
    return { segment, size, frameCount, firstSequence: this.#firstSequence, nextSequence: this.#nextSequence };
  }

  #numbered({ kind, description, payloads, bytes }: Unnumbered): Written {
    return { kind, sequence: this.#nextSequence++, description, payloads, bytes };
  }

  /** Rejects at once what comes right after writes that failed twice, but for what is smaller than what had no room. */
  #assertRested(records: readonly StoredRecord[]): void {
    const failures = this.#failures;
    if (failures === undefined || failures.count < 2 || estimateBytes(records) < failures.bytes) return;
    if (this.#settings.clock.monotonicMs() - failures.atMs < RETRY_MS) throw failures.error;
  }

  /** Where there is none for the records, segments that count no more are removed first. */
  async #makeRoom(records: readonly StoredRecord[]): Promise<void> {
    if (!records.some(isBoundedRecord)) return;
    try {
      await this.#reserve.ensure();
      this.#assertRoom(records);
    } catch (error) {
      if (!(await this.#removeDead())) throw error;
      await this.#reserve.ensure({ isAfterRemoval: true });
      this.#assertRoom(records);
    }
  }

  /** A checkpoint alone, then the files. False where nothing went. */
  async #removeDead(): Promise<boolean> {
    if (this.#state.deadSegments(this.#writer.segment).length > 0) await this.#append([]);
    if (this.#removingCount === 0) return false;
    await this.#removing;
    return true;
  }

  #hasRoom(records: readonly StoredRecord[]): boolean {
    const { bytesMax } = this.#settings;
    return bytesMax === undefined || this.bytes + estimateBytes(records) <= bytesMax;
  }

  #assertRoom(records: readonly StoredRecord[]): void {
    if (this.#hasRoom(records)) return;
    const { bytesMax, folder } = this.#settings;
    throw new NoRoomError(
      `${folder} holds ${this.bytes} bytes of at most ${bytesMax} (max_size); it has room again when destinations take their data`,
    );
  }

  /** Before the records of its group: it says what was, and must not undo what they change. The first of a segment says which others there are. */
  #checkpoint(dead: readonly number[], isFirst: boolean): Unnumbered[] {
    if (dead.length === 0 && !isFirst) return [];
    const removal = this.#state.describeRemoval(dead, this.#files, this.#settings.clock.nowMs());
    const holds = this.#state.describeHeld(dead, this.#files.sizes);
    return [{ kind: "checkpoint", description: isFirst ? { ...removal, holds } : removal, payloads: [] }];
  }

  /** While it reads, nothing changes: one append runs at a time, and only appends change the state. */
  async #moves(): Promise<Unnumbered[]> {
    const active = this.#writer.segment;
    if (active === 0) return [];
    const loads = [...this.#files.sizes]
      .filter(([segment]) => segment !== active)
      .map(([segment, size]) => ({ segment, size, liveBytes: this.#state.liveBytes(segment) }));
    const chosen = segmentToCompact(loads, this.#segmentBytes);
    if (chosen !== undefined) {
      try {
        return await Promise.all(this.#state.movable(chosen, MOVED_BYTES_MAX).map((one) => this.#move(one)));
      } catch (error) {
        this.#settings.logger.warn(`${segmentName(chosen)} could not be compacted: ${messageOf(error)}`);
      }
    }
    this.#tidySegment = active;
    return [];
  }

  async #move({ description, places, itemCounts }: Movable): Promise<Unnumbered> {
    const payloads: EncodedPayload[] = [];
    for (const [index, place] of places.entries()) {
      payloads.push(this.#cache.get(cacheKey(place)) ?? (await this.#readPayload(place, itemCounts[index]!)));
    }
    const sizes = places.map(({ size, checksum }) => [size, checksum] as const);
    return { kind: "moved", description: { ...description, payloads: sizes } satisfies MovedDescription, payloads };
  }

  #describe(record: StoredRecord): Unnumbered {
    if (record.kind === "completion") {
      const noted = this.#recent.describedNote(record) ?? { description: describeCompletion(record) };
      return { kind: "completion", ...noted, payloads: [] };
    }
    return { kind: "admission", ...describeAdmission(record, this.#settings.headerNames) };
  }

  /** As a replay would. */
  #applyAll(frames: readonly Written[], encoded: readonly EncodedFrame[], segment: number, offset: number): void {
    let at = offset;
    for (let index = 0; index < encoded.length; index += 1) {
      const { size, payloadOffset } = encoded[index]!;
      this.#apply(frames[index]!, segment, at + payloadOffset);
      at += size;
    }
  }

  #apply({ kind, sequence, description, payloads }: Written, segment: number, payloadOffset: number): void {
    this.#state.countRecord(sequence, segment);
    if (kind === "completion") {
      this.#releaseAll((description as CompletionDescription).done);
      this.#state.applyCompletion(description as CompletionDescription, segment);
    } else if (kind === "checkpoint") {
      this.#state.applyCheckpoint(description as CheckpointDescription, segment);
    } else if (kind === "moved") {
      const moved = description as MovedDescription;
      this.#releaseAll(moved.entries.map(([index]) => [moved.of, index] as const));
      this.#state.applyMoved(moved, segment, payloadOffset);
    } else {
      const admission = description as AdmissionDescription;
      if (admission.evicted !== undefined) this.#releaseAll(admission.evicted);
      this.#state.applyAdmission(sequence, admission, segment, payloadOffset);
      this.#keep(admission, payloads, { segment, offset: payloadOffset });
    }
  }

  #keep(
    { entries }: AdmissionDescription,
    payloads: readonly EncodedPayload[],
    { segment, offset }: Pick<PayloadPlace, "segment" | "offset">,
  ): void {
    let at = offset;
    for (let index = 0; index < payloads.length; index += 1) {
      const payload = payloads[index]!;
      let users = 0;
      for (const entry of entries) if (entry[3] === index) users += 1;
      this.#cache.add(cacheKey({ segment, offset: at }), payload, users);
      at += payload.size;
    }
  }

  #releaseAll(refs: CompletionDescription["done"]): void {
    for (const ref of refs) {
      const found = this.#state.place(toRef(ref));
      if (found !== undefined) this.#cache.release(cacheKey(found.place));
    }
  }

  async #readPayload(place: PayloadPlace, itemCount: number): Promise<EncodedPayload> {
    const bytes = await this.#readBytes(place);
    if (bytes.length === place.size && checksumOf([bytes]) === place.checksum) {
      return { slices: [bytes], size: bytes.length, itemCount };
    }
    throw new Error(`${segmentName(place.segment)} is damaged at byte ${place.offset}: ${itemCount} items are lost`);
  }

  /** What does not come from the disk now may come later; a process that has no file left to open gets one again. */
  async #readBytes(place: PayloadPlace): Promise<Buffer> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#files.read(place);
      } catch (error) {
        if (this.#isClosed || (attempt >= READ_ATTEMPTS_MAX && !SHORTAGES.has(codeOf(error)))) throw error;
        await sleep(this.#settings.clock, READ_RETRY_MS * 2 ** (Math.min(attempt, READ_ATTEMPTS_MAX) - 1));
      }
    }
  }

  #remove(segments: readonly number[]): void {
    const dead = segments.filter((segment) => segment !== NO_FILE);
    this.#removingCount += 1;
    this.#removing = this.#removing
      .then(() => this.#files.remove(dead))
      .finally(() => {
        this.#removingCount -= 1;
      });
  }
}

type Unnumbered = Omit<Written, "sequence">;

function encode({ kind, sequence, description, payloads, bytes }: Written): EncodedFrame {
  return encodeFrame(kind, sequence, bytes ?? Buffer.from(JSON.stringify(description)), payloads);
}

/** Of the process or the system, and passing. */
const SHORTAGES: ReadonlySet<unknown> = new Set(["EMFILE", "ENFILE", "ENOMEM", "EAGAIN"]);
