/**
 * The OTLP messages of the three signals as tables: one source for the scan, the views, the JSON codec and the tests' reference.
 *
 * Source: opentelemetry-proto v1.10, opentelemetry/proto/{common,resource,logs,trace,metrics}/v1 and collector/{logs,trace,metrics}/v1.
 * JSON names are the lowerCamelCase of the proto3 JSON mapping. A field that is not listed is unknown: kept as it came in
 * protobuf, ignored in JSON (OTLP specification, "JSON Protobuf Encoding").
 */

export type ScalarType =
  | "string"
  | "bytes"
  /** `bytes` that OTLP/JSON writes as hex: trace and span ids. */
  | "traceId"
  | "spanId"
  | "bool"
  | "uint32"
  | "int32"
  | "sint32"
  | "int64"
  | "uint64"
  | "fixed32"
  | "fixed64"
  | "sfixed64"
  | "double";

export interface FieldSchema {
  readonly number: number;
  /** In JSON, and in the paths of decode errors. */
  readonly name: string;
  readonly type: ScalarType | MessageName | EnumName;
  readonly repeated?: true;
  /** Members of a oneof: the last one on the wire wins; a message member that occurs twice in a row is merged. */
  readonly oneof?: string;
  /** `optional` in the proto file: a zero that was written is not the same as none. Members of a oneof are so by nature. */
  readonly optional?: true;
}

export type EnumName = "SeverityNumber" | "SpanKind" | "StatusCode" | "AggregationTemporality";

export type MessageName =
  | "ExportLogsServiceRequest"
  | "ExportTraceServiceRequest"
  | "ExportMetricsServiceRequest"
  | "Resource"
  | "EntityRef"
  | "InstrumentationScope"
  | "KeyValue"
  | "AnyValue"
  | "ArrayValue"
  | "KeyValueList"
  | "ResourceLogs"
  | "ScopeLogs"
  | "LogRecord"
  | "ResourceSpans"
  | "ScopeSpans"
  | "Span"
  | "SpanEvent"
  | "SpanLink"
  | "Status"
  | "ResourceMetrics"
  | "ScopeMetrics"
  | "Metric"
  | "Gauge"
  | "Sum"
  | "Histogram"
  | "ExponentialHistogram"
  | "Summary"
  | "NumberDataPoint"
  | "HistogramDataPoint"
  | "ExponentialHistogramDataPoint"
  | "Buckets"
  | "SummaryDataPoint"
  | "ValueAtQuantile"
  | "Exemplar";

const one = (number: number, name: string, type: FieldSchema["type"]): FieldSchema => ({ number, name, type });
const many = (number: number, name: string, type: FieldSchema["type"]): FieldSchema => ({
  number,
  name,
  type,
  repeated: true,
});
const maybe = (number: number, name: string, type: FieldSchema["type"]): FieldSchema => ({
  number,
  name,
  type,
  optional: true,
});
const choice = (oneof: string, number: number, name: string, type: FieldSchema["type"]): FieldSchema => ({
  number,
  name,
  type,
  oneof,
});

export const MESSAGES: Readonly<Record<MessageName, readonly FieldSchema[]>> = {
  ExportLogsServiceRequest: [many(1, "resourceLogs", "ResourceLogs")],
  ExportTraceServiceRequest: [many(1, "resourceSpans", "ResourceSpans")],
  ExportMetricsServiceRequest: [many(1, "resourceMetrics", "ResourceMetrics")],

  Resource: [
    many(1, "attributes", "KeyValue"),
    one(2, "droppedAttributesCount", "uint32"),
    many(3, "entityRefs", "EntityRef"),
  ],
  EntityRef: [
    one(1, "schemaUrl", "string"),
    one(2, "type", "string"),
    many(3, "idKeys", "string"),
    many(4, "descriptionKeys", "string"),
  ],
  InstrumentationScope: [
    one(1, "name", "string"),
    one(2, "version", "string"),
    many(3, "attributes", "KeyValue"),
    one(4, "droppedAttributesCount", "uint32"),
  ],
  KeyValue: [one(1, "key", "string"), one(2, "value", "AnyValue")],
  AnyValue: [
    choice("value", 1, "stringValue", "string"),
    choice("value", 2, "boolValue", "bool"),
    choice("value", 3, "intValue", "int64"),
    choice("value", 4, "doubleValue", "double"),
    choice("value", 5, "arrayValue", "ArrayValue"),
    choice("value", 6, "kvlistValue", "KeyValueList"),
    choice("value", 7, "bytesValue", "bytes"),
  ],
  ArrayValue: [many(1, "values", "AnyValue")],
  KeyValueList: [many(1, "values", "KeyValue")],

  ResourceLogs: [one(1, "resource", "Resource"), many(2, "scopeLogs", "ScopeLogs"), one(3, "schemaUrl", "string")],
  ScopeLogs: [
    one(1, "scope", "InstrumentationScope"),
    many(2, "logRecords", "LogRecord"),
    one(3, "schemaUrl", "string"),
  ],
  LogRecord: [
    one(1, "timeUnixNano", "fixed64"),
    one(11, "observedTimeUnixNano", "fixed64"),
    one(2, "severityNumber", "SeverityNumber"),
    one(3, "severityText", "string"),
    one(5, "body", "AnyValue"),
    many(6, "attributes", "KeyValue"),
    one(7, "droppedAttributesCount", "uint32"),
    one(8, "flags", "fixed32"),
    one(9, "traceId", "traceId"),
    one(10, "spanId", "spanId"),
    one(12, "eventName", "string"),
  ],

  ResourceSpans: [one(1, "resource", "Resource"), many(2, "scopeSpans", "ScopeSpans"), one(3, "schemaUrl", "string")],
  ScopeSpans: [one(1, "scope", "InstrumentationScope"), many(2, "spans", "Span"), one(3, "schemaUrl", "string")],
  Span: [
    one(1, "traceId", "traceId"),
    one(2, "spanId", "spanId"),
    one(3, "traceState", "string"),
    one(4, "parentSpanId", "spanId"),
    one(16, "flags", "fixed32"),
    one(5, "name", "string"),
    one(6, "kind", "SpanKind"),
    one(7, "startTimeUnixNano", "fixed64"),
    one(8, "endTimeUnixNano", "fixed64"),
    many(9, "attributes", "KeyValue"),
    one(10, "droppedAttributesCount", "uint32"),
    many(11, "events", "SpanEvent"),
    one(12, "droppedEventsCount", "uint32"),
    many(13, "links", "SpanLink"),
    one(14, "droppedLinksCount", "uint32"),
    one(15, "status", "Status"),
  ],
  SpanEvent: [
    one(1, "timeUnixNano", "fixed64"),
    one(2, "name", "string"),
    many(3, "attributes", "KeyValue"),
    one(4, "droppedAttributesCount", "uint32"),
  ],
  SpanLink: [
    one(1, "traceId", "traceId"),
    one(2, "spanId", "spanId"),
    one(3, "traceState", "string"),
    many(4, "attributes", "KeyValue"),
    one(5, "droppedAttributesCount", "uint32"),
    one(6, "flags", "fixed32"),
  ],
  Status: [one(2, "message", "string"), one(3, "code", "StatusCode")],

  ResourceMetrics: [
    one(1, "resource", "Resource"),
    many(2, "scopeMetrics", "ScopeMetrics"),
    one(3, "schemaUrl", "string"),
  ],
  ScopeMetrics: [one(1, "scope", "InstrumentationScope"), many(2, "metrics", "Metric"), one(3, "schemaUrl", "string")],
  Metric: [
    one(1, "name", "string"),
    one(2, "description", "string"),
    one(3, "unit", "string"),
    choice("data", 5, "gauge", "Gauge"),
    choice("data", 7, "sum", "Sum"),
    choice("data", 9, "histogram", "Histogram"),
    choice("data", 10, "exponentialHistogram", "ExponentialHistogram"),
    choice("data", 11, "summary", "Summary"),
    many(12, "metadata", "KeyValue"),
  ],
  Gauge: [many(1, "dataPoints", "NumberDataPoint")],
  Sum: [
    many(1, "dataPoints", "NumberDataPoint"),
    one(2, "aggregationTemporality", "AggregationTemporality"),
    one(3, "isMonotonic", "bool"),
  ],
  Histogram: [many(1, "dataPoints", "HistogramDataPoint"), one(2, "aggregationTemporality", "AggregationTemporality")],
  ExponentialHistogram: [
    many(1, "dataPoints", "ExponentialHistogramDataPoint"),
    one(2, "aggregationTemporality", "AggregationTemporality"),
  ],
  Summary: [many(1, "dataPoints", "SummaryDataPoint")],
  NumberDataPoint: [
    many(7, "attributes", "KeyValue"),
    one(2, "startTimeUnixNano", "fixed64"),
    one(3, "timeUnixNano", "fixed64"),
    choice("value", 4, "asDouble", "double"),
    choice("value", 6, "asInt", "sfixed64"),
    many(5, "exemplars", "Exemplar"),
    one(8, "flags", "uint32"),
  ],
  HistogramDataPoint: [
    many(9, "attributes", "KeyValue"),
    one(2, "startTimeUnixNano", "fixed64"),
    one(3, "timeUnixNano", "fixed64"),
    one(4, "count", "fixed64"),
    maybe(5, "sum", "double"),
    many(6, "bucketCounts", "fixed64"),
    many(7, "explicitBounds", "double"),
    many(8, "exemplars", "Exemplar"),
    one(10, "flags", "uint32"),
    maybe(11, "min", "double"),
    maybe(12, "max", "double"),
  ],
  ExponentialHistogramDataPoint: [
    many(1, "attributes", "KeyValue"),
    one(2, "startTimeUnixNano", "fixed64"),
    one(3, "timeUnixNano", "fixed64"),
    one(4, "count", "fixed64"),
    maybe(5, "sum", "double"),
    one(6, "scale", "sint32"),
    one(7, "zeroCount", "fixed64"),
    one(8, "positive", "Buckets"),
    one(9, "negative", "Buckets"),
    one(10, "flags", "uint32"),
    many(11, "exemplars", "Exemplar"),
    maybe(12, "min", "double"),
    maybe(13, "max", "double"),
    one(14, "zeroThreshold", "double"),
  ],
  Buckets: [one(1, "offset", "sint32"), many(2, "bucketCounts", "uint64")],
  SummaryDataPoint: [
    many(7, "attributes", "KeyValue"),
    one(2, "startTimeUnixNano", "fixed64"),
    one(3, "timeUnixNano", "fixed64"),
    one(4, "count", "fixed64"),
    one(5, "sum", "double"),
    many(6, "quantileValues", "ValueAtQuantile"),
    one(8, "flags", "uint32"),
  ],
  ValueAtQuantile: [one(1, "quantile", "double"), one(2, "value", "double")],
  Exemplar: [
    many(7, "filteredAttributes", "KeyValue"),
    one(2, "timeUnixNano", "fixed64"),
    choice("value", 3, "asDouble", "double"),
    choice("value", 6, "asInt", "sfixed64"),
    one(4, "spanId", "spanId"),
    one(5, "traceId", "traceId"),
  ],
};

const severities = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"].flatMap((name, range) =>
  ["", "2", "3", "4"].map((suffix, step) => [`SEVERITY_NUMBER_${name}${suffix}`, range * 4 + step + 1] as const),
);

/** Enum value names, which OTLP/JSON forbids but every Collector accepts. */
export const ENUMS: Readonly<Record<EnumName, Readonly<Record<string, number>>>> = {
  SeverityNumber: { SEVERITY_NUMBER_UNSPECIFIED: 0, ...Object.fromEntries(severities) },
  SpanKind: {
    SPAN_KIND_UNSPECIFIED: 0,
    SPAN_KIND_INTERNAL: 1,
    SPAN_KIND_SERVER: 2,
    SPAN_KIND_CLIENT: 3,
    SPAN_KIND_PRODUCER: 4,
    SPAN_KIND_CONSUMER: 5,
  },
  StatusCode: { STATUS_CODE_UNSET: 0, STATUS_CODE_OK: 1, STATUS_CODE_ERROR: 2 },
  AggregationTemporality: {
    AGGREGATION_TEMPORALITY_UNSPECIFIED: 0,
    AGGREGATION_TEMPORALITY_DELTA: 1,
    AGGREGATION_TEMPORALITY_CUMULATIVE: 2,
  },
};

/** The request message of each signal. */
export const REQUEST_MESSAGES = {
  logs: "ExportLogsServiceRequest",
  traces: "ExportTraceServiceRequest",
  metrics: "ExportMetricsServiceRequest",
} as const satisfies Record<string, MessageName>;

export function isMessageName(type: FieldSchema["type"]): type is MessageName {
  return Object.hasOwn(MESSAGES, type);
}

export function isEnumName(type: FieldSchema["type"]): type is EnumName {
  return Object.hasOwn(ENUMS, type);
}
