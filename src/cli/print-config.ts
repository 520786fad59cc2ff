import { stringify } from "yaml";
import { type PrintMode, printableConfiguration } from "../config/print.ts";
import { readGatewayArgs } from "./gateway-args.ts";
import { type CliIo, EXIT_OK, EXIT_USAGE } from "./io.ts";
import { loadAndReport } from "./load-command.ts";

const MODES: readonly PrintMode[] = ["redacted", "unredacted"];

type Format = "yaml" | "json";

const FORMATS: Readonly<Record<Format, (value: unknown) => string>> = {
  yaml: (value) => stringify(value, { lineWidth: 0 }),
  json: (value) => `${JSON.stringify(value, null, 2)}\n`,
};

export const PRINT_CONFIG_USAGE = `  --mode MODE        redacted (default), or unredacted, which shows tokens and headers
  --format FORMAT    yaml (default) or json`;

/** `signalbox print-config`: the configuration as it is understood, with all defaults. */
export async function runPrintConfigCommand(args: string[], io: CliIo): Promise<number> {
  const gatewayArgs = readGatewayArgs("print-config", args, io, ["mode", "format"]);
  if (typeof gatewayArgs === "number") return gatewayArgs;
  const { mode = "redacted", format = "yaml" } = gatewayArgs.own;
  const known = MODES.find((name) => name === mode);
  if (known === undefined) return refuse("mode", mode, MODES, io);
  if (!isFormat(format)) return refuse("format", format, Object.keys(FORMATS), io);
  const loaded = await loadAndReport(gatewayArgs, io);
  if (typeof loaded === "number") return loaded;
  io.stdout(FORMATS[format](printableConfiguration(loaded.configuration, known)));
  return EXIT_OK;
}

function isFormat(text: string): text is Format {
  return Object.hasOwn(FORMATS, text);
}

function refuse(option: string, found: string, known: readonly string[], io: CliIo): number {
  io.stderr(`signalbox print-config: --${option}: found "${found}", expected ${known.join(" or ")}\n`);
  return EXIT_USAGE;
}
