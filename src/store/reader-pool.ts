import type { Clock } from "../core/clock.ts";
import type { ApiAnswer } from "./api-error.ts";
import type { ApiRequest } from "./api-routes.ts";
import { StoreError } from "./store-error.ts";
import { ThreadClient } from "./thread-client.ts";
import type { ReaderReply, ReaderRequest } from "./thread-messages.ts";

/** Two: a slow question of one person does not hold up the quick one of another. Each thread costs some 10 MiB. */
const READERS_MAX = 2;
/** Questions that wait; a page asks a handful at once. Beyond it the asker is told to come back. */
const WAITING_MAX = 64;
/** A query that does not end itself by its budget is stuck inside SQLite: its thread is ended after this much more. */
const GRACE_MS = 2_000;

type Reader = ThreadClient<ReaderRequest, ReaderReply>;

interface Question {
  readonly request: ApiRequest;
  readonly resolve: (answer: ApiAnswer) => void;
  readonly reject: (error: StoreError) => void;
}

/** The reader threads: started when first needed, one question each at a time, replaced when they break. */
export class ReaderPool {
  readonly #directory: string;
  readonly #clock: Clock;
  readonly #onDamaged: (sequences: readonly number[]) => void;
  readonly #idle: Reader[] = [];
  readonly #readers = new Set<Reader>();
  readonly #questions: Question[] = [];
  #isClosed = false;

  constructor(directory: string, clock: Clock, onDamaged: (sequences: readonly number[]) => void) {
    this.#directory = directory;
    this.#clock = clock;
    this.#onDamaged = onDamaged;
  }

  /** Rejects with StoreError: busy, closed, over_budget (where the thread had to be ended), internal. */
  ask(request: ApiRequest): Promise<ApiAnswer> {
    if (this.#isClosed) return Promise.reject(new StoreError("closed", "the store is shutting down"));
    if (this.#questions.length >= WAITING_MAX) {
      return Promise.reject(
        new StoreError("busy", `${WAITING_MAX} questions to the store are waiting already; ask again in a moment`),
      );
    }
    return new Promise((resolve, reject) => {
      this.#questions.push({ request, resolve, reject });
      this.#next();
    });
  }

  /** Lets readers close the segments that were removed. */
  refresh(): void {
    for (const reader of this.#readers) void reader.call({ kind: "refresh" }).catch(ignoreEnded);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const closed = new StoreError("closed", "the store is shutting down");
    for (const { reject } of this.#questions.splice(0)) reject(closed);
    await Promise.all(Array.from(this.#readers, (reader) => reader.terminate()));
  }

  #next(): void {
    const reader = this.#questions.length > 0 ? this.#takeReader() : undefined;
    const question = reader === undefined ? undefined : this.#questions.shift();
    if (reader !== undefined && question !== undefined) void this.#work(reader, question);
  }

  #takeReader(): Reader | undefined {
    return this.#idle.pop() ?? (this.#readers.size < READERS_MAX ? this.#startReader() : undefined);
  }

  #startReader(): Reader {
    const reader: Reader = new ThreadClient("reader-thread", this.#directory, () => {
      this.#readers.delete(reader);
      const index = this.#idle.indexOf(reader);
      if (index >= 0) this.#idle.splice(index, 1);
    });
    this.#readers.add(reader);
    return reader;
  }

  /** Never rejects: the question is settled here. */
  async #work(reader: Reader, { request, resolve, reject }: Question): Promise<void> {
    let isStuck = false;
    const timer = this.#clock.after(request.budgetMs + GRACE_MS, () => {
      isStuck = true;
      void reader.terminate();
    });
    try {
      const { answer, damaged } = await reader.call({ kind: "ask", request });
      this.#idle.push(reader);
      if (damaged.length > 0) this.#onDamaged(damaged);
      if (answer !== undefined) resolve(answer);
    } catch (error) {
      reject(isStuck ? stuckError(request) : asStoreError(error));
    } finally {
      timer.cancel();
      this.#next();
    }
  }
}

function stuckError(request: ApiRequest): StoreError {
  return new StoreError(
    "over_budget",
    `the query did not end within ${request.budgetMs + GRACE_MS} ms; narrow its time range`,
  );
}

function asStoreError(error: unknown): StoreError {
  return error instanceof StoreError ? error : new StoreError("internal", String(error), error);
}

/** A reader that has ended holds nothing open any more. */
function ignoreEnded(error: unknown): void {
  if (!(error instanceof StoreError)) throw error;
}
