import { pipelineStoppers } from "../service/delivery-advice.ts";
import { readGatewayArgs } from "./gateway-args.ts";
import { type CliIo, EXIT_OK } from "./io.ts";
import { loadAndReport } from "./load-command.ts";

/** `signalbox validate`: all problems and warnings of a configuration, and what can stop its pipelines; 0 where it could be run. */
export async function runValidateCommand(args: string[], io: CliIo): Promise<number> {
  const gatewayArgs = readGatewayArgs("validate", args, io);
  if (typeof gatewayArgs === "number") return gatewayArgs;
  const loaded = await loadAndReport(gatewayArgs, io);
  if (typeof loaded === "number") return loaded;
  const names = gatewayArgs.files.map(({ name }) => name).join(", ");
  const stoppers = pipelineStoppers(loaded.configuration).map((line) => `  ${line}\n`);
  io.stdout(`${names}: valid\n${stoppers.join("")}`);
  return EXIT_OK;
}
