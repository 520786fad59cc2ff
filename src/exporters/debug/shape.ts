import type { BatchIndex } from "../../wire/otlp/batch-index.ts";
import type { Signal } from "../../core/signal.ts";
import type { JsonObject } from "../../wire/otlp/json-encode.ts";
import { numberOf, textsOf } from "./json-tree.ts";

/** Where the parts of a request stand in its JSON, and what the Collector calls them. */
export interface Shape {
  readonly title: string;
  readonly resources: string;
  readonly scopes: string;
  readonly records: string;
  /** `detailed`: "ResourceLog #0" and "ScopeLogs #0"; `normal` says "ScopeLog #0" for logs and "ResourceTraces #0" for spans. */
  readonly resourceTitle: string;
  readonly scopeTitle: string;
  readonly plainResourceTitle: string;
  readonly plainScopeTitle: string;
}

export const SHAPES: Readonly<Record<Signal, Shape>> = {
  logs: {
    title: "Logs",
    resources: "resourceLogs",
    scopes: "scopeLogs",
    records: "logRecords",
    resourceTitle: "ResourceLog",
    scopeTitle: "ScopeLogs",
    plainResourceTitle: "ResourceLog",
    plainScopeTitle: "ScopeLog",
  },
  traces: {
    title: "Traces",
    resources: "resourceSpans",
    scopes: "scopeSpans",
    records: "spans",
    resourceTitle: "ResourceSpans",
    scopeTitle: "ScopeSpans",
    plainResourceTitle: "ResourceTraces",
    plainScopeTitle: "ScopeTraces",
  },
  metrics: {
    title: "Metrics",
    resources: "resourceMetrics",
    scopes: "scopeMetrics",
    records: "metrics",
    resourceTitle: "ResourceMetrics",
    scopeTitle: "ScopeMetrics",
    plainResourceTitle: "ResourceMetrics",
    plainScopeTitle: "ScopeMetrics",
  },
};

/** The members of Metric's oneof, with the Collector's name of the type and of a list of its points. */
export const METRIC_TYPES = {
  gauge: { name: "Gauge", points: "NumberDataPoints" },
  sum: { name: "Sum", points: "NumberDataPoints" },
  histogram: { name: "Histogram", points: "HistogramDataPoints" },
  exponentialHistogram: { name: "ExponentialHistogram", points: "ExponentialHistogramDataPoints" },
  summary: { name: "Summary", points: "SummaryDataPoints" },
} as const;

export type MetricMember = keyof typeof METRIC_TYPES;

/** undefined for a metric without data. */
export function metricMember(metric: JsonObject): MetricMember | undefined {
  return Object.keys(metric).find((name): name is MetricMember => Object.hasOwn(METRIC_TYPES, name));
}

/** What `basic` says of a batch: `resource logs`, `log records`. */
export function countsOf(signal: Signal, index: BatchIndex): Readonly<Record<string, number>> {
  const { resourceCount, recordCount, itemCount } = index;
  if (signal === "logs") return { "resource logs": resourceCount, "log records": itemCount };
  if (signal === "traces") return { "resource spans": resourceCount, spans: itemCount };
  return { "resource metrics": resourceCount, metrics: recordCount, "data points": itemCount };
}

/** A bucket of an exponential histogram, in ascending order of its bounds. */
export interface ExponentialBucket {
  readonly from: number;
  readonly to: number;
  readonly count: string;
}

/** https://opentelemetry.io/docs/specs/otel/metrics/data-model/#exponentialhistogram: base = 2^(2^-scale). */
export function exponentialBuckets(buckets: JsonObject, scale: number): ExponentialBucket[] {
  const step = 2 ** -scale;
  const offset = numberOf(buckets, "offset");
  return textsOf(buckets, "bucketCounts").map((count, index) => ({
    from: 2 ** ((offset + index) * step),
    to: 2 ** ((offset + index + 1) * step),
    count,
  }));
}

/** Of a histogram's negative range: the bounds change sides, and the order with them. */
export function negativeBuckets(buckets: JsonObject, scale: number): ExponentialBucket[] {
  return exponentialBuckets(buckets, scale)
    .map(({ from, to, count }) => ({ from: -to, to: -from, count }))
    .toReversed();
}
