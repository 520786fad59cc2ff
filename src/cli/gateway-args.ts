import { readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { PACKAGE_FOLDER } from "../core/package-files.ts";
import type { SourceFile } from "../config/yaml.ts";
import { type CliIo, EXIT_USAGE } from "./io.ts";

export interface GatewayArgs {
  readonly files: readonly SourceFile[];
  readonly processorFolders: readonly string[];
}

/** Reads `--config FILE` and `--processors DIR`, each repeatable, and the files; or says what is wrong and gives the exit code. */
export function readGatewayArgs(command: string, args: string[], io: CliIo): GatewayArgs | number {
  const refuse = (message: string): number => {
    io.stderr(`signalbox ${command}: ${message}\n`);
    return EXIT_USAGE;
  };
  try {
    const { values } = parseArgs({
      args,
      options: { config: { type: "string", multiple: true }, processors: { type: "string", multiple: true } },
    });
    // Without a file: the embedded store on the loopback, which harms nobody and shows what this is.
    const paths = values.config ?? [relative(".", join(PACKAGE_FOLDER, "collector/local.yaml"))];
    return { files: paths.map(readFile), processorFolders: values.processors ?? [] };
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
}

function readFile(path: string): SourceFile {
  try {
    return { name: path, text: readFileSync(path, "utf8") };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    const reason =
      code === "ENOENT"
        ? "there is no such file"
        : code === "EISDIR"
          ? "it is a folder, expected a YAML file"
          : String(error);
    throw new Error(`--config ${path}: ${reason}`, { cause: error });
  }
}
