import { sleep, systemClock } from "../core/clock.ts";
import { formatProblems } from "../config/problem.ts";
import type { Logger } from "../core/logger.ts";
import { VERSION } from "../core/version.ts";
import { formatBanner } from "../service/banner.ts";
import { createConsoleLogger, logSettingsOf } from "../service/console-logger.ts";
import { formatLedger } from "../service/ledger-text.ts";
import { InputWatch } from "../service/input-watch.ts";
import { loadGateway, type LoadInputs } from "../service/load.ts";
import { findProcessorAtFault, type ProcessorOrigin } from "../service/processor-fault.ts";
import { loadStartMs, ProcessorMemory } from "../service/processor-memory.ts";
import { type ReadConfiguration, Reloader } from "../service/reloader.ts";
import { Service, type ServiceSettings } from "../service/service.ts";
import { StrayFaults } from "../service/stray-faults.ts";
import { type GatewayArgs, readGatewayArgs } from "./gateway-args.ts";
import { type CliIo, EXIT_FAILED, EXIT_OK } from "./io.ts";
import { loadAndReport, type LoadedGateway } from "./load-command.ts";
import { commandName } from "./package.ts";

/** `signalbox run`: the gateway until it is told to stop. 0 after a clean stop, 1 where it could not start or go on, 2 for a bad configuration. */
export async function runGatewayCommand(args: string[], io: CliIo): Promise<number> {
  const memory = new ProcessorMemory();
  const sinceMs = loadStartMs(systemClock);
  const gatewayArgs = readGatewayArgs("run", args, io, [], ["no-watch"]);
  if (typeof gatewayArgs === "number") return gatewayArgs;
  const loaded = await loadAndReport(gatewayArgs, io, memory);
  if (typeof loaded === "number") return loaded;
  const { logs } = loaded.configuration.service.telemetry;
  const log = { clock: systemClock, write: io.stderr, ...logSettingsOf(logs) };
  const onLogsChanged: Run["onLogsChanged"] = (next) => void Object.assign(log, logSettingsOf(next));
  const logger = createConsoleLogger(log);
  io.outputs?.listen(({ name, isTaken, message }) => {
    // What the log's own stream does not take is told on the other, as long as it lasts.
    const teller = name === "stderr" && !isTaken ? createConsoleLogger({ ...log, write: io.stdout }) : logger;
    teller.warn(message);
  });
  return runService({ gatewayArgs, loaded, memory, sinceMs, logger, onLogsChanged, io });
}

interface Run {
  readonly gatewayArgs: GatewayArgs;
  readonly loaded: LoadedGateway;
  readonly memory: ProcessorMemory;
  /** What it was loaded from is not older. */
  readonly sinceMs: number;
  readonly logger: Logger;
  readonly onLogsChanged: NonNullable<ServiceSettings["onLogsChanged"]>;
  readonly io: CliIo;
}

async function runService(run: Run): Promise<number> {
  const { loaded, logger, io } = run;
  const end = new EndOfRun();
  const origins = [...loaded.processorOrigins];
  using guards = new DisposableStack();
  guards.use(guardProcess(origins, logger, end));
  io.earlySignals?.releaseStops();
  let service: Service;
  try {
    const onFatal = (): void => end.request(EXIT_FAILED);
    service = new Service({ configuration: loaded.configuration, logger, onFatal, onLogsChanged: run.onLogsChanged });
    // A start that hangs (a dead disk, a name server) must still be stoppable.
    const stoppedEarly = await Promise.race([service.start().then(() => undefined), end.requested]);
    if (stoppedEarly !== undefined) {
      logger.info("stopped before everything had started");
      await Promise.race([service.shutdown(), sleep(systemClock, loaded.configuration.signalbox.shutdown_timeout)]);
      return stoppedEarly;
    }
  } catch (error) {
    io.stderr(`${error instanceof Error ? error.message : String(error)}\n`);
    return EXIT_FAILED;
  }
  const stopping = new AbortController();
  guards.use(await followInputs(run, service, origins, stopping.signal));
  io.stdout(formatBanner({ version: VERSION, listening: service.listening, command: commandName() }));
  const exitCode = await end.requested;
  logger.info("stopping: no more is accepted, what is queued is sent");
  stopping.abort();
  await service.shutdown();
  io.stderr(formatLedger(service.ledger));
  return exitCode;
}

/** Reloads on SIGHUP and, unless it was told not to, when what the configuration was read from changes. */
async function followInputs(
  run: Run,
  service: Service,
  origins: ProcessorOrigin[],
  stopping: AbortSignal,
): Promise<Disposable> {
  const { gatewayArgs, loaded, memory, sinceMs, logger, io } = run;
  const reloader = new Reloader({
    service,
    memory,
    logger,
    clock: systemClock,
    inputs: withPaths(loaded.inputs, gatewayArgs),
    warnings: loaded.warnings,
    stopping,
    // Code of a processor that was replaced may still run, so no origin is forgotten.
    onOrigins: (found) => void origins.push(...found.filter(({ file }) => !origins.some((own) => own.file === file))),
  });
  const stack = new DisposableStack();
  const reload = async (): Promise<void> => void (await reloader.reload(() => readAgain(run, stopping)));
  const onHangUp = (): void => void reload();
  process.on("SIGHUP", onHangUp);
  stack.defer(() => void process.off("SIGHUP", onHangUp));
  if (io.earlySignals?.releaseReloads() === true) onHangUp();
  if (gatewayArgs.own["no-watch"] !== undefined || !loaded.configuration.signalbox.watch) return stack;
  const watch = stack.use(new InputWatch({ clock: systemClock, onChange: reload }));
  await reloader.follow(watch, sinceMs);
  return stack;
}

async function readAgain({ gatewayArgs, memory, io }: Run, stopping: AbortSignal): Promise<ReadConfiguration> {
  const { files, problems } = gatewayArgs.reread();
  const own = withPaths({ files: [], folders: [] }, gatewayArgs);
  if (problems.length > 0) return { ok: false, message: problems.join("\n"), inputs: own };
  const { processorFolders } = gatewayArgs;
  const loaded = await loadGateway({ files, processorFolders, env: io.env, memory, stopping });
  const inputs = withPaths(loaded.inputs, gatewayArgs);
  return loaded.ok ? { ...loaded, inputs } : { ok: false, message: formatProblems(loaded.problems), inputs };
}

function withPaths({ files, folders }: LoadInputs, { paths }: GatewayArgs): LoadInputs {
  return { files: [...paths, ...files], folders };
}

/** Resolves with the exit code at the first reason to stop; later reasons change nothing. */
class EndOfRun {
  readonly requested: Promise<number>;
  #resolve!: (exitCode: number) => void;

  constructor() {
    this.requested = new Promise((resolve) => (this.#resolve = resolve));
  }

  request(exitCode: number): void {
    this.#resolve(exitCode);
  }
}

/** As rarely as a timer can. */
const ALIVE_MS = 2 ** 31 - 1;

/**
 * Signals end the run; a second one ends it at once. What a processor of the user's throws outside a batch (a timer, a
 * stray promise) is logged once with its line and costs nothing else; any other error that nobody caught is our bug, after
 * which the state cannot be trusted: the gateway drains and ends.
 */
function guardProcess(origins: readonly ProcessorOrigin[], logger: Logger, end: EndOfRun): Disposable {
  const strayFaults = new StrayFaults(logger, systemClock);
  let isStopping = false;
  const onSignal = (): void => {
    // Not process.exit(): that waits for threads, and one that hangs may be why somebody asks twice.
    if (isStopping) process.kill(process.pid, "SIGKILL");
    isStopping = true;
    end.request(EXIT_OK);
  };
  const onError = (thrown: unknown): void => {
    const fault = findProcessorAtFault(thrown, origins);
    if (fault !== undefined) {
      strayFaults.report(fault);
      return;
    }
    const text = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    logger.error(`an error that nobody caught; the gateway stops: ${text}`);
    end.request(EXIT_FAILED);
  };
  // Timers of the Clock do not keep the process alive, and a drain that waits to try again has nothing else.
  const alive = setInterval(() => {}, ALIVE_MS);
  for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, onSignal);
  process.on("uncaughtException", onError).on("unhandledRejection", onError);
  return {
    [Symbol.dispose]: () => {
      clearInterval(alive);
      strayFaults[Symbol.dispose]();
      for (const name of ["SIGINT", "SIGTERM"] as const) process.off(name, onSignal);
      process.off("uncaughtException", onError).off("unhandledRejection", onError);
    },
  };
}
