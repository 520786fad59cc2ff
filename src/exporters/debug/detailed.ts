import type { Signal } from "../../core/signal.ts";
import type { JsonObject } from "../../wire/otlp/json-encode.ts";
import { formatTime } from "./go-format.ts";
import { describeMetric } from "./detailed-metrics.ts";
import { attributeLines, attributeLinesUnder, DEEPER, ENTRY } from "./detailed-lines.ts";
import { numberOf, objectOf, objectsOf, textOf, textsOf } from "./json-tree.ts";
import { SHAPES, type Shape } from "./shape.ts";
import { formatTyped } from "./values.ts";

/** `verbosity: detailed`: every field of every record, in the Collector's layout. */
export function formatDetailed(signal: Signal, request: JsonObject): string {
  const shape = SHAPES[signal];
  const lines: string[] = [];
  for (const [resourceIndex, group] of objectsOf(request, shape.resources).entries()) {
    lines.push(`${shape.resourceTitle} #${resourceIndex}`, ...resourceLines(group));
    for (const [scopeIndex, scope] of objectsOf(group, shape.scopes).entries()) {
      lines.push(...scopeLines(shape, scopeIndex, scope));
      for (const [index, record] of objectsOf(scope, shape.records).entries()) {
        lines.push(...RECORD_LINES[signal](index, record));
      }
    }
  }
  return lines.map((line) => `${line}\n`).join("");
}

const RECORD_LINES: Readonly<Record<Signal, (index: number, record: JsonObject) => string[]>> = {
  logs: (index, record) => [`LogRecord #${index}`, ...describeLogRecord(record)],
  traces: (index, span) => [`Span #${index}`, ...describeSpan(span)],
  metrics: (index, metric) => [`Metric #${index}`, ...describeMetric(metric)],
};

function resourceLines(group: JsonObject): string[] {
  const resource = objectOf(group, "resource");
  return [
    `Resource SchemaURL: ${textOf(group, "schemaUrl")}`,
    ...attributeLines("Resource attributes:", resource),
    ...entityLines(objectsOf(resource, "entityRefs")),
  ];
}

function entityLines(entities: readonly JsonObject[]): string[] {
  if (entities.length === 0) return [];
  const lines = entities.flatMap((entity, index) => [
    `${ENTRY}Entity ref #${index}:`,
    `${DEEPER}Type: ${textOf(entity, "type")}`,
    `${DEEPER}Schema URL: ${textOf(entity, "schemaUrl")}`,
    ...keyLines("ID keys:", textsOf(entity, "idKeys")),
    ...keyLines("Description keys:", textsOf(entity, "descriptionKeys")),
  ]);
  return ["Resource entity refs:", ...lines];
}

function keyLines(title: string, keys: readonly string[]): string[] {
  if (keys.length === 0) return [];
  return [`${DEEPER}${title}`, ...keys.map((key) => `     ${DEEPER}${key}`)];
}

function scopeLines(shape: Shape, index: number, group: JsonObject): string[] {
  const scope = objectOf(group, "scope");
  return [
    `${shape.scopeTitle} #${index}`,
    `${shape.scopeTitle} SchemaURL: ${textOf(group, "schemaUrl")}`,
    `InstrumentationScope ${textOf(scope, "name")} ${textOf(scope, "version")}`,
    ...attributeLines("InstrumentationScope attributes:", scope),
  ];
}

const SEVERITY_RANGES = ["Trace", "Debug", "Info", "Warn", "Error", "Fatal"];

function severityName(severity: number): string {
  if (severity === 0) return "Unspecified";
  const range = SEVERITY_RANGES[Math.floor((severity - 1) / 4)] ?? "";
  const step = (severity - 1) % 4;
  return range === "" || step === 0 ? range : `${range}${step + 1}`;
}

function describeLogRecord(record: JsonObject): string[] {
  const severity = numberOf(record, "severityNumber");
  const eventName = textOf(record, "eventName");
  return [
    `ObservedTimestamp: ${formatTime(textOf(record, "observedTimeUnixNano", "0"))}`,
    `Timestamp: ${formatTime(textOf(record, "timeUnixNano", "0"))}`,
    `SeverityText: ${textOf(record, "severityText")}`,
    `SeverityNumber: ${severityName(severity)}(${severity})`,
    ...(eventName === "" ? [] : [`EventName: ${eventName}`]),
    `Body: ${formatTyped(objectOf(record, "body"))}`,
    ...attributeLines("Attributes:", record),
    `Trace ID: ${textOf(record, "traceId")}`,
    `Span ID: ${textOf(record, "spanId")}`,
    `Flags: ${numberOf(record, "flags")}`,
  ];
}

const SPAN_KINDS = ["Unspecified", "Internal", "Server", "Client", "Producer", "Consumer"];
const STATUS_CODES = ["Unset", "Ok", "Error"];

function describeSpan(span: JsonObject): string[] {
  const status = objectOf(span, "status");
  const traceState = textOf(span, "traceState");
  return [
    `    Trace ID       : ${textOf(span, "traceId")}`,
    `    Parent ID      : ${textOf(span, "parentSpanId")}`,
    `    ID             : ${textOf(span, "spanId")}`,
    `    Name           : ${textOf(span, "name")}`,
    `    Kind           : ${SPAN_KINDS[numberOf(span, "kind")] ?? ""}`,
    ...(traceState === "" ? [] : [`    TraceState     : ${traceState}`]),
    `    Start time     : ${formatTime(textOf(span, "startTimeUnixNano", "0"))}`,
    `    End time       : ${formatTime(textOf(span, "endTimeUnixNano", "0"))}`,
    `    Status code    : ${STATUS_CODES[numberOf(status, "code")] ?? ""}`,
    `    Status message : ${textOf(status, "message")}`,
    `    DroppedAttributesCount: ${numberOf(span, "droppedAttributesCount")}`,
    `    DroppedEventsCount: ${numberOf(span, "droppedEventsCount")}`,
    `    DroppedLinksCount: ${numberOf(span, "droppedLinksCount")}`,
    ...attributeLines("Attributes:", span),
    ...listLines("Events:", objectsOf(span, "events"), describeEvent),
    ...listLines("Links:", objectsOf(span, "links"), describeLink),
  ];
}

function listLines(
  title: string,
  entries: readonly JsonObject[],
  describe: (entry: JsonObject, index: number) => string[],
): string[] {
  return entries.length === 0 ? [] : [title, ...entries.flatMap(describe)];
}

function describeEvent(event: JsonObject, index: number): string[] {
  return [
    `SpanEvent #${index}`,
    `${ENTRY}Name: ${textOf(event, "name")}`,
    `${ENTRY}Timestamp: ${formatTime(textOf(event, "timeUnixNano", "0"))}`,
    `${ENTRY}DroppedAttributesCount: ${numberOf(event, "droppedAttributesCount")}`,
    ...attributeLinesUnder("Attributes::", event, "attributes"),
  ];
}

function describeLink(link: JsonObject, index: number): string[] {
  return [
    `SpanLink #${index}`,
    `${ENTRY}Trace ID: ${textOf(link, "traceId")}`,
    `${ENTRY}ID: ${textOf(link, "spanId")}`,
    `${ENTRY}TraceState: ${textOf(link, "traceState")}`,
    `${ENTRY}DroppedAttributesCount: ${numberOf(link, "droppedAttributesCount")}`,
    ...attributeLinesUnder("Attributes::", link, "attributes"),
  ];
}
