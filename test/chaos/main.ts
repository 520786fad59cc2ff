/**
 * `npm run chaos -- --seed N --faults N --seconds N [--against collector] [--sabotage ack-early|no-fsync --seeds N]`:
 * the gateway under faults, and the verdict. README.md says what it does and what the verdict means.
 */
import { parseArgs } from "node:util";
import { findContribCollector, PEER_HINT } from "../peers/find.ts";
import type { Sabotage } from "./contenders.ts";
import { DEFAULT_KINDS, FAULT_KINDS, type FaultKind, isOneOf, planFaults } from "./fault-plan.ts";
import { formatEvidence, formatVerdict } from "./report.ts";
import { runChaos } from "./run.ts";
import { isInside, mountSmallDisk, runInside } from "./small-disk.ts";

const USAGE = `npm run chaos -- [options]
  --seed N            draws the faults; default 1
  --faults N          how many; default 60
  --seconds N         the time over which they are spread; default 60
  --only KIND         one kind of fault; repeatable: ${FAULT_KINDS.join(", ")}
  --against collector the real Collector with file_storage in place of the gateway
  --sabotage NAME     ack-early or no-fsync: a gateway that is broken on purpose, which the harness must find
  --seeds N           so many runs, with the seeds from --seed on
`;

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    faults: { type: "string", default: "60" },
    seconds: { type: "string", default: "60" },
    seeds: { type: "string", default: "1" },
    only: { type: "string", multiple: true, default: [] },
    against: { type: "string", default: "signalbox" },
    sabotage: { type: "string" },
    "inside-small-disk": { type: "boolean", default: false },
    verbose: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

const say = (line: string): void => void process.stdout.write(`${line}\n`);

const OF_OUR_DISK = /^(disk|power)/;

const isCollector = values.against === "collector";

// No disk of ours can play tricks on the Collector: it gets a real one, small enough to be filled.
const inside = isCollector && !isInside(process.argv) ? runInside(process.argv.slice(2)) : undefined;

if (values.help) say(USAGE);
else process.exitCode = inside ?? (await runSeeds());

async function runSeeds(): Promise<number> {
  const first = Number(values.seed);
  const seeds = Array.from({ length: Number(values.seeds) }, (_, index) => first + index);
  const failed: number[] = [];
  for (const seed of seeds) if (!(await runSeed(seed))) failed.push(seed);
  if (values.sabotage === undefined) return failed.length === 0 ? 0 : 1;
  say(`sabotage ${values.sabotage}: found with ${failed.length} of ${seeds.length} seeds`);
  return failed.length === seeds.length ? 0 : 1;
}

async function runSeed(seed: number): Promise<boolean> {
  using smallDisk = isInside(process.argv) ? mountSmallDisk() : undefined;
  const wanted = values.only.length > 0 ? values.only.map(kindNamed) : DEFAULT_KINDS;
  const possible = smallDisk === undefined ? [] : ["disk_full"];
  const kinds = isCollector ? wanted.filter((kind) => !OF_OUR_DISK.test(kind) || possible.includes(kind)) : wanted;
  const left = wanted.filter((kind) => !kinds.includes(kind));
  if (left.length > 0) say(`left out: ${left.join(", ")}: this machine has no disk that does so to the Collector`);
  const plan = planFaults({ seed, faults: Number(values.faults), seconds: Number(values.seconds), kinds });
  say(`seed ${seed}: ${plan.length} faults in ${values.seconds} s against ${values.against}`);
  const { verdict, history } = await runChaos({
    seed,
    plan,
    against: isCollector ? "collector" : "signalbox",
    smallDisk,
    sabotage: values.sabotage === undefined ? undefined : sabotageNamed(values.sabotage),
    collector: isCollector ? collectorBinary() : undefined,
    ...(values.verbose && { say }),
  });
  say(formatVerdict(verdict));
  if (verdict.failures.length > 0) say(formatEvidence(verdict, history));
  return verdict.failures.length === 0;
}

function kindNamed(name: string): FaultKind {
  if (isOneOf(FAULT_KINDS, name)) return name;
  throw new Error(`"${name}" is no kind of fault; there are ${FAULT_KINDS.join(", ")}`);
}

function sabotageNamed(name: string): Sabotage {
  if (name === "ack-early" || name === "no-fsync") return name;
  throw new Error(`"${name}" is no sabotage; there are ack-early and no-fsync`);
}

function collectorBinary(): string {
  const binary = findContribCollector();
  if (binary === undefined) throw new Error(`the Collector is not on this machine: ${PEER_HINT}`);
  return binary;
}
