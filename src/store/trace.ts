import { ANSWER_BYTES_MAX } from "./record-json.ts";
import type { LogJson, SpanJson, StoredRecord } from "./record-json.ts";
import { loadJson, loadStored } from "./record-load.ts";
import { joinRequest } from "./request-pieces.ts";
import type { ResourcePiece } from "./request-pieces.ts";
import { chooseRows, findRows } from "./row-choice.ts";
import type { FoundRow, RowSelection } from "./row-choice.ts";
import type { RecordTable } from "./segment-reader.ts";
import { RECORD_BYTES_MAX } from "./shorten.ts";
import type { StoreReader } from "./store-reader.ts";

/** Spans, and lines, of one trace or one job in one answer. A person reads some hundreds; beyond it the answer says what it lacks. */
export const STORY_RECORDS_MAX = 5_000;

export function traceSelection(traceIds: readonly string[]): RowSelection {
  const condition = "r.trace_id IN (SELECT value FROM json_each(?))";
  return { index: "trace", condition, values: [JSON.stringify(traceIds)] };
}

export interface TraceRecords {
  readonly trace_id: string;
  readonly spans: readonly SpanJson[];
  readonly logs: readonly LogJson[];
  readonly left_out: LeftOut;
  readonly is_cut: boolean;
}

/** What belongs to the trace, and this answer has no room for. */
export interface LeftOut {
  readonly spans: number;
  readonly logs: number;
}

export function readTraceRecords(reader: StoreReader, traceId: string): TraceRecords {
  const chosen = chooseTrace(reader, traceId, RECORD_BYTES_MAX);
  const spans = loadJson(reader, "span", chosen.spans, (span) => span);
  const logs = loadJson(reader, "log", chosen.logs, (log) => log);
  const left_out = chosen.leftOut;
  return { trace_id: traceId, spans, logs, left_out, is_cut: left_out.spans + left_out.logs > 0 };
}

export interface TraceRequests {
  /** One OTLP request of its spans, and one of its log records; no bytes for none. */
  readonly spans: Uint8Array;
  readonly logs: Uint8Array;
  readonly leftOut: LeftOut;
}

/** A trace as it came: the stored bytes under their resources and scopes. */
export function readTraceRequests(reader: StoreReader, traceId: string): TraceRequests {
  const chosen = chooseTrace(reader, traceId, Infinity);
  const requestOf = (table: RecordTable, rows: readonly FoundRow[]): Uint8Array =>
    joinRequest(groupPieces(loadStored(reader, table, rows)));
  return {
    spans: requestOf("span", chosen.spans),
    logs: requestOf("log", chosen.logs),
    leftOut: chosen.leftOut,
  };
}

interface ChosenTrace {
  readonly spans: readonly FoundRow[];
  readonly logs: readonly FoundRow[];
  readonly leftOut: LeftOut;
}

function chooseTrace(reader: StoreReader, traceId: string, sizeMax: number): ChosenTrace {
  const limits = { rowsMax: STORY_RECORDS_MAX, bytesMax: ANSWER_BYTES_MAX, sizeMax };
  const choose = (table: RecordTable): { rows: FoundRow[]; leftOut: number } => {
    const found = findRows(reader, table, () => [traceSelection([traceId])], STORY_RECORDS_MAX);
    const rows = chooseRows(found.rows, limits);
    return { rows, leftOut: found.total - rows.length };
  };
  const spans = choose("span");
  const logs = choose("log");
  return { spans: spans.rows, logs: logs.rows, leftOut: { spans: spans.leftOut, logs: logs.leftOut } };
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
