import type { Clock } from "../../core/clock.ts";
import type { Logger } from "../../core/logger.ts";
import type { Disk } from "./disk.ts";
import { codeOf, messageOf } from "./segment-files.ts";

export const RESERVE_NAME = "reserve";

/** A full disk is asked again at most this often: every request would otherwise write a file and remove it. */
const RETRY_MS = 250;

interface ReserveSettings {
  readonly disk: Disk;
  readonly folder: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly bytes: number;
}

/**
 * A file of zeros whose room is given up when the disk is full, to completions alone. Without it a disk that the queue
 * itself has filled would stay full: what was delivered could not be written down, and no segment could go.
 * The bet: completions and a checkpoint for what is in flight fit into it. Lost, they wait in memory for room.
 * Where no file may be as large (`ulimit -f`) there is none: the disk is not what is short there.
 */
export class Reserve {
  readonly #settings: ReserveSettings;
  #isThere = false;
  /** For the rest of the process. */
  #isGivenUp = false;
  #failure: { readonly error: unknown; readonly atMs: number } | undefined;

  constructor(settings: ReserveSettings) {
    this.#settings = settings;
  }

  get isThere(): boolean {
    return this.#isThere;
  }

  get bytes(): number {
    return this.#isThere ? this.#settings.bytes : 0;
  }

  /** Before anything is accepted: rejects with what the disk says where there is no room for it. */
  async ensure({ isAfterRemoval = false } = {}): Promise<void> {
    if (this.#isThere || this.#isGivenUp) return;
    const nowMs = this.#settings.clock.monotonicMs();
    if (!isAfterRemoval && this.#failure !== undefined && nowMs - this.#failure.atMs < RETRY_MS)
      throw this.#failure.error;
    try {
      await this.#create();
      this.#isThere = true;
      this.#failure = undefined;
    } catch (error) {
      if (codeOf(error) === "EFBIG") return this.#giveUp(error);
      this.#failure = { error, atMs: nowMs };
      throw error;
    }
  }

  #giveUp(error: unknown): void {
    const { folder, bytes, logger } = this.#settings;
    this.#isGivenUp = true;
    logger.warn(
      `the queue's storage keeps no room in reserve: ${folder}/${RESERVE_NAME} would have ${bytes} bytes (${messageOf(error)}); ` +
        "a full disk may then stay full until somebody makes room: raise the bound on the size of a file (ulimit -f)",
    );
  }

  /** The disk is full. */
  async release(): Promise<void> {
    if (!this.#isThere) return;
    this.#isThere = false;
    await this.#remove();
  }

  async #create(): Promise<void> {
    const { disk, folder, bytes } = this.#settings;
    await this.#remove();
    const file = await disk.create(folder, RESERVE_NAME);
    try {
      await file.write([Buffer.alloc(bytes)], 0);
      await file.sync();
    } catch (error) {
      await this.#remove();
      throw error;
    } finally {
      await file.close();
    }
  }

  /** One that is not there is as good; one that cannot be removed keeps its room, and nothing else. */
  async #remove(): Promise<void> {
    const { disk, folder } = this.#settings;
    await disk.remove(folder, RESERVE_NAME).catch(() => undefined);
  }
}

/** https://man7.org/linux/man-pages/man2/write.2.html: no room on the disk, or none left of the user's. */
export function isNoSpace(error: unknown): boolean {
  return codeOf(error) === "ENOSPC" || codeOf(error) === "EDQUOT";
}
