import { accessSync, constants, lstatSync, readdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { sleep } from "../../core/clock.ts";
import { createFolder } from "../../core/create-folder.ts";
import { formatComponentId } from "../../core/component-id.ts";
import type { ExtensionFactory, Host, Settings } from "../../core/component.ts";
import { FolderLock, FolderLockedError, LOCK_NAME, OWNER_NAME } from "../../core/folder-lock.ts";
import { nodeDisk } from "../../queue/segment-log/disk.ts";
import { isLogFile } from "../../queue/segment-log/log-files.ts";
import { SegmentLog } from "../../queue/segment-log/segment-log.ts";
import type { StorageProvider } from "../../queue/storage-provider.ts";
import type { QueueStorage } from "../../queue/storage.ts";
import { SIGNALS } from "../../core/signal.ts";
import { type FileStorageConfig, fileStorageConfig } from "./config.ts";

export const fileStorageExtensionFactory: ExtensionFactory<FileStorageConfig> = {
  kind: "extension",
  type: "file_storage",
  config: fileStorageConfig,
  signals: SIGNALS,
  isExclusive: true,
  changeableKeys: {
    timeout: "at the next start",
    create_directory: "at the next start",
    directory_permissions: "at the next start",
    fsync: "at once",
    recreate: "at once",
    compaction: "at once",
  },
  create: (settings, config) => new FileStorage(settings, config),
};

const LOCK_RETRY_MS = 50;

const WRITABLE = "make it a folder that this user may write";

const EMPTIED =
  "was a gateway's that did not end in order, and no file of its queues is left: it had not begun to take data, or they were removed and what waited in them is lost";

/** A folder on disk for the sending queues: owns the folder and its lock; the log in it is queue/segment-log. */
class FileStorage implements StorageProvider {
  readonly #settings: Settings;
  readonly #config: FileStorageConfig;
  readonly #folder: string;
  readonly #path: string;
  #lock: FolderLock | undefined;
  /** More than one: somebody else had it, and may have left it in order meanwhile. */
  #lockAttempts = 0;

  constructor(settings: Settings, config: FileStorageConfig) {
    this.#settings = settings;
    this.#config = config;
    this.#folder = resolve(config.directory);
    this.#path = `extensions.${formatComponentId(settings.id)}`;
  }

  createStorage({ headerNames }: { readonly headerNames: readonly string[] }): QueueStorage {
    const { clock, logger } = this.#settings;
    const { max_size: bytesMax } = this.#config;
    const folder = this.#folder;
    return new SegmentLog({ folder, disk: nodeDisk, clock, logger, headerNames, ...(bytesMax > 0 && { bytesMax }) });
  }

  /** Before the queues replay: rejects with what is wrong with the folder and how to mend it. */
  async start(_host: Host): Promise<void> {
    this.#checkFolder();
    this.#checkFiles();
    const isEmptied = this.#isEmptied();
    try {
      this.#lock = await this.#acquire();
    } catch (error) {
      if (!(error instanceof FolderLockedError)) throw this.#problem(messageOf(error), WRITABLE, error);
      throw this.#problem(
        error.message,
        `stop that one, or give this one a folder of its own: ${this.#path}.directory`,
        error,
      );
    }
    if (isEmptied && this.#lockAttempts === 1)
      this.#settings.logger.warn(`${this.#path}: the folder ${this.#folder} ${EMPTIED}`);
  }

  /** A gateway had the folder that did not end in order, and not one file of its log is left. */
  #isEmptied(): boolean {
    const names = readdirSync(this.#folder);
    return names.includes(OWNER_NAME) && !names.some(isLogFile);
  }

  /** After the queues have closed their log. */
  shutdown(): Promise<void> {
    this.#lock?.release();
    this.#lock = undefined;
    return Promise.resolve();
  }

  /** A gateway that is being replaced may still have the folder while it stops. */
  async #acquire(): Promise<FolderLock> {
    const { clock } = this.#settings;
    const endMs = clock.monotonicMs() + this.#config.timeout;
    for (;;) {
      this.#lockAttempts += 1;
      try {
        return FolderLock.acquire(this.#folder, { pid: process.pid, sinceMs: clock.nowMs() });
      } catch (error) {
        if (!(error instanceof FolderLockedError) || clock.monotonicMs() >= endMs) throw error;
      }
      await sleep(clock, LOCK_RETRY_MS);
    }
  }

  #checkFolder(): void {
    const { create_directory: isCreated, directory_permissions: permissions } = this.#config;
    try {
      if (isCreated) createFolder(this.#folder, Number.parseInt(permissions, 8));
      if (!statSync(this.#folder).isDirectory()) throw new Error("it is a file");
      accessSync(this.#folder, constants.R_OK | constants.W_OK | constants.X_OK);
    } catch (error) {
      // Of what may be created, ENOENT is the file system's no: it takes no folder there.
      const isMissing = !isCreated && error instanceof Error && "code" in error && error.code === "ENOENT";
      if (!isMissing) throw this.#problem(messageOf(error), WRITABLE, error);
      throw this.#problem("it does not exist", "create it, or write create_directory: true", error);
    }
  }

  /** Without these two it cannot run; the rest of what stands in the way of a file is said by who wants to write it. */
  #checkFiles(): void {
    for (const name of [LOCK_NAME, OWNER_NAME]) {
      const stats = lstatSync(join(this.#folder, name), { throwIfNoEntry: false });
      if (stats === undefined) continue;
      const target = statSync(join(this.#folder, name), { throwIfNoEntry: false });
      if (target?.isFile() === true) continue;
      const what = target === undefined ? "is a link that leads nowhere" : "is not a file";
      const fix = `remove ${name}: the gateway makes it anew, and nothing that waits is in it`;
      throw this.#problem(`${name} ${what}`, fix, undefined);
    }
  }

  #problem(message: string, fix: string, cause: unknown): Error {
    return new Error(`${this.#path}: the folder ${this.#folder}: ${message}\n  ${fix}`, { cause });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
