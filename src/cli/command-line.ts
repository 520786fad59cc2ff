import { closestName } from "../core/closest-name.ts";
import { type CliIo, EXIT_FAILED, EXIT_OK, EXIT_USAGE } from "./io.ts";
import { VERSION } from "../core/version.ts";

interface Command {
  readonly usage: string;
  readonly summary: string;
  /** The options, for `signalbox COMMAND --help`. */
  readonly options?: () => Promise<string>;
  /** Loads the command's code when it is asked for, so that `signalbox job` does not wait for the whole gateway to load. */
  readonly load: () => Promise<(args: string[], io: CliIo) => Promise<number>>;
}

const gatewayOptions = async (): Promise<string> => (await import("./gateway-args.ts")).GATEWAY_USAGE;
const typesOptions = async (): Promise<string> => (await import("./types-args.ts")).TYPES_USAGE;

const COMMANDS: Readonly<Record<string, Command>> = {
  run: {
    usage: "run [--config LOCATION] [--set KEY=VALUE] [--processors DIR] [--no-watch]",
    summary: "run the gateway (without --config: the embedded store, on the loopback)",
    options: async () => `${await gatewayOptions()}\n${(await import("./gateway-args.ts")).RUN_USAGE}`,
    load: async () => (await import("./run.ts")).runGatewayCommand,
  },
  validate: {
    usage: "validate --config LOCATION [--set KEY=VALUE] [--processors DIR]",
    summary: "say all that is wrong with a configuration, and what can stop it; exit code 2 if anything is wrong",
    options: gatewayOptions,
    load: async () => (await import("./validate.ts")).runValidateCommand,
  },
  "print-config": {
    usage: "print-config --config LOCATION [--mode redacted|unredacted] [--format yaml|json]",
    summary: "print a configuration as it is understood, with every default",
    options: async () => `${await gatewayOptions()}\n${(await import("./print-config.ts")).PRINT_CONFIG_USAGE}`,
    load: async () => (await import("./print-config.ts")).runPrintConfigCommand,
  },
  components: {
    usage: "components [--processors DIR]",
    summary: "list the types of components, with their signals",
    options: typesOptions,
    load: async () => (await import("./components.ts")).runComponentsCommand,
  },
  schema: {
    usage: "schema [--processors DIR]",
    summary: "print the JSON Schema of the configuration, for editors",
    options: typesOptions,
    load: async () => (await import("./schema.ts")).runSchemaCommand,
  },
  ledger: {
    usage: "ledger [--config LOCATION | --storage DIR] [--run] [--json]",
    summary: "show where every item went: of the gateway that runs, or of what one that has stopped left on disk",
    options: async () => `${await gatewayOptions()}\n${(await import("./ledger.ts")).LEDGER_USAGE}`,
    load: async () => (await import("./ledger.ts")).runLedgerCommand,
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
  deadletters: {
    usage: "deadletters list|show ID|export|replay|drop [--filter KEY=VALUE] [--config LOCATION | --storage DIR]",
    summary: "what destinations did not get: look at it, take it out as OTLP JSON lines, send it again",
    options: async () => (await import("./deadletters.ts")).DEAD_LETTERS_USAGE,
    load: async () => (await import("./deadletters.ts")).runDeadLettersCommand,
  },
  queues: {
    usage: "queues list|move --from ID --to ID|dead-letter ID|drop ID [--config LOCATION | --storage DIR] [--json]",
    summary:
      "what waits for each destination; what is parked for one that was taken away goes to another, to the dead letters, or for good",
    options: async () => (await import("./queues.ts")).QUEUES_USAGE,
    load: async () => (await import("./queues.ts")).runQueuesCommand,
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
    const options = await command.options?.();
    io.stdout(`signalbox ${command.usage}\n  ${command.summary}\n${options === undefined ? "" : `\n${options}\n`}`);
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
  const lines = Object.values(COMMANDS).flatMap(({ usage, summary }) => [`  ${usage}`, `      ${summary}`]);
  const more = '"signalbox COMMAND --help" tells its options.';
  return ["signalbox: the OpenTelemetry gateway for TypeScript teams", "", ...lines, "", more, ""].join("\n");
}

function unknownCommandText(name: string): string {
  const nearest = closestName(name, Object.keys(COMMANDS));
  const fix = nearest === undefined ? `"signalbox help" lists the commands` : `did you mean "${nearest}"?`;
  return `signalbox: "${name}" is not a command\n  ${fix}\n`;
}
