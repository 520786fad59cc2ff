import { lineOutcome, saysStart } from "./job-lines.ts";
import type { LogJson, SpanJson } from "./record-json.ts";

/** One run of a job on one worker. */
export interface Attempt {
  readonly machineId: string;
  readonly workerId: string;
  readonly serviceType: string;
  /** Microseconds. */
  from: number;
  to: number;
  /** Its spans that stand highest on this worker: the envelope of the work. */
  readonly roots: SpanJson[];
  readonly spans: SpanJson[];
  readonly logs: LogJson[];
  readonly recordIds: Set<string>;
  /** A line has said how it ended. */
  hasEnded: boolean;
  /** The attempt's number as the worker says it, where it does. */
  readonly given: string | undefined;
}

/**
 * The runs of a job, in time order. Records without a worker (the API that submitted it, the queue) belong to none,
 * unless no record has one: then everything is one run.
 *
 * Where workers number their attempts, that decides. Else a run ends where the job goes to another worker, where an
 * envelope span of the same name begins again, or where a line says that it starts after one said that it ended.
 */
export function splitAttempts(spans: readonly SpanJson[], logs: readonly LogJson[]): Attempt[] {
  const hasWorker = [...spans, ...logs].some((record) => record.worker_id !== undefined);
  const isWork = (record: SpanJson | LogJson): boolean => !hasWorker || record.worker_id !== undefined;
  const attempts = attemptsOfSpans(spans.filter(isWork));
  for (const log of logs.filter(isWork)) addLog(attempts, log);
  return attempts.toSorted((left, right) => left.from - right.from);
}

/** More runs are a loop that uses one job id for all it does: what comes then is counted to the last. */
const ATTEMPTS_MAX = 500;

function attemptsOfSpans(spans: readonly SpanJson[]): Attempt[] {
  const byId = new Map(spans.map((span) => [span.span_id, span]));
  const attempts: Attempt[] = [];
  const attemptByRoot = new Map<SpanJson, Attempt>();
  // Time order: of two roots the earlier opens the attempt that the later may join.
  for (const span of spans) {
    const root = rootOf(span, byId);
    let attempt = attemptByRoot.get(root);
    if (attempt === undefined) {
      attempt = attempts.findLast(
        (open) => isSameWorker(open, root) && (continues(open, root) || attempts.length >= ATTEMPTS_MAX),
      );
      if (attempt === undefined) attempts.push((attempt = openAttempt(root)));
      attemptByRoot.set(root, attempt);
      attempt.roots.push(root);
    }
    addTo(attempt, span, span.end_time_us);
    attempt.spans.push(span);
  }
  return attempts;
}

/** Real traces are not this deep; a loop of parents, which hostile data can hold, ends here too. */
const DEPTH_MAX = 100;

/** The highest ancestor on the same worker. */
function rootOf(span: SpanJson, byId: ReadonlyMap<string, SpanJson>): SpanJson {
  let root = span;
  for (let depth = 0; depth < DEPTH_MAX; depth++) {
    const parent = root.parent_span_id === undefined ? undefined : byId.get(root.parent_span_id);
    if (parent === undefined || parent === root || workerKey(parent) !== workerKey(root)) break;
    root = parent;
  }
  return root;
}

function continues(attempt: Attempt, root: SpanJson): boolean {
  if (attempt.given !== undefined || givenNumber(root) !== undefined) return attempt.given === givenNumber(root);
  return !attempt.roots.some((known) => known.name === root.name && known.span_id !== root.span_id);
}

function addLog(attempts: Attempt[], log: LogJson): void {
  const known = findAttempt(attempts, log);
  const attempt = known ?? openAttempt(log);
  if (known === undefined) attempts.push(attempt);
  addTo(attempt, log, log.time_us);
  attempt.logs.push(log);
  attempt.hasEnded ||= lineOutcome(log) !== undefined;
}

function findAttempt(attempts: readonly Attempt[], log: LogJson): Attempt | undefined {
  const same = attempts.filter((attempt) => isSameWorker(attempt, log));
  const given = givenNumber(log);
  const numbered = given === undefined ? undefined : same.find((attempt) => attempt.given === given);
  if (numbered !== undefined) return numbered;
  const within = same.find(
    (attempt) => attempt.roots.length > 0 && attempt.from <= log.time_us && log.time_us <= attempt.to,
  );
  if (within !== undefined) return within;
  // Before, between or after its runs: the run that it follows, else the one that it leads in.
  const nearest = same.findLast((attempt) => attempt.from <= log.time_us) ?? same[0];
  if (same.length >= ATTEMPTS_MAX) return nearest;
  return nearest !== undefined && startsAnew(nearest, log, given) ? undefined : nearest;
}

function startsAnew(attempt: Attempt, log: LogJson, given: string | undefined): boolean {
  if (attempt.roots.length > 0) return false;
  if (given !== undefined && attempt.given !== undefined) return given !== attempt.given;
  return attempt.hasEnded && saysStart(log);
}

function openAttempt(record: SpanJson | LogJson): Attempt {
  return {
    machineId: record.machine_id ?? "",
    workerId: record.worker_id ?? "",
    serviceType: record.service_type ?? "",
    from: record.time_us,
    to: record.time_us,
    roots: [],
    spans: [],
    logs: [],
    recordIds: new Set(),
    hasEnded: false,
    given: givenNumber(record),
  };
}

function addTo(attempt: Attempt, record: SpanJson | LogJson, end: number): void {
  attempt.from = Math.min(attempt.from, record.time_us);
  attempt.to = Math.max(attempt.to, end);
  attempt.recordIds.add(record.id);
}

export const ATTEMPT_KEYS = ["job.attempt", "job_attempt", "attempt", "retry_count", "job.retry_count"];

function givenNumber(record: SpanJson | LogJson): string | undefined {
  const key = ATTEMPT_KEYS.find((name) => Object.hasOwn(record.attributes, name));
  const value = key === undefined ? undefined : record.attributes[key];
  return typeof value === "string" || typeof value === "number" ? String(value) : undefined;
}

function workerKey(record: SpanJson | LogJson): string {
  return `${record.machine_id ?? ""}\0${record.worker_id ?? ""}`;
}

function isSameWorker(attempt: Attempt, record: SpanJson | LogJson): boolean {
  return attempt.machineId === (record.machine_id ?? "") && attempt.workerId === (record.worker_id ?? "");
}
