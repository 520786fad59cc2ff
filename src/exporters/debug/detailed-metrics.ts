import type { JsonObject } from "../../wire/otlp/json-encode.ts";
import { attributeLines, attributeLinesUnder, ENTRY } from "./detailed-lines.ts";
import { formatFixed, formatTime } from "./go-format.ts";
import { has, numberOf, numbersOf, objectOf, objectsOf, textOf, textsOf } from "./json-tree.ts";
import { exponentialBuckets, METRIC_TYPES, metricMember, type MetricMember, negativeBuckets } from "./shape.ts";

export function describeMetric(metric: JsonObject): string[] {
  const member = metricMember(metric);
  const lines = [
    "Descriptor:",
    `${ENTRY}Name: ${textOf(metric, "name")}`,
    `${ENTRY}Description: ${textOf(metric, "description")}`,
    `${ENTRY}Unit: ${textOf(metric, "unit")}`,
    `${ENTRY}DataType: ${member === undefined ? "Empty" : METRIC_TYPES[member].name}`,
    ...attributeLinesUnder("Metadata:", metric, "metadata"),
  ];
  return member === undefined ? lines : [...lines, ...dataLines(member, objectOf(metric, member))];
}

const TEMPORALITIES = ["Unspecified", "Delta", "Cumulative"];

function dataLines(member: MetricMember, data: JsonObject): string[] {
  const monotonic = member === "sum" ? [`${ENTRY}IsMonotonic: ${data["isMonotonic"] === true}`] : [];
  const temporality = TEMPORALITIES[numberOf(data, "aggregationTemporality")] ?? "";
  const hasTemporality = member !== "gauge" && member !== "summary";
  return [
    ...monotonic,
    ...(hasTemporality ? [`${ENTRY}AggregationTemporality: ${temporality}`] : []),
    ...objectsOf(data, "dataPoints").flatMap((point, index) => [
      `${METRIC_TYPES[member].points} #${index}`,
      ...attributeLines("Data point attributes:", point),
      `StartTimestamp: ${formatTime(textOf(point, "startTimeUnixNano", "0"))}`,
      `Timestamp: ${formatTime(textOf(point, "timeUnixNano", "0"))}`,
      ...POINT_LINES[member](point),
      ...exemplarLines(point),
    ]),
  ];
}

const POINT_LINES: Readonly<Record<MetricMember, (point: JsonObject) => string[]>> = {
  gauge: valueLines,
  sum: valueLines,
  histogram: (point) => [...statisticLines(point), ...bucketLines(point)],
  exponentialHistogram: (point) => [...statisticLines(point), ...exponentialLines(point)],
  summary: summaryLines,
};

function valueLines(point: JsonObject): string[] {
  if (has(point, "asInt")) return [`Value: ${textOf(point, "asInt")}`];
  return has(point, "asDouble") ? [`Value: ${formatFixed(numberOf(point, "asDouble"))}`] : [];
}

const STATISTICS = { sum: "Sum", min: "Min", max: "Max" } as const;

function statisticLines(point: JsonObject): string[] {
  const statistics = Object.entries(STATISTICS).filter(([name]) => has(point, name));
  return [
    `Count: ${textOf(point, "count", "0")}`,
    ...statistics.map(([name, title]) => `${title}: ${formatFixed(numberOf(point, name))}`),
  ];
}

function bucketLines(point: JsonObject): string[] {
  const bounds = numbersOf(point, "explicitBounds");
  const counts = textsOf(point, "bucketCounts");
  return [
    ...bounds.map((bound, index) => `ExplicitBounds #${index}: ${formatFixed(bound)}`),
    ...counts.map((count, index) => `Buckets #${index}, Count: ${count}`),
  ];
}

function exponentialLines(point: JsonObject): string[] {
  const scale = numberOf(point, "scale");
  const zeroCount = textOf(point, "zeroCount", "0");
  const negative = negativeBuckets(objectOf(point, "negative"), scale);
  const positive = exponentialBuckets(objectOf(point, "positive"), scale);
  return [
    ...negative.map(({ from, to, count }) => `Bucket [${formatFixed(from)}, ${formatFixed(to)}), Count: ${count}`),
    ...(zeroCount === "0" ? [] : [`Bucket [0, 0], Count: ${zeroCount}`]),
    ...positive.map(({ from, to, count }) => `Bucket (${formatFixed(from)}, ${formatFixed(to)}], Count: ${count}`),
  ];
}

function summaryLines(point: JsonObject): string[] {
  const quantiles = objectsOf(point, "quantileValues").map((entry, index) => {
    const quantile = formatFixed(numberOf(entry, "quantile"));
    return `QuantileValue #${index}: Quantile ${quantile}, Value ${formatFixed(numberOf(entry, "value"))}`;
  });
  return [`Count: ${textOf(point, "count", "0")}`, `Sum: ${formatFixed(numberOf(point, "sum"))}`, ...quantiles];
}

function exemplarLines(point: JsonObject): string[] {
  const exemplars = objectsOf(point, "exemplars");
  if (exemplars.length === 0) return [];
  const lines = exemplars.flatMap((exemplar, index) => [
    `Exemplar #${index}`,
    `${ENTRY}Trace ID: ${textOf(exemplar, "traceId")}`,
    `${ENTRY}Span ID: ${textOf(exemplar, "spanId")}`,
    `${ENTRY}Timestamp: ${formatTime(textOf(exemplar, "timeUnixNano", "0"))}`,
    ...valueLines(exemplar).map((line) => `${ENTRY}${line}`),
    ...attributeLinesUnder("FilteredAttributes:", exemplar, "filteredAttributes"),
  ]);
  return ["Exemplars:", ...lines];
}
