import { formatProblems } from "../config/problem.ts";
import { loadGateway } from "../service/load.ts";
import { readGatewayArgs } from "./gateway-args.ts";
import { type CliIo, EXIT_OK, EXIT_USAGE } from "./io.ts";

/** `signalbox validate`: all problems and warnings of a configuration; 0 where it could be run. */
export async function runValidateCommand(args: string[], io: CliIo): Promise<number> {
  const gatewayArgs = readGatewayArgs("validate", args, io);
  if (typeof gatewayArgs === "number") return gatewayArgs;
  const loaded = await loadGateway({ ...gatewayArgs, env: io.env });
  for (const warning of loaded.warnings) io.stderr(`warning: ${formatProblems([warning])}\n`);
  if (!loaded.ok) {
    io.stderr(`${formatProblems(loaded.problems)}\n`);
    return EXIT_USAGE;
  }
  const names = gatewayArgs.files.map(({ name }) => name).join(", ");
  io.stdout(`${names}: valid\n`);
  return EXIT_OK;
}
