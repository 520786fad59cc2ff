/** `npm run docs`: writes the settings table of each component's README anew from its schema; the tidy test compares. */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { settingsTable } from "../src/config/settings-table.ts";
import { BUILT_IN_FACTORIES } from "../src/service/built-in.ts";

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
