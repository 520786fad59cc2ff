import type { LogJson } from "./record-json.ts";

export type LineOutcome = "failed" | "completed";

// The words of the users' job queue (event_type, job_status) and of common ones; a field is a statement, a text a hint.
export const STATUS_KEYS = ["job_status", "job.status", "event_type", "event.type", "event", "status"];
const FAILED_STATUS = /(?:^|[._-])(?:failed|failure|error|timeout|timed_out|cancelled|canceled|dead)$/i;
const COMPLETED_STATUS = /(?:^|[._-])(?:completed|complete|succeeded|success|finished|done)$/i;
const START_STATUS = /(?:^|[._-])(?:started|claimed|received|processing)$/i;

const FAILED_TEXT =
  /\bjob\b.{0,80}\b(?:failed|timed out|cancell?ed|aborted|crashed)\b|\b(?:failed|failure)\b.{0,20}\bjob\b/i;
const COMPLETED_TEXT =
  /\bjob\b.{0,80}\b(?:completed|succeeded|finished|done)\b|\b(?:completed|finished)\b.{0,20}\bjob\b/i;
const START_TEXT = /\b(?:started|starting|claimed|received|processing|running)\b/i;

/** A body's beginning says it; a dump behind it may say anything. */
const TEXT_CHARS_MAX = 400;

/** Whether the line says how the job ended. */
export function lineOutcome(line: LogJson): LineOutcome | undefined {
  return statedOutcome(line) ?? textOutcome(line);
}

/** What the line says in a field. */
export function statedOutcome(line: LogJson): LineOutcome | undefined {
  const status = statuses(line);
  if (status.some((value) => FAILED_STATUS.test(value))) return "failed";
  return status.some((value) => COMPLETED_STATUS.test(value)) ? "completed" : undefined;
}

function textOutcome(line: LogJson): LineOutcome | undefined {
  const text = line.message.slice(0, TEXT_CHARS_MAX);
  if (FAILED_TEXT.test(text)) return "failed";
  return COMPLETED_TEXT.test(text) ? "completed" : undefined;
}

export function saysStart(line: LogJson): boolean {
  return (
    statuses(line).some((value) => START_STATUS.test(value)) || START_TEXT.test(line.message.slice(0, TEXT_CHARS_MAX))
  );
}

function statuses(line: LogJson): string[] {
  const values = STATUS_KEYS.map((key) => (Object.hasOwn(line.attributes, key) ? line.attributes[key] : undefined));
  return [line.event_name, ...values].filter((value): value is string => typeof value === "string");
}

export function isError(line: LogJson): boolean {
  return line.level === "error" || line.level === "fatal";
}
