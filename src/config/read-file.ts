import { readFile } from "node:fs/promises";
import type { SourceFile } from "./yaml.ts";

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EACCES: "this user may not read it",
  EISDIR: "it is a folder, expected a file",
};

/** Reads one configuration file; what cannot be read is a sentence for the operator. The name stays as the operator wrote it. */
export async function readConfigurationFile(name: string): Promise<SourceFile | { readonly problem: string }> {
  try {
    return { name, text: await readFile(name, "utf8") };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    return { problem: `cannot read the configuration ${name}: ${REASONS[code] ?? String(error)}` };
  }
}
