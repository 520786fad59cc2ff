import { join, relative } from "node:path";
import { readTextFile } from "../config/read-file.ts";
import { readSources } from "../config/sources.ts";
import type { SourceFile } from "../config/yaml.ts";
import { PACKAGE_FOLDER } from "../core/package-files.ts";
import { type CliIo, EXIT_USAGE } from "./io.ts";
import { parseOptions } from "./parse-options.ts";

export interface GatewayArgs {
  readonly files: readonly SourceFile[];
  readonly processorFolders: readonly string[];
  /** The command's own options, by name. */
  readonly own: Readonly<Record<string, string | undefined>>;
}

/** What every command that loads a configuration takes. */
export const GATEWAY_USAGE = `  --config LOCATION  a file, or file:PATH, env:NAME, yaml:TEXT; repeated, later ones are laid over earlier ones:
                     maps merge, all else is replaced; without it, the embedded store on the loopback
  --set KEY=VALUE    one value, laid over all of them: --set processors.batch.timeout=2s
  --processors DIR   a folder with processors of yours; repeatable`;

/** Reads `--config`, `--set` and `--processors`, each repeatable, and the files; or says what is wrong and gives the exit code. */
export function readGatewayArgs(
  command: string,
  args: string[],
  io: CliIo,
  ownNames: readonly string[] = [],
): GatewayArgs | number {
  const refuse = (messages: readonly string[]): number => {
    for (const message of messages) io.stderr(`signalbox ${command}: ${message}\n`);
    return EXIT_USAGE;
  };
  const parsed = parse(args, ownNames);
  if ("problem" in parsed) return refuse([parsed.problem]);
  const { configs, sets, processorFolders, own } = parsed;
  // Without a file: the embedded store on the loopback, which harms nobody and shows what this is.
  const locations =
    configs.length > 0 ? configs : [`file:${relative(".", join(PACKAGE_FOLDER, "collector/local.yaml"))}`];
  const { files, problems } = readSources({ configs: locations, sets, env: io.env, readText: readTextFile });
  return problems.length > 0 ? refuse(problems) : { files, processorFolders, own };
}

interface ParsedArgs extends Pick<GatewayArgs, "processorFolders" | "own"> {
  readonly configs: readonly string[];
  readonly sets: readonly string[];
}

const REPEATABLE = { type: "string", multiple: true } as const;
const SINGLE = { type: "string" } as const;

function parse(args: string[], ownNames: readonly string[]): ParsedArgs | { readonly problem: string } {
  const ownOptions = Object.fromEntries(ownNames.map((name) => [name, SINGLE]));
  const options = { ...ownOptions, config: REPEATABLE, set: REPEATABLE, processors: REPEATABLE };
  try {
    const { values } = parseOptions({ args, options });
    const { config = [], set = [], processors = [], ...own } = values;
    return { configs: config, sets: set, processorFolders: processors, own };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}
