import * as grpc from "@grpc/grpc-js";
import { OTLPLogExporter as GrpcLogs } from "@opentelemetry/exporter-logs-otlp-grpc";
import { OTLPLogExporter as JsonLogs } from "@opentelemetry/exporter-logs-otlp-http";
import { OTLPLogExporter as ProtoLogs } from "@opentelemetry/exporter-logs-otlp-proto";
import { OTLPMetricExporter as GrpcMetrics } from "@opentelemetry/exporter-metrics-otlp-grpc";
import { OTLPMetricExporter as JsonMetrics } from "@opentelemetry/exporter-metrics-otlp-http";
import { OTLPMetricExporter as ProtoMetrics } from "@opentelemetry/exporter-metrics-otlp-proto";
import { OTLPTraceExporter as GrpcTraces } from "@opentelemetry/exporter-trace-otlp-grpc";
import { OTLPTraceExporter as JsonTraces } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as ProtoTraces } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { LoggerProvider, SimpleLogRecordProcessor } from "@opentelemetry/sdk-logs";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { OTLP_METHODS } from "../../../src/net/otlp-methods.ts";
import type { Signal } from "../../../src/core/signal.ts";

/** As workers' teams choose it with OTEL_EXPORTER_OTLP_PROTOCOL. */
export type Protocol = "grpc" | "http/protobuf" | "http/json";

export interface ExportSettings {
  readonly protocol: Protocol;
  readonly compression: "none" | "gzip";
  readonly grpcPort: number;
  readonly httpPort: number;
}

/** One record through the stock exporter of the Node SDK; resolves when the exporter is done with it. */
export async function exportWithNodeSdk(signal: Signal, settings: ExportSettings): Promise<void> {
  switch (signal) {
    case "logs":
      return exportLog(settings);
    case "traces":
      return exportSpan(settings);
    case "metrics":
      return exportMetric(settings);
  }
}

const resource = resourceFromAttributes({ "service.name": "sdk-test", "machine.id": "m1" });

function urlOf({ protocol, grpcPort, httpPort }: ExportSettings, path: string): string {
  return protocol === "grpc" ? `http://127.0.0.1:${grpcPort}` : `http://127.0.0.1:${httpPort}${path}`;
}

/** An object without known fields: the exporters do not export the enum that types `compression`, whose values are the names. */
function configOf(settings: ExportSettings, path: string): object {
  return { url: urlOf(settings, path), compression: settings.compression };
}

async function exportLog(settings: ExportSettings): Promise<void> {
  const Exporter = { grpc: GrpcLogs, "http/protobuf": ProtoLogs, "http/json": JsonLogs }[settings.protocol];
  const exporter = new Exporter(configOf(settings, "/v1/logs"));
  const provider = new LoggerProvider({ resource, processors: [new SimpleLogRecordProcessor({ exporter })] });
  provider.getLogger("test").emit({ body: "hello", attributes: { "job.id": "job-1" } });
  await provider.shutdown();
}

async function exportSpan(settings: ExportSettings): Promise<void> {
  const Exporter = { grpc: GrpcTraces, "http/protobuf": ProtoTraces, "http/json": JsonTraces }[settings.protocol];
  const exporter = new Exporter(configOf(settings, "/v1/traces"));
  const provider = new TracerProvider({ resource, spanProcessors: [new SimpleSpanProcessor({ exporter })] });
  provider.getTracer("test").startSpan("work").end();
  await provider.shutdown();
}

async function exportMetric(settings: ExportSettings): Promise<void> {
  const Exporter = { grpc: GrpcMetrics, "http/protobuf": ProtoMetrics, "http/json": JsonMetrics }[settings.protocol];
  const exporter = new Exporter(configOf(settings, "/v1/metrics"));
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
  const provider = new MeterProvider({ resource, readers: [reader] });
  provider.getMeter("test").createCounter("jobs").add(1);
  await provider.shutdown();
}

export interface GrpcAnswer {
  readonly code: number;
  readonly message: string;
  /** The response's bytes, of a success. */
  readonly response: Buffer;
  readonly metadata: grpc.Metadata;
}

/** One raw Export call. */
export function callGrpc(
  port: number,
  signal: Signal,
  request: Uint8Array,
  settings: { readonly metadata?: grpc.Metadata; readonly timeoutMs?: number } = {},
): Promise<GrpcAnswer> {
  const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  const options = settings.timeoutMs === undefined ? {} : { deadline: Date.now() + settings.timeoutMs };
  return new Promise((resolve) => {
    const metadata = settings.metadata ?? new grpc.Metadata();
    const done: grpc.requestCallback<Buffer> = (error, response) => {
      client.close();
      resolve({
        code: error?.code ?? 0,
        message: error?.details ?? "",
        response: response ?? Buffer.alloc(0),
        metadata: error?.metadata ?? new grpc.Metadata(),
      });
    };
    client.makeUnaryRequest(OTLP_METHODS[signal], asIs, asIs, Buffer.from(request), metadata, options, done);
  });
}

function asIs(bytes: Buffer): Buffer {
  return bytes;
}

export interface HttpResult {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer;
}

export async function postHttp(
  port: number,
  path: string,
  contentType: string,
  body: Uint8Array | string,
  headers: Record<string, string> = {},
): Promise<HttpResult> {
  const init = { method: "POST", headers: { "content-type": contentType, ...headers }, body: Buffer.from(body) };
  const response = await fetch(`http://127.0.0.1:${port}${path}`, init);
  return { status: response.status, headers: response.headers, body: Buffer.from(await response.arrayBuffer()) };
}
