import type { Signal } from "../../core/signal.ts";
import type { JsonObject } from "../../wire/otlp/json-encode.ts";
import { formatGeneral } from "./go-format.ts";
import { has, numberOf, numbersOf, objectOf, objectsOf, textOf, textsOf } from "./json-tree.ts";
import {
  type ExponentialBucket,
  exponentialBuckets,
  metricMember,
  type MetricMember,
  negativeBuckets,
  SHAPES,
} from "./shape.ts";
import { formatPlain } from "./values.ts";

/** `verbosity: normal`: a line per resource, scope and record (of metrics: per data point), in the Collector's layout. */
export function formatNormal(signal: Signal, request: JsonObject): string {
  const shape = SHAPES[signal];
  const lines: string[] = [];
  for (const [resourceIndex, resource] of objectsOf(request, shape.resources).entries()) {
    const attributes = plainAttributes(objectOf(resource, "resource"));
    lines.push(joinWords([`${shape.plainResourceTitle} #${resourceIndex}`, schemaUrl(resource), ...attributes]));
    for (const [scopeIndex, group] of objectsOf(resource, shape.scopes).entries()) {
      lines.push(joinWords([`${shape.plainScopeTitle} #${scopeIndex}`, ...scopeWords(group)]));
      for (const record of objectsOf(group, shape.records)) lines.push(...RECORD_LINES[signal](record));
    }
  }
  return lines.map((line) => `${line}\n`).join("");
}

function joinWords(words: readonly string[]): string {
  return words.filter((word) => word !== "").join(" ");
}

function scopeWords(group: JsonObject): string[] {
  const scope = objectOf(group, "scope");
  const version = textOf(scope, "version");
  const name = version === "" ? textOf(scope, "name") : `${textOf(scope, "name")}@${version}`;
  return [name, schemaUrl(group), ...plainAttributes(scope)];
}

function schemaUrl(group: JsonObject): string {
  const url = textOf(group, "schemaUrl");
  return url === "" ? "" : `[${url}]`;
}

function plainAttributes(owner: JsonObject): string[] {
  return objectsOf(owner, "attributes").map(
    (entry) => `${textOf(entry, "key")}=${formatPlain(objectOf(entry, "value"))}`,
  );
}

const RECORD_LINES: Readonly<Record<Signal, (record: JsonObject) => string[]>> = {
  logs: (record) => [`${formatPlain(objectOf(record, "body"))} ${plainAttributes(record).join(" ")}`],
  traces: (span) => [
    [textOf(span, "name"), textOf(span, "traceId"), textOf(span, "spanId"), ...plainAttributes(span)].join(" "),
  ],
  metrics: metricLines,
};

function metricLines(metric: JsonObject): string[] {
  const member = metricMember(metric);
  if (member === undefined) return [];
  return objectsOf(objectOf(metric, member), "dataPoints").map((point) => {
    const labels = plainAttributes(point).join(",");
    return `${textOf(metric, "name")}{${labels}} ${POINT_WORDS[member](point).join(" ")}`;
  });
}

const POINT_WORDS: Readonly<Record<MetricMember, (point: JsonObject) => string[]>> = {
  gauge: numberWords,
  sum: numberWords,
  histogram: histogramWords,
  exponentialHistogram: exponentialWords,
  summary: summaryWords,
};

function numberWords(point: JsonObject): string[] {
  if (has(point, "asInt")) return [textOf(point, "asInt")];
  return has(point, "asDouble") ? [formatGeneral(numberOf(point, "asDouble"))] : [];
}

function statisticWords(point: JsonObject): string[] {
  const statistics = ["sum", "min", "max"].filter((name) => has(point, name));
  return [
    `count=${textOf(point, "count", "0")}`,
    ...statistics.map((name) => `${name}=${formatGeneral(numberOf(point, name))}`),
  ];
}

function histogramWords(point: JsonObject): string[] {
  const bounds = numbersOf(point, "explicitBounds");
  const counts = textsOf(point, "bucketCounts").map((count, index) => {
    const bound = bounds[index];
    return bound === undefined ? count : `le${formatGeneral(bound)}=${count}`;
  });
  return [...statisticWords(point), ...counts];
}

function exponentialWords(point: JsonObject): string[] {
  const scale = numberOf(point, "scale");
  const zeroCount = textOf(point, "zeroCount", "0");
  return [
    ...statisticWords(point),
    ...negativeBuckets(objectOf(point, "negative"), scale).map(bucketWord),
    ...(zeroCount === "0" ? [] : [`zero=${zeroCount}`]),
    ...exponentialBuckets(objectOf(point, "positive"), scale).map(bucketWord),
  ];
}

function bucketWord({ to, count }: ExponentialBucket): string {
  return `le${formatGeneral(to)}=${count}`;
}

function summaryWords(point: JsonObject): string[] {
  const quantiles = objectsOf(point, "quantileValues").map(
    (entry) => `q${formatGeneral(numberOf(entry, "quantile"))}=${formatGeneral(numberOf(entry, "value"))}`,
  );
  // The sum of a summary alone has six digits: so the Collector prints it.
  return [`count=${textOf(point, "count", "0")}`, `sum=${numberOf(point, "sum").toFixed(6)}`, ...quantiles];
}
