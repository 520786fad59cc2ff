import { join, relative } from "node:path";
import { statSync } from "node:fs";
import { readTextFile } from "../config/read-file.ts";
import type { ReadText } from "../config/schemes.ts";
import { readSources } from "../config/sources.ts";
import type { Sources } from "../config/sources.ts";
import type { SourceFile } from "../config/yaml.ts";
import { PACKAGE_FOLDER } from "../core/package-files.ts";
import { type CliIo, EXIT_USAGE } from "./io.ts";
import { parseOptions } from "./parse-options.ts";

export interface GatewayArgs {
  readonly files: readonly SourceFile[];
  /** Those that `--config` names on the disk. */
  readonly paths: readonly string[];
  /** The same files as they are now. What is no file (a pipe) is what it was. */
  readonly reread: () => Sources;
  readonly processorFolders: readonly string[];
  /** The command's own options, by name; of a flag that is there, "true". */
  readonly own: Readonly<Record<string, string | undefined>>;
}

/** What every command that loads a configuration takes. */
export const GATEWAY_USAGE = `  --config LOCATION  a file, or file:PATH, env:NAME, yaml:TEXT; repeated, later ones are laid over earlier ones:
                     maps merge, all else is replaced; without it, the embedded store on the loopback
  --set KEY=VALUE    one value, laid over all of them: --set processors.batch.timeout=2s
  --processors DIR   a folder with processors of yours; repeatable`;

/** What `signalbox run` takes besides. */
export const RUN_USAGE = `  --no-watch         reload on SIGHUP only, not when a file of the configuration changes`;

/** Reads `--config`, `--set` and `--processors`, each repeatable, and the files; or says what is wrong and gives the exit code. */
export function readGatewayArgs(
  command: string,
  args: string[],
  io: CliIo,
  ownNames: readonly string[] = [],
  flagNames: readonly string[] = [],
): GatewayArgs | number {
  const refuse = (messages: readonly string[]): number => {
    for (const message of messages) io.stderr(`signalbox ${command}: ${message}\n`);
    return EXIT_USAGE;
  };
  const parsed = parse(args, ownNames, flagNames);
  if ("problem" in parsed) return refuse([parsed.problem]);
  const { configs, sets, processorFolders, own } = parsed;
  // Without a file: the embedded store on the loopback, which harms nobody and shows what this is.
  const locations =
    configs.length > 0 ? configs : [`file:${relative(".", join(PACKAGE_FOLDER, "collector/local.yaml"))}`];
  const reader = new RepeatableReader();
  const reread = (): Sources => readSources({ configs: locations, sets, env: io.env, readText: reader.readText });
  const { files, problems } = reread();
  if (problems.length > 0) return refuse(problems);
  return { files, paths: [...reader.paths], reread, processorFolders, own };
}

/** Reads files as they are at the time, and what can be read but once only once. */
class RepeatableReader {
  readonly paths = new Set<string>();
  readonly #once = new Map<string, ReturnType<ReadText>>();

  readonly readText: ReadText = (path) => {
    this.paths.add(path);
    const known = this.#once.get(path);
    if (known !== undefined) return known;
    const read = readTextFile(path);
    if (statSync(path, { throwIfNoEntry: false })?.isFile() === false) this.#once.set(path, read);
    return read;
  };
}

interface ParsedArgs extends Pick<GatewayArgs, "processorFolders" | "own"> {
  readonly configs: readonly string[];
  readonly sets: readonly string[];
}

const REPEATABLE = { type: "string", multiple: true } as const;
const SINGLE = { type: "string" } as const;
const FLAG = { type: "boolean" } as const;

function parse(
  args: string[],
  ownNames: readonly string[],
  flagNames: readonly string[],
): ParsedArgs | { readonly problem: string } {
  const ownOptions = Object.fromEntries(ownNames.map((name) => [name, SINGLE]));
  const flags = Object.fromEntries(flagNames.map((name) => [name, FLAG]));
  const options = { ...ownOptions, ...flags, config: REPEATABLE, set: REPEATABLE, processors: REPEATABLE };
  try {
    const { values } = parseOptions({ args, options });
    const { config = [], set = [], processors = [], ...own } = values;
    const texts = Object.entries(own).map(([name, value]) => [name, typeof value === "boolean" ? "true" : value]);
    const ownTexts = Object.fromEntries(texts) as Record<string, string | undefined>;
    return { configs: config, sets: set, processorFolders: processors, own: ownTexts };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}
