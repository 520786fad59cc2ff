/**
 * Wait before refusing: the stock JavaScript gRPC exporter drops a batch on any refusal, so a gateway that said
 * UNAVAILABLE as soon as a queue is full would lose what a short wait keeps.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type handleUnaryCall, Server, ServerCredentials } from "@grpc/grpc-js";
import { SeverityNumber } from "@opentelemetry/api";
import { OTLPLogExporter } from "@opentelemetry/exporter-logs-otlp-grpc";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import { describe, expect, test } from "vitest";
import { createBatch } from "../../src/core/batch.ts";
import { ClientMetadata } from "../../src/core/client-metadata.ts";
import type { Logger } from "../../src/core/logger.ts";
import { loadGateway } from "../../src/service/load.ts";
import { Service } from "../../src/service/service.ts";

/** A gRPC backend that keeps the log bodies it got, and answers only while its gate is open. */
class GatedBackend implements AsyncDisposable {
  readonly bodies: string[] = [];
  readonly #server = new Server();
  #gate = Promise.resolve();
  port = 0;

  static async start(): Promise<GatedBackend> {
    const backend = new GatedBackend();
    const path = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
    const raw = (bytes: Buffer): Buffer => bytes;
    const handle: handleUnaryCall<Buffer, Buffer> = (call, respond) => {
      const answer = async (): Promise<void> => {
        await backend.#gate;
        backend.#keep(call.request);
        respond(null, Buffer.alloc(0));
      };
      void answer();
    };
    backend.#server.register(path, handle, raw, raw, "unary");
    backend.port = await new Promise((resolve, reject) => {
      backend.#server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) =>
        error === null ? resolve(port) : reject(error),
      );
    });
    return backend;
  }

  #keep(request: Buffer): void {
    const context = { client: ClientMetadata.internal, arrivalUnixNano: 0n };
    for (const { body } of createBatch("logs", request, context).view) {
      this.bodies.push(typeof body === "string" ? body : "no text");
    }
  }

  closeFor(ms: number): void {
    this.#gate = sleep(ms);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.forceShutdown();
  }
}

const quiet: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, with: () => quiet };

async function startGateway(backendPort: number): Promise<Service> {
  const text = `
receivers:
  otlp: { protocols: { grpc: { endpoint: "127.0.0.1:0" } } }
exporters:
  otlp_grpc:
    endpoint: 127.0.0.1:${backendPort}
    tls: { insecure: true }
    sending_queue: { queue_size: 2, num_consumers: 1 }
service:
  telemetry: { metrics: { level: none } }
  pipelines:
    logs: { receivers: [otlp], exporters: [otlp_grpc] }
`;
  const loaded = await loadGateway({ files: [{ name: "full-queue.yaml", text }], env: {}, processorFolders: [] });
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  const service = new Service({ configuration: loaded.configuration, logger: quiet, onFatal: () => {} });
  await service.start();
  return service;
}

describe("a queue that is full for three seconds", () => {
  test("costs the stock Node gRPC exporter no record at 400 records a second", async () => {
    await using backend = await GatedBackend.start();
    const service = await startGateway(backend.port);
    const address = service.listening.find(({ what }) => what === "OTLP/gRPC")!.address;
    const provider = new LoggerProvider({
      resource: resourceFromAttributes({}),
      processors: [
        new BatchLogRecordProcessor({
          exporter: new OTLPLogExporter({ url: `http://${address}` }),
          scheduledDelayMillis: 200,
          maxExportBatchSize: 100,
        }),
      ],
    });
    const logger = provider.getLogger("full-queue");
    backend.closeFor(3_000);
    const queueSize = (): number | undefined =>
      service.metrics.value("otelcol_exporter_queue_size", { exporter: "otlp_grpc", data_type: "logs" });
    let made = 0;
    for (let tick = 0; tick < 45; tick += 1) {
      for (let index = 0; index < 40; index += 1) {
        logger.emit({ severityNumber: SeverityNumber.INFO, body: String(made) });
        made += 1;
      }
      // Two seconds in, the queue has no room: from here to the third second the exporter's request waits at the door.
      if (tick === 20) expect(queueSize()).toBe(2);
      await sleep(100);
    }
    await provider.shutdown();
    await service.shutdown();
    expect(service.metrics.value("otelcol_receiver_refused_log_records", { receiver: "otlp", transport: "grpc" })).toBe(
      0,
    );
    expect(backend.bodies.map(Number).toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: made }, (_, index) => index),
    );
  });
});
