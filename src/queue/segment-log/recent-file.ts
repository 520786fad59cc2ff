import { crc32 } from "node:zlib";
import type { Logger } from "../../core/logger.ts";
import type { CompletionRecord } from "../storage.ts";
import type { Disk, WrittenFile } from "./disk.ts";
import { alignUp, type SegmentEnd } from "./format.ts";
import { type CompletionDescription, describeCompletion, parseDescription } from "./record-codec.ts";
import { messageOf } from "./segment-files.ts";

/**
 * What happened last, in a file beside the segments that is written without a sync: a process that is killed leaves it to
 * the operating system whole; a power cut may take any of it. It costs some microseconds where a sync costs a millisecond.
 *
 *   0    64  the mark: how far the log was committed
 *              0   8  "SIGBOXR1"
 *              8  16  the boot of the system in which it was written (zeros: not known)
 *             24   8  the next record's sequence number
 *             32   8  sequence number of the segment's first record
 *             40   4  segment    44  4  bytes of it that count    48  4  frames in these bytes
 *             52   8  zero
 *             60   4  CRC32 of bytes 0 to 59
 *   64       two halves of notes, each one after another from the half's beginning:
 *              0   4  length of the description    4  4  its CRC32    8  the description, JSON: a completion with its
 *              number (`note`); zeros up to the next multiple of 8
 *
 * The mark is written when a group is synced, before its senders are answered; a note when a backend has answered, until
 * its record stands in the log, at most some hundred ms later. A half is begun anew once all its notes stand there.
 * Numbers are little-endian.
 */
export const RECENT_NAME = "recent";

const MAGIC = Buffer.from("SIGBOXR1");
const MARK_BYTES = 64;
const NOTE_HEAD_BYTES = 8;
const BOOT_BYTES = 16;
/** No version makes a larger one: what stands behind is not ours. */
const FILE_BYTES_MAX = 1024 * 1024;

/** How far the log was committed; a group behind it was answered to nobody as long as `isExact`. */
export interface CommittedMark extends SegmentEnd {
  /** Of the segment; 0 where it has none. */
  readonly firstSequence: number;
  readonly nextSequence: number;
  /** Written in this boot of the system: nothing of it can be lost. Otherwise later groups may have been committed too. */
  readonly isExact: boolean;
}

export type NotedCompletion = CompletionDescription & { readonly note: number };

interface DescribedNote {
  readonly description: NotedCompletion;
  /** The same as JSON. */
  readonly bytes: Buffer;
}

export interface RecentState {
  readonly mark: CommittedMark | undefined;
  /** In their order. Those that stand in the log too are among them. */
  readonly notes: readonly NotedCompletion[];
}

interface Half {
  readonly from: number;
  /** Where the next note goes. */
  at: number;
  lastNote: number;
}

interface RecentFileSettings {
  readonly disk: Disk;
  readonly folder: string;
  readonly logger: Logger;
  /** Of the whole file. Notes that find no room are not kept: after a kill their requests are sent again. */
  readonly bytes: number;
}

/** Opened once by the process that has the folder; everything else is done at once, in the turn that asks for it. */
export class RecentFile {
  readonly #settings: RecentFileSettings;
  #halves: readonly [Half, Half];
  #halfBytes: number;
  readonly #mark = Buffer.alloc(MARK_BYTES);
  #active = 0;
  #file: WrittenFile | undefined;
  #lastNote = 0;
  #durableNote = 0;
  readonly #described = new WeakMap<CompletionRecord, DescribedNote>();
  #isFailureSaid = false;

  constructor(settings: RecentFileSettings) {
    this.#settings = settings;
    this.#halfBytes = halfBytesOf(settings.bytes);
    this.#halves = halvesOf(this.#halfBytes);
  }

  get bytes(): number {
    return this.#file === undefined ? 0 : MARK_BYTES + 2 * this.#halfBytes;
  }

  /** What a former process left. Never rejects: a file that is not there or not whole says nothing. */
  async open(): Promise<RecentState> {
    const { disk, folder } = this.#settings;
    try {
      this.#file = await disk.openForWriting(folder, RECENT_NAME);
    } catch {
      return { mark: undefined, notes: [] };
    }
    let state: RecentState = { mark: undefined, notes: [] };
    try {
      const boot = await bootOf(disk);
      // It stays as large as it was made: commands that open the log know of no other size.
      const bytes = await this.#file.read(0, Math.min(await this.#file.size(), FILE_BYTES_MAX));
      this.#halfBytes = halfBytesOf(bytes.length);
      this.#halves = halvesOf(this.#halfBytes);
      boot.copy(this.#mark, 8);
      state = { mark: decodeMark(bytes, boot), notes: this.#readNotes(bytes) };
      // Damaged: made anew, once what it says is in the log.
      if (state.mark === undefined) await this.#leave();
      // The first group, which brings the notes into the log, may be long in coming.
      else if (state.notes.length > 0) await this.#file.sync();
    } catch {
      // It cannot be read or synced, so it is of no use from here on: as if it were not there, and made anew.
      await this.#leave();
    }
    return state;
  }

  /**
   * Makes the file where there is none that can go on, with a mark of what was read. Full disks and bounds on files do
   * not keep a gateway from starting: it goes on without, and says what that costs.
   */
  async ensure(committed: Omit<CommittedMark, "isExact">): Promise<void> {
    if (this.#file !== undefined) return;
    const { disk, folder, logger } = this.#settings;
    try {
      (await bootOf(disk)).copy(this.#mark, 8);
      await disk.remove(folder, RECENT_NAME).catch(() => undefined);
      const file = await disk.create(folder, RECENT_NAME);
      this.#halfBytes = halfBytesOf(this.#settings.bytes);
      this.#halves = halvesOf(this.#halfBytes);
      this.#file = file;
      await file.write([this.#encodeMark(committed), Buffer.alloc(2 * this.#halfBytes)], 0);
      await file.sync();
      await disk.syncFolder(folder);
    } catch (error) {
      await this.#leave();
      await disk.remove(folder, RECENT_NAME).catch(() => undefined);
      if (!this.#isFailureSaid)
        logger.warn(`the queue's storage could not make ${folder}/${RECENT_NAME}: ${messageOf(error)}; ${WITHOUT}`);
      this.#isFailureSaid = true;
    }
  }

  /** A group is committed: to be called before anybody hears of it. */
  commit(committed: Omit<CommittedMark, "isExact">): void {
    if (this.#file === undefined) return;
    try {
      this.#file.writeNow(this.#encodeMark(committed), 0);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** A completion that is not in the log yet: kept over a kill from here on, before the destination is sent anything else. */
  note(record: CompletionRecord): void {
    if (this.#file === undefined) return;
    this.#lastNote += 1;
    const description = { ...describeCompletion(record), note: this.#lastNote };
    const bytes = Buffer.from(JSON.stringify(description));
    this.#described.set(record, { description, bytes });
    const frame = Buffer.alloc(alignUp(NOTE_HEAD_BYTES + bytes.length));
    frame.writeUInt32LE(bytes.length, 0);
    frame.writeUInt32LE(crc32(bytes), 4);
    frame.set(bytes, NOTE_HEAD_BYTES);
    const half = this.#halfWithRoom(frame.length);
    if (half === undefined) return;
    try {
      this.#file.writeNow(frame, half.at);
      half.at += frame.length;
      half.lastNote = this.#lastNote;
    } catch (error) {
      this.#fail(error);
    }
  }

  /** What the log is to have of a completion that was noted. */
  describedNote(record: CompletionRecord): DescribedNote | undefined {
    return this.#described.get(record);
  }

  /** All notes up to this one stand in the log, synced. */
  noted(note: number): void {
    this.#durableNote = Math.max(this.#durableNote, note);
    this.#lastNote = Math.max(this.#lastNote, note);
  }

  close(): Promise<void> {
    return this.#leave();
  }

  /** One whose notes all stand in the log begins anew. What stands behind its new end is older than what the log says. */
  #halfWithRoom(size: number): Half | undefined {
    for (const index of [this.#active, 1 - this.#active]) {
      const half = this.#halves[index]!;
      if (half.lastNote <= this.#durableNote) half.at = half.from;
      if (half.at + size > half.from + this.#halfBytes) continue;
      this.#active = index;
      return half;
    }
    return undefined;
  }

  #encodeMark({ segment, size, frameCount, firstSequence, nextSequence }: Omit<CommittedMark, "isExact">): Buffer {
    const mark = this.#mark;
    MAGIC.copy(mark);
    mark.writeBigUInt64LE(BigInt(nextSequence), 24);
    mark.writeBigUInt64LE(BigInt(firstSequence), 32);
    mark.writeUInt32LE(segment, 40);
    mark.writeUInt32LE(size, 44);
    mark.writeUInt32LE(frameCount, 48);
    mark.writeUInt32LE(crc32(mark.subarray(0, 60)), 60);
    return mark;
  }

  #readNotes(bytes: Buffer): NotedCompletion[] {
    const notes: NotedCompletion[] = [];
    for (const half of this.#halves) {
      const found = readHalf(bytes.subarray(half.from, half.from + this.#halfBytes));
      notes.push(...found.notes);
      half.at = half.from + found.size;
      half.lastNote = found.notes.reduce((last, { note }) => Math.max(last, note), 0);
    }
    this.#lastNote = Math.max(...this.#halves.map(({ lastNote }) => lastNote));
    return notes.toSorted((a, b) => a.note - b.note);
  }

  /** A mark that stays behind would say that what is committed from now on was not: the file goes. */
  #fail(error: unknown): void {
    const { folder, logger } = this.#settings;
    logger.warn(`the queue's storage could not write ${folder}/${RECENT_NAME}: ${messageOf(error)}; ${WITHOUT}`);
    void this.#leave();
    void this.#removeStale();
  }

  async #removeStale(): Promise<void> {
    const { disk, folder, logger } = this.#settings;
    try {
      await disk.remove(folder, RECENT_NAME);
    } catch (error) {
      logger.warn(`${folder}/${RECENT_NAME} could not be removed: ${messageOf(error)}`);
    }
  }

  async #leave(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close().catch(() => undefined);
  }
}

const WITHOUT =
  "a kill then repeats what was delivered in its last 100 ms, and a queue file that was cut off is not told from one that was being written";

function halfBytesOf(fileBytes: number): number {
  return Math.max(Math.floor((fileBytes - MARK_BYTES) / 16) * 8, 0);
}

function halvesOf(bytes: number): readonly [Half, Half] {
  const [first, second] = [MARK_BYTES, MARK_BYTES + bytes];
  return [
    { from: first, at: first, lastNote: 0 },
    { from: second, at: second, lastNote: 0 },
  ];
}

async function bootOf(disk: Disk): Promise<Buffer> {
  const boot = Buffer.alloc(BOOT_BYTES);
  boot.write((await disk.bootId()).replaceAll("-", ""), "hex");
  return boot;
}

function decodeMark(bytes: Buffer, boot: Buffer): CommittedMark | undefined {
  const isWhole = bytes.length >= MARK_BYTES && crc32(bytes.subarray(0, 60)) === bytes.readUInt32LE(60);
  if (!isWhole || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  const isKnownBoot = boot.some((byte) => byte !== 0);
  return {
    isExact: isKnownBoot && bytes.subarray(8, 8 + BOOT_BYTES).equals(boot),
    nextSequence: Number(bytes.readBigUInt64LE(24)),
    firstSequence: Number(bytes.readBigUInt64LE(32)),
    segment: bytes.readUInt32LE(40),
    size: bytes.readUInt32LE(44),
    frameCount: bytes.readUInt32LE(48),
  };
}

/** Up to the first place where no whole note stands. */
function readHalf(half: Buffer): { readonly notes: readonly NotedCompletion[]; readonly size: number } {
  const notes: NotedCompletion[] = [];
  let at = 0;
  while (at + NOTE_HEAD_BYTES < half.length) {
    const from = at + NOTE_HEAD_BYTES;
    const description = half.subarray(from, from + half.readUInt32LE(at));
    if (description.length === 0 || crc32(description) !== half.readUInt32LE(at + 4)) break;
    notes.push(parseDescription(description) as NotedCompletion);
    at = alignUp(from + description.length);
  }
  return { notes, size: at };
}
