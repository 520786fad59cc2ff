/** Everything that views can read, and the same from a naive decode, as plain values to compare. */
import type { Signal } from "../../../src/core/signal.ts";
import type {
  Attributes,
  AttributeValue,
  BatchView,
  DataPointView,
  LogRecordView,
  MetricView,
  RecordView,
  SpanEventView,
  SpanLinkView,
  SpanView,
} from "../../../src/wire/otlp/types.ts";
import { rawText, textOf, type NaiveMessage, type NaiveValue } from "./naive.ts";

const PROBED_KEYS = ["", "a", "b", "c", "job_id", "service.name", "a\ufffd", "näme", "absent"];

type Snapshot = unknown;

export function snapshotOfView(signal: Signal, view: BatchView): Snapshot {
  return Array.from(view.resourceGroups(), (group) => ({
    schemaUrl: group.schemaUrl,
    resource: { attributes: ofAttributes(group.resource.attributes), dropped: group.resource.droppedAttributesCount },
    scopes: Array.from(group.scopes(), (scope) => ({
      schemaUrl: scope.schemaUrl,
      name: scope.scope.name,
      version: scope.scope.version,
      dropped: scope.scope.droppedAttributesCount,
      attributes: ofAttributes(scope.scope.attributes),
      records: Array.from(scope.records(), (record) => ofRecord(signal, record)),
    })),
  }));
}

function ofRecord(signal: Signal, record: RecordView): Snapshot {
  if (signal === "logs") return ofLog(record as LogRecordView);
  return signal === "traces" ? ofSpan(record as SpanView) : ofMetric(record as MetricView);
}

function ofAttributes(attributes: Attributes): Snapshot {
  return {
    entries: [...attributes],
    keys: [...attributes.keys()],
    size: attributes.size,
    probed: PROBED_KEYS.map((key) => attributes.get(key)),
    many: attributes.getMany(PROBED_KEYS),
    strings: PROBED_KEYS.map((key) => attributes.getString(key)),
    has: PROBED_KEYS.map((key) => attributes.has(key)),
    kinds: PROBED_KEYS.map((key) => attributes.kindOf(key)),
  };
}

function ofLog(log: LogRecordView): Snapshot {
  const { timeUnixNano, observedTimeUnixNano, severityNumber, severityText, body, traceId, spanId, flags, eventName } =
    log;
  const { droppedAttributesCount } = log;
  const scalars = { timeUnixNano, observedTimeUnixNano, severityNumber, severityText, body, traceId, spanId, flags };
  return { ...scalars, eventName, droppedAttributesCount, attributes: ofAttributes(log.attributes) };
}

function ofSpan(span: SpanView): Snapshot {
  const { traceId, spanId, parentSpanId, traceState, flags, name, kind, startTimeUnixNano, endTimeUnixNano } = span;
  const { statusCode, statusMessage, droppedAttributesCount, droppedEventsCount, droppedLinksCount } = span;
  const scalars = { traceId, spanId, parentSpanId, traceState, flags, name, kind, startTimeUnixNano, endTimeUnixNano };
  const others = { statusCode, statusMessage, droppedAttributesCount, droppedEventsCount, droppedLinksCount };
  return {
    ...scalars,
    ...others,
    attributes: ofAttributes(span.attributes),
    events: Array.from(span.events(), ofEvent),
    links: Array.from(span.links(), ofLink),
  };
}

function ofEvent({ name, timeUnixNano, droppedAttributesCount, attributes }: SpanEventView): Snapshot {
  return { name, timeUnixNano, droppedAttributesCount, attributes: ofAttributes(attributes) };
}

function ofLink({ traceId, spanId, traceState, flags, droppedAttributesCount, attributes }: SpanLinkView): Snapshot {
  return { traceId, spanId, traceState, flags, droppedAttributesCount, attributes: ofAttributes(attributes) };
}

function ofMetric(metric: MetricView): Snapshot {
  const { name, description, unit, type, aggregationTemporality, isMonotonic } = metric;
  const metadata = ofAttributes(metric.metadata);
  const points = Array.from(metric.dataPoints(), ofPoint);
  return { name, description, unit, type, aggregationTemporality, isMonotonic, metadata, points };
}

function ofPoint(point: DataPointView): Snapshot {
  const { startTimeUnixNano, timeUnixNano, flags, value, count, sum, min, max, bucketCounts, explicitBounds } = point;
  const { scale, zeroCount, positive, negative, quantiles } = point;
  const shared = { startTimeUnixNano, timeUnixNano, flags, value, count, sum, min, max, bucketCounts, explicitBounds };
  const others = { scale, zeroCount, positive, negative, quantiles };
  return {
    ...shared,
    ...others,
    attributes: ofAttributes(point.attributes),
  };
}

// From here on the same out of a naive decode.

export const GROUPS = { logs: "resourceLogs", traces: "resourceSpans", metrics: "resourceMetrics" } as const;
export const SCOPES = { logs: "scopeLogs", traces: "scopeSpans", metrics: "scopeMetrics" } as const;
export const RECORDS = { logs: "logRecords", traces: "spans", metrics: "metrics" } as const;
export const DATA = ["gauge", "sum", "histogram", "exponentialHistogram", "summary"] as const;

export function listOf(message: NaiveMessage | undefined, field: string): NaiveMessage[] {
  return (message?.[field] ?? []) as NaiveMessage[];
}

export function childOf(message: NaiveMessage | undefined, field: string): NaiveMessage | undefined {
  return message?.[field] as NaiveMessage | undefined;
}

export function snapshotOfNaive(signal: Signal, request: NaiveMessage): Snapshot {
  return listOf(request, GROUPS[signal]).map((group) => ({
    schemaUrl: textOf(group["schemaUrl"]),
    resource: {
      attributes: naiveAttributes(childOf(group, "resource"), "attributes"),
      dropped: childOf(group, "resource")?.["droppedAttributesCount"] ?? 0,
    },
    scopes: listOf(group, SCOPES[signal]).map((scope) => ({
      schemaUrl: textOf(scope["schemaUrl"]),
      name: textOf(childOf(scope, "scope")?.["name"]),
      version: textOf(childOf(scope, "scope")?.["version"]),
      dropped: childOf(scope, "scope")?.["droppedAttributesCount"] ?? 0,
      attributes: naiveAttributes(childOf(scope, "scope"), "attributes"),
      records: listOf(scope, RECORDS[signal]).map((record) => naiveRecord(signal, record)),
    })),
  }));
}

function naiveRecord(signal: Signal, record: NaiveMessage): Snapshot {
  if (signal === "logs") return naiveLog(record);
  return signal === "traces" ? naiveSpan(record) : naiveMetric(record);
}

function naiveAttributes(message: NaiveMessage | undefined, field: string): Snapshot {
  const entries = listOf(message, field).map(
    (pair) => [textOf(pair["key"]), naiveValue(childOf(pair, "value"))] as const,
  );
  const firsts = PROBED_KEYS.map((key) => entries.find(([name]) => name === key)?.[1]);
  const pairs = PROBED_KEYS.map((key) => listOf(message, field).find((pair) => textOf(pair["key"]) === key));
  return {
    entries,
    keys: entries.map(([key]) => key),
    size: entries.length,
    probed: firsts,
    many: firsts,
    strings: firsts.map((value) => (typeof value === "string" ? value : undefined)),
    has: firsts.map((value) => value !== undefined),
    kinds: pairs.map((pair) => (pair === undefined ? undefined : naiveKind(childOf(pair, "value")))),
  };
}

const KINDS: Readonly<Record<string, string>> = {
  stringValue: "string",
  boolValue: "bool",
  intValue: "int",
  doubleValue: "double",
  arrayValue: "array",
  kvlistValue: "kvlist",
  bytesValue: "bytes",
};

function naiveKind(value: NaiveMessage | undefined): string {
  const member = Object.keys(value ?? {}).find((name) => name in KINDS);
  return member === undefined ? "empty" : KINDS[member]!;
}

export function naiveValue(value: NaiveMessage | undefined): AttributeValue {
  switch (naiveKind(value)) {
    case "string":
      return textOf(value?.["stringValue"]);
    case "bool":
      return value?.["boolValue"] as boolean;
    case "int":
      return whereSafe(value?.["intValue"] as bigint);
    case "double":
      return value?.["doubleValue"] as number;
    case "bytes":
      return Uint8Array.from(Buffer.from(rawText(value?.["bytesValue"]).slice(2), "hex"));
    case "array":
      return listOf(childOf(value, "arrayValue"), "values").map(naiveValue);
    case "kvlist":
      return naiveMap(listOf(childOf(value, "kvlistValue"), "values"));
    default:
      return null;
  }
}

function naiveMap(pairs: readonly NaiveMessage[]): AttributeValue {
  const map = new Map<string, AttributeValue>();
  for (const pair of pairs) {
    const key = textOf(pair["key"]);
    if (!map.has(key)) map.set(key, naiveValue(childOf(pair, "value")));
  }
  return map;
}

function whereSafe(value: bigint): number | bigint {
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

function hex(value: NaiveValue | undefined): string {
  return rawText(value).slice(2);
}

function naiveLog(log: NaiveMessage): Snapshot {
  return {
    timeUnixNano: log["timeUnixNano"] ?? 0n,
    observedTimeUnixNano: log["observedTimeUnixNano"] ?? 0n,
    severityNumber: log["severityNumber"] ?? 0,
    severityText: textOf(log["severityText"]),
    body: log["body"] === undefined ? undefined : naiveValue(childOf(log, "body")),
    traceId: hex(log["traceId"]),
    spanId: hex(log["spanId"]),
    flags: log["flags"] ?? 0,
    eventName: textOf(log["eventName"]),
    droppedAttributesCount: log["droppedAttributesCount"] ?? 0,
    attributes: naiveAttributes(log, "attributes"),
  };
}

function naiveSpan(span: NaiveMessage): Snapshot {
  return {
    traceId: hex(span["traceId"]),
    spanId: hex(span["spanId"]),
    parentSpanId: hex(span["parentSpanId"]),
    traceState: textOf(span["traceState"]),
    flags: span["flags"] ?? 0,
    name: textOf(span["name"]),
    kind: span["kind"] ?? 0,
    startTimeUnixNano: span["startTimeUnixNano"] ?? 0n,
    endTimeUnixNano: span["endTimeUnixNano"] ?? 0n,
    statusCode: childOf(span, "status")?.["code"] ?? 0,
    statusMessage: textOf(childOf(span, "status")?.["message"]),
    droppedAttributesCount: span["droppedAttributesCount"] ?? 0,
    droppedEventsCount: span["droppedEventsCount"] ?? 0,
    droppedLinksCount: span["droppedLinksCount"] ?? 0,
    attributes: naiveAttributes(span, "attributes"),
    events: listOf(span, "events").map((event) => ({
      name: textOf(event["name"]),
      timeUnixNano: event["timeUnixNano"] ?? 0n,
      droppedAttributesCount: event["droppedAttributesCount"] ?? 0,
      attributes: naiveAttributes(event, "attributes"),
    })),
    links: listOf(span, "links").map((link) => ({
      traceId: hex(link["traceId"]),
      spanId: hex(link["spanId"]),
      traceState: textOf(link["traceState"]),
      flags: link["flags"] ?? 0,
      droppedAttributesCount: link["droppedAttributesCount"] ?? 0,
      attributes: naiveAttributes(link, "attributes"),
    })),
  };
}

const METRIC_TYPES = {
  gauge: "gauge",
  sum: "sum",
  histogram: "histogram",
  exponentialHistogram: "exponential_histogram",
  summary: "summary",
};

function naiveMetric(metric: NaiveMessage): Snapshot {
  const field = DATA.find((name) => metric[name] !== undefined);
  const data = field === undefined ? undefined : childOf(metric, field);
  return {
    name: textOf(metric["name"]),
    description: textOf(metric["description"]),
    unit: textOf(metric["unit"]),
    type: field === undefined ? "none" : METRIC_TYPES[field],
    aggregationTemporality: data?.["aggregationTemporality"] ?? 0,
    isMonotonic: data?.["isMonotonic"] ?? false,
    metadata: naiveAttributes(metric, "metadata"),
    points: listOf(data, "dataPoints").map((point) => naivePoint(field ?? "gauge", point)),
  };
}

function naivePoint(field: (typeof DATA)[number], point: NaiveMessage): Snapshot {
  const isNumber = field === "gauge" || field === "sum";
  const isExponential = field === "exponentialHistogram";
  const value = point["asDouble"] ?? (point["asInt"] === undefined ? undefined : whereSafe(point["asInt"] as bigint));
  return {
    startTimeUnixNano: point["startTimeUnixNano"] ?? 0n,
    timeUnixNano: point["timeUnixNano"] ?? 0n,
    flags: point["flags"] ?? 0,
    value,
    count: isNumber ? undefined : (point["count"] ?? 0n),
    sum: field === "summary" ? (point["sum"] ?? 0) : point["sum"],
    min: point["min"],
    max: point["max"],
    bucketCounts: field === "histogram" ? (point["bucketCounts"] ?? []) : undefined,
    explicitBounds: field === "histogram" ? (point["explicitBounds"] ?? []) : undefined,
    scale: isExponential ? (point["scale"] ?? 0) : undefined,
    zeroCount: isExponential ? (point["zeroCount"] ?? 0n) : undefined,
    positive: naiveBuckets(childOf(point, "positive")),
    negative: naiveBuckets(childOf(point, "negative")),
    quantiles:
      field === "summary"
        ? listOf(point, "quantileValues").map((pair) => ({
            quantile: pair["quantile"] ?? 0,
            value: pair["value"] ?? 0,
          }))
        : undefined,
    attributes: naiveAttributes(point, "attributes"),
  };
}

function naiveBuckets(buckets: NaiveMessage | undefined): Snapshot {
  if (buckets === undefined) return undefined;
  return { offset: buckets["offset"] ?? 0, bucketCounts: buckets["bucketCounts"] ?? [] };
}
