import { splitAttempts } from "./job-attempts.ts";
import type { Attempt } from "./job-attempts.ts";
import { judgeAttempt, writeSentence } from "./job-verdict.ts";
import type { Verdict } from "./job-verdict.ts";
import { tallyWorkers, workerJson } from "./machines.ts";
import type { WorkerJson } from "./machines.ts";
import type { TimeRange } from "./query-plan.ts";
import { ANSWER_BYTES_MAX, isoTime } from "./record-json.ts";
import type { LogJson, SpanJson } from "./record-json.ts";
import type { RecordTable } from "./segment-reader.ts";
import type { StoreReader } from "./store-reader.ts";
import { readNeighbours } from "./job-neighbours.ts";
import { gatherJob } from "./job-records.ts";
import type { JobRecords, OwnRecords } from "./job-records.ts";
import { loadJson, rowId } from "./record-load.ts";
import { chooseRows } from "./row-choice.ts";
import type { FoundRow } from "./row-choice.ts";
import { RECORD_BYTES_MAX } from "./shorten.ts";
import { STORY_RECORDS_MAX } from "./trace.ts";

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
  /** Lines of the job between the one shown before and this one that the answer has no room for. */
  readonly gap?: GapJson;
};

export interface GapJson {
  readonly lines: number;
  readonly from: string;
  readonly to: string;
}

/** Of all records of the job, shown or not. */
export interface StoryCounts {
  readonly spans: number;
  readonly failed_spans: number;
  readonly lines: number;
  readonly error_lines: number;
  readonly neighbours: number;
}

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
  readonly counts: StoryCounts;
  /** More records belong to the story than one answer holds: `counts` says how many, `gap` where. */
  readonly is_cut: boolean;
}

const PEERS_MAX = 50;

/**
 * Everything of one job in time order; undefined where no record names it. Verdict, counts and times come from all of
 * its records, and what the answer has room for is chosen last.
 */
export function readJobStory(reader: StoreReader, jobId: string): JobStory | undefined {
  const own = gatherJob(reader, jobId);
  const [spans, logs] = [own.spans.found, own.logs.found];
  if (spans.total === 0 && logs.total === 0) return undefined;
  const attempts = splitAttempts(own.spans.facts, own.logs.facts);
  const range = { from: Math.min(spans.from, logs.from), to: Math.max(spans.to, logs.to) };
  const judged = attempts.map((attempt, index) => attemptJson(attempt, index + 1));
  const last = judged.at(-1);
  const shown = showRecords(reader, own, attempts, judged);
  const room = STORY_RECORDS_MAX - shown.lines.length;
  const neighbours = readNeighbours(reader, { jobId, traceIds: own.traceIds, attempts }, room, shown.bytesLeft);
  const found = spans.total + logs.total + neighbours.total;
  return {
    job_id: jobId,
    outcome: last?.outcome ?? "unknown",
    sentence: writeSentence(last, range),
    attempts: judged,
    from: isoTime(range.from),
    to: isoTime(range.to),
    spans: shown.spans,
    lines: [...shown.lines, ...neighbours.lines].toSorted((left, right) => left.time_us - right.time_us),
    ...readPeers(reader, attempts, range),
    counts: {
      spans: spans.total,
      failed_spans: spans.failures,
      lines: logs.total,
      error_lines: logs.failures,
      neighbours: neighbours.total,
    },
    is_cut: own.hasMoreTraces || found > shown.spans.length + shown.lines.length + neighbours.lines.length,
  };
}

interface ShownRecords {
  readonly spans: readonly StorySpan[];
  readonly lines: readonly StoryLine[];
  /** What the lines leave for their neighbours. */
  readonly bytesLeft: number;
}

function showRecords(
  reader: StoreReader,
  own: JobRecords,
  attempts: readonly Attempt[],
  judged: readonly AttemptJson[],
): ShownRecords {
  const numbers = new Map(attempts.flatMap(({ recordIds }, index) => Array.from(recordIds, (id) => [id, index + 1])));
  const numberOf = (id: string): { readonly attempt?: number } => {
    const attempt = numbers.get(id);
    return attempt === undefined ? {} : { attempt };
  };
  const needed = new Set(judged.flatMap(({ origin_id }) => origin_id ?? []));
  const spans = chooseOwn("span", own.spans, needed);
  const logs = chooseOwn("log", own.logs, needed);
  const gaps = findGaps(own.logs, logs);
  return {
    spans: loadJson(reader, "span", spans, (span) => ({ ...span, ...numberOf(span.id) })),
    lines: loadJson(reader, "log", logs, (log) => {
      const gap = gaps.get(log.id);
      return { ...log, ...numberOf(log.id), is_neighbour: false, ...(gap !== undefined && { gap }) };
    }),
    bytesLeft: logs.reduce((left, { size }) => left - Math.min(size, RECORD_BYTES_MAX), ANSWER_BYTES_MAX),
  };
}

function chooseOwn<T extends RecordTable>(table: T, own: OwnRecords<T>, needed: ReadonlySet<string>): FoundRow[] {
  return chooseRows(own.rows, {
    rowsMax: STORY_RECORDS_MAX,
    bytesMax: ANSWER_BYTES_MAX,
    sizeMax: RECORD_BYTES_MAX,
    isNeeded: (row) => needed.has(rowId(table, row)),
  });
}

/** By the id of the line behind each. Lines that were counted but not read lie somewhere in the middle: the widest gap has them. */
function findGaps(own: OwnRecords<"log">, shown: readonly FoundRow[]): Map<string, GapJson> {
  const places = new Map(own.rows.map((row, index) => [row, index]));
  const gaps = shown.flatMap((row, index) => {
    const before = shown[index - 1];
    if (before === undefined) return [];
    const lines = places.get(row)! - places.get(before)! - 1;
    return [{ row, lines, from: isoTime(before.time), to: isoTime(row.time) }];
  });
  const unread = own.found.total - own.rows.length;
  const widest = gaps.reduce((most, gap) => Math.max(most, gap.lines), 0);
  const index = gaps.findIndex(({ lines }) => lines === widest);
  return new Map(
    gaps
      .map(({ row, lines, from, to }, at) => ({ row, gap: { lines: lines + (at === index ? unread : 0), from, to } }))
      .filter(({ gap }) => gap.lines > 0)
      .map(({ row, gap }) => [rowId("log", row), gap]),
  );
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
