/** `npm run docs`: writes the tables of test/contract/README.md anew from the lists that the tests are made of. */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { contractTables } from "../test/contract/table.ts";

const HEADING = "## Who promises what\n\n";

const path = fileURLToPath(new URL("../test/contract/README.md", import.meta.url));
const text = readFileSync(path, "utf8");
const start = text.indexOf(HEADING);
if (start < 0) throw new Error(`${path} has no heading "${HEADING.trim()}" to write below`);
writeFileSync(path, `${text.slice(0, start)}${HEADING}${contractTables()}`);
