import type { Logger } from "../../core/logger.ts";
import type { Disk, DiskFile } from "./disk.ts";
import type { PayloadPlace } from "./live-records.ts";

/** Of 1,024 that a process has by default. Old segments are read when a destination is back, a few at a time. */
const OPEN_FILES_MAX = 32;

const SEGMENT_NAME = /^segment-(\d{8,})\.log$/;

export function segmentName(number: number): string {
  return `segment-${String(number).padStart(8, "0")}.log`;
}

export function segmentNumber(name: string): number | undefined {
  const digits = SEGMENT_NAME.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

interface SegmentFilesSettings {
  readonly disk: Disk;
  readonly folder: string;
  readonly logger: Logger;
}

/** The files of a log: how large they are, reading from them, removing them. */
export class SegmentFiles {
  readonly #settings: SegmentFilesSettings;
  /** Bytes of each segment's file, the active one's as synced. */
  readonly #sizes = new Map<number, number>();
  /** In the order of their last use. */
  readonly #open = new Map<number, Promise<DiskFile>>();
  /** Count no more, and may be there again after a power cut: the folder was not synced since, or they could not be removed. */
  readonly #gone = new Set<number>();

  constructor(settings: SegmentFilesSettings) {
    this.#settings = settings;
  }

  get sizes(): ReadonlyMap<number, number> {
    return this.#sizes;
  }

  get bytes(): number {
    let bytes = 0;
    for (const size of this.#sizes.values()) bytes += size;
    return bytes;
  }

  /** Each checkpoint must name them until they are certainly gone. */
  get gone(): number[] {
    return [...this.#gone];
  }

  setSize(segment: number, size: number): void {
    this.#sizes.set(segment, size);
  }

  forget(segment: number): void {
    this.#sizes.delete(segment);
  }

  /** Rejects with what the file system says; fewer bytes than the place has where the file is shorter. */
  async read({ segment, offset, size }: PayloadPlace): Promise<Buffer> {
    const file = await this.#opened(segment);
    return file.read(offset, size);
  }

  /** A checkpoint says that these count no more. What cannot be removed is tried again with the next ones. */
  async remove(segments: readonly number[]): Promise<void> {
    const { disk, folder, logger } = this.#settings;
    for (const segment of segments) this.#gone.add(segment);
    const removed: number[] = [];
    for (const segment of this.#gone) {
      try {
        await this.#close(segment);
        await disk.remove(folder, segmentName(segment));
        removed.push(segment);
        this.#sizes.delete(segment);
      } catch (error) {
        if (codeOf(error) === "ENOENT") removed.push(segment);
        else logger.warn(`${segmentName(segment)} could not be removed: ${messageOf(error)}`);
      }
    }
    if (removed.length === 0) return;
    await disk.syncFolder(folder).then(
      () => removed.forEach((segment) => this.#gone.delete(segment)),
      (error: unknown) => logger.warn(`the folder ${folder} could not be synced: ${messageOf(error)}`),
    );
  }

  async close(): Promise<void> {
    for (const segment of this.#open.keys()) await this.#close(segment);
  }

  #opened(segment: number): Promise<DiskFile> {
    const file =
      this.#open.get(segment) ?? this.#settings.disk.openForReading(this.#settings.folder, segmentName(segment));
    this.#open.delete(segment);
    this.#open.set(segment, file);
    // One that could not be opened is tried again by the next read.
    file.catch(() => this.#open.delete(segment));
    const [oldest] = this.#open.keys();
    if (this.#open.size > OPEN_FILES_MAX && oldest !== undefined) void this.#close(oldest);
    return file;
  }

  /** Reads that are under way are finished first (Node's FileHandle waits for them). */
  async #close(segment: number): Promise<void> {
    const file = this.#open.get(segment);
    this.#open.delete(segment);
    await file?.then(
      (opened) => opened.close(),
      () => undefined,
    );
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** https://man7.org/linux/man-pages/man3/errno.3.html: the name of the system's error, where it is one. */
export function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
