import { closeSync } from "node:fs";
import { getHeapStatistics } from "node:v8";
import { ImportWatchdog } from "../service/import-watchdog.ts";
import { FILE_BYTES_MAX, TRIAL_MS_MAX } from "../service/processor-trial.ts";
import { EXIT_USAGE } from "./io.ts";

const STDERR = 2;

/** For a command that loads users' files and has nothing running: one that never comes back ends it as any other mistake does. */
export function watchImports(): ImportWatchdog {
  // V8 aborts at its limit, and names no file.
  const bytesMax = Math.min(1.5 * FILE_BYTES_MAX, getHeapStatistics().heap_size_limit / 2);
  return new ImportWatchdog({ limitMs: TRIAL_MS_MAX, bytesMax, end });
}

function end(): void {
  // All is said. Node would add that it waits for a debugger, which the watchdog is to it.
  closeSync(STDERR);
  process.exit(EXIT_USAGE);
}
