import { attributeToken } from "./attribute-tokens.ts";
import type { AttributeTerm, ColumnKey, ColumnTerm, Query, TextTerm } from "./query-parser.ts";
import { PROBLEM_SEVERITY_MIN } from "./segment-schema.ts";
import type { RecordTable, SegmentReader, SqlValue } from "./segment-reader.ts";

/** Microseconds; both ends included. */
export interface TimeRange {
  readonly from: number;
  readonly to: number;
}

/** How one segment answers a query: `FROM ... WHERE ...` over the table's alias `r`, with its values in order. */
export interface SegmentPlan {
  readonly source: string;
  readonly conditions: readonly string[];
  readonly values: readonly SqlValue[];
}

const RECORD_COLUMN_KEYS = new Set<ColumnKey>(["job_id", "trace_id", "span_id"]);

/**
 * The plan for one segment, or undefined where it cannot hold a match. The index is chosen here, not by SQLite: it
 * has no statistics of a file that grows, and knows nothing of "newest first, and stop at the limit".
 *
 * All text from the query is bound; names in the SQL are ours. Full-text input is quoted (ftsPhrase).
 */
export function planSegment(
  query: Query,
  range: TimeRange,
  table: RecordTable,
  segment: SegmentReader,
): SegmentPlan | undefined {
  const builder = new PlanBuilder(table, segment);
  for (const term of query.terms) {
    if (term.kind === "severity") builder.addSeverity(term.min, term.max);
    else if (term.kind === "range") builder.addDuration(term.min, term.max);
    else if (term.kind === "attribute") builder.addAttribute(term);
    else if (term.kind === "text") builder.addText(term);
    else if (RECORD_COLUMN_KEYS.has(term.key)) builder.addRecordColumn(term);
    else builder.addOriginColumn(term);
  }
  return builder.build(range);
}

/** An origin that speaks more than this share of a segment is found faster by walking the time index to the limit. */
const ORIGIN_SHARE_MAX = 0.05;

class PlanBuilder {
  readonly #table: RecordTable;
  readonly #segment: SegmentReader;
  readonly #conditions: string[] = [];
  readonly #values: SqlValue[] = [];
  readonly #originTerms: ColumnTerm[] = [];
  readonly #texts: string[] = [];
  readonly #tokens: string[] = [];
  #index: "job" | "trace" | undefined;
  #severityMin = 0;
  #hasDuration = false;
  #isEmpty = false;

  constructor(table: RecordTable, segment: SegmentReader) {
    this.#table = table;
    this.#segment = segment;
  }

  addSeverity(min: number, max: number): void {
    if (min > max) this.#isEmpty = true;
    this.#severityMin = Math.max(this.#severityMin, min);
    this.#add("r.severity BETWEEN ? AND ?", min, max);
  }

  addDuration(min: number, max: number): void {
    this.#hasDuration = true;
    this.#add("r.duration_ms BETWEEN ? AND ?", min, max);
  }

  addRecordColumn({ key, value, isPrefix }: ColumnTerm): void {
    if (isPrefix) this.#add(`r.${key} >= ? AND r.${key} < ?`, value, afterPrefix(value));
    else this.#add(`r.${key} = ?`, value);
    if (key === "job_id" || (key === "trace_id" && this.#index === undefined))
      this.#index = key === "job_id" ? "job" : "trace";
  }

  addOriginColumn(term: ColumnTerm): void {
    this.#originTerms.push(term);
  }

  addText({ text, isPrefix }: TextTerm): void {
    this.#texts.push(ftsPhrase(text, isPrefix));
  }

  /** The attribute stands on the record or on its resource; the resources are few, and looked up right now. */
  addAttribute({ key, value, isPrefix }: AttributeTerm): void {
    const token = attributeToken(key, value);
    const [test, bounds] = isPrefix
      ? ["token >= ? AND token < ?", [token, afterPrefix(token)]]
      : ["token = ?", [token]];
    const resources = this.#segment.all(`SELECT DISTINCT resource FROM resource_token WHERE ${test}`, bounds);
    const phrase = ftsPhrase(token, isPrefix);
    if (resources.length === 0) {
      this.#tokens.push(phrase);
      return;
    }
    const ids = JSON.stringify(resources.map((row) => row["resource"]));
    const inRecords = `r.id IN (SELECT rowid FROM ${this.#table}_attr WHERE ${this.#table}_attr MATCH ?)`;
    this.#add(`(r.resource IN (SELECT value FROM json_each(?)) OR ${inRecords})`, ids, phrase);
  }

  build(range: TimeRange): SegmentPlan | undefined {
    const origins = this.#findOrigins();
    if (this.#isEmpty || origins?.length === 0) return undefined;
    const isTimeOpen = range.from === -Infinity && range.to === Infinity;
    if (!isTimeOpen) this.#add("r.time BETWEEN ? AND ?", clampTime(range.from), clampTime(range.to));
    if (origins !== undefined) this.#add("r.origin IN (SELECT value FROM json_each(?))", JSON.stringify(origins));
    const { source, matches } = this.#chooseSource(origins);
    for (const { table, expression } of matches) this.#addMatch(table, expression, source.includes(`${table} AS`));
    this.#conditions.push("within_budget()");
    return { source, conditions: this.#conditions, values: this.#values };
  }

  #addMatch(fts: string, expression: string, isSource: boolean): void {
    this.#add(isSource ? `${fts} MATCH ?` : `r.id IN (SELECT rowid FROM ${fts} WHERE ${fts} MATCH ?)`, expression);
  }

  #chooseSource(origins: readonly number[] | undefined): {
    source: string;
    matches: { table: string; expression: string }[];
  } {
    const table = this.#table;
    const matches: { table: string; expression: string }[] = [];
    if (this.#texts.length > 0) matches.push({ table: `${table}_text`, expression: this.#texts.join(" AND ") });
    if (this.#tokens.length > 0) matches.push({ table: `${table}_attr`, expression: this.#tokens.join(" AND ") });
    const first = matches[0];
    if (this.#index !== undefined) return { source: `${table} AS r INDEXED BY ${table}_${this.#index}`, matches };
    // CROSS JOIN keeps the order written: the words first, then their rows.
    if (first !== undefined)
      return { source: `${first.table} AS f CROSS JOIN ${table} AS r ON r.id = f.rowid`, matches };
    if (origins !== undefined && this.#isSmallShare(origins))
      return { source: `${table} AS r INDEXED BY ${table}_origin`, matches };
    return { source: `${table} AS r INDEXED BY ${table}_${this.#chooseTimeIndex()}`, matches };
  }

  /** Of the indexes by time the one over the fewest rows. SQLite takes a partial one only where it sees its condition. */
  #chooseTimeIndex(): string {
    if (this.#severityMin >= PROBLEM_SEVERITY_MIN) {
      this.#conditions.push(`r.severity >= ${PROBLEM_SEVERITY_MIN}`);
      return "problem";
    }
    // Few lines have a duration; every span has one.
    if (!this.#hasDuration || this.#table === "span") return "time";
    this.#conditions.push("r.duration_ms IS NOT NULL");
    return "duration";
  }

  #findOrigins(): number[] | undefined {
    if (this.#originTerms.length === 0) return undefined;
    const tests = this.#originTerms.map(({ key, isPrefix }) =>
      isPrefix ? `${key} >= ? AND ${key} < ?` : `${key} = ?`,
    );
    const values = this.#originTerms.flatMap(({ value, isPrefix }) =>
      isPrefix ? [value, afterPrefix(value)] : [value],
    );
    return this.#segment
      .all(`SELECT id FROM origin WHERE ${tests.join(" AND ")}`, values)
      .map((row) => Number(row["id"]));
  }

  #isSmallShare(origins: readonly number[]): boolean {
    const signal = this.#table === "log" ? "logs" : "traces";
    const sum = "SELECT total(count) AS count FROM minute_count WHERE signal = ?";
    const own = this.#segment.get(`${sum} AND origin IN (SELECT value FROM json_each(?))`, [
      signal,
      JSON.stringify(origins),
    ]);
    const all = this.#segment.get(sum, [signal]);
    return Number(own?.["count"]) <= Number(all?.["count"]) * ORIGIN_SHARE_MAX;
  }

  #add(condition: string, ...values: SqlValue[]): void {
    this.#conditions.push(condition);
    this.#values.push(...values);
  }
}

/** The first text after all that begin with this one, in the byte order of UTF-8 that SQLite compares by. */
function afterPrefix(prefix: string): string {
  return `${prefix}\u{10ffff}`;
}

/** An FTS5 string: nothing inside it is syntax (https://www.sqlite.org/fts5.html, "FTS5 Strings"). A NUL would end the expression. */
export function ftsPhrase(text: string, isPrefix: boolean): string {
  return `"${text.replaceAll('"', '""').replaceAll("\0", " ")}"${isPrefix ? "*" : ""}`;
}

function clampTime(time: number): number {
  return Math.max(0, Math.min(Math.trunc(time), Number.MAX_SAFE_INTEGER));
}
