import type { Logger } from "../../core/logger.ts";
import { ITEM_WORDS } from "../../core/signal.ts";
import type { Disk, DiskFile } from "./disk.ts";
import type { SegmentEnd } from "./format.ts";
import { type AdmissionDescription, knownSignal, type MovedDescription, parseDescription } from "./record-codec.ts";
import { messageOf } from "./segment-files.ts";
import type { DamagedRange, ReadFrame, ReadSegment } from "./segment-reader.ts";

interface DamageReportSettings {
  readonly disk: Disk;
  readonly folder: string;
  readonly logger: Logger;
}

interface CheckedSegment {
  readonly name: string;
  readonly file: DiskFile;
  readonly fileSize: number;
  readonly read: ReadSegment;
  /** How far it should count, where the segment behind it, closed.json or the mark says so. */
  readonly known: SegmentEnd | undefined;
  /** From here on no sender was answered, for certain; Infinity where that is not known. */
  readonly uncommittedFrom: number;
}

/** Set aside at most this much of one damaged range, and of all together: enough to look into, and no second queue. */
const ASIDE_BYTES_MAX = 16 * 1024 * 1024;
const ASIDE_BYTES_TOTAL_MAX = 64 * 1024 * 1024;

/** Says what damage cost: records, bytes, destinations; and keeps the damaged bytes in `damaged/`. Said once for each place. */
export class DamageReport {
  readonly #settings: DamageReportSettings;
  /** Items, by what they are and whose. */
  readonly #lost = new Map<string, number>();
  readonly #unfinished = new Map<string, number>();
  /** With damaged payloads that were not there at the last start. */
  readonly #newFrames = new Set<ReadFrame>();
  readonly #counted = new Set<ReadFrame>();
  #aside: Promise<readonly string[]> | undefined;
  #asideBytes = 0;
  #asideFailure: string | undefined;
  #tornCount = 0;
  #isTornUnanswered = true;
  #sparedCount = 0;
  #rangeCount = 0;
  #recordCount = 0;
  #bytes = 0;

  constructor(settings: DamageReportSettings) {
    this.#settings = settings;
  }

  async add(segment: CheckedSegment): Promise<void> {
    const { read } = segment;
    let isNew = false;
    for (const range of read.damaged) {
      if (await this.#setAside(segment, range.from, range.to)) isNew = this.#addRange(range, segment) || isNew;
    }
    for (const frame of read.frames) {
      const { payloadOffset: from, header, damagedPayloads } = frame;
      if (damagedPayloads.length === 0) continue;
      if (await this.#setAside(segment, from, from + header.payloadSize)) this.#newFrames.add(frame);
    }
    this.#addMissingEnd(segment, isNew);
  }

  /** An entry that still waited, whose payload is damaged. What was delivered before is no loss. */
  addLost(frame: ReadFrame, { destination, signal, itemCount }: LostEntry): void {
    if (!this.#newFrames.has(frame)) return;
    addItems(this.#lost, [[destination, signal, itemCount]]);
    if (this.#counted.has(frame)) return;
    this.#counted.add(frame);
    this.#count(1, frame.header.payloadSize);
  }

  /** One line for each destination that lost something, one for what cannot be told. */
  finish(): void {
    const { logger, folder } = this.#settings;
    for (const [what, items] of this.#lost) logger.error(`the queue's storage is damaged: ${items} ${what} are lost`);
    if (this.#tornCount > 0) logger.info(this.#describeTorn());
    if (this.#sparedCount > 0) {
      const spared = `the queue's storage is damaged in ${this.#sparedCount} places where everything stands twice`;
      logger.warn(`${spared}: nothing is lost; look after the disk`);
    }
    if (this.#asideFailure !== undefined) {
      logger.warn(`damaged bytes could not be set aside in ${folder}/damaged: ${this.#asideFailure}`);
    }
    if (this.#rangeCount === 0) return;
    const cost = `${this.#recordCount} records, ${this.#bytes} bytes`;
    logger.error(
      `the queue's storage is damaged in ${this.#rangeCount} places, ${cost}; what is left of them is kept in ${folder}/damaged, and everything else is delivered`,
    );
  }

  #describeTorn(): string {
    const what = [...this.#unfinished].map(([whose, items]) => `${items} ${whose}`);
    const known = what.length === 0 ? "" : ` (${what.join(", ")})`;
    const torn = `the queue's storage ends with ${this.#tornCount} unfinished records${known}`;
    const answered = this.#isTornUnanswered
      ? "a crash came while they were written, and their senders were not answered"
      : "a crash came while they were written, or the file was cut off: whether their senders were answered is not known";
    return `${torn}: ${answered}`;
  }

  /** True where it lost records. */
  #addRange(range: DamagedRange, { known, uncommittedFrom }: CheckedSegment): boolean {
    const { kind, from, to, records, frame } = range;
    if (kind === "spared") this.#sparedCount += 1;
    // Where it is known how far the segment counts, the end was written whole.
    else if ((kind === "torn" && known === undefined) || from >= uncommittedFrom) {
      this.#tornCount += 1;
      this.#isTornUnanswered &&= from >= uncommittedFrom;
      if (frame !== undefined) addItems(this.#unfinished, entriesOf(frame));
    } else {
      this.#count(known === undefined ? records : 0, to - from);
      if (frame !== undefined) addItems(this.#lost, entriesOf(frame));
      return true;
    }
    return false;
  }

  /** Where it is known how many records there should be, these are counted instead of what the damage looks like. */
  #addMissingEnd({ read, known, fileSize }: CheckedSegment, hasNewDamage: boolean): void {
    if (known === undefined) return;
    const missingBytes = Math.max(known.size - fileSize, 0);
    if (!hasNewDamage && missingBytes === 0) return;
    this.#recordCount += Math.max(known.frameCount - read.frames.length, 0);
    if (missingBytes === 0) return;
    this.#rangeCount += 1;
    this.#bytes += missingBytes;
  }

  #count(records: number, bytes: number): void {
    this.#rangeCount += 1;
    this.#recordCount += records;
    this.#bytes += bytes;
  }

  /** False where it was said before. A folder that cannot be written does not keep the gateway from starting. */
  async #setAside({ name, file }: CheckedSegment, from: number, to: number): Promise<boolean> {
    const { disk, folder } = this.#settings;
    const aside = `${name}.${from}-${to}`;
    this.#aside ??= disk.list(`${folder}/damaged`).catch(() => []);
    if ((await this.#aside).includes(aside)) return false;
    const size = Math.min(to - from, ASIDE_BYTES_MAX);
    this.#asideBytes += size;
    if (this.#asideBytes > ASIDE_BYTES_TOTAL_MAX) return true;
    try {
      await disk.writeFile(`${folder}/damaged`, aside, await file.read(from, size));
    } catch (error) {
      this.#asideFailure = messageOf(error);
    }
    return true;
  }
}

export interface LostEntry {
  readonly destination: string;
  readonly signal: string;
  readonly itemCount: number;
}

type EntryTuple = readonly [destination: string, signal: string, itemCount: number, ...rest: unknown[]];

function addItems(sums: Map<string, number>, entries: readonly EntryTuple[]): void {
  for (const [destination, signal, itemCount] of entries) {
    const known = knownSignal(signal);
    const what = `${known === undefined ? signal : ITEM_WORDS[known]} for ${destination}`;
    sums.set(what, (sums.get(what) ?? 0) + itemCount);
  }
}

function entriesOf({ header, description }: ReadFrame): readonly EntryTuple[] {
  if (header.kind === "admission") return (parseDescription(description) as AdmissionDescription).entries;
  if (header.kind !== "moved") return [];
  const { entries } = parseDescription(description) as MovedDescription;
  return entries.map(([, ...entry]) => entry);
}
