import { encodeJsonRequest } from "../wire/otlp/json-encode.ts";
import { ApiError, errorAnswer, jsonAnswer } from "./api-error.ts";
import type { ApiAnswer } from "./api-error.ts";
import { readJobStory } from "./job-story.ts";
import { readMachines } from "./machines.ts";
import { QueryError } from "./query-error.ts";
import { hintsForNothing } from "./query-hints.ts";
import { parseQuery } from "./query-parser.ts";
import type { Query } from "./query-parser.ts";
import type { TimeRange } from "./query-plan.ts";
import { formatRecordId, isoTime } from "./record-json.ts";
import type { RecordTable } from "./segment-reader.ts";
import { search } from "./search.ts";
import type { Place, SearchResult } from "./search.ts";
import { readRecord } from "./single-record.ts";
import { StoreError } from "./store-error.ts";
import type { StoreErrorKind } from "./store-error.ts";
import type { StoreReader } from "./store-reader.ts";
import { parseTime } from "./time-range.ts";
import { readTraceRecords, readTraceRequests } from "./trace.ts";

/** One question to the store, by HTTP or from the command line. */
export interface ApiRequest {
  /** `/api/logs`, percent-encoded as in a URL. */
  readonly path: string;
  /** What stands behind the "?", without it. */
  readonly search: string;
  readonly nowMs: number;
  readonly budgetMs: number;
}

export const LIMIT_DEFAULT = 100;
export const LIMIT_MAX = 1_000;

type Route = (reader: StoreReader, params: URLSearchParams, nowMs: number, id: string) => ApiAnswer;

/** `{id}` is one path segment. README.md has the contract of each. */
const ROUTES: readonly { readonly pattern: RegExp; readonly params: readonly string[]; readonly answer: Route }[] = [
  { pattern: /^\/api\/logs$/, params: ["q", "from", "to", "limit", "cursor"], answer: answerSearch("log") },
  { pattern: /^\/api\/logs\/([^/]+)$/, params: [], answer: answerRecord },
  { pattern: /^\/api\/spans$/, params: ["q", "from", "to", "limit", "cursor"], answer: answerSearch("span") },
  { pattern: /^\/api\/traces\/([^/]+)$/, params: ["format"], answer: answerTrace },
  { pattern: /^\/api\/jobs\/([^/]+)$/, params: [], answer: answerJob },
  { pattern: /^\/api\/machines$/, params: ["from", "to"], answer: answerMachines },
];

/** Answers one question; throws nothing. The reader's `damaged` says afterwards what the answer lacks. */
export function answerApi(reader: StoreReader, request: ApiRequest): ApiAnswer {
  try {
    reader.begin(request.budgetMs);
    const { route, id } = findRoute(request.path);
    const params = readParams(request.search, route.params);
    return route.answer(reader, params, request.nowMs, id);
  } catch (error) {
    return errorAnswer(toApiError(error));
  }
}

function findRoute(path: string): { route: (typeof ROUTES)[number]; id: string } {
  for (const route of ROUTES) {
    const match = route.pattern.exec(path);
    if (match !== null) return { route, id: decodeSegment(match[1] ?? "") };
  }
  throw new ApiError(404, `nothing stands at ${path.slice(0, 100)}`, { fix: "GET / lists what can be asked" });
}

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch (error) {
    if (error instanceof URIError)
      throw new ApiError(400, "the path holds a broken percent escape", { fix: "write % itself as %25" });
    throw error;
  }
}

/** An unknown parameter is an error: `form=` for `from=` would otherwise answer another question than was asked. */
function readParams(text: string, known: readonly string[]): URLSearchParams {
  const params = new URLSearchParams(text);
  for (const name of params.keys()) {
    if (known.includes(name) && params.getAll(name).length === 1) continue;
    if (known.includes(name)) {
      const fix = name === "q" ? "write all terms into one q; a blank between them means AND" : "leave one out";
      throw new ApiError(400, `parameter "${name}" is given more than once`, { fix });
    }
    const fix = known.length === 0 ? "leave it out" : `it takes ${known.join(", ")}`;
    throw new ApiError(400, `unknown parameter "${name.slice(0, 40)}"`, { fix });
  }
  return params;
}

const PASSING_KINDS: ReadonlySet<StoreErrorKind> = new Set(["over_budget", "busy", "closed"]);

export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof QueryError)
    return new ApiError(400, error.message, { position: error.position, length: error.length, fix: error.fix });
  if (error instanceof StoreError && PASSING_KINDS.has(error.kind)) return new ApiError(503, error.message);
  // Ours: named, so that a report of it is of use; it holds no record's contents.
  const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return new ApiError(500, `the store could not answer: ${what}`, { fix: "please report this" });
}

function answerSearch(table: RecordTable): Route {
  return (reader, params, nowMs) => {
    const query = parseQuery(params.get("q") ?? "");
    const range = readRange(params, nowMs);
    const after = readCursor(params.get("cursor"));
    const result: SearchResult<unknown> = search(reader, table, {
      query,
      range,
      limit: readLimit(params.get("limit")),
      ...after,
    });
    return jsonAnswer(200, {
      records: result.records,
      next: result.next === undefined ? null : formatCursor(result.next),
      from: boundTime(range.from),
      to: boundTime(range.to),
      ...(result.records.length === 0 && after.after === undefined && emptyNote(reader, table, query)),
      ...damageNote(reader),
    });
  };
}

function emptyNote(reader: StoreReader, table: RecordTable, query: Query): { readonly hints?: readonly string[] } {
  const hints = hintsForNothing(reader, table, query);
  return hints.length === 0 ? {} : { hints };
}

function boundTime(micros: number): string | null {
  return Number.isFinite(micros) ? isoTime(micros) : null;
}

/** Said in the answer itself: what is missing must not look like what never was. */
function damageNote(reader: StoreReader): { readonly warnings?: readonly string[] } {
  if (reader.damaged.length === 0) return {};
  return { warnings: reader.damaged.map((sequence) => `segment ${sequence} is damaged; its records are missing here`) };
}

function readRange(params: URLSearchParams, nowMs: number): TimeRange {
  const from = readBound(params, "from", nowMs) ?? -Infinity;
  const to = readBound(params, "to", nowMs) ?? Infinity;
  if (from > to) throw new ApiError(400, "from lies after to", { fix: "swap them" });
  return { from, to };
}

function readBound(params: URLSearchParams, name: "from" | "to", nowMs: number): number | undefined {
  const text = params.get(name);
  if (text === null || text === "") return undefined;
  try {
    return parseTime(text, nowMs, name);
  } catch (error) {
    // Its position would be read as one in the query.
    if (error instanceof QueryError) throw new ApiError(400, error.message, { fix: error.fix });
    throw error;
  }
}

function readLimit(text: string | null): number {
  if (text === null || text === "") return LIMIT_DEFAULT;
  const limit = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= LIMIT_MAX) return limit;
  throw new ApiError(400, `limit is "${text.slice(0, 20)}"`, { fix: `write a number from 1 to ${LIMIT_MAX}` });
}

/** Opaque to callers, readable to us: time.segment.row of the last record of the page before. */
function formatCursor(place: Place): string {
  return `${place.time}.${place.sequence}.${place.id}`;
}

function readCursor(text: string | null): { readonly after?: Place } {
  if (text === null || text === "") return {};
  const match = /^(\d{1,16})\.(\d{1,15})\.(\d{1,15})$/.exec(text);
  if (match === null)
    throw new ApiError(400, "the cursor is not one of ours", { fix: `take "next" of the page before as it is` });
  return { after: { time: Number(match[1]), sequence: Number(match[2]), id: Number(match[3]) } };
}

function answerRecord(reader: StoreReader, _params: URLSearchParams, _nowMs: number, id: string): ApiAnswer {
  const match = /^(\d{1,15})-(\d{1,15})$/.exec(id);
  if (match === null)
    throw new ApiError(400, `"${id.slice(0, 40)}" is no record id`, {
      fix: `take "id" of a record as it is, such as ${formatRecordId("log", 42, 1007)}`,
    });
  const record = readRecord(reader, Number(match[1]), Number(match[2]));
  if (record === undefined)
    throw new ApiError(404, `there is no record ${id}`, {
      fix: "it may be pruned: the store forgets the oldest first",
    });
  return jsonAnswer(200, record);
}

const TRACE_ID = /^[0-9a-f]{32}$/;

function answerTrace(reader: StoreReader, params: URLSearchParams, _nowMs: number, id: string): ApiAnswer {
  const traceId = id.toLowerCase().replaceAll("-", "");
  if (!TRACE_ID.test(traceId))
    throw new ApiError(400, `"${id.slice(0, 40)}" is no trace id`, { fix: "a trace id is 32 hex digits" });
  const format = params.get("format") ?? "otlp";
  if (format === "records") return answerTraceRecords(reader, traceId);
  if (format !== "otlp")
    throw new ApiError(400, `format is "${format.slice(0, 20)}"`, {
      fix: `write "otlp", or "records" for the flat form`,
    });
  const { spans, logs, leftOut } = readTraceRequests(reader, traceId);
  if (spans.length === 0 && logs.length === 0) throw noTrace(traceId);
  // Two encoded objects become one, without parsing what was just written: {"resourceSpans":...} and {"resourceLogs":...}.
  const parts = [memberText(encodeJsonRequest("traces", spans)), memberText(encodeJsonRequest("logs", logs))];
  const warnings = [
    ...(damageNote(reader).warnings ?? []),
    ...(leftOut.spans + leftOut.logs > 0
      ? [`${leftOut.spans} spans and ${leftOut.logs} log records of the trace have no room in one answer`]
      : []),
  ];
  if (warnings.length > 0) parts.push(`"warnings":${JSON.stringify(warnings)}`);
  return { status: 200, body: new TextEncoder().encode(`{${parts.filter((part) => part !== "").join(",")}}`) };
}

function memberText(object: string): string {
  return object.slice(object.indexOf("{") + 1, object.lastIndexOf("}")).trim();
}

function answerTraceRecords(reader: StoreReader, traceId: string): ApiAnswer {
  const records = readTraceRecords(reader, traceId);
  if (records.spans.length === 0 && records.logs.length === 0) throw noTrace(traceId);
  return jsonAnswer(200, { ...records, ...damageNote(reader) });
}

function noTrace(traceId: string): ApiError {
  return new ApiError(404, `no record belongs to trace ${traceId}`, {
    fix: "it may not have arrived yet, or be pruned",
  });
}

function answerJob(reader: StoreReader, _params: URLSearchParams, _nowMs: number, id: string): ApiAnswer {
  const story = readJobStory(reader, id);
  if (story === undefined) throw noJob(reader, id);
  return jsonAnswer(200, { ...story, ...damageNote(reader) });
}

function noJob(reader: StoreReader, id: string): ApiError {
  let oldest = Infinity;
  reader.visitSegments((segment) => {
    oldest = Math.min(oldest, segment.timeSpan("log")?.min ?? Infinity, segment.timeSpan("span")?.min ?? Infinity);
  });
  const reach = Number.isFinite(oldest) ? `the store goes back to ${isoTime(oldest)}` : "the store is empty";
  return new ApiError(404, `no record names job ${id.slice(0, 100)}`, {
    fix: `${reach}; search the lines for it: signalbox logs '"${id.slice(0, 100)}"'`,
  });
}

function answerMachines(reader: StoreReader, params: URLSearchParams, nowMs: number): ApiAnswer {
  const machines = readMachines(reader, readRange(params, nowMs));
  return jsonAnswer(200, { machines, ...damageNote(reader) });
}
