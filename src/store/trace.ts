import { ANSWER_BYTES_MAX, loadRecords, readJson } from "./record-json.ts";
import type { LogJson, RecordJsons, SpanJson, StoredRecord } from "./record-json.ts";
import { joinRequest } from "./request-pieces.ts";
import type { ResourcePiece } from "./request-pieces.ts";
import type { RecordTable, SegmentReader, SqlValue } from "./segment-reader.ts";
import type { StoreReader } from "./store-reader.ts";

/** Spans, and lines, of one trace or one job in one answer. A person reads some hundreds; beyond it the answer says that it is cut. */
export const STORY_RECORDS_MAX = 5_000;

export interface Gathered<T> {
  /** In time order. */
  readonly records: readonly T[];
  /** There are more than the bound lets in. */
  readonly isCut: boolean;
}

/** Which rows: a condition over `r` that names an index's columns, with its values. */
export interface RowSelection {
  /** The index that the condition walks. */
  readonly index: "job" | "trace" | "origin";
  readonly condition: string;
  readonly values: readonly SqlValue[];
}

/**
 * Oldest first over all segments, bounded in number and bytes. `select` may look into the segment first, and returns
 * undefined where it holds nothing.
 */
function gather<T>(
  reader: StoreReader,
  table: RecordTable,
  select: (segment: SegmentReader) => RowSelection | undefined,
  load: (segment: SegmentReader, ids: readonly number[]) => T[],
): Gathered<T> {
  const found: { time: number; value: T }[] = [];
  let isCut = false;
  let bytes = 0;
  reader.visitSegments((segment) => {
    const selection = select(segment);
    if (selection === undefined) return;
    const rows = selectRows(segment, table, selection);
    const kept = rows.filter((row, index) => {
      bytes += row.size;
      return found.length + index < STORY_RECORDS_MAX && bytes <= ANSWER_BYTES_MAX;
    });
    isCut ||= kept.length < rows.length;
    const values = load(
      segment,
      kept.map(({ id }) => id),
    );
    kept.forEach(({ time }, index) => found.push({ time, value: values[index]! }));
  });
  // toSorted() is stable: within one microsecond the order of arrival in a segment stays.
  return { records: found.toSorted((left, right) => left.time - right.time).map(({ value }) => value), isCut };
}

interface FoundRow {
  readonly id: number;
  readonly time: number;
  readonly size: number;
}

function selectRows(segment: SegmentReader, table: RecordTable, selection: RowSelection): FoundRow[] {
  const sql = `SELECT r.id AS id, r.time AS time, length(r.bytes) AS size FROM ${table} AS r INDEXED BY ${table}_${selection.index}
    WHERE ${selection.condition} AND within_budget() ORDER BY r.time, r.id LIMIT ?`;
  return segment.all(sql, [...selection.values, STORY_RECORDS_MAX + 1]).map((row) => ({
    id: Number(row["id"]),
    time: Number(row["time"]),
    size: Number(row["size"]),
  }));
}

export function gatherJson<T extends RecordTable>(
  reader: StoreReader,
  table: T,
  select: (segment: SegmentReader) => RowSelection | undefined,
): Gathered<RecordJsons[T]> {
  return gather(reader, table, select, (segment, ids) => readJson(segment, table, ids));
}

export function traceSelection(traceIds: readonly string[]): RowSelection {
  const condition = "r.trace_id IN (SELECT value FROM json_each(?))";
  return { index: "trace", condition, values: [JSON.stringify(traceIds)] };
}

export interface TraceRecords {
  readonly trace_id: string;
  readonly spans: readonly SpanJson[];
  readonly logs: readonly LogJson[];
  readonly is_cut: boolean;
}

export function readTraceRecords(reader: StoreReader, traceId: string): TraceRecords {
  const spans = gatherJson(reader, "span", () => traceSelection([traceId]));
  const logs = gatherJson(reader, "log", () => traceSelection([traceId]));
  return { trace_id: traceId, spans: spans.records, logs: logs.records, is_cut: spans.isCut || logs.isCut };
}

export interface TraceRequests {
  /** One OTLP request of its spans, and one of its log records; no bytes for none. */
  readonly spans: Uint8Array;
  readonly logs: Uint8Array;
  readonly isCut: boolean;
}

/** A trace as it came: the stored bytes under their resources and scopes. */
export function readTraceRequests(reader: StoreReader, traceId: string): TraceRequests {
  const requestOf = (table: RecordTable): { bytes: Uint8Array; isCut: boolean } => {
    const found = gather(
      reader,
      table,
      () => traceSelection([traceId]),
      (segment, ids) => loadRecords(segment, table, ids),
    );
    return { bytes: joinRequest(groupPieces(found.records)), isCut: found.isCut };
  };
  const spans = requestOf("span");
  const logs = requestOf("log");
  return { spans: spans.bytes, logs: logs.bytes, isCut: spans.isCut || logs.isCut };
}

/** Records of equal resources and scopes under one; groups in first-seen order. */
function groupPieces(stored: readonly StoredRecord[]): ResourcePiece[] {
  const resources = Map.groupBy(stored, ({ piece }) => pieceKey(piece.resource, piece.schemaUrl));
  return Array.from(resources.values(), (records) => {
    const scopes = Map.groupBy(
      records.flatMap(({ piece }) => piece.scopes),
      (scope) => pieceKey(scope.scope, scope.schemaUrl),
    );
    const grouped = Array.from(scopes.values(), (parts) => ({
      ...parts[0]!,
      records: parts.flatMap((part) => part.records),
    }));
    return { ...records[0]!.piece, scopes: grouped };
  });
}

function pieceKey(bytes: Uint8Array, schemaUrl: string): string {
  return `${Buffer.from(bytes).toString("latin1")}\0${schemaUrl}`;
}
