import type { Logger } from "../../core/logger.ts";
import { ITEM_WORDS } from "../../core/signal.ts";
import type { Disk, DiskFile } from "./disk.ts";
import { type AdmissionDescription, knownSignal } from "./record-codec.ts";
import type { DamagedRange, ReadFrame } from "./segment-reader.ts";

interface DamageReportSettings {
  readonly disk: Disk;
  readonly folder: string;
  readonly logger: Logger;
}

interface CheckedSegment {
  readonly number: number;
  readonly name: string;
  readonly file: DiskFile;
  readonly frames: readonly ReadFrame[];
  readonly damaged: readonly DamagedRange[];
}

/** Set aside at most this much of one damaged range: enough to look into, and no second queue. */
const ASIDE_BYTES_MAX = 16 * 1024 * 1024;

/** Says what damage cost: records, bytes, destinations; and keeps the damaged bytes in `damaged/`. Said once for each place. */
export class DamageReport {
  readonly #settings: DamageReportSettings;
  readonly #lost = new Map<string, number>();
  #known: Promise<readonly string[]> | undefined;
  #rangeCount = 0;
  #tornCount = 0;
  #bytes = 0;

  constructor(settings: DamageReportSettings) {
    this.#settings = settings;
  }

  async add(segment: CheckedSegment): Promise<void> {
    for (const { from, to, isTornTail } of segment.damaged) {
      if (!(await this.#setAside(segment, from, to))) continue;
      if (isTornTail) this.#tornCount += 1;
      else this.#count(to - from);
    }
    for (const frame of segment.frames) {
      const { payloadOffset: from, header } = frame;
      if (frame.damagedPayloads.length === 0) continue;
      if (!(await this.#setAside(segment, from, from + header.payloadSize))) continue;
      this.#count(header.payloadSize);
      this.#countLost(frame);
    }
  }

  /** One line for each destination that lost something, one for what cannot be told. */
  finish(): void {
    const { logger, folder } = this.#settings;
    for (const [what, items] of this.#lost) logger.error(`the queue's storage is damaged: ${items} ${what} are lost`);
    if (this.#tornCount > 0) {
      logger.info(
        `the queue's storage ends with ${this.#tornCount} unfinished records: a crash came while they were written, and their senders were not answered`,
      );
    }
    if (this.#rangeCount === 0) return;
    logger.error(
      `the queue's storage is damaged in ${this.#rangeCount} places, ${this.#bytes} bytes; they are kept in ${folder}/damaged, and everything else is delivered`,
    );
  }

  #count(bytes: number): void {
    this.#rangeCount += 1;
    this.#bytes += bytes;
  }

  #countLost({ description, damagedPayloads }: ReadFrame): void {
    for (const [destination, signal, itemCount, payloadIndex] of (description as AdmissionDescription).entries) {
      if (!damagedPayloads.includes(payloadIndex)) continue;
      const known = knownSignal(signal);
      const what = `${known === undefined ? signal : ITEM_WORDS[known]} for ${destination}`;
      this.#lost.set(what, (this.#lost.get(what) ?? 0) + itemCount);
    }
  }

  /** False where it was said before. */
  async #setAside({ name, file }: CheckedSegment, from: number, to: number): Promise<boolean> {
    const { disk, folder } = this.#settings;
    const aside = `${name}.${from}-${to}`;
    this.#known ??= disk.list(`${folder}/damaged`).catch(() => []);
    if ((await this.#known).includes(aside)) return false;
    await disk.writeFile(`${folder}/damaged`, aside, await file.read(from, Math.min(to - from, ASIDE_BYTES_MAX)));
    return true;
  }
}
