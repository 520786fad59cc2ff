import { ERROR_SEVERITY_MIN } from "./levels.ts";
import type { TimeRange } from "./query-plan.ts";
import { isoTime } from "./record-json.ts";
import { MICROS_PER_MINUTE } from "./segment-schema.ts";
import type { SegmentReader } from "./segment-reader.ts";
import type { StoreReader } from "./store-reader.ts";

/** What was received from one worker; of machine-wide telemetry the worker is left out. */
export interface WorkerJson {
  readonly worker_id?: string;
  readonly service_types: readonly string[];
  readonly service_names: readonly string[];
  readonly first_seen: string;
  readonly last_seen: string;
  readonly logs: number;
  /** Log records of level error and fatal. */
  readonly error_logs: number;
  readonly spans: number;
  readonly failed_spans: number;
  readonly metric_points: number;
}

export interface MachineJson extends Omit<WorkerJson, "worker_id" | "service_names"> {
  /** Absent for what names no machine. */
  readonly machine_id?: string;
  readonly workers: readonly WorkerJson[];
}

/** Machines and workers in one answer. A fleet beyond it is cut, oldest seen first. */
const WORKERS_MAX = 5_000;

interface Tally {
  readonly machineId: string;
  readonly workerId: string;
  readonly types: Set<string>;
  readonly names: Set<string>;
  first: number;
  last: number;
  logs: number;
  errorLogs: number;
  spans: number;
  failedSpans: number;
  points: number;
}

/** Counted by whole minutes: a range takes the minutes that its ends fall into. */
export function readMachines(reader: StoreReader, range: TimeRange): MachineJson[] {
  const byMachine = Map.groupBy(tallyWorkers(reader, range), (tally) => tally.machineId);
  return Array.from(byMachine, ([machineId, tallies]) => machineJson(machineId, tallies)).toSorted(byName);
}

/** Per worker, the newest seen first. */
export function tallyWorkers(reader: StoreReader, range: TimeRange): Tally[] {
  const tallies = new Map<string, Tally>();
  reader.visitSegments((segment) => {
    // Gathered first: a segment that breaks in the middle must not be half counted.
    for (const row of readCounts(segment, range)) addCount(tallies, row);
  });
  return [...tallies.values()].toSorted((left, right) => right.last - left.last).slice(0, WORKERS_MAX);
}

interface CountRow {
  readonly machineId: string;
  readonly workerId: string;
  readonly type: string;
  readonly name: string;
  readonly first: number;
  readonly last: number;
  readonly signal: string;
  readonly count: number;
  readonly failures: number;
}

// first and last are the origin's own where the range is open, else the minutes that count.
const COUNTS_SQL = `
  SELECT machine_id, worker_id, service_type, service_name, signal,
    max(min(o.first_time), min(c.minute) * ${MICROS_PER_MINUTE}) AS first,
    min(max(o.last_time), (max(c.minute) + 1) * ${MICROS_PER_MINUTE} - 1) AS last,
    sum(c.count) AS count, sum(c.count) FILTER (WHERE c.severity >= ${ERROR_SEVERITY_MIN}) AS failures
  FROM minute_count AS c JOIN origin AS o ON o.id = c.origin
  WHERE c.minute BETWEEN ? AND ? AND within_budget()
  GROUP BY o.id, signal`;

const MINUTE_MAX = Math.floor(Number.MAX_SAFE_INTEGER / MICROS_PER_MINUTE);

function readCounts(segment: SegmentReader, range: TimeRange): CountRow[] {
  const minutes = [range.from, range.to].map((time) =>
    Math.max(0, Math.min(Math.floor(time / MICROS_PER_MINUTE), MINUTE_MAX)),
  );
  return segment.all(COUNTS_SQL, minutes).map((row) => ({
    machineId: String(row["machine_id"] ?? ""),
    workerId: String(row["worker_id"] ?? ""),
    type: String(row["service_type"] ?? ""),
    name: String(row["service_name"] ?? ""),
    first: Number(row["first"]),
    last: Number(row["last"]),
    signal: String(row["signal"]),
    count: Number(row["count"]),
    failures: Number(row["failures"] ?? 0),
  }));
}

function addCount(tallies: Map<string, Tally>, row: CountRow): void {
  const key = `${row.machineId}\0${row.workerId}`;
  let tally = tallies.get(key);
  if (tally === undefined) tallies.set(key, (tally = emptyTally(row.machineId, row.workerId)));
  if (row.type !== "") tally.types.add(row.type);
  if (row.name !== "") tally.names.add(row.name);
  tally.first = Math.min(tally.first, row.first);
  tally.last = Math.max(tally.last, row.last);
  if (row.signal === "logs") [tally.logs, tally.errorLogs] = [tally.logs + row.count, tally.errorLogs + row.failures];
  else if (row.signal === "traces")
    [tally.spans, tally.failedSpans] = [tally.spans + row.count, tally.failedSpans + row.failures];
  else tally.points += row.count;
}

function emptyTally(machineId: string, workerId: string): Tally {
  const counts = { logs: 0, errorLogs: 0, spans: 0, failedSpans: 0, points: 0 };
  return { machineId, workerId, types: new Set(), names: new Set(), first: Infinity, last: 0, ...counts };
}

function machineJson(machineId: string, tallies: readonly Tally[]): MachineJson {
  const whole = emptyTally(machineId, "");
  for (const tally of tallies) addTally(whole, tally);
  const { service_names: _, ...sums } = sumsJson(whole);
  return {
    ...(machineId !== "" && { machine_id: machineId }),
    ...sums,
    workers: tallies.map(workerJson).toSorted(byName),
  };
}

function addTally(whole: Tally, part: Tally): void {
  for (const type of part.types) whole.types.add(type);
  whole.first = Math.min(whole.first, part.first);
  whole.last = Math.max(whole.last, part.last);
  whole.logs += part.logs;
  whole.errorLogs += part.errorLogs;
  whole.spans += part.spans;
  whole.failedSpans += part.failedSpans;
  whole.points += part.points;
}

export function workerJson(tally: Tally): WorkerJson {
  return { ...(tally.workerId !== "" && { worker_id: tally.workerId }), ...sumsJson(tally) };
}

function sumsJson(tally: Tally): Omit<WorkerJson, "worker_id"> {
  return {
    service_types: [...tally.types].toSorted(),
    service_names: [...tally.names].toSorted(),
    first_seen: isoTime(tally.first),
    last_seen: isoTime(tally.last),
    logs: tally.logs,
    error_logs: tally.errorLogs,
    spans: tally.spans,
    failed_spans: tally.failedSpans,
    metric_points: tally.points,
  };
}

type Named = { readonly machine_id?: string; readonly worker_id?: string };

function byName(left: Named, right: Named): number {
  const [first, second] = [
    left.machine_id ?? left.worker_id ?? "\uffff",
    right.machine_id ?? right.worker_id ?? "\uffff",
  ];
  return first < second ? -1 : first > second ? 1 : 0;
}
export type { Tally };
