import { configurationJsonSchema } from "../config/json-schema.ts";
import { type CliIo, EXIT_OK } from "./io.ts";
import { readTypes } from "./types-args.ts";

/** `signalbox schema`: the JSON Schema of the whole configuration, for editors. */
export async function runSchemaCommand(args: string[], io: CliIo): Promise<number> {
  const factories = await readTypes("schema", args, io);
  if (typeof factories === "number") return factories;
  io.stdout(`${JSON.stringify(configurationJsonSchema(factories), null, 2)}\n`);
  return EXIT_OK;
}
