import { formatProblems } from "../config/problem.ts";
import { type GatewayLoadResult, loadGateway } from "../service/load.ts";
import type { ProcessorMemory } from "../service/processor-memory.ts";
import type { GatewayArgs } from "./gateway-args.ts";
import { watchImports } from "./watch-imports.ts";
import { type CliIo, EXIT_USAGE } from "./io.ts";

export type LoadedGateway = Extract<GatewayLoadResult, { ok: true }>;

/** Loads the configuration and prints its warnings; where it is wrong, prints all that is and gives the exit code. */
export async function loadAndReport(
  { files, processorFolders }: GatewayArgs,
  io: CliIo,
  memory?: ProcessorMemory,
): Promise<LoadedGateway | number> {
  using watchdog = watchImports();
  const known = memory === undefined ? {} : { memory };
  const loaded = await loadGateway({ files, processorFolders, env: io.env, watchdog, ...known });
  for (const warning of loaded.warnings) io.stderr(`warning: ${formatProblems([warning])}\n`);
  if (loaded.ok) return loaded;
  io.stderr(`${formatProblems(loaded.problems)}\n`);
  return EXIT_USAGE;
}
