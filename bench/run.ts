/**
 * `npm run bench`: Signalbox and the Collector in turn under the same loads. Prints one table, writes bench/last.json.
 * bench/README.md says what is measured, how, and what is weak about it.
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { CASES, type Case } from "./cases.ts";
import { configurationOf } from "./configurations.ts";
import { describeMachine } from "./machine.ts";
import { measure, type Entrant, type MeasureSettings } from "./measure.ts";
import { describe, formatReport, judge, summarize, type Round } from "./report.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const here = fileURLToPath(new URL(".", import.meta.url));

/** The server under test has a core to itself; everything else shares the other. */
const LOAD_CORE = 0;
const SERVER_CORE = 1;

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    /** Those whose name matches this regular expression; "list" prints the names. */
    cases: { type: "string" },
    /** gateway or collector, to look at one alone. */
    only: { type: "string" },
    idle: { type: "string", default: "1200" },
    /** Milliseconds; at a given rate twice as long, like the duration. */
    warmup: { type: "string", default: "6000" },
    duration: { type: "string", default: "2000" },
    "in-flight": { type: "string", default: "32" },
    /** Measure the dist/ that is there. */
    "no-build": { type: "boolean", default: false },
    /** Run the gateway from its sources instead; such figures are not for the table. */
    sources: { type: "boolean", default: false },
    /** A folder for CPU profiles of the gateway; such figures are not for the table either. */
    profile: { type: "string" },
    /** A flag for the gateway's Node, such as --trace-gc; nor are these. */
    node: { type: "string", multiple: true, default: [] },
  },
});

const settings: MeasureSettings = {
  serverCore: SERVER_CORE,
  idleMs: Number(values.idle),
  warmupMs: Number(values.warmup),
  measuredMs: Number(values.duration),
  inFlight: Number(values["in-flight"]),
  connections: 4,
};

const NOT_MEASURED = {
  startMs: NaN,
  idleMib: NaN,
  peakMib: NaN,
  cpu: NaN,
  recordsPerSecond: NaN,
  cores: NaN,
  loadCores: NaN,
  p50Ms: NaN,
  p99Ms: NaN,
  outgoingRequests: 0,
};

const temporary = mkdtempSync(join(tmpdir(), "signalbox-bench-"));
process.on("exit", () => rmSync(temporary, { recursive: true, force: true }));

function gatewayCommand(): string[] {
  const node = [process.execPath, ...values.node];
  if (values.profile !== undefined) node.push("--cpu-prof", `--cpu-prof-dir=${values.profile}`);
  if (values.sources) return [...node, "--conditions=signalbox-source", `${root}src/main.ts`, "run", "--config"];
  return [...node, `${builtPackage()}/bin/signalbox.mjs`, "run", "--config"];
}

const PUBLISHED = ["bin", "dist", "package.json"];
const BUILT_FROM = [
  "bin",
  "src",
  "processors",
  "collector",
  "tools",
  "package.json",
  "tsconfig.json",
  "tsconfig.build.json",
];

/** What npm publishes, built in a folder of its own: a build in the checkout meanwhile does not change what is measured. */
function builtPackage(): string {
  symlinkSync(`${root}node_modules`, join(temporary, "node_modules"));
  for (const part of values["no-build"] ? PUBLISHED : BUILT_FROM) {
    cpSync(`${root}${part}`, join(temporary, part), { recursive: true });
  }
  const build = [join(temporary, "tools/build.ts"), "--no-types"];
  if (!values["no-build"]) execFileSync(process.execPath, build, { stdio: "inherit" });
  return temporary;
}

const MANIFESTS = { core: "collector-0.165.0.yaml", contrib: "collector-contrib-0.149.0.yaml" };

function collectorCommand(which: Case["collector"]): string[] {
  const build = [`${root}test/peers/build-collector.sh`, `${root}test/peers/${MANIFESTS[which]}`];
  const binary = execFileSync("sh", build, { stdio: ["ignore", "pipe", "inherit"] })
    .toString()
    .trim();
  return [binary, "--config"];
}

function chosenCases(): Case[] {
  const pattern = new RegExp(values.cases ?? "");
  return CASES.filter(({ name }) => pattern.test(name));
}

/** What is measured in one round, case by case. */
function entrantsOf(cases: readonly Case[]): Entrant[][] {
  const sides = (["gateway", "collector"] as const).filter((side) => values.only === undefined || values.only === side);
  const gateway = sides.includes("gateway") ? gatewayCommand() : [];
  const kinds = new Set(sides.includes("collector") ? cases.map(({ collector }) => collector) : []);
  const collectors = new Map([...kinds].map((which) => [which, collectorCommand(which)]));
  let files = 0;
  return cases.map((entry) =>
    entry.contenders
      .filter(({ side }) => sides.includes(side))
      .map((contender) => {
        const file = join(temporary, `${++files}.yaml`);
        writeFileSync(file, configurationOf(entry, contender));
        const server = contender.side === "gateway" ? gateway : collectors.get(entry.collector)!;
        return { case: entry, contender, command: [...server, file] };
      }),
  );
}

/** A server that does not start costs its row, not the table. */
async function measureOrSayWhy(entrant: Entrant): Promise<Round> {
  try {
    return await measure(entrant, settings);
  } catch (error) {
    return { ...NOT_MEASURED, case: entrant.case.name, contender: entrant.contender, problems: [String(error)] };
  }
}

async function runRounds(groups: readonly (readonly Entrant[])[]): Promise<Round[]> {
  const rounds: Round[] = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const group of groups) {
      // Each goes first in turn, so that a machine that grows slower or faster favours nobody.
      for (const entrant of round % 2 === 0 ? group : group.toReversed()) {
        const result = await measureOrSayWhy(entrant);
        rounds.push(result);
        console.error(`round ${round + 1}, ${progress(result)}`);
      }
    }
  }
  return rounds;
}

function progress(round: Round): string {
  const found = `${Math.round(round.cpu)} us CPU per 1,000, ${Math.round(round.recordsPerSecond / 1000)}k records/s, ${Math.round(round.idleMib)} to ${Math.round(round.peakMib)} MiB`;
  const isVoid = round.problems.length > 0 ? `, VOID: ${round.problems.join("; ")}` : "";
  return `${round.case}, ${describe(round.contender)}: ${found}${isVoid}`;
}

async function main(): Promise<void> {
  const cases = chosenCases();
  if (values.cases === "list" || cases.length === 0) {
    for (const { name, contenders } of CASES) console.log(`${name}: ${contenders.map(describe).join("; ")}`);
    return;
  }
  const groups = entrantsOf(cases);
  execFileSync("taskset", ["-p", "-c", String(LOAD_CORE), String(process.pid)], { stdio: "ignore" });
  const rounds = await runRounds(groups);
  const rows = summarize(rounds);
  const load = { rounds: Number(values.rounds), ...settings };
  const report = { machine: describeMachine(root), load, rows, bars: judge(rows), rounds };
  console.log(formatReport(report));
  // What was made to look at a part does not replace the figures of the whole.
  const isWhole = cases.length === CASES.length && values.only === undefined && values.node.length === 0;
  if (isWhole && !values.sources && values.profile === undefined && Number(values.rounds) > 1) {
    writeFileSync(`${here}last.json`, `${JSON.stringify(report, null, 2)}\n`);
  }
  process.exitCode = rounds.some(({ problems }) => problems.length > 0) ? 1 : 0;
}

await main();
