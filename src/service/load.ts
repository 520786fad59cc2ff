import { dirname, resolve } from "node:path";
import { type Configuration, factoryLookup } from "../config/configuration.ts";
import { loadConfiguration } from "../config/load.ts";
import type { Problem } from "../config/problem.ts";
import { readProcessorFolders } from "../config/processor-folders.ts";
import { readTextFile } from "../config/read-file.ts";
import type { Environment, ReadText } from "../config/schemes.ts";
import type { SourceFile } from "../config/yaml.ts";
import { deliveryWarnings } from "./delivery-advice.ts";
import { loadFactories } from "./factories.ts";
import type { ImportWatchdog } from "./import-watchdog.ts";
import type { ProcessorOrigin } from "./processor-fault.ts";
import type { ProcessorMemory } from "./processor-memory.ts";
import { storageFolderWarnings } from "./storage-folder-advice.ts";
import { checkStorages } from "./storages.ts";

export interface GatewayLoadSettings {
  readonly files: readonly SourceFile[];
  readonly env: Environment;
  /** From the command line, relative to the working directory. */
  readonly processorFolders: readonly string[];
  /** For who loads more than once; see there. */
  readonly memory?: ProcessorMemory;
  /** As in LoadSettings (processor-loader.ts). */
  readonly stopping?: AbortSignal;
  readonly watchdog?: ImportWatchdog;
}

/** What a configuration was read from: a change of any of it may change the configuration. */
export interface LoadInputs {
  readonly files: readonly string[];
  /** Of processors: more may be put there. */
  readonly folders: readonly string[];
}

export type GatewayLoadResult = { readonly warnings: readonly Problem[]; readonly inputs: LoadInputs } & (
  | { readonly ok: true; readonly configuration: Configuration; readonly processorOrigins: readonly ProcessorOrigin[] }
  | { readonly ok: false; readonly problems: readonly Problem[] }
);

/** From files to a checked configuration: first the processors that they name, which are types of the second step. */
export async function loadGateway(settings: GatewayLoadSettings): Promise<GatewayLoadResult> {
  const { files, env, processorFolders, memory, stopping, watchdog } = settings;
  const read = new Set<string>();
  const readText: ReadText = (path) => {
    read.add(path);
    return readTextFile(path);
  };
  // A folder in the YAML is relative to its file, so that the file works from any working directory.
  const sources = { files, env, readText };
  const named = readProcessorFolders(sources).map(({ folder, position }) => resolve(dirname(position.file), folder));
  const folders = [...named, ...processorFolders];
  const known = await loadFactories(folders, {
    ...(memory && { memory }),
    ...(stopping && { stopping }),
    ...(watchdog && { watchdog }),
  });
  const loaded = loadConfiguration({ ...sources, factories: factoryLookup(known.factories, known.brokenProcessors) });
  const found = loaded.ok ? checkStorages(loaded.configuration) : loaded.problems;
  const problems = [...known.problems, ...found];
  const inputs = { files: [...read, ...(memory?.files ?? [])], folders };
  if (!loaded.ok || problems.length > 0) return { ok: false, problems, warnings: loaded.warnings, inputs };
  const { configuration } = loaded;
  const warnings = [...loaded.warnings, ...deliveryWarnings(configuration), ...storageFolderWarnings(configuration)];
  return { ok: true, configuration, warnings, processorOrigins: known.processorOrigins, inputs };
}
