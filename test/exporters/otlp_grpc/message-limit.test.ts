import { afterEach, expect, test } from "vitest";
import { systemClock } from "../../../src/core/clock.ts";
import { otlpGrpcConfig } from "../../../src/exporters/otlp_grpc/config.ts";
import { otlpGrpcExporterFactory } from "../../../src/exporters/otlp_grpc/factory.ts";
import { createQueues } from "../../../src/queue/queues.ts";
import { retrySchema, sendingQueueSchema } from "../../../src/queue/config.ts";
import { requestBytesMaxOf } from "../../../src/service/destinations.ts";
import { MetricsRegistry } from "../../../src/service/metrics-registry.ts";
import { jsonObjectOf } from "../../../src/wire/otlp/json-encode.ts";
import { admit, logsPayload } from "../../queue/support.ts";
import { NEVER, NO_HOST, recordingLogger, testSettings } from "../test-exporter.ts";
import { GrpcJsBackend } from "./grpc-js-backend.ts";

const MIB = 1024 * 1024;
/** What a grpc-js server takes where nobody says otherwise. */
const SERVER_LIMIT = 4 * MIB;

let backend: GrpcJsBackend | undefined;

afterEach(() => backend?.close());

test.each(["gzip", "none"] as const)(
  "a batch of 20 MiB reaches a grpc-js server with its default limit of 4 MiB, every record once, with compression %s",
  async (compression) => {
    const server = await GrpcJsBackend.listen();
    backend = server;
    const config = otlpGrpcConfig.parse({ endpoint: `http://127.0.0.1:${server.port}`, compression, timeout: "60s" });
    const exporter = otlpGrpcExporterFactory.create(testSettings("otlp_grpc"), config);
    await exporter.start(NO_HOST);
    const queue = sendingQueueSchema.parse({});
    const queues = createQueues({
      clock: systemClock,
      logger: recordingLogger(),
      meter: new MetricsRegistry(),
      destinations: [
        {
          id: "a",
          sender: exporter,
          queue,
          retry: retrySchema.parse({}),
          timeoutMs: 60_000,
          requestBytesMax: requestBytesMaxOf(otlpGrpcExporterFactory, queue),
          delivery: "required",
          signals: ["logs"],
        },
      ],
    });
    await queues.start();
    const bodies = Array.from({ length: 20_000 }, (_, index) => `${index} ${"x".repeat(1050)}`);
    const payload = logsPayload(bodies);
    expect(payload.size).toBeGreaterThan(20 * MIB);
    await admit(queues, ["a"], payload);
    expect(await queues.shutdown(NEVER)).toEqual([]);
    await exporter.shutdown(NEVER);
    expect(server.requests.every(({ bytes }) => bytes.length < SERVER_LIMIT)).toBe(true);
    expect(server.requests.flatMap(({ bytes }) => bodiesOf(bytes))).toEqual(bodies);
  },
  60_000,
);

test("a batch that is bounded in bytes by the configuration is bounded by that alone", () => {
  const queueOf = (batch: object): number =>
    requestBytesMaxOf(otlpGrpcExporterFactory, sendingQueueSchema.parse({ batch }));
  expect(queueOf({})).toBe(3 * MIB);
  expect(queueOf({ max_size: 10_000 })).toBe(3 * MIB);
  expect(queueOf({ sizer: "bytes", min_size: 0, max_size: "16MiB" })).toBe(Infinity);
});

function bodiesOf(bytes: Buffer): string[] {
  const request = jsonObjectOf("logs", bytes) as {
    resourceLogs: { scopeLogs: { logRecords: { body: { stringValue: string } }[] }[] }[];
  };
  return request.resourceLogs.flatMap(({ scopeLogs }) =>
    scopeLogs.flatMap(({ logRecords }) => logRecords.map(({ body }) => body.stringValue)),
  );
}
