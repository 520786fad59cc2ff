import { closestName } from "../core/closest-name.ts";
import { type CliIo, EXIT_FAILED, EXIT_OK, EXIT_USAGE } from "./io.ts";
import { VERSION } from "../core/version.ts";

interface Command {
  readonly usage: string;
  readonly summary: string;
  /** Loads the command's code when it is asked for, so that `signalbox job` does not wait for the whole gateway to load. */
  readonly load: () => Promise<(args: string[], io: CliIo) => Promise<number>>;
}

const COMMANDS: Readonly<Record<string, Command>> = {
  run: {
    usage: "run [--config FILE] [--processors DIR]",
    summary: "run the gateway (without --config: the embedded store, on the loopback)",
    load: async () => (await import("./run.ts")).runGatewayCommand,
  },
  validate: {
    usage: "validate --config FILE [--processors DIR]",
    summary: "say all that is wrong with a configuration; exit code 2 if anything is",
    load: async () => (await import("./validate.ts")).runValidateCommand,
  },
  logs: {
    usage: "logs QUERY [--since 1h] [--limit N] [--json]",
    summary: "search the logs of the embedded store",
    load: async () => (await import("./logs.ts")).runLogsCommand,
  },
  trace: {
    usage: "trace TRACE_ID [--json]",
    summary: "show one trace",
    load: async () => (await import("./trace.ts")).runTraceCommand,
  },
  job: {
    usage: "job JOB_ID [--json]",
    summary: "tell a job's story: its spans, its logs, and what its worker said around it",
    load: async () => (await import("./job.ts")).runJobCommand,
  },
};

/** Runs one command and returns the process's exit code. Never throws: an error that nobody expected is printed. */
export async function runCommandLine(args: readonly string[], io: CliIo): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === "help" || name === "--help" || name === "-h") {
    io.stdout(helpText());
    return name === undefined ? EXIT_USAGE : EXIT_OK;
  }
  if (name === "--version" || name === "-v" || name === "version") {
    io.stdout(`signalbox ${VERSION}\n`);
    return EXIT_OK;
  }
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) {
    io.stderr(unknownCommandText(name));
    return EXIT_USAGE;
  }
  if (rest.includes("--help") || rest.includes("-h")) {
    io.stdout(`signalbox ${command.usage}\n  ${command.summary}\n`);
    return EXIT_OK;
  }
  try {
    const run = await command.load();
    return await run(rest, io);
  } catch (error) {
    io.stderr(`signalbox ${name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    return EXIT_FAILED;
  }
}

function helpText(): string {
  const width = Math.max(...Object.values(COMMANDS).map(({ usage }) => usage.length));
  const lines = Object.values(COMMANDS).map(({ usage, summary }) => `  ${usage.padEnd(width)}  ${summary}`);
  return ["signalbox: the OpenTelemetry gateway for TypeScript teams", "", ...lines, ""].join("\n");
}

function unknownCommandText(name: string): string {
  const nearest = closestName(name, Object.keys(COMMANDS));
  const fix = nearest === undefined ? `"signalbox help" lists the commands` : `did you mean "${nearest}"?`;
  return `signalbox: "${name}" is not a command\n  ${fix}\n`;
}
