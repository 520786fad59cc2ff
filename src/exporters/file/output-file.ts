import { constants, type Stats } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { dirname } from "node:path";
import type { Clock } from "../../core/clock.ts";
import { createFolder } from "../../core/create-folder.ts";
import type { Logger } from "../../core/logger.ts";
import type { Framing } from "./record-format.ts";
import { pruneBackups, putAside, type Rotation, sizeMaxOf } from "./rotation.ts";
import { findTail } from "./torn-tail.ts";

export type OpenFile = (path: string, flags: number, mode: number) => Promise<FileHandle>;

export interface OutputFileSettings {
  readonly framing: Framing;
  readonly rotation: Rotation | undefined;
  /** Folders are made with these permissions; undefined: none are made. */
  readonly directoryMode: number | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Default: node:fs. Tests let the disk fail here. */
  readonly openFile?: OpenFile;
}

const FILE_MODE = 0o644;

/**
 * One file, written record by record. All operations on it run one after the other.
 *
 * A record is in the file as a whole or not at all: what fails half-way is cut away before the next one is written, and
 * what a crash left behind is cut away when the file is opened again.
 */
export class OutputFile {
  readonly path: string;
  readonly #settings: OutputFileSettings;
  #keepsContent: boolean;
  #file: FileHandle | undefined;
  /** The last operation, which has not failed where it is awaited here. */
  #last: Promise<unknown>;
  /** Where a half-written record begins that could not be cut away. */
  #tornAt: number | undefined;
  #isDirty = false;
  /** When a file was last put aside. */
  #asideMs = 0;

  /** `keepsContent`: false empties the file when it is first opened. `after`: what must be over before. */
  constructor(
    path: string,
    keepsContent: boolean,
    settings: OutputFileSettings,
    after: Promise<unknown> = Promise.resolve(),
  ) {
    this.path = path;
    this.#keepsContent = keepsContent;
    this.#settings = settings;
    this.#last = after;
  }

  /** Opens it, where append() has not; rejects with the error of the file system, or with ForeignFileError. */
  open(): Promise<void> {
    return this.#next(async () => void (await this.#opened()));
  }

  /** Resolves when the record is with the operating system. Rejects with its error; then nothing of the record is there. */
  append(record: Buffer, signal: AbortSignal): Promise<void> {
    return this.#next(async () => {
      signal.throwIfAborted();
      await this.#write(record);
    });
  }

  /** Forces to the disk what was written since the last time. */
  sync(): Promise<void> {
    return this.#next(async () => {
      if (!this.#isDirty) return;
      await this.#file?.datasync();
      this.#isDirty = false;
    });
  }

  /** Waits for what is under way. The next append() would open it again, and go on behind what is there. */
  close(): Promise<void> {
    return this.#next(() => this.#close());
  }

  #next<T>(operation: () => Promise<T>): Promise<T> {
    const result = this.#last.then(operation);
    this.#last = result.catch(() => undefined);
    return result;
  }

  async #write(record: Buffer): Promise<void> {
    let file = await this.#opened();
    let stats = await file.stat();
    if (this.#isFull(stats, record)) {
      file = await this.#rotate(file);
      stats = await file.stat();
    }
    this.#isDirty = true;
    try {
      for (let end = 0; end < record.length;) end += (await file.write(record, end)).bytesWritten;
    } catch (error) {
      await this.#cutAway(file, stats);
      throw error;
    }
  }

  #isFull(stats: Stats, record: Buffer): boolean {
    const { rotation } = this.#settings;
    // A record that alone is larger gets a file of its own.
    return rotation !== undefined && stats.size > 0 && stats.size + record.length > sizeMaxOf(rotation);
  }

  async #cutAway(file: FileHandle, before: Stats): Promise<void> {
    if (!before.isFile()) return;
    this.#tornAt = before.size;
    try {
      await this.#mend(file);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#settings.logger.error(`${this.path}: a half-written batch could not be cut away yet: ${reason}`);
    }
  }

  async #mend(file: FileHandle): Promise<void> {
    if (this.#tornAt === undefined) return;
    await file.truncate(this.#tornAt);
    this.#tornAt = undefined;
  }

  async #opened(): Promise<FileHandle> {
    const file = this.#file ?? (await this.#open());
    await this.#mend(file);
    return file;
  }

  async #open(): Promise<FileHandle> {
    const { directoryMode, openFile = open, rotation, clock } = this.#settings;
    if (directoryMode !== undefined) createFolder(dirname(this.path), directoryMode);
    const { O_RDWR, O_CREAT, O_APPEND, O_TRUNC } = constants;
    const flags = O_RDWR | O_CREAT | O_APPEND | (this.#keepsContent ? 0 : O_TRUNC);
    const file = await openFile(this.path, flags, FILE_MODE);
    try {
      if (this.#keepsContent) await this.#repair(file);
    } catch (error) {
      await file.close();
      throw error;
    }
    this.#file = file;
    this.#keepsContent = true;
    if (rotation !== undefined) await this.#prune(rotation, clock.nowMs());
    return file;
  }

  async #repair(file: FileHandle): Promise<void> {
    const stats = await file.stat();
    if (!stats.isFile() || stats.size === 0) return;
    const { end, lacksNewline } = await findTail(file, stats.size, this.#settings.framing);
    if (lacksNewline) await file.write("\n");
    if (end === stats.size) return;
    this.#settings.logger.warn(
      `${this.path}: ${stats.size - end} bytes of a batch that a crash cut off are removed from its end`,
    );
    await file.truncate(end);
  }

  async #rotate(file: FileHandle): Promise<FileHandle> {
    const { rotation, clock } = this.#settings;
    await file.datasync();
    await this.#close();
    // Names sort as the files were put aside, also within a millisecond and where the clock was set back.
    this.#asideMs = await putAside(this.path, Math.max(clock.nowMs(), this.#asideMs + 1), rotation!);
    return this.#open();
  }

  /** What cannot be deleted costs room, not records. */
  async #prune(rotation: Rotation, nowMs: number): Promise<void> {
    try {
      await pruneBackups(this.path, nowMs, rotation);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#settings.logger.warn(`${this.path}: old files could not be deleted: ${reason}`);
    }
  }

  async #close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    if (file === undefined) return;
    try {
      if (this.#isDirty) await file.datasync();
      this.#isDirty = false;
    } finally {
      await file.close();
    }
  }
}
