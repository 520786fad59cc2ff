import { resolve } from "node:path";
import { factoryLookup } from "../../../src/config/configuration.ts";
import { loadConfiguration } from "../../../src/config/load.ts";
import type { LoadResult } from "../../../src/config/load.ts";
import { formatProblems } from "../../../src/config/problem.ts";
import { readSources } from "../../../src/config/sources.ts";
import { BUILT_IN_FACTORIES } from "../../../src/service/built-in.ts";
import type { Case } from "./judge.ts";

const factories = factoryLookup(BUILT_IN_FACTORIES);

export interface OurVerdict {
  readonly isAccepted: boolean;
  readonly said: string;
  readonly result?: LoadResult;
}

/** The same case, asked of our loader. */
export function ourVerdict({ configs, sets = [], files, env = {} }: Case): OurVerdict {
  const byPath = new Map(Object.entries(files).map(([name, text]) => [resolve("/", name), text]));
  const readText = (path: string): { text: string } | { problem: string } => {
    const text = byPath.get(resolve("/", path));
    return text === undefined ? { problem: "there is no such file" } : { text };
  };
  const sources = readSources({ configs, sets, env, readText });
  if (sources.problems.length > 0) return { isAccepted: false, said: sources.problems.join("\n") };
  const result = loadConfiguration({ files: sources.files, env, readText, factories });
  return { isAccepted: result.ok, said: result.ok ? "accepted" : formatProblems(result.problems), result };
}
