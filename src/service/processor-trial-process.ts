/** The process of processor-trial.ts: imports one file as the gateway would, and says that it came back. */
import { enableCompileCache } from "node:module";
import { pathToFileURL } from "node:url";
import { ImportWatchdog } from "./import-watchdog.ts";
import { guardAgainstExit } from "./processor-exit-guard.ts";
import { runAs, type ProcessorOrigin } from "./processor-fault.ts";
import { generationUrl, nextGeneration } from "./processor-modules.ts";
import { CAME_BACK, TRIAL_MS_MAX } from "./processor-trial.ts";

enableCompileCache();
guardAgainstExit();
const [, , file = ""] = process.argv;
const origin: ProcessorOrigin = { type: "trial", file, shownFile: file };
// Whoever started it ends it in time, unless that process was killed meanwhile: a loop must not outlive it for ever.
using watchdog = new ImportWatchdog({
  limitMs: 2 * TRIAL_MS_MAX,
  end: () => process.kill(process.pid, "SIGKILL"),
});
try {
  using _ = watchdog.watch({ hangs: "", tooLarge: "" });
  await runAs(origin, (): Promise<unknown> => import(generationUrl(pathToFileURL(file), nextGeneration())));
} finally {
  process.send?.(CAME_BACK);
}
