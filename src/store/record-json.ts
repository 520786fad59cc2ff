import { reopenBatch } from "../core/batch.ts";
import { ClientMetadata } from "../core/client-metadata.ts";
import type { Signal } from "../core/signal.ts";
import type { Attributes, LogRecordView, RecordViews, SpanView } from "../wire/otlp/types.ts";
import { bodyText } from "./body-text.ts";
import { jsonObject, jsonValue } from "./json-value.ts";
import type { JsonValue } from "./json-value.ts";
import { levelName } from "./levels.ts";
import { logSource } from "./log-source.ts";
import { joinRequest } from "./request-pieces.ts";
import type { ResourcePiece } from "./request-pieces.ts";
import type { RecordTable, SegmentReader, SqlRow } from "./segment-reader.ts";

/** The standard log record, with what else is known of it. A key whose value is not known is left out. */
export interface LogJson {
  /** Its place in the store. */
  readonly id: string;
  /** ISO 8601, UTC, milliseconds. */
  readonly timestamp: string;
  /** Microseconds since the epoch, for order and distances. */
  readonly time_us: number;
  readonly level: string;
  readonly message: string;
  readonly machine_id?: string;
  readonly worker_id?: string;
  readonly service_type?: string;
  readonly service_name?: string;
  readonly job_id?: string;
  readonly duration_ms?: number;
  /** Never absent: see log-source.ts. */
  readonly source: string;
  readonly trace_id?: string;
  readonly span_id?: string;
  readonly event_name?: string;
  /** Present where the body is more than a text. */
  readonly body?: JsonValue;
  readonly attributes: Readonly<Record<string, JsonValue>>;
  readonly resource: Readonly<Record<string, JsonValue>>;
  /** Bytes of the whole record, where this is only its beginning. Its own search answer holds it whole. */
  readonly shortened_from?: number;
}

export interface SpanEventJson {
  readonly timestamp: string;
  readonly time_us: number;
  readonly name: string;
  readonly attributes: Readonly<Record<string, JsonValue>>;
}

export interface SpanJson {
  readonly id: string;
  readonly timestamp: string;
  readonly time_us: number;
  readonly end_time_us: number;
  readonly duration_ms: number;
  readonly name: string;
  readonly kind: string;
  readonly status: "unset" | "ok" | "error";
  readonly status_message?: string;
  readonly trace_id: string;
  readonly span_id: string;
  readonly parent_span_id?: string;
  readonly machine_id?: string;
  readonly worker_id?: string;
  readonly service_type?: string;
  readonly service_name?: string;
  readonly job_id?: string;
  readonly events: readonly SpanEventJson[];
  readonly attributes: Readonly<Record<string, JsonValue>>;
  readonly resource: Readonly<Record<string, JsonValue>>;
  /** Bytes of the whole record, where this is only its beginning. Its own search answer holds it whole. */
  readonly shortened_from?: number;
}

export interface RecordJsons {
  readonly log: LogJson;
  readonly span: SpanJson;
}

/** An answer of this size fills a screen a thousand times; beyond it a page ends early. */
export const ANSWER_BYTES_MAX = 8 * 1024 * 1024;

/** A row with its record's bytes, and those of the resource and scope it belongs to. */
export interface StoredRecord {
  readonly row: SqlRow;
  readonly piece: ResourcePiece;
  /** Of the record and what is repeated with it in an answer. */
  readonly size: number;
}

const STORED_COLUMNS = `r.*, resource.bytes AS resource_bytes, resource.schema_url AS resource_schema, scope.bytes AS scope_bytes,
  scope.schema_url AS scope_schema, machine_id, worker_id, service_type, service_name`;
const STORED_JOINS = `JOIN resource ON resource.id = r.resource JOIN scope ON scope.id = r.scope JOIN origin ON origin.id = r.origin`;

/** Records of one segment by their row ids, in the order given. */
export function loadRecords(segment: SegmentReader, table: RecordTable, ids: readonly number[]): StoredRecord[] {
  const sql = `SELECT ${STORED_COLUMNS} FROM json_each(?) AS wanted CROSS JOIN ${table} AS r ON r.id = wanted.value ${STORED_JOINS} ORDER BY wanted.key`;
  return segment.all(sql, [JSON.stringify(ids)]).map(storedRecord);
}

function storedRecord(row: SqlRow): StoredRecord {
  const [bytes, resource, scope] = [blob(row, "bytes"), blob(row, "resource_bytes"), blob(row, "scope_bytes")];
  const scopePiece = { scope, schemaUrl: String(row["scope_schema"]), records: [bytes] };
  const piece = { resource, schemaUrl: String(row["resource_schema"]), scopes: [scopePiece] };
  return { row, piece, size: bytes.length + resource.length };
}

function blob(row: SqlRow, column: string): Uint8Array {
  const value = row[column];
  if (value instanceof Uint8Array) return value;
  throw new Error(`column ${column} holds no bytes`);
}

/** Records of one segment as JSON, by their row ids. */
export function readJson<T extends RecordTable>(
  segment: SegmentReader,
  table: T,
  ids: readonly number[],
): RecordJsons[T][] {
  return toJson(table, segment.sequence, loadRecords(segment, table, ids));
}

const SIGNALS = { log: "logs", span: "traces" } as const satisfies Record<RecordTable, Signal>;

function toJson<T extends RecordTable>(table: T, sequence: number, stored: readonly StoredRecord[]): RecordJsons[T][] {
  const request = joinRequest(stored.map(({ piece }) => piece));
  const batch = reopenBatch(SIGNALS[table], request, { client: ClientMetadata.internal, arrivalUnixNano: 0n });
  const write: JsonWriter<T> = JSON_WRITERS[table];
  const jsons: RecordJsons[T][] = [];
  let index = 0;
  for (const view of batch.view) jsons.push(write(view, stored[index++]!.row, sequence));
  batch.release();
  return jsons;
}

type JsonWriter<T extends RecordTable> = (
  view: RecordViews[(typeof SIGNALS)[T]],
  row: SqlRow,
  sequence: number,
) => RecordJsons[T];

const JSON_WRITERS: { readonly [T in RecordTable]: JsonWriter<T> } = { log: logJson, span: spanJson };

function logJson(view: LogRecordView, row: SqlRow, sequence: number): LogJson {
  const { body } = view;
  const time = Number(row["time"]);
  return {
    id: formatRecordId("log", sequence, Number(row["id"])),
    timestamp: isoTime(time),
    time_us: time,
    level: levelName(Number(row["severity"])),
    message: bodyText(body),
    ...known("machine_id", text(row["machine_id"])),
    ...known("worker_id", text(row["worker_id"])),
    ...known("service_type", text(row["service_type"])),
    ...known("service_name", text(row["service_name"])),
    ...known("job_id", text(row["job_id"])),
    ...known("duration_ms", number(row["duration_ms"])),
    source: logSource(view.attributes),
    ...known("trace_id", text(row["trace_id"])),
    ...known("span_id", text(row["span_id"])),
    ...known("event_name", view.eventName || undefined),
    ...known("body", typeof body === "object" && body !== null ? jsonValue(body) : undefined),
    attributes: jsonObject(view.attributes),
    resource: jsonObject(view.resource.attributes),
  };
}

const SPAN_KINDS = ["unspecified", "internal", "server", "client", "producer", "consumer"];
const STATUSES = ["unset", "ok", "error"] as const;

function spanJson(view: SpanView, row: SqlRow, sequence: number): SpanJson {
  const time = Number(row["time"]);
  return {
    id: formatRecordId("span", sequence, Number(row["id"])),
    timestamp: isoTime(time),
    time_us: time,
    end_time_us: Number(row["end_time"]),
    duration_ms: Number(row["duration_ms"]),
    name: view.name,
    kind: SPAN_KINDS[view.kind] ?? "unspecified",
    status: STATUSES[view.statusCode] ?? "unset",
    ...known("status_message", view.statusMessage || undefined),
    trace_id: view.traceId,
    span_id: view.spanId,
    ...known("parent_span_id", view.parentSpanId || undefined),
    ...known("machine_id", text(row["machine_id"])),
    ...known("worker_id", text(row["worker_id"])),
    ...known("service_type", text(row["service_type"])),
    ...known("service_name", text(row["service_name"])),
    ...known("job_id", text(row["job_id"])),
    events: Array.from(view.events(), eventJson),
    attributes: jsonObject(view.attributes),
    resource: jsonObject(view.resource.attributes),
  };
}

function eventJson(event: {
  readonly name: string;
  readonly timeUnixNano: bigint;
  readonly attributes: Attributes;
}): SpanEventJson {
  const time = Number(event.timeUnixNano / 1000n);
  return { timestamp: isoTime(time), time_us: time, name: event.name, attributes: jsonObject(event.attributes) };
}

function known<K extends string, V>(key: K, value: V | undefined): { readonly [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { readonly [P in K]: V });
}

function text(value: SqlRow[string] | undefined): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function number(value: SqlRow[string] | undefined): number | undefined {
  return typeof value === "number" ? value : undefined;
}

/** The end of what a JavaScript date can say, year 275760, lies beyond every stored time. */
export function isoTime(micros: number): string {
  return new Date(Math.floor(micros / 1000)).toISOString();
}

/** A record's place in the store. Logs and spans have tables, and row numbers, of their own. */
export function formatRecordId(table: RecordTable, sequence: number, id: number): string {
  return table === "log" ? `${sequence}-${id}` : `${sequence}-s${id}`;
}
