import { EXIT_FAILED, EXIT_USAGE } from "./io.ts";
import type { CliIo } from "./io.ts";
import { BadQuestion, StoreClient, StoreUnreachable } from "./store-client.ts";
import { parseStoreOptions, STORE_USAGE, UsageError } from "./store-options.ts";
import type { StoreOptions } from "./store-options.ts";

export interface StoreCommand {
  /** `logs`. */
  readonly name: string;
  readonly usage: string;
  readonly ownOptions: readonly string[];
  /** Returns the exit code. */
  readonly run: (client: StoreClient, options: StoreOptions, io: CliIo) => Promise<number>;
}

/** What logs, trace and job have in common: options, where to ask, and how to say what went wrong. */
export async function runStoreCommand(command: StoreCommand, args: readonly string[], io: CliIo): Promise<number> {
  let client: StoreClient | undefined;
  try {
    const options = parseStoreOptions(args, command.ownOptions, io);
    client = new StoreClient(options, io);
    return await command.run(client, options, io);
  } catch (error) {
    if (error instanceof UsageError) {
      io.stderr(`signalbox ${command.name}: ${error.message}\n\n${command.usage}\n${STORE_USAGE}\n`);
      return EXIT_USAGE;
    }
    if (error instanceof BadQuestion) return report(io, command.name, error, EXIT_USAGE);
    if (error instanceof StoreUnreachable) return report(io, command.name, error, EXIT_FAILED);
    throw error;
  } finally {
    client?.close();
  }
}

function report(io: CliIo, name: string, error: Error, exitCode: number): number {
  io.stderr(`signalbox ${name}:\n${error.message}\n`);
  return exitCode;
}
