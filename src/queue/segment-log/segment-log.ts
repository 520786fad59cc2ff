import type { Clock } from "../../core/clock.ts";
import type { Logger } from "../../core/logger.ts";
import type { EncodedPayload } from "../../wire/otlp/types.ts";
import type { EntryRef, QueueStorage, ReplayVisitor, StoredRecord } from "../storage.ts";
import { DamageReport } from "./damage.ts";
import type { Disk, DiskFile } from "./disk.ts";
import { checksumOf, encodeFileHeader, encodeFrameHead, FILE_HEADER_BYTES, type FrameKind } from "./format.ts";
import { LogState, type PayloadPlace } from "./log-state.ts";
import { PayloadCache } from "./payload-cache.ts";
import {
  type AdmissionDescription,
  type CheckpointDescription,
  type CompletionDescription,
  describeAdmission,
  describeCompletion,
} from "./record-codec.ts";
import { readSegment, type ReadFrame } from "./segment-reader.ts";

export interface SegmentLogSettings {
  /** Exists, and belongs to this gateway alone. */
  readonly folder: string;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Of the sender's headers only these are written. Default: none. */
  readonly headerNames?: readonly string[];
  /** A new file is begun beyond this. Default 32 MiB: space returns in steps of it. */
  readonly segmentBytes?: number;
  /** All segments together; a group beyond it is refused. Default: the disk's own end. */
  readonly bytesMax?: number;
  /** Payloads kept in memory beside the disk. Default 32 MiB. */
  readonly cacheBytesMax?: number;
}

const MIB = 1024 * 1024;

/** A crash within this time delivers again what was just delivered; a longer one saves little. */
const COMPLETION_DELAY_MS = 100;

interface Active {
  readonly number: number;
  readonly file: DiskFile;
  /** Where the next frame goes; everything before it is synced. */
  size: number;
}

interface Written {
  readonly kind: FrameKind;
  readonly sequence: number;
  readonly description: object;
  readonly payloads: readonly EncodedPayload[];
  /** In the file. */
  payloadOffset: number;
}

/**
 * The queue's storage as a log of segments; format.ts has the layout, README.md the reasons.
 *
 * Writing: a group of records is one writev() and one fdatasync(), and counts only after both. If either fails the
 * segment is closed and never written or synced again (a second fdatasync may report success for pages that are gone),
 * its file is cut back to what was synced, and the next group begins a new one.
 * Removing: a segment in which nothing is live goes after a checkpoint has carried on what in it still counts.
 */
export class SegmentLog implements QueueStorage {
  readonly isDurable = true;
  readonly completionDelayMs = COMPLETION_DELAY_MS;
  readonly #settings: SegmentLogSettings;
  readonly #state = new LogState();
  readonly #cache: PayloadCache;
  /** Bytes of each segment's file, the active one's as synced. */
  readonly #sizes = new Map<number, number>();
  readonly #readers = new Map<number, Promise<DiskFile>>();
  #active: Active | undefined;
  #lastSegment = 0;
  #nextSequence = 1;
  /** A failed group may still be on the disk: the next group says that it does not count. */
  #mustCheckpoint = false;

  constructor(settings: SegmentLogSettings) {
    this.#settings = settings;
    this.#cache = new PayloadCache(settings.cacheBytesMax ?? 32 * MIB);
  }

  async replay(visitor: ReplayVisitor): Promise<void> {
    const segments = await this.#readAll();
    const checkpoints = segments.flatMap(({ frames }) => frames.filter(({ header }) => header.kind === "checkpoint"));
    const newest = checkpoints.toSorted((a, b) => b.header.sequence - a.header.sequence)[0];
    const removed = new Set(checkpoints.flatMap((frame) => (frame.description as CheckpointDescription).removed));
    const failed = newest === undefined ? [] : (newest.description as CheckpointDescription).failed;
    const isFailed = (sequence: number): boolean => failed.some(([from, to]) => sequence >= from && sequence <= to);
    const live = segments.filter(({ number }) => !removed.has(number));
    const frames = live.flatMap(({ number, frames: own }) => own.map((frame) => ({ number, frame })));
    for (const { number } of live) this.#state.addSegment(number);
    for (const { number, frame } of frames.toSorted((a, b) => a.frame.header.sequence - b.frame.header.sequence)) {
      const { sequence } = frame.header;
      this.#nextSequence = Math.max(this.#nextSequence, sequence + 1);
      if (!isFailed(sequence)) this.#apply(frame, number, frame === newest);
    }
    for (const [, to] of failed) this.#nextSequence = Math.max(this.#nextSequence, to + 1);
    // A crash came between the checkpoint and this.
    for (const { number } of segments) if (removed.has(number)) await this.#unlink(number);
    this.#state.tell(visitor, this.#settings.clock.nowMs());
  }

  async append(records: readonly StoredRecord[]): Promise<number> {
    const dead = this.#state.deadSegments(this.#active?.number ?? 0);
    const first = this.#nextSequence;
    const frames = this.#frame(records, dead);
    // Used up even where the write fails: a number never names two records.
    this.#nextSequence += frames.length;
    await this.#write(frames);
    this.#mustCheckpoint = false;
    for (const frame of frames) this.#applyWritten(frame);
    if (dead.length > 0) await this.#removeSegments(dead);
    return first;
  }

  read(ref: EntryRef): EncodedPayload | Promise<EncodedPayload> {
    const found = this.#state.place(ref);
    if (found === undefined) return Promise.reject(new Error(`entry ${ref.sequence}.${ref.index} is not in the log`));
    const cached = this.#cache.get(cacheKey(found.place));
    return cached ?? this.#readPayload(found.place, found.itemCount);
  }

  async close(): Promise<void> {
    const active = this.#active;
    this.#active = undefined;
    await active?.file.close();
    for (const reader of this.#readers.values()) await (await reader).close();
    this.#readers.clear();
  }

  /** Bytes of all segments. */
  get bytes(): number {
    let bytes = 0;
    for (const size of this.#sizes.values()) bytes += size;
    return bytes;
  }

  async #readAll(): Promise<{ readonly number: number; readonly frames: readonly ReadFrame[] }[]> {
    const { disk, folder, logger } = this.#settings;
    const report = new DamageReport({ disk, folder, logger });
    const numbers = (await disk.list(folder)).flatMap((name) => segmentNumber(name) ?? []).toSorted((a, b) => a - b);
    const segments = [];
    for (const number of numbers) {
      this.#lastSegment = number;
      const file = await disk.openForReading(folder, segmentName(number));
      try {
        const { verdict, frames, damaged } = await readSegment(file);
        if (verdict === "newer" || verdict === "foreign") throw unreadable(folder, number, verdict);
        this.#sizes.set(number, await file.size());
        await report.add({ number, name: segmentName(number), file, frames, damaged });
        segments.push({ number, frames });
      } finally {
        await file.close();
      }
    }
    report.finish();
    return segments;
  }

  #apply({ header, description, payloadOffset, damagedPayloads }: ReadFrame, segment: number, isNewest: boolean): void {
    if (header.kind === "completion") return this.#state.applyCompletion(description as CompletionDescription, segment);
    if (header.kind === "checkpoint") {
      return this.#state.applyCheckpoint(description as CheckpointDescription, segment, isNewest);
    }
    const admission = description as AdmissionDescription;
    this.#state.applyAdmission(header.sequence, admission, segment, payloadOffset);
    for (const [index, [, , , payloadIndex]] of admission.entries.entries()) {
      if (damagedPayloads.includes(payloadIndex)) this.#state.lose({ sequence: header.sequence, index });
    }
  }

  /** The records as frames, a checkpoint behind them where segments are to go. */
  #frame(records: readonly StoredRecord[], dead: readonly number[]): Written[] {
    const { headerNames = [], clock } = this.#settings;
    const frames = records.map((record, index): Written => {
      const sequence = this.#nextSequence + index;
      if (record.kind === "completion") {
        return {
          kind: "completion",
          sequence,
          description: describeCompletion(record),
          payloads: [],
          payloadOffset: 0,
        };
      }
      return { kind: "admission", sequence, ...describeAdmission(record, headerNames), payloadOffset: 0 };
    });
    if (dead.length > 0 || this.#mustCheckpoint) {
      const sequence = this.#nextSequence + records.length;
      const description = this.#state.describeRemoval(dead, clock.nowMs());
      frames.push({ kind: "checkpoint", sequence, description, payloads: [], payloadOffset: 0 });
    }
    return frames;
  }

  async #write(frames: Written[]): Promise<void> {
    const active = await this.#activeSegment();
    const slices: Uint8Array[] = [];
    let offset = active.size;
    for (const frame of frames) {
      const payloadSize = frame.payloads.reduce((sum, { size }) => sum + size, 0);
      const { head, padding } = encodeFrameHead(
        frame.kind,
        frame.sequence,
        Buffer.from(JSON.stringify(frame.description)),
        payloadSize,
      );
      slices.push(head, ...frame.payloads.flatMap((payload) => payload.slices));
      if (padding > 0) slices.push(ZEROS.subarray(0, padding));
      frame.payloadOffset = offset + head.length;
      offset += head.length + payloadSize + padding;
    }
    this.#assertRoom(offset - active.size);
    try {
      await active.file.write(slices, active.size);
      await active.file.sync();
    } catch (error) {
      await this.#abandon(active, frames);
      throw error;
    }
    active.size = offset;
    this.#sizes.set(active.number, offset);
  }

  #assertRoom(bytes: number): void {
    const { bytesMax, folder } = this.#settings;
    if (bytesMax === undefined || this.bytes + bytes <= bytesMax) return;
    throw new Error(
      `${folder} holds ${this.bytes} bytes of at most ${bytesMax} (max_size); it has room again when destinations take their data`,
    );
  }

  async #activeSegment(): Promise<Active> {
    const { disk, folder, segmentBytes = 32 * MIB } = this.#settings;
    const former = this.#active;
    if (former !== undefined && former.size < segmentBytes) return former;
    // Forgotten first: should anything here fail, the next group tries with another new file.
    this.#active = undefined;
    await former?.file.close();
    const number = ++this.#lastSegment;
    const file = await disk.create(folder, segmentName(number));
    await file.write([encodeFileHeader(number)], 0);
    await file.sync();
    await disk.syncFolder(folder);
    this.#state.addSegment(number);
    this.#sizes.set(number, FILE_HEADER_BYTES);
    this.#active = { number, file, size: FILE_HEADER_BYTES };
    return this.#active;
  }

  /** What is on the disk behind `active.size` is unknown now. It is cut off or, where that fails too, noted as not counting. */
  async #abandon(active: Active, frames: readonly Written[]): Promise<void> {
    this.#active = undefined;
    const cut = async (): Promise<void> => {
      await active.file.truncate(active.size);
      await active.file.close();
    };
    await cut().catch((error: unknown) => {
      this.#state.noteFailed(frames[0]!.sequence, frames.at(-1)!.sequence);
      this.#mustCheckpoint = true;
      const reason = error instanceof Error ? error.message : String(error);
      this.#settings.logger.warn(
        `${segmentName(active.number)} could not be cut back: ${reason}; the next one says what in it does not count`,
      );
    });
  }

  #applyWritten(frame: Written): void {
    const segment = this.#active!.number;
    if (frame.kind === "completion") {
      this.#releaseAll(frame.description as CompletionDescription);
      this.#state.applyCompletion(frame.description as CompletionDescription, segment);
    } else if (frame.kind === "checkpoint") {
      this.#state.applyCheckpoint(frame.description as CheckpointDescription, segment, false);
    } else {
      const description = frame.description as AdmissionDescription;
      this.#releaseAll({ done: description.evicted ?? [] });
      this.#state.applyAdmission(frame.sequence, description, segment, frame.payloadOffset);
      this.#keep(frame, segment);
    }
  }

  #keep({ description, payloads, payloadOffset }: Written, segment: number): void {
    const { entries } = description as AdmissionDescription;
    let offset = payloadOffset;
    for (const [index, payload] of payloads.entries()) {
      const users = entries.filter(([, , , payloadIndex]) => payloadIndex === index).length;
      this.#cache.add(cacheKey({ segment, offset }), payload, users);
      offset += payload.size;
    }
  }

  #releaseAll({ done }: Pick<CompletionDescription, "done">): void {
    for (const [sequence, index] of done) {
      const found = this.#state.place({ sequence, index });
      if (found !== undefined) this.#cache.release(cacheKey(found.place));
    }
  }

  async #readPayload(place: PayloadPlace, itemCount: number): Promise<EncodedPayload> {
    const file = await this.#reader(place.segment);
    const bytes = await file.read(place.offset, place.size);
    if (bytes.length === place.size && checksumOf([bytes]) === place.checksum) {
      return { slices: [bytes], size: bytes.length, itemCount };
    }
    throw new Error(`${segmentName(place.segment)} is damaged at byte ${place.offset}: ${itemCount} items are lost`);
  }

  #reader(segment: number): Promise<DiskFile> {
    let reader = this.#readers.get(segment);
    if (reader === undefined) {
      reader = this.#settings.disk.openForReading(this.#settings.folder, segmentName(segment));
      this.#readers.set(segment, reader);
      // One that could not be opened is tried again by the next read.
      reader.catch(() => this.#readers.delete(segment));
    }
    return reader;
  }

  async #removeSegments(dead: readonly number[]): Promise<void> {
    this.#state.remove(dead);
    for (const number of dead) await this.#unlink(number);
  }

  /** A file that cannot be removed stays, is counted, and is tried again at the next start: the checkpoint says that it counts no more. */
  async #unlink(number: number): Promise<void> {
    const { disk, folder, logger } = this.#settings;
    const reader = this.#readers.get(number);
    this.#readers.delete(number);
    try {
      await (await reader)?.close();
      await disk.remove(folder, segmentName(number));
      this.#sizes.delete(number);
    } catch (error) {
      logger.warn(
        `${segmentName(number)} could not be removed: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }
}

const ZEROS = Buffer.alloc(8);

const SEGMENT_NAME = /^segment-(\d{8,})\.log$/;

function segmentName(number: number): string {
  return `segment-${String(number).padStart(8, "0")}.log`;
}

function segmentNumber(name: string): number | undefined {
  const digits = SEGMENT_NAME.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** A segment has fewer than 2^32 bytes, and their numbers stay far below 2^20. */
function cacheKey({ segment, offset }: Pick<PayloadPlace, "segment" | "offset">): number {
  return segment * 2 ** 32 + offset;
}

function unreadable(folder: string, number: number, verdict: "newer" | "foreign"): Error {
  const what = verdict === "newer" ? "was written by a newer version" : "is not a queue segment";
  const fix = verdict === "newer" ? "run that version, or give this one an empty folder" : "move the file away";
  return new Error(`${folder}/${segmentName(number)} ${what}\n  ${fix}`);
}
