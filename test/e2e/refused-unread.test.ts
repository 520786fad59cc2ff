/** What the real process says of requests that it refused before it read them: metrics, `signalbox ledger`, and at its end. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { LedgerReport } from "../../src/service/ledger-report.ts";
import { eventually, freePort } from "../support/processes.ts";
import { grpcDoor, httpDoor, numberedRequest, readMetrics } from "./numbered-load.ts";
import { signalbox, startGateway, TestFolder } from "./peers.ts";

async function stdoutOf(args: readonly string[]): Promise<string> {
  await using command = signalbox(args);
  expect(await command.exit(), command.stderr).toBe(0);
  return command.stdout;
}

describe("requests that are refused unread", () => {
  it.for(["http2", "grpc_js"])(
    "for want of memory are in the metrics, in the ledger and in what is printed at the end, over HTTP and %s",
    { timeout: 60_000 },
    async (engine) => {
      await using folder = await TestFolder.create();
      const queue = join(folder.path, "queue");
      const metricsPort = await freePort();
      // No process is as small as this, so there is hard pressure from the first look on.
      const config = await folder.write(
        "gateway.yaml",
        `
extensions: { file_storage: { directory: "${queue}", create_directory: true } }
receivers:
  otlp: { protocols: { grpc: { endpoint: "127.0.0.1:0", engine: ${engine} }, http: { endpoint: "127.0.0.1:0" } } }
processors: { memory_limiter: { check_interval: 100ms, limit_mib: 2, spike_limit_mib: 1 } }
exporters:
  otlp_http: { endpoint: "http://127.0.0.1:${await freePort()}", sending_queue: { storage: file_storage } }
service:
  extensions: [file_storage]
  telemetry: { metrics: { address: "127.0.0.1:${metricsPort}" } }
  pipelines: { logs: { receivers: [otlp], processors: [memory_limiter], exporters: [otlp_http] } }
`,
      );
      const { gateway, grpc, http } = await startGateway(config);
      await using running = gateway;
      const request = numberedRequest(0, 10);
      const doors = [grpcDoor(grpc, 3000), httpDoor(http, 3000)];
      const [overGrpc, overHttp] = doors;
      // Until the first look at the memory requests are taken.
      await eventually(async () => (await overHttp!.send(request)) === "refused" || undefined, "memory is short");
      expect(await overGrpc!.send(request)).toBe("refused");
      for (const door of doors) door.close();

      const metrics = await readMetrics(`http://127.0.0.1:${metricsPort}/metrics`);
      const metricOf = (what: string, transport: string): number | undefined =>
        metrics.get(
          `signalbox_receiver_refused_unread_${what}{receiver="otlp",transport="${transport}",reason="memory"}`,
        );
      expect([metricOf("requests", "http"), metricOf("bytes", "http")]).toEqual([1, request.length]);
      const grpcBytes = engine === "http2" ? request.length : 0;
      expect([metricOf("requests", "grpc"), metricOf("bytes", "grpc")]).toEqual([1, grpcBytes]);

      const lines = `refused unread
  receivers.otlp http: 1 request, ${request.length} bytes declared: memory 1
  receivers.otlp grpc: 1 request, ${grpcBytes} bytes declared: memory 1
`;
      expect(await stdoutOf(["ledger", "--config", config])).toContain(`\n\n${lines}\nevery equation holds\n`);
      const report = JSON.parse(await stdoutOf(["ledger", "--config", config, "--json"])) as LedgerReport;
      expect(report.run?.unread.map(({ requests }) => requests)).toEqual([1, 1]);
      expect(await running.stop()).toBe(0);
      expect(running.stderr).toContain(lines);
      expect(await stdoutOf(["ledger", "--storage", queue])).toContain(lines);
    },
  );
});
