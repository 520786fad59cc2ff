import { Ajv } from "ajv";
import { parse } from "yaml";
import { configurationJsonSchema } from "../../src/config/json-schema.ts";
import { loadFactories } from "../../src/service/factories.ts";

/** What an editor would underline in a file, as "path message": by the JSON Schema that `signalbox schema` prints. */
export async function schemaFaults(): Promise<(text: string) => string[]> {
  const { factories } = await loadFactories([]);
  const fits = new Ajv({ strict: false, allErrors: true }).compile(configurationJsonSchema(factories));
  return (text) => {
    fits(parse(text, { merge: true, prettyErrors: false }));
    return (fits.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
  };
}
