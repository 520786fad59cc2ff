import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import type { Configuration } from "../config/configuration.ts";
import { formatProblems, type Problem } from "../config/problem.ts";
import type { InputWatch } from "./input-watch.ts";
import type { LoadInputs } from "./load.ts";
import { ReloadMetrics } from "./reload-metrics.ts";
import type { ProcessorMemory } from "./processor-memory.ts";
import type { ProcessorOrigin } from "./processor-fault.ts";
import type { Service } from "./service.ts";

/** A configuration as it is read now, or what is wrong with it, in the words of `signalbox validate`. */
export type ReadConfiguration = { readonly inputs: LoadInputs } & (
  | {
      readonly ok: true;
      readonly configuration: Configuration;
      readonly warnings: readonly Problem[];
      readonly processorOrigins: readonly ProcessorOrigin[];
    }
  | { readonly ok: false; readonly message: string }
);

export interface ReloaderSettings {
  readonly service: Service;
  readonly memory: ProcessorMemory;
  readonly logger: Logger;
  readonly clock: Clock;
  /** What the running configuration was read from. */
  readonly inputs: LoadInputs;
  readonly warnings: readonly Problem[];
  /** Aborts when the gateway is told to stop: what is being read gives up, what waits for its turn is never read. */
  readonly stopping: AbortSignal;
  readonly onOrigins?: (origins: readonly ProcessorOrigin[]) => void;
}

export type ReloadResult =
  | { readonly ok: true; readonly changes: readonly string[] }
  | { readonly ok: false; readonly message: string };

/**
 * Files of processors whose older contents the process still holds before somebody is told. A file takes some 40 KiB
 * (docs/decisions/0009-reload.md), so this is 8 MiB.
 */
const SUPERSEDED_FILES_MAX = 200;

const STOPPING: ReloadResult = { ok: false, message: "the gateway is stopping" };

/** Reads the configuration again and puts it in force, or says why not: then the running one stays. */
export class Reloader {
  readonly #settings: ReloaderSettings;
  readonly #metrics: ReloadMetrics;
  #inputs: LoadInputs;
  #warnings: ReadonlySet<string>;
  #watch: InputWatch | undefined;
  #supersededLimit = SUPERSEDED_FILES_MAX;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(settings: ReloaderSettings) {
    this.#settings = settings;
    const { service, clock, memory, inputs, warnings } = settings;
    this.#inputs = inputs;
    this.#warnings = new Set(warnings.map((warning) => formatProblems([warning])));
    this.#metrics = new ReloadMetrics(service.metrics, clock, () => memory.supersededCount);
  }

  /** From now on `watch` looks at what the configuration, as it stands at any time, is read from. */
  async follow(watch: InputWatch, sinceMs: number): Promise<void> {
    this.#watch = watch;
    await watch.follow(withoutDoubles(this.#inputs), { atMs: sinceMs });
  }

  /** Whatever `read` gives, when its turn has come: one after the other. Never rejects where it does not. */
  reload(read: () => Promise<ReadConfiguration>): Promise<ReloadResult> {
    const result = this.#turn.then(() => this.#reload(read));
    this.#turn = result;
    return result;
  }

  async #reload(readAgain: () => Promise<ReadConfiguration>): Promise<ReloadResult> {
    const { stopping } = this.#settings;
    if (stopping.aborted) return STOPPING;
    const mark = await this.#watch?.mark();
    const read = await readAgain();
    // What was cut short has nothing to say to anybody.
    if (stopping.aborted) return STOPPING;
    const result = read.ok ? await this.#apply(read) : { ok: false as const, message: read.message };
    this.#report(result);
    // Where it was refused, a change of what is in force is none of the files that were read now.
    if (result.ok) this.#inputs = read.inputs;
    const files = [...this.#inputs.files, ...read.inputs.files];
    const folders = [...this.#inputs.folders, ...read.inputs.folders];
    if (mark !== undefined) await this.#watch?.follow(withoutDoubles({ files, folders }), mark);
    return result;
  }

  async #apply(read: Extract<ReadConfiguration, { ok: true }>): Promise<ReloadResult> {
    const { service, onOrigins } = this.#settings;
    try {
      const changes = await service.reload(read.configuration);
      onOrigins?.(read.processorOrigins);
      this.#warn(read.warnings);
      return { ok: true, changes };
    } catch (error) {
      return { ok: false, message: error instanceof Error ? error.message : String(error) };
    }
  }

  /** Only what was not said before. */
  #warn(warnings: readonly Problem[]): void {
    const texts = warnings.map((warning) => formatProblems([warning]));
    for (const text of texts) if (!this.#warnings.has(text)) this.#settings.logger.warn(text);
    this.#warnings = new Set(texts);
  }

  #report(result: ReloadResult): void {
    const { logger } = this.#settings;
    if (!result.ok) {
      this.#metrics.count("refused");
      // A line for each problem: its place, what is wrong, how to mend it.
      for (const problem of result.message.split(/\n(?=\S)/)) logger.error(`reload: ${problem}`);
      logger.error("reload refused: the running configuration stays in force");
      return;
    }
    const { changes } = result;
    this.#metrics.count(changes.length === 0 ? "unchanged" : "applied");
    for (const change of changes) logger.info(`reload: ${change}`);
    const what = changes.length === 1 ? "1 change is" : `${changes.length} changes are`;
    logger.info(changes.length === 0 ? "reload: nothing has changed" : `reload: ${what} in force`);
    this.#adviseRestart();
  }

  /** Node keeps every module that it has loaded, for ever. */
  #adviseRestart(): void {
    const { memory, logger } = this.#settings;
    const { supersededCount: count } = memory;
    if (count < this.#supersededLimit) return;
    this.#supersededLimit = count + SUPERSEDED_FILES_MAX;
    const what = `${count} files of processors have been replaced since the start, and Node keeps the older ones in memory`;
    logger.warn(`${what}; restart the gateway when it suits you`);
  }
}

function withoutDoubles({ files, folders }: LoadInputs): LoadInputs {
  return { files: [...new Set(files)].toSorted(), folders: [...new Set(folders)] };
}
