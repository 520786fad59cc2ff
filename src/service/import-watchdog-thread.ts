/** The thread of import-watchdog.ts. */
import { writeSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import { systemClock } from "../core/clock.ts";
import { END_NAME, type Watched, type WatchdogThreadData } from "./import-watchdog.ts";

const LOOK_MS = 50;

/** A loop that only calls what Node has built in listens to nobody; then the system ends it. */
const GRACE_MS = 1_000;

const STDERR = 2;

const { limitMs, bytesMax } = workerData as WatchdogThreadData;
let watched: Watched;
let sinceMs = 0;
let bytesBefore = 0;

parentPort?.on("message", (next: Watched) => {
  watched = next;
  sinceMs = systemClock.monotonicMs();
  bytesBefore = process.memoryUsage.rss();
});
look();

function look(): void {
  systemClock.after(LOOK_MS, () => {
    if (watched === undefined) return look();
    if (process.memoryUsage.rss() - bytesBefore > bytesMax) end(watched.tooLarge);
    else if (systemClock.monotonicMs() - sinceMs > limitMs) end(watched.hangs);
    else look();
  });
}

/** The other thread cannot be asked; an inspector may speak in the middle of its loop. */
function end(text: string): void {
  writeSync(STDERR, text);
  systemClock.after(GRACE_MS, () => process.kill(process.pid, "SIGKILL"));
  const { Session } = process.getBuiltinModule("node:inspector");
  const session = new Session();
  session.connectToMainThread();
  session.post("Runtime.evaluate", { expression: `globalThis[Symbol.for(${JSON.stringify(END_NAME)})]()` });
  session.disconnect();
}
