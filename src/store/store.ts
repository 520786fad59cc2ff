import { resolve } from "node:path";
import type { Clock, Timer } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import type { Signal } from "../core/signal.ts";
import type { EncodedPayload } from "../wire/otlp/types.ts";
import type { ApiAnswer } from "./api-error.ts";
import { createFolder } from "./segment-folder.ts";
import { ReaderPool } from "./reader-pool.ts";
import { StoreError } from "./store-error.ts";
import type { StoreLimits, WriterNotes } from "./store-writer.ts";
import { ThreadClient } from "./thread-client.ts";
import type { WriterReply, WriterRequest } from "./thread-messages.ts";

export interface StoreSettings extends StoreLimits {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Milliseconds that one question may take. Default: 5 s. */
  readonly queryBudgetMs?: number;
}

/**
 * Of one batch, in threads that have ended meanwhile. A thread that ends for a passing reason (memory) is replaced and
 * takes it; a batch that ends each one is our bug, and must not end the store for all others.
 */
const APPEND_ATTEMPTS_MAX = 3;

const QUERY_BUDGET_MS_DEFAULT = 5_000;
/** Age passes without arrivals: how often a quiet store looks for what is too old. */
const PRUNE_INTERVAL_MS = 60_000;

type Writer = ThreadClient<WriterRequest, WriterReply>;

/**
 * The embedded store, as the gateway's thread sees it: SQLite works in other threads, and this one only hands bytes
 * over and answers back.
 */
export class Store {
  readonly #settings: StoreSettings;
  readonly #readers: ReaderPool;
  #writer: Promise<Writer> | undefined;
  #pruneTimer: Timer | undefined;
  #isClosed = false;

  private constructor(settings: StoreSettings) {
    this.#settings = settings;
    this.#readers = new ReaderPool(settings.directory, settings.clock, (sequences) => this.#reportDamaged(sequences));
  }

  /** Rejects with StoreError: locked, disk. */
  static async open(settings: StoreSettings): Promise<Store> {
    const store = new Store(settings);
    await store.#openWriter();
    store.#schedulePrune();
    return store;
  }

  /**
   * Resolves with the number of items once they are committed. The payload's bytes are copied once, here: a slice
   * posted to a thread would take along the whole buffer it lies in, and transferring that would take it from others.
   * Where the thread ends meanwhile the next one gets it: what was committed and not answered is then stored twice.
   * Rejects with StoreError: bad_data, disk, locked, closed, broke, internal.
   */
  async append(signal: Signal, payload: EncodedPayload): Promise<number> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#appendOnce(signal, payload);
      } catch (error) {
        const isThreadGone = error instanceof StoreError && (error.kind === "broke" || error.kind === "closed");
        if (!isThreadGone || this.#isClosed) throw error;
        if (attempt === APPEND_ATTEMPTS_MAX) throw error.kind === "broke" ? poison(error) : error;
      }
    }
  }

  #appendOnce(signal: Signal, payload: EncodedPayload): Promise<number> {
    const bytes = new Uint8Array(payload.size);
    let at = 0;
    for (const slice of payload.slices) {
      bytes.set(slice, at);
      at += slice.length;
    }
    return this.#call({ kind: "append", signal, bytes, arrivalMs: this.#settings.clock.nowMs() }, [bytes.buffer]);
  }

  /** Answers one question of the API. Rejects with StoreError: busy, closed, over_budget, internal. */
  ask(path: string, search: string): Promise<ApiAnswer> {
    const { clock, queryBudgetMs = QUERY_BUDGET_MS_DEFAULT } = this.#settings;
    return this.#readers.ask({ path, search, nowMs: clock.nowMs(), budgetMs: queryBudgetMs });
  }

  /** Idempotent. Appends that were called before are still stored. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#pruneTimer?.cancel();
    await this.#readers.close();
    const writer = await this.#writer?.catch(() => undefined);
    if (writer === undefined) return;
    try {
      await writer.call({ kind: "close" });
    } finally {
      await writer.terminate();
    }
  }

  async #call(request: WriterRequest, transfer: readonly ArrayBuffer[] = []): Promise<number> {
    if (this.#isClosed) throw new StoreError("closed", "the store is shut");
    const writer = await this.#openWriter();
    const { count, notes } = await writer.call(request, transfer);
    this.#report(notes);
    return count;
  }

  /** The writer in use, or a new one where the last has broken: one bad request must not end the store. */
  #openWriter(): Promise<Writer> {
    this.#writer ??= this.#startWriter().catch((error: unknown) => {
      this.#writer = undefined;
      throw error;
    });
    return this.#writer;
  }

  async #startWriter(): Promise<Writer> {
    const { directory, bytesMax, ageMsMax, clock, logger } = this.#settings;
    // Here and not in the thread: what stands in the way is said before anything is started.
    openFolder(directory);
    let hasOpened = false;
    const writer: Writer = new ThreadClient("writer-thread", undefined, (error) => {
      this.#writer = undefined;
      // A thread that could not open the store has said why by the rejection of its first call.
      if (hasOpened && !this.#isClosed) logger.error(`${error.message}; it is started again with the next batch`);
    });
    try {
      const { notes } = await writer.call({
        kind: "open",
        limits: { directory, bytesMax, ageMsMax },
        nowMs: clock.nowMs(),
      });
      hasOpened = true;
      this.#report(notes);
      return writer;
    } catch (error) {
      await writer.terminate();
      throw error;
    }
  }

  #report(notes: WriterNotes): void {
    for (const warning of notes.warnings) this.#settings.logger.warn(warning);
    if (notes.removed.length > 0) this.#readers.refresh();
  }

  #reportDamaged(sequences: readonly number[]): void {
    this.#inBackground({ kind: "set_aside", sequences });
  }

  #schedulePrune(): void {
    this.#pruneTimer = this.#settings.clock.after(PRUNE_INTERVAL_MS, () => {
      if (this.#isClosed) return;
      this.#inBackground({ kind: "prune", nowMs: this.#settings.clock.nowMs() });
      this.#schedulePrune();
    });
  }

  #inBackground(request: WriterRequest): void {
    this.#call(request).catch((error: unknown) => {
      if (!this.#isClosed)
        this.#settings.logger.warn(
          `the store could not be tidied: ${error instanceof Error ? error.message : String(error)}`,
        );
    });
  }
}

function poison(error: StoreError): StoreError {
  const message = `a batch has ended ${APPEND_ATTEMPTS_MAX} writer threads, and is given up: ${error.message}`;
  return new StoreError("internal", message, error);
}

function openFolder(directory: string): void {
  try {
    createFolder(directory);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new StoreError(
      "disk",
      `the store's folder ${resolve(directory)} cannot be made or read: ${reason}\n` +
        "  name one that the gateway's user may write to: exporters.local_store.directory",
      error,
    );
  }
}
