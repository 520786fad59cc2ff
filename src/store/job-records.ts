import { ATTEMPT_KEYS } from "./job-attempts.ts";
import { isError, STATUS_KEYS } from "./job-lines.ts";
import type { LogJson, RecordJsons, SpanJson } from "./record-json.ts";
import { loadJson } from "./record-load.ts";
import { chooseRows, findRows } from "./row-choice.ts";
import type { FoundRow, FoundRows, RowSelection } from "./row-choice.ts";
import type { RecordTable } from "./segment-reader.ts";
import { ownedText } from "./shorten.ts";
import type { StoreReader } from "./store-reader.ts";
import { traceSelection } from "./trace.ts";

/**
 * Spans, and lines, of one job that are read for its verdict, about half a second of work. Of a larger job the ends and the
 * failures are read first, which is what verdicts rest on; it is counted whole all the same.
 */
const SCAN_RECORDS_MAX = 10_000;
/** Rows that the choice is made from, by time and level alone: around a failure in the middle of these lie its neighbours. */
const FOUND_ROWS_MAX = 50_000;
const SCAN_BYTES_MAX = 64 * 1024 * 1024;

/** Traces that one job is followed into, the newest; a retry has one of its own, more is a job id used for something else. */
const TRACES_MAX = 32;

export interface OwnRecords<T extends RecordTable> {
  readonly found: FoundRows;
  /** What was read of them, in time order: the facts that attempts and verdicts are made from, without the ballast. */
  readonly rows: readonly FoundRow[];
  readonly facts: readonly RecordJsons[T][];
}

export interface JobRecords {
  readonly spans: OwnRecords<"span">;
  readonly logs: OwnRecords<"log">;
  readonly traceIds: readonly string[];
  /** The job has more traces than are followed. */
  readonly hasMoreTraces: boolean;
}

/** What names the job, and what its traces hold besides; a record of a shared trace that names another job is that one's. */
export function gatherJob(reader: StoreReader, jobId: string): JobRecords {
  const traceIds = jobTraces(reader, jobId);
  const followed = traceIds.slice(0, TRACES_MAX);
  const byJob: RowSelection = { index: "job", condition: "r.job_id = ?", values: [jobId] };
  const byTrace = traceSelection(followed);
  const nameless: RowSelection = { ...byTrace, condition: `${byTrace.condition} AND r.job_id IS NULL` };
  const selections = followed.length === 0 ? [byJob] : [byJob, nameless];
  return {
    spans: readOwn(reader, "span", selections, spanFacts),
    logs: readOwn(reader, "log", selections, logFacts),
    traceIds: followed,
    hasMoreTraces: traceIds.length > TRACES_MAX,
  };
}

/** The traces of all records that name the job, the newest first. */
function jobTraces(reader: StoreReader, jobId: string): string[] {
  const newest = new Map<string, number>();
  reader.visitSegments((segment) => {
    const rows = (["span", "log"] as const).flatMap((table) =>
      segment.all(
        `SELECT trace_id, max(time) AS time FROM ${table} INDEXED BY ${table}_job WHERE job_id = ? AND trace_id IS NOT NULL
          AND within_budget() GROUP BY trace_id ORDER BY time DESC LIMIT ?`,
        [jobId, TRACES_MAX + 1],
      ),
    );
    for (const row of rows) {
      const traceId = String(row["trace_id"]);
      newest.set(traceId, Math.max(newest.get(traceId) ?? 0, Number(row["time"])));
    }
  });
  return Array.from(newest)
    .toSorted((left, right) => right[1] - left[1])
    .map(([traceId]) => traceId);
}

function readOwn<T extends RecordTable>(
  reader: StoreReader,
  table: T,
  selections: readonly RowSelection[],
  factsOf: (json: RecordJsons[T]) => RecordJsons[T],
): OwnRecords<T> {
  const found = findRows(reader, table, () => selections, FOUND_ROWS_MAX);
  const rows = chooseRows(found.rows, { rowsMax: SCAN_RECORDS_MAX, bytesMax: SCAN_BYTES_MAX });
  return { found, rows, facts: loadJson(reader, table, rows, factsOf) };
}

/** As much of a text as says how a job went. job-lines.ts reads 400 of it; of a failure it is what is quoted. */
const FACT_CHARS_MAX = 400;
const FAILURE_CHARS_MAX = 4_096;

const FACT_KEYS = [...STATUS_KEYS, ...ATTEMPT_KEYS];

function pickFacts(attributes: LogJson["attributes"], keys: readonly string[]): LogJson["attributes"] {
  const kept = keys.filter((key) => Object.hasOwn(attributes, key));
  return Object.fromEntries(kept.map((key) => [key, attributes[key] ?? null]));
}

function logFacts(log: LogJson): LogJson {
  const { body: _, ...rest } = log;
  return {
    ...rest,
    message: ownedText(log.message, isError(log) ? FAILURE_CHARS_MAX : FACT_CHARS_MAX),
    attributes: pickFacts(log.attributes, FACT_KEYS),
    resource: {},
  };
}

function spanFacts(span: SpanJson): SpanJson {
  const exceptions = span.events.filter((event) => event.name === "exception").slice(0, 1);
  return {
    ...span,
    attributes: pickFacts(span.attributes, FACT_KEYS),
    resource: {},
    events: exceptions.map((event) => ({
      ...event,
      attributes: pickFacts(event.attributes, ["exception.type", "exception.message"]),
    })),
  };
}
