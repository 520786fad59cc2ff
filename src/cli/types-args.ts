import { formatProblems } from "../config/problem.ts";
import type { ComponentFactory } from "../core/component.ts";
import { loadFactories } from "../service/factories.ts";
import { type CliIo, EXIT_USAGE } from "./io.ts";
import { watchImports } from "./watch-imports.ts";
import { parseOptions } from "./parse-options.ts";

export const TYPES_USAGE = "  --processors DIR   a folder with processors of yours; repeatable";

/** For commands about component types: ours, and those in the folders of `--processors`; or the exit code. */
export async function readTypes(
  command: string,
  args: string[],
  io: CliIo,
): Promise<readonly ComponentFactory[] | number> {
  let folders: readonly string[];
  try {
    const { values } = parseOptions({ args, options: { processors: { type: "string", multiple: true } } });
    folders = values.processors ?? [];
  } catch (error) {
    io.stderr(`signalbox ${command}: ${error instanceof Error ? error.message : String(error)}\n`);
    return EXIT_USAGE;
  }
  using watchdog = watchImports();
  const { factories, problems } = await loadFactories(folders, { watchdog });
  if (problems.length === 0) return factories;
  io.stderr(`${formatProblems(problems)}\n`);
  return EXIT_USAGE;
}
