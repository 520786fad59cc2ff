import { SeverityNumber, SpanStatusCode } from "@opentelemetry/api";
import {
  ProtobufLogsSerializer,
  ProtobufMetricsSerializer,
  ProtobufTraceSerializer,
} from "@opentelemetry/otlp-transformer";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { InMemoryLogRecordExporter, LoggerProvider, SimpleLogRecordProcessor } from "@opentelemetry/sdk-logs";
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { describe, expect, it } from "vitest";
import { createBatch, type Batch } from "../../../src/core/batch.ts";
import { ClientMetadata } from "../../../src/core/client-metadata.ts";
import type { Signal } from "../../../src/core/signal.ts";
import { decodeNaive } from "./naive.ts";
import { REQUESTS } from "./reference.ts";
import { snapshotOfNaive, snapshotOfView } from "./view-snapshot.ts";

const resource = resourceFromAttributes({ "service.name": "comfyui", ports: [1, 2] });
const attributes = { job_id: "job-123", duration_ms: 1500, ratio: 0.25, ok: false, tags: ["a", "é😀"] };

function open<S extends Signal>(signal: S, bytes: Uint8Array | undefined): Batch<S> {
  if (bytes === undefined) throw new Error("the SDK serialised nothing");
  const batch = createBatch(signal, bytes, { client: ClientMetadata.internal, arrivalUnixNano: 0n });
  expect(snapshotOfView(signal, batch.view)).toEqual(snapshotOfNaive(signal, decodeNaive(REQUESTS[signal], bytes)));
  return batch;
}

describe("requests of the JavaScript SDK", () => {
  it("read as the log records that were emitted", () => {
    const exporter = new InMemoryLogRecordExporter();
    const provider = new LoggerProvider({ resource, processors: [new SimpleLogRecordProcessor({ exporter })] });
    const logger = provider.getLogger("jobs", "1.0.0");
    logger.emit({ severityNumber: SeverityNumber.ERROR, severityText: "error", body: "Job failed", attributes });
    logger.emit({ body: { nested: [1, "two"] }, timestamp: [1764000000, 5] });
    const [first, second] = [
      ...open("logs", ProtobufLogsSerializer.serializeRequest(exporter.getFinishedLogRecords())).view,
    ];
    expect([first?.severityNumber, first?.severityText, first?.body]).toEqual([17, "error", "Job failed"]);
    expect(first?.attributes.getMany(Object.keys(attributes))).toEqual(Object.values(attributes));
    expect(second?.body).toEqual(new Map([["nested", [1, "two"]]]));
    expect(second?.timeUnixNano).toBe(1764000000000000005n);
    expect(second?.scope.version).toBe("1.0.0");
    expect(second?.resource.attributes.get("ports")).toEqual([1, 2]);
  });

  it("read as the spans that were ended", () => {
    const exporter = new InMemorySpanExporter();
    const provider = new TracerProvider({ resource, spanProcessors: [new SimpleSpanProcessor({ exporter })] });
    const span = provider.getTracer("jobs").startSpan("job", { attributes });
    span
      .addEvent("loaded", { model: "sdxl" })
      .setStatus({ code: SpanStatusCode.ERROR, message: "out of memory" })
      .end();
    const [read] = [...open("traces", ProtobufTraceSerializer.serializeRequest(exporter.getFinishedSpans())).view];
    expect([read?.name, read?.kind, read?.statusCode, read?.statusMessage]).toEqual(["job", 1, 2, "out of memory"]);
    expect([read?.traceId, read?.spanId]).toEqual([span.spanContext().traceId, span.spanContext().spanId]);
    expect(Array.from(read?.events() ?? [], (event) => [event.name, event.attributes.get("model")])).toEqual([
      ["loaded", "sdxl"],
    ]);
  });

  it("read as the points that were recorded", async () => {
    const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
    const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 1e9, exportTimeoutMillis: 1e8 });
    const provider = new MeterProvider({ resource, readers: [reader] });
    const meter = provider.getMeter("jobs");
    meter.createCounter("jobs", { unit: "{job}" }).add(3, { service_type: "comfyui" });
    meter.createHistogram("duration").record(12.5);
    await provider.forceFlush();
    const [metrics] = exporter.getMetrics();
    if (metrics === undefined) throw new Error("the SDK collected nothing");
    const [jobs, duration] = [...open("metrics", ProtobufMetricsSerializer.serializeRequest(metrics)).view];
    await provider.shutdown();
    expect([jobs?.name, jobs?.unit, jobs?.type, jobs?.isMonotonic]).toEqual(["jobs", "{job}", "sum", true]);
    expect(Array.from(jobs?.dataPoints() ?? [], ({ value }) => value)).toEqual([3]);
    const [point] = [...(duration?.dataPoints() ?? [])];
    expect([point?.count, point?.sum, point?.min, point?.max]).toEqual([1n, 12.5, 12.5, 12.5]);
    expect(point?.bucketCounts?.reduce((sum, count) => sum + count, 0n)).toBe(1n);
  });
});
