import type { LogJson } from "../store/record-json.ts";
import { cutText, fitText, textWidth, visibleText } from "./terminal-text.ts";
import type { Paint, Style } from "./terminal-text.ts";

/** How to write for this reader. */
export interface View {
  readonly columns: number;
  readonly isFull: boolean;
  readonly paint: Paint;
}

/** "2026-11-24 UTC", the heading of the lines of one day. */
export function dayOf(timestamp: string): string {
  return `${timestamp.slice(0, 10)} UTC`;
}

/** "15:04:05.123". */
export function clockOf(timestamp: string): string {
  return timestamp.slice(11, 23);
}

/** "1 line", "2 lines". */
export function countOf(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

const LEVEL_LETTERS: Readonly<Record<string, string>> = {
  trace: "T",
  debug: "D",
  info: "I",
  warn: "W",
  error: "E",
  fatal: "F",
};

export function levelLetter(level: string): string {
  return LEVEL_LETTERS[level] ?? "-";
}

export function levelStyle(level: string): Style | undefined {
  if (level === "error" || level === "fatal") return "bad";
  return level === "warn" ? "warn" : undefined;
}

export function workerName(record: {
  readonly machine_id?: string;
  readonly worker_id?: string;
  readonly service_name?: string;
}): string {
  const names = [record.machine_id, record.worker_id].filter((name) => name !== undefined);
  return visibleText(names.length > 0 ? names.join("/") : (record.service_name ?? ""));
}

/** Columns of names, as wide as their widest within bounds, so that bodies begin below each other. */
export function columnWidth(names: readonly string[], columnsMax: number): number {
  return Math.min(
    columnsMax,
    names.reduce((width, name) => Math.max(width, textWidth(name)), 0),
  );
}

const WORKER_COLUMNS_MAX = 28;
const JOB_COLUMNS_MAX = 20;

/** Log records as lines, oldest first, with a heading for each day. */
export function writeLines(records: readonly LogJson[], view: View): string[] {
  const workerColumns = columnWidth(records.map(workerName), WORKER_COLUMNS_MAX);
  const jobColumns = columnWidth(
    records.map((record) => visibleText(record.job_id ?? "")),
    JOB_COLUMNS_MAX,
  );
  const lines: string[] = [];
  let day = "";
  for (const record of records) {
    if (dayOf(record.timestamp) !== day) lines.push(view.paint("dim", (day = dayOf(record.timestamp))));
    const cells = [
      clockOf(record.timestamp),
      levelLetter(record.level),
      ...(workerColumns > 0 ? [fitText(workerName(record), workerColumns)] : []),
      ...(jobColumns > 0 ? [fitText(visibleText(record.job_id ?? ""), jobColumns)] : []),
    ];
    lines.push(writeLine(cells.join(" "), record, view));
  }
  return lines;
}

/** "64 KiB", "9.5 MiB". */
function formatBytes(bytes: number): string {
  return bytes < 1024 ** 2 ? `${Math.round(bytes / 1024)} KiB` : `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}

/** A lead of fixed width and the body, coloured by its level, or by `plainStyle` where the level has no colour. */
export function writeLine(lead: string, record: LogJson, view: View, plainStyle?: Style): string {
  const body = visibleText(record.message === "" ? (record.event_name ?? "") : record.message);
  const size = record.shortened_from === undefined ? "" : ` [the beginning of ${formatBytes(record.shortened_from)}]`;
  // Before the body: there it is not cut off with the rest.
  const text = `${lead}${size}  ${body}`;
  const line = (view.isFull ? text : cutText(text, view.columns)).trimEnd();
  const style = levelStyle(record.level) ?? plainStyle;
  return style === undefined ? line : view.paint(style, line);
}
