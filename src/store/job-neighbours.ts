import type { Attempt } from "./job-attempts.ts";
import type { StoryLine } from "./job-story.ts";
import { loadJson } from "./record-load.ts";
import { chooseRows, findRows } from "./row-choice.ts";
import type { RowSelection } from "./row-choice.ts";
import type { SegmentReader } from "./segment-reader.ts";
import { RECORD_BYTES_MAX } from "./shorten.ts";
import type { StoreReader } from "./store-reader.ts";

export interface Neighbours {
  /** In time order. */
  readonly lines: readonly StoryLine[];
  /** With those that there is no room for. */
  readonly total: number;
}

interface Neighbourhood {
  readonly jobId: string;
  /** Lines of these traces that name no job are the job's own. */
  readonly traceIds: readonly string[];
  readonly attempts: readonly Attempt[];
}

/**
 * What a worker says just before it takes a job, and just after it has ended, explains many a failure. The margin is as
 * long as the attempt within these bounds, so that a job of 50 ms does not drown in its neighbours.
 */
const MARGIN_MICROS_MIN = 500_000;
const MARGIN_MICROS_MAX = 2_000_000;

/** One worker in a stretch of time in which it ran the job, with what lies around it. */
interface Stretch {
  readonly attempt: Attempt;
  readonly number: number;
  from: number;
  to: number;
}

/** Every line of the attempts' workers in the attempts' time that is not the job's own. */
export function readNeighbours(reader: StoreReader, job: Neighbourhood, rowsMax: number, bytesMax: number): Neighbours {
  const lines: StoryLine[] = [];
  let total = 0;
  let [rowsLeft, bytesLeft] = [rowsMax, bytesMax];
  for (const stretch of stretchesOf(job.attempts)) {
    const found = findRows(reader, "log", (segment) => workerSelections(segment, stretch, job), rowsLeft);
    total += found.total;
    const rows =
      bytesLeft <= 0
        ? []
        : chooseRows(found.rows, { rowsMax: rowsLeft, bytesMax: bytesLeft, sizeMax: RECORD_BYTES_MAX });
    rowsLeft -= rows.length;
    bytesLeft -= rows.reduce((sum, { size }) => sum + Math.min(size, RECORD_BYTES_MAX), 0);
    lines.push(...loadJson(reader, "log", rows, (log) => ({ ...log, attempt: stretch.number, is_neighbour: true })));
  }
  return { lines, total };
}

/** Attempts that follow each other closely on one worker share a stretch, so that no line is counted twice. */
function stretchesOf(attempts: readonly Attempt[]): Stretch[] {
  const stretches: Stretch[] = [];
  attempts.forEach((attempt, index) => {
    if (attempt.workerId === "") return;
    const margin = Math.min(MARGIN_MICROS_MAX, Math.max(MARGIN_MICROS_MIN, attempt.to - attempt.from));
    const [from, to] = [Math.max(0, attempt.from - margin), attempt.to + margin];
    const open = stretches.find(
      (known) => isSameWorker(known.attempt, attempt) && known.from <= to && from <= known.to,
    );
    if (open === undefined) stretches.push({ attempt, number: index + 1, from, to });
    else [open.from, open.to] = [Math.min(open.from, from), Math.max(open.to, to)];
  });
  // The last run is the one that the verdict speaks of: its neighbours get the room first.
  return stretches.toReversed().slice(0, STRETCHES_MAX);
}

/** Each is a query over all segments; a job that runs this often is read by its last runs. */
const STRETCHES_MAX = 50;

function isSameWorker(left: Attempt, right: Attempt): boolean {
  return left.machineId === right.machineId && left.workerId === right.workerId;
}

function workerSelections(segment: SegmentReader, stretch: Stretch, job: Neighbourhood): RowSelection[] {
  const { machineId, workerId } = stretch.attempt;
  const origins = segment.all("SELECT id FROM origin WHERE machine_id IS ? AND worker_id = ?", [
    machineId || null,
    workerId,
  ]);
  if (origins.length === 0) return [];
  // A column that is NULL makes a comparison NULL, which is not true: hence the IS NULLs.
  const condition = `r.origin IN (SELECT value FROM json_each(?)) AND r.time BETWEEN ? AND ? AND r.job_id IS NOT ?
    AND (r.job_id IS NOT NULL OR r.trace_id IS NULL OR r.trace_id NOT IN (SELECT value FROM json_each(?)))`;
  const ids = JSON.stringify(origins.map((row) => row["id"]));
  return [
    {
      index: "origin",
      condition,
      values: [ids, stretch.from, stretch.to, job.jobId, JSON.stringify(job.traceIds)],
    },
  ];
}
