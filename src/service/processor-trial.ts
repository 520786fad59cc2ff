import { Worker } from "node:worker_threads";
import { sleep, type Clock } from "../core/clock.ts";
import { moduleUrl } from "../core/package-files.ts";

export type TrialResult = "came back" | "hangs";

/**
 * Runs a user's file in a thread of its own, to see whether its top level comes back: `while (true) {}` in the gateway's
 * thread would be the end of the gateway. Whatever else is wrong with the file, the import that follows says. The thread
 * ends with its answer, at the time limit, or when `signal` aborts. Costs some 50 ms, and the file's top level runs twice.
 */
export async function tryFile(file: string, clock: Clock, limitMs: number, signal: AbortSignal): Promise<TrialResult> {
  const worker = new Worker(moduleUrl("src/service/processor-trial-thread"), {
    workerData: { file },
    // What it prints comes again from the import that counts; nobody reads these.
    stdout: true,
    stderr: true,
  });
  const done = new AbortController();
  // An exit without an answer is a file that ends its thread, which the import is guarded against.
  const ended = new Promise<TrialResult>((resolve) => {
    const comesBack = (): void => resolve("came back");
    worker.once("message", comesBack).once("error", comesBack).once("exit", comesBack);
  });
  const expired = sleep(clock, limitMs, AbortSignal.any([done.signal, signal])).then((): TrialResult => "hangs");
  const result = await Promise.race([ended, expired]);
  done.abort();
  await worker.terminate();
  return result;
}
