/**
 * `npm run bench`: Signalbox and the Collector in turn under the same load. Prints one table, writes bench/last.json.
 * bench/README.md says what is measured, how, and what is weak about it.
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { BackendAnswer, BackendQuestion } from "./backend.ts";
import { Helper } from "./child.ts";
import type { GeneratorAnswer, GeneratorQuestion } from "./generator.ts";
import { RECORDS_PER_REQUEST } from "./load.ts";
import { describeMachine } from "./machine.ts";
import { formatReport, summarize, type Round } from "./report.ts";
import { cpuMsOf, Server, type ServerCommand } from "./server.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const here = fileURLToPath(new URL(".", import.meta.url));

/** The server under test has a core to itself; everything else shares the other. */
const LOAD_CORE = 0;
const SERVER_CORE = 1;
const CONNECTIONS = 4;
const IDLE_MS = 5_000;
const DRAIN_TIMEOUT_MS = 10_000;
const SEND_TIMEOUT_MS = 60_000;
/** Of the errors of a void run. */
const WORDS_SHOWN = 5;

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    requests: { type: "string", default: "10000" },
    warmup: { type: "string", default: "5000" },
    "in-flight": { type: "string", default: "32" },
    /** gateway or collector, to look at one alone. */
    only: { type: "string" },
    /** Measure the dist/ that is there. */
    "no-build": { type: "boolean", default: false },
    /** Run the gateway from its sources instead; such figures are not for the table. */
    sources: { type: "boolean", default: false },
    /** A folder for a CPU profile of the gateway; such figures are not for the table either. */
    profile: { type: "string" },
    idle: { type: "string", default: String(IDLE_MS) },
  },
});

const load = {
  requests: Number(values.requests),
  warmup: Number(values.warmup),
  inFlight: Number(values["in-flight"]),
  connections: CONNECTIONS,
  recordsPerRequest: RECORDS_PER_REQUEST,
};

function gatewayCommand(): ServerCommand {
  const node = [process.execPath];
  if (values.profile !== undefined) node.push("--cpu-prof", `--cpu-prof-dir=${values.profile}`);
  if (values.sources) node.push("--conditions=signalbox-source", `${root}src/main.ts`);
  else node.push(`${builtPackage()}/bin/signalbox.mjs`);
  return { name: "gateway", command: [...node, "run", "--config", `${here}gateway.yaml`] };
}

/** A copy of what npm publishes, so that a build beside the benchmark does not change what is measured half-way. */
function builtPackage(): string {
  if (!values["no-build"]) execFileSync(process.execPath, [`${root}tools/build.ts`], { stdio: "inherit" });
  const copy = mkdtempSync(join(tmpdir(), "signalbox-bench-"));
  process.on("exit", () => rmSync(copy, { recursive: true, force: true }));
  for (const part of ["bin", "dist", "package.json"]) cpSync(`${root}${part}`, join(copy, part), { recursive: true });
  symlinkSync(`${root}node_modules`, join(copy, "node_modules"));
  return copy;
}

function collectorCommand(): ServerCommand {
  const build = [`${root}test/peers/build-collector.sh`, `${here}collector-0.149.0.yaml`];
  const binary = execFileSync("sh", build, { stdio: ["ignore", "pipe", "inherit"] })
    .toString()
    .trim();
  return { name: "collector", command: [binary, "--config", `${here}collector.yaml`] };
}

type Backend = Helper<BackendQuestion, BackendAnswer>;
type Generator = Helper<GeneratorQuestion, GeneratorAnswer>;

async function measure(command: ServerCommand, backend: Backend, generator: Generator): Promise<Round> {
  const records = (load.warmup + load.requests) * RECORDS_PER_REQUEST;
  const { port: backendPort } = await backend.ask({ expect: records });
  const server = await Server.start(command, SERVER_CORE, backendPort);
  try {
    await sleep(Number(values.idle));
    const idleRssMib = server.rssMib();
    const common = { port: server.port, inFlight: load.inFlight, connections: CONNECTIONS, timeoutMs: SEND_TIMEOUT_MS };
    const warm = await generator.ask({ ...common, first: 0, count: load.warmup });
    const warmRecords = load.warmup * RECORDS_PER_REQUEST;
    await backend.ask({ awaitRecords: warmRecords, timeoutMs: DRAIN_TIMEOUT_MS });

    const startedAt = performance.now();
    const cpuBefore = server.cpuMs();
    const loadCpuBefore = cpuMsOf(backend.pid) + cpuMsOf(generator.pid);
    const sent = await generator.ask({ ...common, first: load.warmup, count: load.requests });
    const arrived = await backend.ask({ awaitRecords: records, timeoutMs: DRAIN_TIMEOUT_MS });
    const windowMs = performance.now() - startedAt;
    const cpuMs = server.cpuMs() - cpuBefore;
    const loadCpuMs = cpuMsOf(backend.pid) + cpuMsOf(generator.pid) - loadCpuBefore;
    // One more look after the queues had time to repeat themselves: a duplicate that comes late is one all the same.
    await sleep(500);
    const final = await backend.ask({ awaitRecords: 0, timeoutMs: 0 });
    const measured = load.requests * RECORDS_PER_REQUEST;
    return {
      name: command.name,
      problems: problemsOf(records, [warm, sent], final),
      startMs: server.startMs,
      idleRssMib,
      peakRssMib: server.rssPeakMib(),
      cpuUsPer1000: (cpuMs * 1000) / (measured / 1000),
      recordsPerSecond: measured / (windowMs / 1000),
      cores: cpuMs / windowMs,
      loadCores: loadCpuMs / windowMs,
      latencyMs: sent.latencyMs,
      outgoingRequests: arrived.requests,
    };
  } finally {
    await server.stop();
  }
}

/** Why a run does not count. */
function problemsOf(records: number, sent: readonly GeneratorAnswer[], arrived: BackendAnswer): string[] {
  const { received, duplicated, unedited, altered, unknown } = arrived.tally;
  const acknowledged = sent.reduce((sum, { acknowledged: count }) => sum + count, 0);
  const failed = sent.reduce((sum, { failures }) => sum + failures.length, 0);
  const found = {
    "requests refused or failed": failed,
    "requests never sent": records / RECORDS_PER_REQUEST - acknowledged - failed,
    "records lost": records - received,
    "records duplicated": duplicated,
    "records without the right identity": unedited,
    "records altered": altered,
    "records that nobody sent": unknown,
  };
  const counted = Object.entries(found).filter(([, count]) => count !== 0);
  const words = [...sent.flatMap(({ failures }) => failures), ...arrived.problems].slice(0, WORDS_SHOWN);
  return [...counted.map(([what, count]) => `${count} ${what}`), ...words];
}

const makers = { gateway: gatewayCommand, collector: collectorCommand };
const servers = Object.entries(makers)
  .filter(([name]) => values.only === undefined || values.only === name)
  .map(([, make]) => make());

execFileSync("taskset", ["-p", "-c", String(LOAD_CORE), String(process.pid)], { stdio: "ignore" });
const rounds: Round[] = [];
for (let round = 0; round < Number(values.rounds); round++) {
  // Each goes first in turn, so that a machine that grows slower or faster favours neither.
  const order = round % 2 === 0 ? servers : servers.toReversed();
  for (const command of order) {
    const backend: Backend = new Helper("./backend.ts");
    const generator: Generator = new Helper("./generator.ts");
    const result = await measure(command, backend, generator);
    await Promise.all([backend.stop(), generator.stop()]);
    rounds.push(result);
    console.error(
      `round ${round + 1} ${result.name}: ${Math.round(result.cpuUsPer1000)} us CPU per 1,000 records, ` +
        `${Math.round(result.recordsPerSecond / 1000)}k records/s${result.problems.length > 0 ? `, VOID: ${result.problems.join("; ")}` : ""}`,
    );
  }
}
const report = { machine: describeMachine(root), load, summary: summarize(rounds), rounds };
console.log(formatReport(report));
// What was made to look at one thing does not replace the figures of the whole.
const isWhole = values.only === undefined && !values.sources && values.profile === undefined;
if (isWhole) writeFileSync(`${here}last.json`, `${JSON.stringify(report, null, 2)}\n`);
process.exitCode = rounds.some(({ problems }) => problems.length > 0) ? 1 : 0;
