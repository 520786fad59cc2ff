import { AsyncLocalStorage } from "node:async_hooks";
import { Worker } from "node:worker_threads";
import { moduleUrl } from "../core/package-files.ts";

/** What is printed before the process ends, in the words of all problems of a configuration. */
export interface WatchdogTexts {
  readonly hangs: string;
  readonly tooLarge: string;
}

export interface ImportWatchdogSettings {
  readonly limitMs: number;
  /** Beyond what the process has when the import begins. */
  readonly bytesMax?: number;
  /** Ends this process. Called in this thread, in the middle of what it hangs in. */
  readonly end: () => void;
}

/** What the thread is sent: what to watch from now on; undefined when it has come back. */
export type Watched = WatchdogTexts | undefined;

export interface WatchdogThreadData {
  readonly limitMs: number;
  readonly bytesMax: number;
}

/** Where the other thread finds `end`: an inspector's expression sees globals alone. */
export const END_NAME = "signalbox.import-watchdog.end";

/**
 * Looks from another thread at an import in this one, which nothing else can interrupt: `for (;;) {}` at the top level of a
 * user's file. At a start nothing runs beside it that must be saved, so the process says why and ends. Weighed: to try
 * each file elsewhere first, as a reload does, which costs each start 200 ms and runs each top level twice. The thread
 * begins with the first import, imports nothing of ours but the clock, and ends with the last one: some 30 ms of a start,
 * and 6 MiB that its heap leaves with the process. Only where there are files of a user's.
 */
export class ImportWatchdog implements Disposable {
  readonly #settings: ImportWatchdogSettings;
  #thread: Worker | undefined;

  constructor(settings: ImportWatchdogSettings) {
    this.#settings = settings;
  }

  watch(texts: WatchdogTexts): Disposable {
    const thread = (this.#thread ??= this.#start());
    thread.postMessage(texts satisfies Watched, []);
    return { [Symbol.dispose]: () => thread.postMessage(undefined satisfies Watched, []) };
  }

  /** Nobody waits for its end: where it still begins, that takes as long as its beginning. */
  [Symbol.dispose](): void {
    void this.#thread?.terminate();
    this.#thread = undefined;
  }

  #start(): Worker {
    const { limitMs, bytesMax = Infinity, end } = this.#settings;
    // Bound to no processor: their code cannot end the process, and it is their code that is interrupted.
    Reflect.set(globalThis, Symbol.for(END_NAME), AsyncLocalStorage.bind(end));
    const workerData: WatchdogThreadData = { limitMs, bytesMax };
    const thread = new Worker(moduleUrl("src/service/import-watchdog-thread"), { workerData });
    // An import that awaits what never comes is found by the loop that is empty.
    thread.unref();
    return thread;
  }
}
