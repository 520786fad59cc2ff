import type { Attempt } from "./job-attempts.ts";
import { isError, lineOutcome } from "./job-lines.ts";
import type { LineOutcome } from "./job-lines.ts";
import type { TimeRange } from "./query-plan.ts";
import { isoTime } from "./record-json.ts";
import type { LogJson, SpanJson } from "./record-json.ts";

/** How one attempt ended, with the records that say so: a statement of facts, each with its source. */
export interface Verdict {
  readonly outcome: LineOutcome | "unknown";
  /** What it rests on, in words. */
  readonly basis: string;
  /** The span in which the failure began, or the logger's line. */
  readonly where?: string;
  /** Milliseconds from the attempt's start to the failure. */
  readonly after_ms?: number;
  readonly why?: string;
  /** The record that failed first: red on the page, marked in the command line. */
  readonly origin_id?: string;
}

export function judgeAttempt(attempt: Attempt): Verdict {
  const verdict = findOutcome(attempt);
  return verdict.outcome === "failed" ? { ...verdict, ...findCause(attempt) } : verdict;
}

/** The strongest statement first: the envelope's status, then what lines say, then the absence of complaints. */
function findOutcome(attempt: Attempt): Pick<Verdict, "outcome" | "basis"> {
  const failed = attempt.roots.find((root) => root.status === "error");
  if (failed !== undefined) return { outcome: "failed", basis: `span ${failed.name} ended with status error` };
  const ok = attempt.roots.find((root) => root.status === "ok");
  if (ok !== undefined) return { outcome: "completed", basis: `span ${ok.name} ended with status ok` };
  const said = attempt.logs.findLast((line) => lineOutcome(line) !== undefined);
  if (said !== undefined) return { outcome: lineOutcome(said) ?? "unknown", basis: "a line says so" };
  const lastLine = attempt.logs.at(-1);
  if (lastLine !== undefined && isError(lastLine)) return { outcome: "failed", basis: "its last line is an error" };
  const root = attempt.roots[0];
  if (root !== undefined) return { outcome: "completed", basis: `span ${root.name} ended without an error` };
  if (attempt.logs.some(isError)) return { outcome: "failed", basis: "it has an error line" };
  return { outcome: "unknown", basis: "no record says how it ended" };
}

type Cause = Pick<Verdict, "where" | "after_ms" | "why" | "origin_id">;

function findCause(attempt: Attempt): Cause {
  const span = originSpan(attempt.spans);
  const line = causeLine(attempt, span);
  if (span === undefined) return line === undefined ? {} : lineCause(attempt, line);
  const exception = span.events.find((event) => event.name === "exception");
  const why = exceptionText(exception?.attributes) || span.status_message || line?.message;
  return {
    where: span.name,
    after_ms: ((exception?.time_us ?? span.end_time_us) - attempt.from) / 1000,
    ...(why !== undefined && { why }),
    origin_id: span.id,
  };
}

function lineCause(attempt: Attempt, line: LogJson): Cause {
  return { after_ms: (line.time_us - attempt.from) / 1000, why: line.message, origin_id: line.id };
}

/** Errors climb from child to parent: the failed span without a failed child is where it began; of several, the first to end. */
function originSpan(spans: readonly SpanJson[]): SpanJson | undefined {
  const failed = spans.filter((span) => span.status === "error");
  const parents = new Set(failed.map((span) => span.parent_span_id));
  const leaves = failed.filter((span) => !parents.has(span.span_id));
  return (leaves.length > 0 ? leaves : failed).toSorted((left, right) => left.end_time_us - right.end_time_us)[0];
}

/** The first error line within the failed span, else of the attempt, else the line that says it failed. */
function causeLine(attempt: Attempt, span: SpanJson | undefined): LogJson | undefined {
  const errors = attempt.logs.filter(isError);
  const within = errors.find((line) => span !== undefined && line.span_id === span.span_id);
  return within ?? errors[0] ?? attempt.logs.findLast((line) => lineOutcome(line) === "failed");
}

function exceptionText(attributes: SpanJson["attributes"] | undefined): string {
  const parts = [attributes?.["exception.type"], attributes?.["exception.message"]];
  return parts.filter((part): part is string => typeof part === "string" && part !== "").join(": ");
}

interface Judged extends Verdict {
  readonly number: number;
  readonly machine_id?: string;
  readonly worker_id?: string;
  readonly service_type?: string;
  readonly duration_ms: number;
}

export function writeSentence(attempt: Judged | undefined, range: TimeRange): string {
  if (attempt === undefined) return `no worker's record names this job; last heard of ${isoTime(range.to)}`;
  const place = writePlace(attempt);
  const tries = attempt.number > 1 ? `, attempt ${attempt.number}` : "";
  if (attempt.outcome === "unknown")
    return `unknown${place}${tries}: ${attempt.basis}; last heard of ${isoTime(range.to)}`;
  if (attempt.outcome === "completed")
    return `completed${place}${tries}, in ${formatMs(attempt.duration_ms)} (${attempt.basis})`;
  const where = attempt.where === undefined ? "" : ` in ${attempt.where}`;
  const after = attempt.after_ms === undefined ? "" : ` after ${formatMs(Math.max(0, attempt.after_ms))}`;
  return `failed${where}${place}${tries}${after}: ${firstLine(attempt.why ?? attempt.basis)}`;
}

function writePlace(attempt: Judged): string {
  const names = [attempt.machine_id, attempt.worker_id].filter((name) => name !== undefined).join("/");
  const type = attempt.service_type === undefined ? "" : ` (${attempt.service_type})`;
  return names === "" ? type : ` on ${names}${type}`;
}

/** A sentence holds one line of at most this; the record holds the rest. */
const WHY_CHARS_MAX = 300;

function firstLine(text: string): string {
  const line = text.split("\n", 1)[0] ?? "";
  return line.length > WHY_CHARS_MAX ? `${line.slice(0, WHY_CHARS_MAX)}…` : line;
}

/** `840 ms`, `12.4 s`, `3 min 05 s`, `2 h 10 min`: three digits that mean something. */
export function formatMs(ms: number): string {
  if (ms === 0) return "0 ms";
  if (ms < 1) return `${ms.toFixed(2)} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(ms < 9_995 ? 2 : 1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, "0")} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}
