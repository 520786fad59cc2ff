import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { sleep, type Clock } from "../core/clock.ts";
import { moduleUrl, RUNS_FROM_SOURCES } from "../core/package-files.ts";

/**
 * never settles: it awaits what nothing can bring any more, which Node knows at once. too large: it takes more memory than
 * a processor's file may.
 */
export type TrialResult = "came back" | "hangs" | "never settles" | "too large";

export const CAME_BACK = "came back";

/** A file may wait at its top level, for a name server or a table; nobody waits for ever. */
export const TRIAL_MS_MAX = 10_000;

/** A processor's file is code, and perhaps a table. Lost: a larger table is refused, and belongs into start(). */
export const FILE_BYTES_MAX = 256 * 1024 * 1024;

/** What a process needs before it has imported anything. */
const OWN_BYTES = 128 * 1024 * 1024;

/** Of its exit code, by Node: a module's top level awaits, and nothing is left that could end that. */
const UNSETTLED = 13;

const LOOK_MS = 50;

/**
 * Runs a user's file in a process of its own, to see whether its top level comes back: `while (true) {}` in the gateway's
 * thread would be the end of the gateway. Not in a thread of the gateway: a loop that only calls what Node has built in
 * cannot be terminated there, and one that allocates takes the whole process along before its limit counts (Node 24.21).
 * Whatever else is wrong with the file, the import that follows says. The process is killed once it has answered, at the
 * limit of time or memory, or when `signal` aborts. Costs some 200 ms beside the gateway, and the top level runs twice.
 */
export async function tryFile(file: string, clock: Clock, signal: AbortSignal): Promise<TrialResult> {
  const child = fork(fileURLToPath(moduleUrl("src/service/processor-trial-process")), [file], {
    execArgv: [
      ...(RUNS_FROM_SOURCES ? ["--conditions=signalbox-source"] : []),
      `--max-old-space-size=${FILE_BYTES_MAX / 1024 / 1024}`,
    ],
    // What it prints comes again from the import that counts.
    stdio: ["ignore", "ignore", "ignore", "ipc"],
  });
  const done = new AbortController();
  const until = AbortSignal.any([done.signal, signal]);
  const expired = sleep(clock, TRIAL_MS_MAX, until).then((): TrialResult => "hangs");
  const result = await Promise.race([answerOf(child), expired, growth(child, clock, until)]);
  done.abort();
  if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  return result;
}

/** An exit without an answer is a file that ends its process, which the import is guarded against. */
function answerOf(child: ChildProcess): Promise<TrialResult> {
  return new Promise((resolve) => {
    child.once("message", () => resolve("came back")).once("error", () => resolve("came back"));
    child.once("exit", (code, signal) => {
      // V8 aborts when its heap is full, and the system kills who has taken its memory.
      if (signal !== null) resolve("too large");
      else resolve(code === UNSETTLED ? "never settles" : "came back");
    });
  });
}

/** Buffers lie outside the heap, whose limit does not count them. Only where the system tells: on Linux. */
async function growth({ pid }: ChildProcess, clock: Clock, signal: AbortSignal): Promise<TrialResult> {
  while (!signal.aborted) {
    await sleep(clock, LOOK_MS, signal);
    const statm = await readFile(`/proc/${pid}/statm`, "utf8").catch(() => "");
    const residentBytes = Number(statm.split(" ")[1] ?? 0) * 4096;
    if (residentBytes > OWN_BYTES + 2 * FILE_BYTES_MAX) return "too large";
  }
  return "hangs";
}
