import type { Signal } from "../core/signal.ts";
import type { BatchView, DataPointView, LogRecordView, MetricView, RecordViews, SpanView } from "../wire/otlp/types.ts";
import { attributeTokens } from "./attribute-tokens.ts";
import { bodyText } from "./body-text.ts";
import { logSource } from "./log-source.ts";
import { effectiveSeverity, ERROR_SEVERITY_MIN } from "./levels.ts";
import { recordKeys, resourceIdentity } from "./origin.ts";
import type { Origin, ResourceIdentity } from "./origin.ts";
import { splitRequest } from "./request-pieces.ts";

/** What a segment stores of one resource or scope: found again by the hash of its bytes. */
export interface SharedPiece {
  readonly bytes: Uint8Array;
  readonly schemaUrl: string;
}

export interface ResourceRow extends SharedPiece {
  readonly tokens: readonly string[];
}

interface BaseRow {
  readonly resource: ResourceRow;
  readonly scope: SharedPiece;
  readonly origin: Origin;
  /** The record's own OTLP message. */
  readonly bytes: Uint8Array;
}

export interface RecordRow extends BaseRow {
  /** Microseconds since the epoch. */
  readonly time: number;
  readonly severity: number;
  readonly traceId: string;
  readonly spanId: string;
  readonly jobId: string;
  readonly durationMs: number | undefined;
  readonly text: string;
  readonly tokens: readonly string[];
}

export type LogRow = RecordRow;

export interface SpanRow extends RecordRow {
  readonly endTime: number;
  readonly parentSpanId: string;
}

export interface PointRow {
  readonly time: number;
  readonly value: number | undefined;
}

export interface MetricRow extends BaseRow {
  readonly name: string;
  readonly type: string;
  readonly unit: string;
  readonly points: readonly PointRow[];
}

export interface Rows {
  readonly logs: LogRow;
  readonly traces: SpanRow;
  readonly metrics: MetricRow;
}

/** Year 2255: the last microsecond that a double holds exactly. A sender's clock beyond it is shown as this. */
const TIME_MICROS_MAX = Number.MAX_SAFE_INTEGER;

/** Full text beyond this is base64, dumps and prompts that only swell the index; the bytes keep everything. */
const TEXT_CHARS_MAX = 32_768;

/**
 * The rows of one request. `view` lies over the same bytes as `request`, unedited: so its records stand in the order
 * in which splitRequest finds them, and both can be walked side by side.
 */
export function* extractRows<S extends Signal>(
  signal: S,
  request: Uint8Array,
  view: BatchView<RecordViews[S]>,
  arrivalMs: number,
): Generator<Rows[S]> {
  const pieces = splitRequest(request);
  const groups = view.resourceGroups()[Symbol.iterator]();
  const readRow = ROW_READERS[signal];
  for (const piece of pieces) {
    const group = nextOf(groups);
    const tokens = attributeTokens(group.resource.attributes);
    const resource: ResourceRow = { bytes: piece.resource, schemaUrl: piece.schemaUrl, tokens };
    const identity = resourceIdentity(group.resource.attributes);
    const scopes = group.scopes()[Symbol.iterator]();
    for (const scopePiece of piece.scopes) {
      const records = nextOf(scopes).records()[Symbol.iterator]();
      const scope = { bytes: scopePiece.scope, schemaUrl: scopePiece.schemaUrl };
      for (const bytes of scopePiece.records) {
        const base: BaseRow = { resource, scope, origin: identity.origin, bytes };
        yield readRow(nextOf(records), base, identity, arrivalMs * 1000);
      }
    }
  }
}

function nextOf<T>(iterator: Iterator<T>): T {
  const next = iterator.next();
  if (next.done === true) throw new Error("the view holds fewer records than the bytes it lies over");
  return next.value;
}

type RowReader<S extends Signal> = (
  record: RecordViews[S],
  base: BaseRow,
  identity: ResourceIdentity,
  arrival: number,
) => Rows[S];

const ROW_READERS: { readonly [S in Signal]: RowReader<S> } = {
  logs: readLog,
  traces: readSpan,
  metrics: readMetric,
};

function readLog(record: LogRecordView, base: BaseRow, identity: ResourceIdentity, arrival: number): LogRow {
  const own = recordKeys(record.attributes, identity);
  return {
    ...base,
    ...own,
    time: firstTime([record.timeUnixNano, record.observedTimeUnixNano], arrival),
    severity: effectiveSeverity(record.severityNumber, record.severityText),
    traceId: record.traceId,
    spanId: record.spanId,
    text: bodyText(record.body).slice(0, TEXT_CHARS_MAX),
    tokens: [
      ...attributeTokens(record.attributes),
      // Searched as it is shown.
      ...(record.attributes.has("source") ? [] : attributeTokens([["source", logSource(record.attributes)]])),
      ...(record.eventName === "" ? [] : attributeTokens([["event.name", record.eventName]])),
    ],
  };
}

/** StatusCode.ERROR. */
const STATUS_ERROR = 2;

function readSpan(span: SpanView, base: BaseRow, identity: ResourceIdentity, arrival: number): SpanRow {
  const own = recordKeys(span.attributes, identity);
  const time = firstTime([span.startTimeUnixNano, span.endTimeUnixNano], arrival);
  const endTime = Math.max(time, firstTime([span.endTimeUnixNano], time));
  return {
    ...base,
    ...own,
    time,
    endTime,
    durationMs: (endTime - time) / 1000,
    severity: span.statusCode === STATUS_ERROR ? ERROR_SEVERITY_MIN : 0,
    traceId: span.traceId,
    spanId: span.spanId,
    parentSpanId: span.parentSpanId,
    text: spanText(span).slice(0, TEXT_CHARS_MAX),
    tokens: attributeTokens([["name", span.name], ...span.attributes]),
  };
}

function spanText(span: SpanView): string {
  const parts = [span.name, span.statusMessage];
  for (const event of span.events()) {
    parts.push(
      event.name,
      event.attributes.getString("exception.type") ?? "",
      event.attributes.getString("exception.message") ?? "",
    );
  }
  return parts.filter((part) => part !== "").join("\n");
}

function readMetric(metric: MetricView, base: BaseRow, _identity: ResourceIdentity, arrival: number): MetricRow {
  const points = Array.from(metric.dataPoints(), (point) => readPoint(point, arrival));
  return { ...base, name: metric.name, type: metric.type, unit: metric.unit, points };
}

/** A point's one number: its value, or the sum of what it aggregates; a double is what a chart draws. */
function readPoint(point: DataPointView, arrival: number): PointRow {
  const value = point.value ?? point.sum ?? point.count;
  return { time: firstTime([point.timeUnixNano], arrival), value: value === undefined ? undefined : Number(value) };
}

function firstTime(nanos: readonly bigint[], fallback: number): number {
  const set = nanos.find((time) => time > 0n);
  return set === undefined ? fallback : Math.min(Number(set / 1000n), TIME_MICROS_MAX);
}
