import type { Signal } from "../core/signal.ts";

/** The gRPC method of each signal: opentelemetry-proto, collector/{trace,metrics,logs}/v1. */
export const OTLP_METHODS = {
  traces: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
  metrics: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
  logs: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
} as const satisfies Record<Signal, string>;
