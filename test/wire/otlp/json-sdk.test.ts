import {
  ROOT_CONTEXT,
  SeverityNumber,
  SpanKind,
  SpanStatusCode,
  trace,
  ValueType,
  type Attributes,
} from "@opentelemetry/api";
import {
  JsonLogsSerializer,
  JsonMetricsSerializer,
  JsonTraceSerializer,
  ProtobufLogsSerializer,
  ProtobufMetricsSerializer,
  ProtobufTraceSerializer,
} from "@opentelemetry/otlp-transformer";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { InMemoryLogRecordExporter, LoggerProvider, SimpleLogRecordProcessor } from "@opentelemetry/sdk-logs";
import {
  AggregationTemporality,
  AggregationType,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { describe, expect, it } from "vitest";
import type { Signal } from "../../../src/core/signal.ts";
import { decodeJsonRequest } from "../../../src/wire/otlp/json-decode.ts";
import { encodeJsonRequest } from "../../../src/wire/otlp/json-encode.ts";
import { fullDecode } from "./json-reference.ts";

const resource = resourceFromAttributes({ "service.name": "comfyui", "machine.id": "railway-abc123", ports: [1, 2] });
const attributes: Attributes = { job_id: "job-123", duration_ms: 1500, ratio: 0.25, ok: false, tags: ["a", "é😀"] };

/** What the SDK writes as JSON and as protobuf is one request, and so is what we make of each. */
function expectOneRequest(signal: Signal, json: Uint8Array | undefined, protobuf: Uint8Array | undefined): void {
  if (json === undefined || protobuf === undefined) throw new Error("the SDK serialised nothing");
  const expected = fullDecode(signal, protobuf);
  expect(Object.values(expected)[0]).toHaveLength(1);
  expect(fullDecode(signal, decodeJsonRequest(signal, json).bytes)).toEqual(expected);
  const ours = decodeJsonRequest(signal, encodeJsonRequest(signal, protobuf));
  expect(fullDecode(signal, ours.bytes)).toEqual(expected);
}

describe("JSON of the JavaScript SDK", () => {
  it("is the same logs request as its protobuf", () => {
    const exporter = new InMemoryLogRecordExporter();
    const provider = new LoggerProvider({ resource, processors: [new SimpleLogRecordProcessor({ exporter })] });
    const logger = provider.getLogger("jobs", "1.0.0");
    const context = trace.setSpanContext(ROOT_CONTEXT, {
      traceId: "5b8efff798038103d269b633813fc60c",
      spanId: "eee19b7ec3c1b174",
      traceFlags: 1,
    });
    logger.emit({
      severityNumber: SeverityNumber.ERROR,
      severityText: "error",
      body: "Job failed job-123",
      attributes,
      context,
    });
    logger.emit({ body: { step: 3, nested: { list: [1.5, null, true] } }, eventName: "job.step", timestamp: 1e12 });
    logger.emit({ body: new Uint8Array([0, 255, 128]) });
    const records = exporter.getFinishedLogRecords();
    expect(records).toHaveLength(3);
    expectOneRequest(
      "logs",
      JsonLogsSerializer.serializeRequest(records),
      ProtobufLogsSerializer.serializeRequest(records),
    );
  });

  it("is the same traces request as its protobuf", () => {
    const exporter = new InMemorySpanExporter();
    const provider = new TracerProvider({ resource, spanProcessors: [new SimpleSpanProcessor({ exporter })] });
    const tracer = provider.getTracer("jobs", "1.0.0");
    const parent = tracer.startSpan("job", { kind: SpanKind.CONSUMER, attributes });
    const context = trace.setSpan(ROOT_CONTEXT, parent);
    const child = tracer.startSpan("step", { links: [{ context: parent.spanContext(), attributes }] }, context);
    child.addEvent("progress", { percent: 50 });
    child.recordException(new Error("model load failed"));
    child.setStatus({ code: SpanStatusCode.ERROR, message: "model load failed" });
    child.end();
    parent.end();
    const spans = exporter.getFinishedSpans();
    expect(spans).toHaveLength(2);
    expectOneRequest(
      "traces",
      JsonTraceSerializer.serializeRequest(spans),
      ProtobufTraceSerializer.serializeRequest(spans),
    );
  });

  it("is the same metrics request as its protobuf", async () => {
    const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
    const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 1e6 });
    const views = [{ instrumentName: "size", aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } } as const];
    const provider = new MeterProvider({ resource, readers: [reader], views });
    const meter = provider.getMeter("jobs", "1.0.0");
    meter.createCounter("done", { valueType: ValueType.INT }).add(3, attributes);
    meter.createUpDownCounter("running", { unit: "{job}" }).add(-0.5, attributes);
    meter.createGauge("queue", { description: "jobs waiting" }).record(7);
    const duration = meter.createHistogram("duration");
    for (const value of [0, 1, 7.5, 20000]) duration.record(value, attributes);
    const size = meter.createHistogram("size");
    for (const value of [0, 0.001, 1, 1e9]) size.record(value);
    await reader.forceFlush();
    const [metrics] = exporter.getMetrics();
    if (metrics === undefined) throw new Error("the SDK collected nothing");
    expect(metrics.scopeMetrics[0]?.metrics).toHaveLength(5);
    const json = JsonMetricsSerializer.serializeRequest(metrics);
    expectOneRequest("metrics", json, ProtobufMetricsSerializer.serializeRequest(metrics));
    await provider.shutdown();
  });
});
