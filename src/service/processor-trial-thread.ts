/** The thread of processor-trial.ts: imports one file as the gateway would, and says that it came back. */
import { pathToFileURL } from "node:url";
import { parentPort, workerData } from "node:worker_threads";
import { generationUrl, nextGeneration } from "./processor-modules.ts";
import type { TrialResult } from "./processor-trial.ts";

const { file } = workerData as { readonly file: string };
try {
  await import(generationUrl(pathToFileURL(file), nextGeneration()));
} finally {
  parentPort?.postMessage("came back" satisfies TrialResult, []);
}
