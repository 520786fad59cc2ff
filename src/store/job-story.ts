import { splitAttempts } from "./job-attempts.ts";
import type { Attempt } from "./job-attempts.ts";
import { judgeAttempt, writeSentence } from "./job-verdict.ts";
import type { Verdict } from "./job-verdict.ts";
import { tallyWorkers, workerJson } from "./machines.ts";
import type { WorkerJson } from "./machines.ts";
import type { TimeRange } from "./query-plan.ts";
import { isoTime } from "./record-json.ts";
import type { LogJson, SpanJson } from "./record-json.ts";
import type { SegmentReader } from "./segment-reader.ts";
import type { StoreReader } from "./store-reader.ts";
import { gatherJson, traceSelection } from "./trace.ts";
import type { RowSelection } from "./trace.ts";

export interface AttemptJson extends Verdict {
  /** From 1, in time order. */
  readonly number: number;
  readonly machine_id?: string;
  readonly worker_id?: string;
  readonly service_type?: string;
  readonly started: string;
  readonly ended: string;
  readonly duration_ms: number;
}

export type StorySpan = SpanJson & { readonly attempt?: number };

export type StoryLine = LogJson & {
  readonly attempt?: number;
  /** Said by the job's worker in the job's time, without naming the job. */
  readonly is_neighbour: boolean;
};

export type PeerJson = WorkerJson & { readonly machine_id?: string };

export interface JobStory {
  readonly job_id: string;
  readonly outcome: Verdict["outcome"];
  /** Where, after how long, why: one sentence. */
  readonly sentence: string;
  /** The last attempt is the one the verdict speaks of. */
  readonly attempts: readonly AttemptJson[];
  readonly from: string;
  readonly to: string;
  readonly spans: readonly StorySpan[];
  /** Log records in time order. */
  readonly lines: readonly StoryLine[];
  /** What the workers of the job's machines did in its minutes; the job's own ones first. */
  readonly machine_workers: readonly PeerJson[];
  /** Workers of the same service types on other machines, in the same minutes; those that fail first. */
  readonly peers: readonly PeerJson[];
  /** More records belong to the story than one answer holds. */
  readonly is_cut: boolean;
}

/** Traces that one job is followed into; a retry has one of its own, more is a job id used for something else. */
const TRACES_MAX = 32;
/**
 * What a worker says just before it takes a job, and just after it has ended, explains many a failure. The margin is as
 * long as the attempt within these bounds, so that a job of 50 ms does not drown in its neighbours.
 */
const MARGIN_MICROS_MIN = 500_000;
const MARGIN_MICROS_MAX = 2_000_000;
const PEERS_MAX = 50;

/** Everything of one job in time order; undefined where no record names it. */
export function readJobStory(reader: StoreReader, jobId: string): JobStory | undefined {
  const own = gatherJob(reader, jobId);
  if (own.spans.length === 0 && own.logs.length === 0) return undefined;
  const attempts = splitAttempts(own.spans, own.logs);
  const range = timeRange(own.spans, own.logs);
  const neighbours = gatherNeighbours(reader, attempts, new Set(own.logs.map((log) => log.id)));
  const judged = attempts.map((attempt, index) => attemptJson(attempt, index + 1));
  const last = judged.at(-1);
  return {
    job_id: jobId,
    outcome: last?.outcome ?? "unknown",
    sentence: writeSentence(last, range),
    attempts: judged,
    from: isoTime(range.from),
    to: isoTime(range.to),
    spans: own.spans.map((span) => ({ ...span, ...attemptOf(attempts, span.id) })),
    lines: [
      ...own.logs.map((log) => ({ ...log, ...attemptOf(attempts, log.id), is_neighbour: false })),
      ...neighbours.lines,
    ].toSorted((left, right) => left.time_us - right.time_us),
    ...readPeers(reader, attempts, range),
    is_cut: own.isCut || neighbours.isCut,
  };
}

interface JobRecords {
  readonly spans: readonly SpanJson[];
  readonly logs: readonly LogJson[];
  readonly isCut: boolean;
}

/** What names the job, and what its traces hold besides; a record of a shared trace that names another job is that one's. */
function gatherJob(reader: StoreReader, jobId: string): JobRecords {
  const byJob: RowSelection = { index: "job", condition: "r.job_id = ?", values: [jobId] };
  const spans = gatherJson(reader, "span", () => byJob);
  const logs = gatherJson(reader, "log", () => byJob);
  const traceIds = new Set([...spans.records, ...logs.records].flatMap((record) => record.trace_id ?? []));
  const byTrace = traceSelection([...traceIds].slice(0, TRACES_MAX));
  const nameless: RowSelection = { ...byTrace, condition: `${byTrace.condition} AND r.job_id IS NULL` };
  const moreSpans = gatherJson(reader, "span", () => nameless);
  const moreLogs = gatherJson(reader, "log", () => nameless);
  return {
    spans: byTime([...spans.records, ...moreSpans.records]),
    logs: byTime([...logs.records, ...moreLogs.records]),
    isCut: [spans, logs, moreSpans, moreLogs].some((part) => part.isCut) || traceIds.size > TRACES_MAX,
  };
}

function byTime<T extends { readonly time_us: number }>(records: T[]): T[] {
  return records.toSorted((left, right) => left.time_us - right.time_us);
}

function timeRange(spans: readonly SpanJson[], logs: readonly LogJson[]): TimeRange {
  const from = Math.min(spans[0]?.time_us ?? Infinity, logs[0]?.time_us ?? Infinity);
  const spanEnd = spans.reduce((end, span) => Math.max(end, span.end_time_us), 0);
  return { from, to: Math.max(spanEnd, logs.at(-1)?.time_us ?? 0) };
}

/** Every line of the attempts' workers in the attempts' time. */
function gatherNeighbours(
  reader: StoreReader,
  attempts: readonly Attempt[],
  own: ReadonlySet<string>,
): { lines: StoryLine[]; isCut: boolean } {
  const lines = new Map<string, StoryLine>();
  let isCut = false;
  for (const [index, attempt] of attempts.entries()) {
    if (attempt.workerId === "") continue;
    const found = gatherJson(reader, "log", (segment) => workerSelection(segment, attempt));
    isCut ||= found.isCut;
    for (const log of found.records) {
      if (!own.has(log.id)) lines.set(log.id, { ...log, attempt: index + 1, is_neighbour: true });
    }
  }
  return { lines: [...lines.values()], isCut };
}

function workerSelection(segment: SegmentReader, attempt: Attempt): RowSelection | undefined {
  const origins = segment.all("SELECT id FROM origin WHERE machine_id IS ? AND worker_id = ?", [
    attempt.machineId || null,
    attempt.workerId,
  ]);
  if (origins.length === 0) return undefined;
  const margin = Math.min(MARGIN_MICROS_MAX, Math.max(MARGIN_MICROS_MIN, attempt.to - attempt.from));
  return {
    index: "origin",
    condition: "r.origin IN (SELECT value FROM json_each(?)) AND r.time BETWEEN ? AND ?",
    values: [JSON.stringify(origins.map((row) => row["id"])), Math.max(0, attempt.from - margin), attempt.to + margin],
  };
}

function attemptOf(attempts: readonly Attempt[], recordId: string): { readonly attempt?: number } {
  const index = attempts.findIndex((attempt) => attempt.recordIds.has(recordId));
  return index < 0 ? {} : { attempt: index + 1 };
}

function attemptJson(attempt: Attempt, number: number): AttemptJson {
  return {
    number,
    ...(attempt.machineId !== "" && { machine_id: attempt.machineId }),
    ...(attempt.workerId !== "" && { worker_id: attempt.workerId }),
    ...(attempt.serviceType !== "" && { service_type: attempt.serviceType }),
    started: isoTime(attempt.from),
    ended: isoTime(attempt.to),
    duration_ms: (attempt.to - attempt.from) / 1000,
    ...judgeAttempt(attempt),
  };
}

function readPeers(
  reader: StoreReader,
  attempts: readonly Attempt[],
  range: TimeRange,
): Pick<JobStory, "machine_workers" | "peers"> {
  const machines = new Set(attempts.map(({ machineId }) => machineId).filter((id) => id !== ""));
  const types = new Set(attempts.map(({ serviceType }) => serviceType).filter((type) => type !== ""));
  const own = new Set(attempts.map(({ machineId, workerId }) => `${machineId}\0${workerId}`));
  const tallies = tallyWorkers(reader, range);
  const isOwn = (tally: (typeof tallies)[number]): number => Number(own.has(`${tally.machineId}\0${tally.workerId}`));
  const onMachine = tallies
    .filter((tally) => machines.has(tally.machineId))
    .toSorted((left, right) => isOwn(right) - isOwn(left));
  const elsewhere = tallies
    .filter((tally) => !machines.has(tally.machineId) && [...tally.types].some((type) => types.has(type)))
    .toSorted((left, right) => right.failedSpans - left.failedSpans || right.errorLogs - left.errorLogs);
  const peerJson = (tally: (typeof tallies)[number]): PeerJson => ({
    ...(tally.machineId !== "" && { machine_id: tally.machineId }),
    ...workerJson(tally),
  });
  return {
    machine_workers: onMachine.slice(0, PEERS_MAX).map(peerJson),
    peers: elsewhere.slice(0, PEERS_MAX).map(peerJson),
  };
}
