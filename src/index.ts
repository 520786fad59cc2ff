/**
 * The package as a library: a gateway inside another program, a test, a script. `signalbox/sdk` is for processors.
 */
import type { Listening } from "./core/component.ts";
import type { Logger } from "./core/logger.ts";
import { formatProblems, type Problem } from "./config/problem.ts";
import type { LedgerSnapshot } from "./queue/ledger.ts";
import { systemClock } from "./core/clock.ts";
import { loadGateway } from "./service/load.ts";
import { ProcessorMemory } from "./service/processor-memory.ts";
import { type ReadConfiguration, Reloader } from "./service/reloader.ts";
import { Service } from "./service/service.ts";

export type { Listening, LedgerSnapshot, Logger, Problem };

export interface GatewaySettings {
  /** The Collector's YAML. `name` stands in messages; relative folders in it start at its folder. */
  readonly configuration: { readonly name: string; readonly text: string };
  /** What `${env:NAME}` reads. Default: nothing; pass process.env to have it as on the command line. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Folders with processors, beside those that the YAML names. */
  readonly processorFolders?: readonly string[];
  /** Default: silence. */
  readonly logger?: Logger;
  /** Called when a component that was up cannot go on. The gateway is then to be shut down. */
  readonly onFatal?: (error: Error) => void;
}

export interface Gateway {
  /** In the order they started; with the real ports where 0 was asked for. */
  readonly listening: readonly Listening[];
  /** In items; what came, and what became of it. */
  readonly ledger: LedgerSnapshot;
  /**
   * Puts another configuration in force, or the same text again with its environment, files and processors as they are
   * now. Resolves with a line for each change. Rejects with why it cannot be: then the running one stays as it is.
   */
  reload(configuration?: GatewaySettings["configuration"]): Promise<readonly string[]>;
  /** Stops accepting, drains what can be drained, ends within `signalbox.shutdown_timeout`. Idempotent, never rejects. */
  shutdown(): Promise<void>;
}

/** The YAML is not one that can be run. The message has every problem, one a paragraph, as the command line prints them. */
export class ConfigurationError extends Error {
  override readonly name = "ConfigurationError";
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(formatProblems(problems));
    this.problems = problems;
  }
}

/** Resolves with a gateway that accepts; rejects with a ConfigurationError, or with what a component said that could not start. */
export async function startGateway(settings: GatewaySettings): Promise<Gateway> {
  const { env = {}, processorFolders = [], logger = SILENT, onFatal = () => {} } = settings;
  let { configuration: current } = settings;
  const memory = new ProcessorMemory();
  const stopping = new AbortController();
  const load = (file: typeof current, signal?: AbortSignal): ReturnType<typeof loadGateway> =>
    loadGateway({ files: [file], env, processorFolders, memory, ...(signal && { stopping: signal }) });
  const loaded = await load(current);
  if (!loaded.ok) throw new ConfigurationError(loaded.problems);
  const service = new Service({ configuration: loaded.configuration, logger, onFatal });
  await service.start();
  const read = async (file: typeof current): Promise<ReadConfiguration> => {
    const again = await load(file, stopping.signal);
    return again.ok ? again : { ...again, message: formatProblems(again.problems) };
  };
  const { inputs, warnings } = loaded;
  const reloadSettings = { service, memory, logger, clock: systemClock, inputs, warnings, stopping: stopping.signal };
  const reloader = new Reloader(reloadSettings);
  return {
    get listening() {
      return service.listening;
    },
    get ledger() {
      return service.ledger;
    },
    reload: async (next) => {
      const result = await reloader.reload(() => read(next ?? current));
      if (!result.ok) throw new Error(result.message);
      current = next ?? current;
      return result.changes;
    },
    shutdown: () => {
      stopping.abort();
      return service.shutdown();
    },
  };
}

const SILENT: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, with: () => SILENT };
