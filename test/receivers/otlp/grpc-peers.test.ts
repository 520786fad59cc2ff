import { join } from "node:path";
import * as grpc from "@grpc/grpc-js";
import { describe, expect, test } from "vitest";
import { SIGNALS } from "../../../src/core/signal.ts";
import { OTLP_METHODS } from "../../../src/net/otlp-methods.ts";
import { repository, TestFolder } from "../../e2e/peers.ts";
import { findCollector, findPython, PEER_HINT } from "../../peers/find.ts";
import { eventually, freePort, TestProcess } from "../../support/processes.ts";
import { settle } from "../../support/test-clock.ts";
import { postHttp } from "./otlp-clients.ts";
import { TestGateway } from "./test-gateway.ts";

/** Real clients of other makers against the gRPC door, over each engine that serves them. */

const RECORDS = 5000;
const METADATA_KEY = "x-compression";

function logsJson(): string {
  const logRecords = Array.from({ length: RECORDS }, (_, index) => ({
    timeUnixNano: String(index + 1),
    body: { stringValue: `line ${index} of a worker that has much to say, and all of it in one request` },
    attributes: [{ key: "job.id", value: { stringValue: `job-${index}` } }],
  }));
  return JSON.stringify({ resourceLogs: [{ resource: {}, scopeLogs: [{ scope: {}, logRecords }] }] });
}

function collectorYaml(httpPort: number, grpcPort: number, compressions: readonly string[]): string {
  const exporters = compressions.map(
    (compression) => `
  otlp_grpc/${compression}:
    endpoint: "127.0.0.1:${grpcPort}"
    compression: ${compression}
    headers: { ${METADATA_KEY}: ${compression} }
    tls: { insecure: true }
    sending_queue: { enabled: false }
    retry_on_failure: { enabled: false }`,
  );
  return `
receivers: { otlp: { protocols: { http: { endpoint: "127.0.0.1:${httpPort}" } } } }
exporters:${exporters.join("")}
service:
  telemetry: { metrics: { level: none } }
  pipelines:
    logs: { receivers: [otlp], exporters: [${compressions.map((name) => `otlp_grpc/${name}`).join(", ")}] }
`;
}

describe("a real Collector that exports over gRPC", () => {
  const ENGINES = [
    { engine: "http2", compressions: ["none", "gzip", "zstd", "snappy"] },
    { engine: "grpc_js", compressions: ["none", "gzip"] },
  ] as const;

  test.for(ENGINES)("is taken by $engine in $compressions", async ({ engine, compressions }, { skip }) => {
    const binary = findCollector();
    skip(binary === undefined, `the real Collector is not here: ${PEER_HINT}`);
    await using folder = await TestFolder.create();
    await using gateway = await TestGateway.start({ protocols: { grpc: { endpoint: "127.0.0.1:0", engine } } });
    const port = await freePort();
    const yaml = collectorYaml(port, gateway.portOf("OTLP/gRPC"), compressions);
    await using collector = new TestProcess(binary!, ["--config", await folder.write("collector.yaml", yaml)]);
    await collector.until((_stdout, stderr) => stderr.includes("Everything is ready"));
    const { status, body } = await postHttp(port, "/v1/logs", "application/json", logsJson());
    expect([status, body.toString()], collector.stderr).toEqual([200, `{"partialSuccess":{}}`]);
    const arrived = gateway.arrivals.map(({ context }) => context.client.first(METADATA_KEY));
    expect(new Set(arrived)).toEqual(new Set(compressions));
    expect(gateway.arrivals.map(({ itemCount }) => itemCount)).toEqual(compressions.map(() => RECORDS));
    const [first, ...others] = gateway.arrivals;
    for (const { bytes } of others) expect(bytes.equals(first!.bytes)).toBe(true);
    expect(gateway.budget.leasedBytes).toBe(0);
  });
});

describe("the Python SDK", () => {
  const RUNS = (["http2", "grpc_js"] as const).flatMap((engine) =>
    (["none", "gzip"] as const).map((compression) => ({ engine, compression })),
  );

  test.for(RUNS)("is taken by $engine, compression $compression", async ({ engine, compression }, { skip }) => {
    const python = findPython();
    skip(python === undefined, `the Python SDK is not here: ${PEER_HINT}`);
    await using gateway = await TestGateway.start({ protocols: { grpc: { endpoint: "127.0.0.1:0", engine } } });
    await using worker = new TestProcess(python!, [join(repository, "examples/python/worker.py")], {
      env: {
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${gateway.portOf("OTLP/gRPC")}`,
        // The SDK knows "gzip" and "deflate"; without compression it wants the variable absent.
        ...(compression === "gzip" && { OTEL_EXPORTER_OTLP_COMPRESSION: compression }),
        JOBS: "1",
        SEED: "5",
      },
    });
    expect(await worker.exit(), worker.stderr).toBe(0);
    expect(worker.stderr).toBe("");
    expect(new Set(gateway.arrivals.map(({ signal }) => signal))).toEqual(new Set(SIGNALS));
    expect(gateway.arrivals.every(({ outcome }) => outcome === "committed")).toBe(true);
  });
});

describe("grpc-js as client", () => {
  function callLogs(client: grpc.Client): Promise<number> {
    const same = (bytes: Buffer): Buffer => bytes;
    return new Promise((resolve) => {
      client.makeUnaryRequest(OTLP_METHODS.logs, same, same, Buffer.alloc(0), (error) => resolve(error?.code ?? 0));
    });
  }

  /** It has seen that its connection has ended; the next call opens another. */
  async function isIdle(client: grpc.Client): Promise<void> {
    const { IDLE } = grpc.connectivityState;
    const state = (): grpc.connectivityState => client.getChannel().getConnectivityState(false);
    await eventually(async () => (state() === IDLE ? true : undefined), "the end of the client's connection");
  }

  test("that pings more than it may is told so, comes back and is served", async () => {
    await using gateway = await TestGateway.start();
    const client = new grpc.Client(`127.0.0.1:${gateway.portOf("OTLP/gRPC")}`, grpc.credentials.createInsecure(), {
      "grpc.keepalive_time_ms": 20,
      "grpc.keepalive_permit_without_calls": 1,
    });
    const ended = (): number | undefined =>
      gateway.registry.value("signalbox_receiver_ended_connections", { receiver: "otlp", transport: "grpc" });
    expect(await callLogs(client)).toBe(0);
    while (ended() === 0) await settle();
    await isIdle(client);
    expect(await callLogs(client)).toBe(0);
    expect(gateway.warnings[0]).toContain("it pinged more often than keepalive.enforcement_policy allows");
    client.close();
  });

  test("that pings as it may is left alone, and its connection asked to go when it is old", async () => {
    const keepalive = {
      server_parameters: { max_connection_age: "300ms", max_connection_age_grace: "10s" },
      enforcement_policy: { min_time: "1ms", permit_without_stream: true },
    };
    const grpcConfig = { endpoint: "127.0.0.1:0", keepalive };
    await using gateway = await TestGateway.start({ protocols: { grpc: grpcConfig } });
    const client = new grpc.Client(`127.0.0.1:${gateway.portOf("OTLP/gRPC")}`, grpc.credentials.createInsecure(), {
      "grpc.keepalive_time_ms": 20,
      "grpc.keepalive_permit_without_calls": 1,
    });
    expect(await callLogs(client)).toBe(0);
    await isIdle(client);
    for (let round = 0; round < 20; round++) expect(await callLogs(client)).toBe(0);
    expect(gateway.warnings).toEqual([]);
    client.close();
  });

  test.for(["http2", "grpc_js"] as const)("that breaks off is counted, by %s", async (engine) => {
    await using gateway = await TestGateway.start({ protocols: { grpc: { endpoint: "127.0.0.1:0", engine } } });
    const client = new grpc.Client(`127.0.0.1:${gateway.portOf("OTLP/gRPC")}`, grpc.credentials.createInsecure());
    const same = (bytes: Buffer): Buffer => bytes;
    const aborted = (): number | undefined =>
      gateway.registry.value("signalbox_receiver_aborted_requests", { receiver: "otlp", transport: "grpc" });
    // One that has not sent its message, cancelled until the door has heard of it.
    while (aborted() === 0) {
      const call = client.makeClientStreamRequest(OTLP_METHODS.logs, same, same, () => undefined);
      call.on("error", () => undefined);
      await new Promise<void>((resolve) => client.waitForReady(Date.now() + 5_000, () => resolve()));
      for (let turn = 0; turn < 10; turn++) await settle();
      call.cancel();
    }
    expect(aborted()).toBeGreaterThan(0);
    while (gateway.budget.leasedBytes > 0) await settle();
    client.close();
  });
});
