import { Worker } from "node:worker_threads";
import type { Transferable } from "node:worker_threads";
import { moduleUrl } from "../core/package-files.ts";
import { StoreError } from "./store-error.ts";
import type { Envelope, Outcome } from "./thread-messages.ts";

interface Waiting<Reply> {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: StoreError) => void;
}

/**
 * One worker thread and the calls that wait for it. It ends with the thread: calls in flight are rejected, `onEnd` is
 * called once, and later calls are rejected at once. The thread works on one call at a time, in their order, so that the
 * oldest is the one it worked on when it broke: that one is told so, since it may be the cause.
 */
export class ThreadClient<Request, Reply> {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting<Reply>>();
  #lastId = 0;
  #endedBy: StoreError | undefined;

  /** `entry` is a module beside this one, without extension. */
  constructor(entry: string, workerData: unknown, onEnd: (error: StoreError) => void) {
    this.#worker = new Worker(moduleUrl(`src/store/${entry}`), { workerData });
    this.#worker.on("message", (outcome: Outcome<Reply>) => this.#settle(outcome));
    let cause: Error | undefined;
    this.#worker.once("error", (error: Error) => {
      cause = error;
    });
    // Comes after an error too, and not before the thread has let its files and locks go.
    this.#worker.once("exit", (code) => {
      const why = cause === undefined ? `has ended (exit code ${code})` : `broke: ${cause.message}`;
      onEnd(this.#end(`the store's ${entry} ${why}`, cause));
    });
  }

  #end(message: string, cause: Error | undefined): StoreError {
    const error = new StoreError("closed", message, cause);
    this.#endedBy = error;
    const [worked, ...others] = this.#waiting.values();
    this.#waiting.clear();
    worked?.reject(new StoreError("broke", message, cause));
    for (const { reject } of others) reject(error);
    return error;
  }

  /** Replies come in the order of the calls. What is in `transfer` is gone from this thread afterwards. */
  call(request: Request, transfer: readonly Transferable[] = []): Promise<Reply> {
    if (this.#endedBy !== undefined) return Promise.reject(this.#endedBy);
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, request } satisfies Envelope<Request>, transfer);
    });
  }

  /** Ends the thread where it stands, at its next line of JavaScript. */
  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }

  #settle(outcome: Outcome<Reply>): void {
    const waiting = this.#waiting.get(outcome.id);
    this.#waiting.delete(outcome.id);
    if ("reply" in outcome) waiting?.resolve(outcome.reply);
    else waiting?.reject(new StoreError(outcome.error.kind, outcome.error.message));
  }
}
