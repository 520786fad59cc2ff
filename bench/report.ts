import type { Machine } from "./machine.ts";

/** One server, measured once. */
export interface Round {
  readonly name: string;
  /** Empty for a run that counts. */
  readonly problems: readonly string[];
  readonly startMs: number;
  readonly idleRssMib: number;
  readonly peakRssMib: number;
  readonly cpuUsPer1000: number;
  readonly recordsPerSecond: number;
  /** Of the server. */
  readonly cores: number;
  /** Of generator and backend together: near 1.0 they are the bottleneck, and latency and throughput are theirs. */
  readonly loadCores: number;
  readonly latencyMs: { readonly p50: number; readonly p99: number; readonly max: number };
  readonly outgoingRequests: number;
}

export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

export interface ServerSummary {
  readonly validRounds: number;
  readonly figures: Readonly<Record<string, Spread>>;
}

export interface Report {
  readonly machine: Machine;
  readonly load: Readonly<Record<string, number>>;
  readonly summary: Readonly<Record<string, ServerSummary>>;
  readonly rounds: readonly Round[];
}

/** Generator and backend share one core; this near to it they are the bottleneck. */
const LOAD_CORES_FULL = 0.9;

/** The rows of the table, and how each is read from a round. */
const FIGURES: Readonly<Record<string, (round: Round) => number>> = {
  "CPU us per 1,000 records": (round) => round.cpuUsPer1000,
  "records per second": (round) => round.recordsPerSecond,
  "latency p50 ms": (round) => round.latencyMs.p50,
  "latency p99 ms": (round) => round.latencyMs.p99,
  "idle RSS MiB": (round) => round.idleRssMib,
  "peak RSS MiB": (round) => round.peakRssMib,
  "start ms": (round) => round.startMs,
  "server cores": (round) => round.cores,
  "load cores": (round) => round.loadCores,
};

/** Void rounds take no part in any figure. */
export function summarize(rounds: readonly Round[]): Record<string, ServerSummary> {
  const byName = Map.groupBy(rounds, ({ name }) => name);
  return Object.fromEntries(
    [...byName].map(([name, own]) => {
      const valid = own.filter(({ problems }) => problems.length === 0);
      const figures = Object.entries(FIGURES).map(([figure, read]) => [figure, spreadOf(valid.map(read))] as const);
      return [name, { validRounds: valid.length, figures: Object.fromEntries(figures) }];
    }),
  );
}

function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)] ?? NaN;
  return { min: sorted[0] ?? NaN, median, max: sorted.at(-1) ?? NaN };
}

export function formatReport({ machine, load, summary, rounds }: Report): string {
  const names = Object.keys(summary);
  const header = ["median (min to max)", ...names, ...(names.length === 2 ? ["ratio"] : [])];
  const lines = Object.keys(FIGURES).map((figure) => {
    const spreads = names.map((name) => summary[name]!.figures[figure]!);
    const ratio = spreads.length === 2 ? [(spreads[0]!.median / spreads[1]!.median).toFixed(2)] : [];
    return [figure, ...spreads.map(formatSpread), ...ratio];
  });
  const voids = rounds
    .filter(({ problems }) => problems.length > 0)
    .map(({ name, problems }) => `VOID ${name}: ${problems.join("; ")}`);
  const notes = names
    .filter((name) => summary[name]!.figures["load cores"]!.median > LOAD_CORES_FULL)
    .map(
      (name) => `NOTE ${name}: generator and backend filled their core; throughput and latency are theirs, CPU is not`,
    );
  return [
    `${machine.date}, ${machine.cpu}, ${machine.cores} cores, ${machine.system}, Node ${machine.node}, commit ${machine.commit}, load average ${machine.loadAverage}`,
    `${load["requests"]} requests of ${load["recordsPerRequest"]} records after ${load["warmup"]}, ${load["inFlight"]} in flight on ${load["connections"]} connections; valid rounds: ${names.map((name) => `${name} ${summary[name]!.validRounds}`).join(", ")}`,
    "",
    ...formatTable([header, ...lines]),
    ...voids,
    ...notes,
  ].join("\n");
}

function formatSpread({ min, median, max }: Spread): string {
  const digits = median < 10 ? 2 : median < 100 ? 1 : 0;
  return `${median.toFixed(digits)} (${min.toFixed(digits)} to ${max.toFixed(digits)})`;
}

/** Markdown, so that the table can go into the README as it is. */
function formatTable(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const format = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column]!)).join(" | ")} |`;
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`;
  return [format(rows[0]!), rule, ...rows.slice(1).map(format)];
}
