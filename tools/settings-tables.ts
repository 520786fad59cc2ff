/**
 * `npm run docs`: writes anew what is made from the schemas, the settings table of each component's README and
 * collector/signalbox.schema.json; tests compare.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { configurationJsonSchema } from "../src/config/json-schema.ts";
import { settingsTable } from "../src/config/settings-table.ts";
import { BUILT_IN_FACTORIES } from "../src/service/built-in.ts";
import { loadFactories } from "../src/service/factories.ts";

const TABLE = /\| key \| type \| default \| meaning \|\n(?:\|.*\n)+/;

for (const { kind, type, config } of BUILT_IN_FACTORIES) {
  const path = fileURLToPath(new URL(`../src/${kind}s/${type}/README.md`, import.meta.url));
  const text = readFileSync(path, "utf8");
  if (!TABLE.test(text)) throw new Error(`${path} has no table "| key | type | default | meaning |" to replace`);
  writeFileSync(
    path,
    text.replace(TABLE, () => `${settingsTable(config)}\n`),
  );
}

const { factories } = await loadFactories([]);
const schemaPath = fileURLToPath(new URL("../collector/signalbox.schema.json", import.meta.url));
writeFileSync(schemaPath, `${JSON.stringify(configurationJsonSchema(factories), null, 1)}\n`);
