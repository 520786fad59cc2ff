/**
 * `npm run promises`: fault by fault, the gateway and the real Collector with file_storage in the same run, and what each
 * lost and doubled, as the table in the project's README.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { findContribCollector, PEER_HINT } from "../peers/find.ts";
import type { ContenderName } from "./contenders.ts";
import { type FaultKind, planFaults } from "./fault-plan.ts";
import type { Verdict } from "./judge.ts";
import { runChaos, type SmallDisk } from "./run.ts";
import { isInside, mountSmallDisk, runInside } from "./small-disk.ts";

interface Row {
  readonly title: string;
  readonly kinds: readonly FaultKind[];
  readonly faults: number;
}

const ROWS: readonly Row[] = [
  { title: "killed (SIGKILL) and started again", kinds: ["kill"], faults: 6 },
  { title: "terminated (SIGTERM) and started again", kinds: ["terminate"], faults: 6 },
  { title: "stopped and resumed (SIGSTOP, SIGCONT)", kinds: ["stop"], faults: 4 },
  { title: "configuration reloaded (SIGHUP)", kinds: ["reload"], faults: 8 },
  { title: "no space left on the disk of the queue", kinds: ["disk_full"], faults: 3 },
  { title: "a backend away for seconds, its queue full", kinds: ["cut"], faults: 3 },
  { title: "a backend takes the data and hangs up", kinds: ["hang_up"], faults: 4 },
  { title: "a backend answers after the timeout", kinds: ["late"], faults: 4 },
  { title: "a backend answers 429, RESOURCE_EXHAUSTED", kinds: ["too_many_429"], faults: 4 },
  { title: "a backend answers 503, UNAVAILABLE", kinds: ["unavailable_503"], faults: 4 },
  { title: "a backend refuses for good: 400, INVALID_ARGUMENT", kinds: ["bad_400"], faults: 4 },
  { title: "a backend finds requests too large: 413", kinds: ["too_large_413"], faults: 4 },
  { title: "a backend rejects a part (partial success)", kinds: ["partial_success"], faults: 4 },
  { title: "a backend takes the data and answers nonsense", kinds: ["garbage_body"], faults: 4 },
  { title: "a backend breaks the protocol, and takes nothing", kinds: ["garbage_protocol"], faults: 4 },
  { title: "killed while a backend is away or refuses", kinds: ["kill", "cut", "unavailable_503"], faults: 9 },
];

const CONTENDERS: readonly ContenderName[] = ["signalbox", "collector"];

const MARKERS = { start: "<!-- promises: npm run promises -->", end: "<!-- promises end -->" };

const HEAD = [
  "| fault (times) | records | Signalbox lost | copies by a lost answer | other copies | Collector lost | copies by a lost answer | other copies |",
  "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
];

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    seconds: { type: "string", default: "8" },
    "inside-small-disk": { type: "boolean", default: false },
  },
});

const inside = isInside(process.argv) ? undefined : runInside(process.argv.slice(2));
if (inside !== undefined) process.exitCode = inside;
else await writeTable();

async function writeTable(): Promise<void> {
  const collector = findContribCollector();
  if (collector === undefined) throw new Error(`the Collector is not on this machine: ${PEER_HINT}`);
  using disk = isInside(process.argv) ? mountSmallDisk() : undefined;
  const lines: string[] = [];
  for (const row of ROWS) {
    const line = await measure(row, collector, disk);
    process.stdout.write(`${line}\n`);
    lines.push(line);
  }
  const readmePath = fileURLToPath(new URL("../../README.md", import.meta.url));
  const readme = readFileSync(readmePath, "utf8");
  const [before, rest = ""] = readme.split(MARKERS.start);
  const after = rest.split(MARKERS.end)[1];
  if (before === undefined || after === undefined) throw new Error(`${readmePath} lacks the markers of the table`);
  writeFileSync(readmePath, `${before}${MARKERS.start}\n${[...HEAD, ...lines].join("\n")}\n${MARKERS.end}${after}`);
}

async function measure(row: Row, collector: string, smallDisk: SmallDisk | undefined): Promise<string> {
  const plan = planFaults({ seed: Number(values.seed), seconds: Number(values.seconds), ...row });
  const cells: string[] = [];
  const records: number[] = [];
  for (const against of CONTENDERS) {
    process.stdout.write(`${row.title}: ${against}\n`);
    const needsDisk = row.kinds.includes("disk_full");
    if (needsDisk && smallDisk === undefined && against === "collector") {
      cells.push("no small disk here", "", "");
      continue;
    }
    const settings = { seed: Number(values.seed), plan, against, collector };
    const { verdict } = await runChaos({ ...settings, ...(needsDisk && smallDisk !== undefined && { smallDisk }) });
    for (const failure of verdict.failures) process.stdout.write(`  ${failure.slice(0, 500)}\n`);
    cells.push(...countsOf(verdict).map(String));
    records.push(verdict.acknowledged);
  }
  return `| ${row.title} (${plan.length}) | ${records.join(" / ")} | ${cells.join(" | ")} |`;
}

/** Lost, copied because of a lost answer, copied otherwise; at both destinations together. */
function countsOf({ destinations }: Verdict): number[] {
  const sum = (read: (one: Verdict["destinations"][number]) => number): number =>
    destinations.reduce((total, one) => total + read(one), 0);
  const unexplained = sum(({ copiesUnexplained }) => copiesUnexplained);
  return [sum(({ lost }) => lost.length), sum(({ copies }) => copies) - unexplained, unexplained];
}
