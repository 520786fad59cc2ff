import { basename, dirname, extname } from "node:path";
import type { Problem } from "../config/problem.ts";
import type { ComponentFactory } from "../core/component.ts";
import { OWN_PROCESSORS_FOLDER } from "../core/package-files.ts";
import { BUILT_IN_FACTORIES } from "./built-in.ts";
import type { ProcessorOrigin } from "./processor-fault.ts";
import { loadProcessors, type LoadSettings } from "./processor-loader.ts";
import { asProblem } from "./processor-problem.ts";

export interface KnownFactories {
  /** Compiled in, then what lies in processors/, then the user's. */
  readonly factories: readonly ComponentFactory[];
  readonly problems: readonly Problem[];
  readonly processorOrigins: readonly ProcessorOrigin[];
  /** The types that files would define which did not load. */
  readonly brokenProcessors: readonly string[];
}

/** Every component type there is, with the processors of the folders. */
export async function loadFactories(
  processorFolders: readonly string[],
  settings: Pick<LoadSettings, "memory" | "stopping" | "watchdog"> = {},
): Promise<KnownFactories> {
  const processors = await loadProcessors([OWN_PROCESSORS_FOLDER, ...processorFolders], {
    builtInTypes: BUILT_IN_FACTORIES.filter(({ kind }) => kind === "processor").map(({ type }) => type),
    ...settings,
  });
  return {
    factories: [...BUILT_IN_FACTORIES, ...processors.factories],
    problems: processors.problems.map(asProblem),
    processorOrigins: processors.origins,
    brokenProcessors: processors.problems.map(({ file }) => typeOf(file)),
  };
}

/** `<folder>/<type>.ts` or `<folder>/<type>/processor.ts`. */
function typeOf(file: string): string {
  const name = basename(file, extname(file));
  return name === "processor" ? basename(dirname(file)) : name;
}
