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
 * called once, and later calls are rejected at once.
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
    const end = (error: StoreError): void => {
      if (this.#endedBy !== undefined) return;
      this.#endedBy = error;
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
      onEnd(error);
    };
    this.#worker.once("error", (error: Error) =>
      end(new StoreError("internal", `the store's ${entry} broke: ${error.message}`, error)),
    );
    this.#worker.once("exit", (code) =>
      end(new StoreError("closed", `the store's ${entry} has ended (exit code ${code})`)),
    );
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
