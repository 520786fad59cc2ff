/**
 * `npm run fuzz [-- --times 20] [--seed N] [PATH...]`: every suite of properties, longer and from a new seed.
 * It prints the seed first, so that a run which the machine ended can be repeated, and how to repeat a failure last.
 */
import { spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const root = fileURLToPath(new URL("..", import.meta.url));
const TIMES_DEFAULT = "20";
/** One property at twenty times its runs takes seconds, the slowest a minute; this ends only what hangs. */
const PROPERTY_MS_MAX = 900_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    times: { type: "string", default: TIMES_DEFAULT },
    seed: { type: "string", default: String(randomInt(2 ** 31)) },
  },
});

const suites = globSync("test/**/*.test.ts", { cwd: root })
  .filter((path) => /support\/fuzz\.ts"/.test(readFileSync(join(root, path), "utf8")))
  .filter((path) => positionals.length === 0 || positionals.some((part) => path.includes(part)))
  .toSorted();
if (suites.length === 0) throw new Error(`no suite of properties under ${positionals.join(", ")}`);

const again = `npm run fuzz -- --times ${values.times} --seed ${values.seed}`;
console.log(`${suites.length} suites, ${values.times} times their runs, seed ${values.seed}\n${suites.join("\n")}\n`);
const { status } = spawnSync("vitest", ["run", `--testTimeout=${PROPERTY_MS_MAX}`, ...suites], {
  cwd: root,
  stdio: "inherit",
  env: { ...process.env, SIGNALBOX_FUZZ: values.times, SIGNALBOX_FUZZ_SEED: values.seed },
});
console.log(status === 0 ? `nothing found; this run: ${again}` : `again: ${again} ${positionals.join(" ")}`);
process.exitCode = status ?? 1;
