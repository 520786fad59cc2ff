import { readdir, stat } from "node:fs/promises";
import { basename, extname, join, relative, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { sleep, systemClock, type Clock } from "../core/clock.ts";
import type { ProcessorFactory } from "../core/component.ts";
import { OWN_PROCESSORS_FOLDER, RUNS_FROM_SOURCES } from "../core/package-files.ts";
import { isDefinedProcessor, type DefinedProcessor } from "../sdk/define.ts";
import type { ImportWatchdog } from "./import-watchdog.ts";
import { guardAgainstExit } from "./processor-exit-guard.ts";
import { explainImportFailure } from "./processor-import-failure.ts";
import { loadStartMs, type ProcessorMemory } from "./processor-memory.ts";
import { generationUrl, nextGeneration } from "./processor-modules.ts";
import { runAs, type ProcessorOrigin } from "./processor-fault.ts";
import { formatFault, TOP_LEVEL_FAULTS, type ProcessorFault, type ProcessorProblem } from "./processor-problem.ts";
import { TRIAL_MS_MAX, tryFile } from "./processor-trial.ts";
import { createUserProcessorFactory } from "./user-processor.ts";

export interface LoadSettings {
  /** Types that the gateway has itself; a user's processor must not take one of their names. */
  readonly builtInTypes?: readonly string[];
  readonly clock?: Clock;
  /** Of the loads before: what it knows unchanged is not loaded again. Default: every file is loaded anew. */
  readonly memory?: ProcessorMemory;
  /** Of a gateway that runs meanwhile: it aborts when that stops, and the load gives up with a problem. */
  readonly stopping?: AbortSignal;
  /** Of a process in which nothing runs yet: it ends with the problem where a file hangs. */
  readonly watchdog?: ImportWatchdog;
}

export interface LoadedProcessors {
  readonly factories: readonly ProcessorFactory[];
  /** In the order of `factories`; findProcessorAtFault (processor-fault.ts) takes them. */
  readonly origins: readonly ProcessorOrigin[];
  readonly problems: readonly ProcessorProblem[];
}

// Files that Node runs. In a processor's own folder the first of these counts: a compiled one may lie beside its source.
const EXTENSIONS = [".ts", ".js", ".mjs"];

// A folder of processors is written by hand. A larger one is a wrong path, such as a home folder.
const FOLDER_ENTRIES_MAX = 1_000;

const STOPPING = { message: "was not loaded: the gateway is stopping", fix: "start it again" };

/**
 * Loads every processor of the folders: `<folder>/<type>.ts` or `<folder>/<type>/processor.ts` (.js, .mjs).
 * Relative folders start at the working directory. Never rejects: what is wrong is a problem, and the other files load.
 * Files are read anew at each call, which is how a reload gets to see them; with a memory, those that have changed.
 */
export async function loadProcessors(
  folders: readonly string[],
  settings: LoadSettings = {},
): Promise<LoadedProcessors> {
  guardAgainstExit();
  const loader = new Loader(settings);
  for (const folder of folders) await loader.loadFolder(folder);
  return loader;
}

class Loader implements LoadedProcessors {
  readonly factories: ProcessorFactory[] = [];
  readonly origins: ProcessorOrigin[] = [];
  readonly problems: ProcessorProblem[] = [];
  readonly #generation = nextGeneration();
  readonly #builtInTypes: readonly string[];
  readonly #clock: Clock;
  readonly #memory: ProcessorMemory | undefined;
  readonly #stopping: AbortSignal | undefined;
  readonly #watchdog: ImportWatchdog | undefined;

  constructor({ builtInTypes = [], clock = systemClock, memory, stopping, watchdog }: LoadSettings) {
    this.#builtInTypes = builtInTypes;
    this.#clock = clock;
    this.#memory = memory;
    this.#stopping = stopping;
    this.#watchdog = watchdog;
  }

  async loadFolder(folder: string): Promise<void> {
    const found = await findProcessors(folder);
    if ("message" in found) return void this.problems.push(found);
    for (const origin of found) await this.#loadFile(origin);
  }

  async #loadFile(origin: ProcessorOrigin): Promise<void> {
    const problem = this.#findClash(origin) ?? (await this.#load(origin));
    if (problem !== undefined) this.problems.push({ file: origin.shownFile, ...problem });
  }

  #findClash({ type, shownFile }: ProcessorOrigin): ProcessorFault | undefined {
    const other = this.origins.find((origin) => origin.type === type);
    if (other !== undefined) {
      return {
        message: `the type "${type}" comes from ${other.shownFile} already`,
        fix: `rename or remove one of ${other.shownFile} and ${shownFile}`,
      };
    }
    if (!this.#builtInTypes.includes(type)) return undefined;
    return {
      message: `"${type}" is a processor of the gateway's own`,
      fix: `rename the file and its type, for example to "my_${type}"`,
    };
  }

  async #load(origin: ProcessorOrigin): Promise<ProcessorFault | undefined> {
    const known = await this.#memory?.unchanged(origin);
    if (this.#stopping?.aborted === true) return STOPPING;
    if (known === undefined) return this.#import(origin);
    this.origins.push(origin);
    this.factories.push(known);
    return undefined;
  }

  async #import(origin: ProcessorOrigin): Promise<ProcessorFault | undefined> {
    const fault = await this.#try(origin);
    if (fault !== undefined) return fault;
    const sinceMs = loadStartMs(this.#clock);
    let exports: unknown;
    try {
      exports = await this.#importInTime(origin);
    } catch (thrown) {
      return explainImportFailure(origin, thrown);
    }
    if (this.#stopping?.aborted === true) return STOPPING;
    if (exports === "waits" || exports === "never settles") return TOP_LEVEL_FAULTS[exports];
    const definition = pickProcessor(exports as Readonly<Record<string, unknown>>, origin.type);
    if ("message" in definition) return definition;
    const factory = createUserProcessorFactory(definition, origin);
    await this.#memory?.remember(origin, factory, this.#generation, sinceMs);
    this.origins.push(origin);
    this.factories.push(factory);
    return undefined;
  }

  /** Beside a running gateway a file is tried in another process first. At a start nothing else is there to be stopped. */
  async #try(origin: ProcessorOrigin): Promise<ProcessorFault | undefined> {
    if (this.#stopping === undefined) return undefined;
    const result = await tryFile(origin.file, this.#clock, this.#stopping);
    if (result === "came back") return undefined;
    this.#memory?.noteFiles(origin, this.#generation);
    return TOP_LEVEL_FAULTS[result];
  }

  /** What comes with the built package is tested, and its start is spared the thread. */
  #watchdogOver({ file }: ProcessorOrigin): ImportWatchdog | undefined {
    return RUNS_FROM_SOURCES || !file.startsWith(OWN_PROCESSORS_FOLDER) ? this.#watchdog : undefined;
  }

  /** The module's exports, or what they are waited for in vain. */
  async #importInTime(origin: ProcessorOrigin): Promise<unknown> {
    const done = new AbortController();
    const signal = this.#stopping === undefined ? done.signal : AbortSignal.any([done.signal, this.#stopping]);
    const { hangs, "too large": tooLarge } = TOP_LEVEL_FAULTS;
    using _ = this.#watchdogOver(origin)?.watch({
      hangs: formatFault(origin.shownFile, hangs),
      tooLarge: formatFault(origin.shownFile, tooLarge),
    });
    const url = generationUrl(pathToFileURL(origin.file), this.#generation);
    const module = runAs(origin, (): Promise<unknown> => import(url));
    const expired = sleep(this.#clock, TRIAL_MS_MAX, signal).then(() => "waits");
    try {
      return await Promise.race([module, expired, loopIsEmpty(signal)]);
    } finally {
      this.#memory?.noteFiles(origin, this.#generation);
      done.abort();
    }
  }
}

/** Nothing is left that could bring what a file awaits; timers of the Clock do not count. Never where a gateway runs. */
function loopIsEmpty(signal: AbortSignal): Promise<"never settles"> {
  return new Promise((empty) => {
    const onEmpty = (): void => empty("never settles");
    process.once("beforeExit", onEmpty);
    signal.addEventListener("abort", () => process.off("beforeExit", onEmpty), { once: true });
  });
}

async function findProcessors(folder: string): Promise<ProcessorOrigin[] | ProcessorProblem> {
  let names: string[];
  try {
    names = (await readdir(resolve(folder))).toSorted();
  } catch (thrown) {
    return folderProblem(folder, thrown);
  }
  if (names.length > FOLDER_ENTRIES_MAX) {
    const message = `holds ${names.length} entries, more than ${FOLDER_ENTRIES_MAX}`;
    return { file: folder, message, fix: "name a folder that holds processors and little else" };
  }
  const found = await Promise.all(names.map((name) => findProcessor(folder, name)));
  return found.filter((origin) => origin !== undefined);
}

function folderProblem(folder: string, thrown: unknown): ProcessorProblem {
  const code = (thrown as NodeJS.ErrnoException).code ?? String(thrown);
  const shown = resolve(folder);
  const message =
    code === "ENOENT"
      ? `there is no folder ${shown}`
      : code === "ENOTDIR"
        ? `${shown} is a file, not a folder`
        : `cannot read ${shown}: ${code}`;
  return {
    file: folder,
    message,
    fix: "mend the path under signalbox.processors or behind --processors, or create the folder",
  };
}

// A test or a declaration beside the processor is none; a name that begins with _ or . is the user's way to say so.
const NOT_A_PROCESSOR = /^[_.]|\.(?:d|test|spec|config)\.[a-z]+$/;

async function findProcessor(folder: string, name: string): Promise<ProcessorOrigin | undefined> {
  if (NOT_A_PROCESSOR.test(name) || name === "node_modules") return undefined;
  const path = resolve(folder, name);
  if (await isFile(path)) {
    const extension = extname(name);
    if (!EXTENSIONS.includes(extension)) return undefined;
    return { type: basename(name, extension), file: path, shownFile: shownPath(path) };
  }
  for (const extension of EXTENSIONS) {
    const file = join(path, `processor${extension}`);
    if (await isFile(file)) return { type: name, file, ownFolder: path, shownFile: shownPath(file) };
  }
  return undefined;
}

/** From the working directory where it lies below it, as people read it there. */
function shownPath(file: string): string {
  const shown = relative("", file);
  return shown.startsWith("..") ? file : shown;
}

/** Follows links, as mounted configuration often is one. What cannot be looked at is no processor. */
function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (stats) => stats.isFile(),
    () => false,
  );
}

function pickProcessor(exports: Readonly<Record<string, unknown>>, type: string): DefinedProcessor | ProcessorFault {
  // One processor under two names, such as a named and a default export, is one.
  const defined = [...new Set(Object.values(exports).filter(isDefinedProcessor))];
  const [only] = defined;
  if (only === undefined) return missingExport(exports, type);
  if (defined.length > 1) {
    const types = defined.map((processor) => `"${processor.type}"`).join(", ");
    return {
      message: `exports ${defined.length} processors: ${types}`,
      fix: "move each into a file of its own, named as its type",
    };
  }
  if (only.type === type) return only;
  return {
    message: `defines the type "${only.type}", but is named "${type}"`,
    fix: `rename it to ${only.type}, or write type: "${type}"`,
  };
}

function missingExport(exports: Readonly<Record<string, unknown>>, type: string): ProcessorFault {
  const names = Object.keys(exports);
  const message = names.length === 0 ? "exports nothing" : `exports ${names.join(", ")}, but no processor`;
  return {
    message,
    fix: `write: export const ${camelCase(type)} = defineProcessor({ type: "${type}", logs(batch, ctx) { ... } })`,
  };
}

function camelCase(type: string): string {
  const name = type.replaceAll(/[^A-Za-z0-9]+([A-Za-z0-9]?)/g, (_match, letter: string) => letter.toUpperCase());
  return /^[A-Za-z]/.test(name) ? name : "processor";
}
