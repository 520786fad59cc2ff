/** A worker that exports over OTLP/HTTP (JSON) with the stock OpenTelemetry packages. Endpoint: OTEL_EXPORTER_OTLP_ENDPOINT, port 4318. */
import { OTLPLogExporter } from "@opentelemetry/exporter-logs-otlp-http";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-http";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import {
  defaultResource,
  detectResources,
  resourceAttributesEnvDetector,
  serviceNameEnvDetector,
} from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { BatchSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { work } from "./work.ts";

// OTEL_RESOURCE_ATTRIBUTES=machine.id=...,worker.id=...,service.type=...
const resource = defaultResource().merge(
  detectResources({ detectors: [resourceAttributesEnvDetector, serviceNameEnvDetector] }),
);

await work({
  loggers: new LoggerProvider({
    resource,
    processors: [new BatchLogRecordProcessor({ exporter: new OTLPLogExporter() })],
  }),
  tracers: new TracerProvider({
    resource,
    spanProcessors: [new BatchSpanProcessor({ exporter: new OTLPTraceExporter() })],
  }),
  meters: new MeterProvider({
    resource,
    readers: [new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter(), exportIntervalMillis: 5000 })],
  }),
});
