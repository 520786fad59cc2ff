import { BARS, contenderName, type Bar, type Contender } from "./cases.ts";
import type { Machine } from "./machine.ts";

/** One server, measured once. */
export interface Round {
  readonly case: string;
  readonly contender: Contender;
  /** Empty for a run that counts. */
  readonly problems: readonly string[];
  readonly startMs: number;
  readonly idleMib: number;
  readonly peakMib: number;
  /** CPU microseconds per 1,000 records. */
  readonly cpu: number;
  readonly recordsPerSecond: number;
  /** Of the server. */
  readonly cores: number;
  /** Of generator and backend together: near 1.0 they are the bottleneck, and latency and throughput are theirs. */
  readonly loadCores: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly outgoingRequests: number;
}

export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

const FIGURES = [
  "cpu",
  "recordsPerSecond",
  "p50Ms",
  "p99Ms",
  "idleMib",
  "peakMib",
  "startMs",
  "cores",
  "loadCores",
] as const;
type Figure = (typeof FIGURES)[number];

/** One line of the table. Of the Collector's two ways of batching each figure is the better one. */
export interface Row {
  readonly case: string;
  readonly name: string;
  readonly side: Contender["side"];
  readonly validRounds: number;
  readonly figures: Readonly<Record<Figure, Spread>>;
  /** Of the gateway's median to that of the Collector's row of the case. */
  readonly ratios: Readonly<Partial<Record<Figure, number>>>;
}

export interface Report {
  readonly machine: Machine;
  readonly load: Readonly<Record<string, number>>;
  readonly rows: readonly Row[];
  readonly bars: readonly BarResult[];
  readonly rounds: readonly Round[];
}

export interface BarResult extends Bar {
  readonly found: number;
  readonly isMet: boolean;
}

/** Generator and backend share one core; this near to it they are the bottleneck. */
const LOAD_CORES_FULL = 0.9;

/** Void rounds take no part in any figure. */
export function summarize(rounds: readonly Round[]): Row[] {
  return [...Map.groupBy(rounds, (round) => round.case).values()].flatMap(summarizeCase);
}

function summarizeCase(rounds: readonly Round[]): Row[] {
  const byName = Map.groupBy(rounds, ({ contender }) => contenderName(contender));
  const rows = [...byName.values()].map(summarizeContender);
  const theirs = rows.find(({ side }) => side === "collector");
  if (theirs === undefined) return rows;
  return rows.map((row) => (row === theirs ? row : { ...row, ratios: ratiosOf(row, theirs) }));
}

function summarizeContender(rounds: readonly Round[]): Row {
  const [first] = rounds;
  const valid = rounds.filter(({ problems }) => problems.length === 0);
  const variants = [...Map.groupBy(valid, ({ contender }) => contender.batching).values()];
  const figures = Object.fromEntries(
    FIGURES.map((figure) => [
      figure,
      bestOf(
        variants.map((own) => spreadOf(own.map((round) => round[figure]))),
        figure,
      ),
    ]),
  ) as Record<Figure, Spread>;
  const { side } = first!.contender;
  return {
    case: first!.case,
    name: contenderName(first!.contender),
    side,
    validRounds: valid.length,
    figures,
    ratios: {},
  };
}

function bestOf(spreads: readonly Spread[], figure: Figure): Spread {
  const sorted = spreads.toSorted((left, right) => left.median - right.median);
  return (figure === "recordsPerSecond" ? sorted.at(-1) : sorted[0]) ?? { min: NaN, median: NaN, max: NaN };
}

function ratiosOf(ours: Row, theirs: Row): Row["ratios"] {
  return Object.fromEntries(
    FIGURES.map((figure) => [figure, ours.figures[figure].median / theirs.figures[figure].median]),
  );
}

function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)] ?? NaN;
  return { min: sorted[0] ?? NaN, median, max: sorted.at(-1) ?? NaN };
}

/** Those whose row was measured. */
export function judge(rows: readonly Row[]): BarResult[] {
  return BARS.flatMap((bar) => {
    const row = rows.find((candidate) => candidate.case === bar.case && candidate.name === bar.contender);
    const found = bar.kind === "ratio" ? ratioOf(bar, row, rows) : row?.figures[bar.figure].median;
    return found === undefined ? [] : [{ ...bar, found, isMet: found <= bar.max }];
  });
}

function ratioOf({ case: name, figure, beside }: Bar, row: Row | undefined, rows: readonly Row[]): number | undefined {
  if (beside === undefined) return row?.ratios[figure];
  const other = rows.find((candidate) => candidate.case === name && candidate.name === beside);
  return row && other && row.figures[figure].median / other.figures[figure].median;
}

export function formatReport({ machine, load, rows, bars, rounds }: Report): string {
  const voids = rounds
    .filter(({ problems }) => problems.length > 0)
    .map((round) => `VOID ${round.case}, ${describe(round.contender)}: ${round.problems.join("; ")}`);
  const full = rows.filter(({ figures }) => figures.loadCores.median > LOAD_CORES_FULL);
  const notes = full.map((row) => `NOTE ${row.case}, ${row.name}: generator and backend filled their core`);
  return [
    `${machine.date}, ${machine.cpu}, ${machine.cores} cores, ${machine.system}, Node ${machine.node}, commit ${machine.commit}, load average ${machine.loadAverage}`,
    Object.entries(load)
      .map(([name, value]) => `${name} ${value}`)
      .join(", "),
    "",
    ...formatTable([HEADER, ...rows.map(rowCells)]),
    "",
    ...formatTable([["bar", "case", "at most", "found", ""], ...bars.map(barCells)]),
    ...voids,
    ...notes,
  ].join("\n");
}

export function describe(contender: Contender): string {
  const { side, batching } = contender;
  return contenderName(contender) + (side === "collector" ? `, batch in the ${batching}` : "");
}

const HEADER = [
  "case",
  "server",
  "CPU us/1,000 (min to max)",
  "ratio",
  "records/s",
  "p50 ms",
  "p99 ms",
  "idle MiB",
  "peak MiB",
  "start ms",
  "cores, load's",
  "valid",
];

function rowCells({ case: name, name: server, figures, ratios, validRounds }: Row): string[] {
  const cell = (figure: Figure): string => {
    const ratio = ratios[figure];
    return formatNumber(figures[figure].median) + (ratio === undefined ? "" : ` (x${ratio.toFixed(2)})`);
  };
  const { cpu, cores, loadCores } = figures;
  return [
    name,
    server,
    `${formatNumber(cpu.median)} (${formatNumber(cpu.min)} to ${formatNumber(cpu.max)})`,
    ratios.cpu?.toFixed(2) ?? "",
    cell("recordsPerSecond"),
    cell("p50Ms"),
    cell("p99Ms"),
    cell("idleMib"),
    cell("peakMib"),
    cell("startMs"),
    `${cores.median.toFixed(2)}, ${loadCores.median.toFixed(2)}`,
    String(validRounds),
  ];
}

const FIGURE_NAMES = {
  cpu: "CPU",
  startMs: "start ms",
  idleMib: "idle MiB",
  peakMib: "peak MiB",
  p50Ms: "p50 ms",
  p99Ms: "p99 ms",
};

function barCells({ case: name, contender, figure, kind, beside, max, found, isMet }: BarResult): string[] {
  const share = kind === "ratio" ? `, of ${beside === undefined ? "the Collector's" : `that of ${beside}`}` : "";
  const what = `${contender}: ${FIGURE_NAMES[figure]}${share}`;
  return [what, name, String(max), kind === "ratio" ? found.toFixed(2) : formatNumber(found), isMet ? "met" : "MISSED"];
}

function formatNumber(value: number): string {
  return value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);
}

/** Markdown, so that the table can go into the README as it is. */
function formatTable(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const format = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column]!)).join(" | ")} |`;
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`;
  return [format(rows[0]!), rule, ...rows.slice(1).map(format)];
}
