import { ValueType } from "@opentelemetry/api";
import type { HrTime } from "@opentelemetry/api";
import { JsonMetricsSerializer, ProtobufMetricsSerializer } from "@opentelemetry/otlp-transformer";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { AggregationTemporality, DataPointType } from "@opentelemetry/sdk-metrics";
import type { DataPoint, Histogram, MetricData, ResourceMetrics } from "@opentelemetry/sdk-metrics";
import { VERSION } from "../core/version.ts";
import type { HistogramValue, MetricFamily } from "./metrics-registry.ts";

/** When the sums began, and the moment they were read at. */
export interface MetricTimes {
  readonly startUnixNano: bigint;
  readonly nowUnixNano: bigint;
}

/**
 * The gateway's own metrics as an OTLP request, written by OpenTelemetry's own serializer, so that ours has another's
 * code to be held against. This module is loaded only where metrics are pushed: it brings the SDK's packages with it.
 */
export function encodeOwnMetrics(
  families: readonly MetricFamily[],
  resource: Readonly<Record<string, string>>,
  times: MetricTimes,
  encoding: "protobuf" | "json",
): Uint8Array {
  const request = toResourceMetrics(families, resource, times);
  const serializer = encoding === "json" ? JsonMetricsSerializer : ProtobufMetricsSerializer;
  const bytes = serializer.serializeRequest(request);
  if (bytes === undefined) throw new Error("the serializer of OpenTelemetry gave no bytes");
  return bytes;
}

function toResourceMetrics(
  families: readonly MetricFamily[],
  resource: Readonly<Record<string, string>>,
  times: MetricTimes,
): ResourceMetrics {
  const scope = { name: "signalbox", version: VERSION };
  const metrics = families.map((family) => toMetricData(family, times));
  return { resource: resourceFromAttributes(resource), scopeMetrics: [{ scope, metrics }] };
}

function toMetricData(family: MetricFamily, times: MetricTimes): MetricData {
  const { name, kind, description, series } = family;
  const [startTime, endTime] = [toHrTime(times.startUnixNano), toHrTime(times.nowUnixNano)];
  const descriptor = {
    name,
    description: description.description,
    unit: description.unit ?? "",
    valueType: valueTypeOf(family),
  };
  const shared = { descriptor, aggregationTemporality: AggregationTemporality.CUMULATIVE };
  if (kind === "histogram") {
    const dataPoints = series.flatMap(({ labels, value }): DataPoint<Histogram>[] =>
      typeof value === "number" ? [] : [{ startTime, endTime, attributes: labels, value: toHistogram(value) }],
    );
    return { ...shared, dataPointType: DataPointType.HISTOGRAM, dataPoints };
  }
  const dataPoints = series.flatMap(({ labels, value }): DataPoint<number>[] =>
    typeof value === "number" ? [{ startTime, endTime, attributes: labels, value }] : [],
  );
  if (kind === "gauge") return { ...shared, dataPointType: DataPointType.GAUGE, dataPoints };
  return { ...shared, dataPointType: DataPointType.SUM, dataPoints, isMonotonic: kind === "counter" };
}

/** Time is measured, everything else is counted. What a gauge reads may be both. */
function valueTypeOf({ description, series }: MetricFamily): ValueType {
  const isWhole = description.unit !== "s" && series.every(({ value }) => Number.isSafeInteger(value));
  return isWhole ? ValueType.INT : ValueType.DOUBLE;
}

function toHistogram({ bounds, counts, sum, count, min, max }: HistogramValue): Histogram {
  const extremes = count === 0 ? {} : { min, max };
  return { buckets: { boundaries: [...bounds], counts: [...counts] }, sum, count, ...extremes };
}

const NANOS_PER_SECOND = 1_000_000_000n;

function toHrTime(unixNano: bigint): HrTime {
  return [Number(unixNano / NANOS_PER_SECOND), Number(unixNano % NANOS_PER_SECOND)];
}
