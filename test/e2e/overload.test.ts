import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import { eventually, freePort } from "../support/processes.ts";
import { CountingBackend, grpcDoor, httpDoor, ledgerItems, NumberedLoad, readMetrics } from "./numbered-load.ts";
import { startGateway as start, TestFolder } from "./peers.ts";

/** Ten minutes by `npm run test:overload`. */
const OVERLOAD_S = Number(process.env["SIGNALBOX_OVERLOAD_SECONDS"] ?? 20);

const LIMIT_MIB = 150;
/** What the process may have. The margin over limit_mib is what V8 does not count: code, stacks, freed pages. */
const CAP_MIB = 256;

const RECORDS_PER_REQUEST = 500;
const RECOVERY_MS = 10_000;
const UNANSWERED_SHARE_MAX = 0.05;

describe("a gateway under ten times what it can take, its backend away", () => {
  it(
    `waits, refuses with hints and stays under ${CAP_MIB} MiB for ${OVERLOAD_S} s, recovers, and its ledger balances`,
    async () => {
      await using folder = await TestFolder.create();
      await using backend = await CountingBackend.listen();
      const metricsPort = await freePort();
      const config = await folder.write(
        "overload.yaml",
        `
receivers:
  otlp: { protocols: { grpc: { endpoint: "127.0.0.1:0" }, http: { endpoint: "127.0.0.1:0" } } }
processors:
  memory_limiter: { check_interval: 200ms, limit_mib: ${LIMIT_MIB} }
exporters:
  otlp_http:
    endpoint: ${backend.url}
    compression: none
    retry_on_failure: { initial_interval: 500ms, max_interval: 1s, max_elapsed_time: 0s }
    sending_queue: { queue_size: 1000000, batch: { sizer: items, min_size: 1000, flush_timeout: 200ms } }
service:
  telemetry: { metrics: { address: "127.0.0.1:${metricsPort}" } }
  pipelines: { logs: { receivers: [otlp], processors: [memory_limiter], exporters: [otlp_http] } }
`,
      );
      const { gateway, grpc, http } = await startGateway(config);
      await backend.close();
      // HTTP tells no deadline: the door waits for five seconds, as long as the SDKs wait twice.
      const doors = [grpcDoor(grpc, 2000), grpcDoor(grpc, 2000), httpDoor(http, 10_000)];
      const load = new NumberedLoad({ doors, lanes: 20, recordsPerRequest: RECORDS_PER_REQUEST, pauseMs: 50 });
      await sleep(OVERLOAD_S * 1000);

      const away = { acknowledged: load.acknowledged.length, refused: load.refusedCount };
      await backend.open();
      const backMs = performance.now();
      await eventually(
        async () => (load.acknowledged.length > away.acknowledged ? true : undefined),
        "a request is accepted again",
        RECOVERY_MS,
      );
      const recoveredMs = performance.now() - backMs;
      await sleep(2000);
      await load.stop();
      await eventually(
        async () => (load.missingAt(backend) === 0 ? true : undefined),
        "everything is delivered",
        30_000,
      );
      const peakMib = peakMibOf(gateway.pid);
      const metrics = await readMetrics(`http://127.0.0.1:${metricsPort}/metrics`);
      for (const door of doors) door.close();
      const exitCode = await gateway.stop();

      process.stdout.write(
        `\noverload of ${OVERLOAD_S} s: ${away.acknowledged} requests accepted, ${away.refused} refused, ` +
          `${load.unknown.length} without an answer, peak ${peakMib.toFixed(0)} MiB, recovered in ${recoveredMs.toFixed(0)} ms\n\n`,
      );
      expect([...load.unexpected]).toEqual([]);
      // The door answers half a second before the deadline. Where this process or the gateway gets no core for longer, the
      // sender's timer goes first.
      expect(load.unknown.length).toBeLessThanOrEqual(UNANSWERED_SHARE_MAX * (away.acknowledged + away.refused));
      expect(away.refused).toBeGreaterThan(0);
      expect(peakMib).toBeLessThan(CAP_MIB);
      expect(backend.copies).toBe(0);
      expect(metrics.get("signalbox_ledger_imbalances")).toBe(0);
      expect(exitCode).toBe(0);
      expect(ledgerItems(metrics, "receiver", "accepted")).toBe(load.acknowledgedItems);
      expect(ledgerItems(metrics, "destination", "sent")).toBe(backend.counts.size);
    },
    OVERLOAD_S * 1000 + 120_000,
  );
});

/** The kernel's own high-water mark of the resident set. */
function peakMibOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) / 1024;
}

/** A gateway that does not outlive its test, however that ends. */
async function startGateway(config: string): ReturnType<typeof start> {
  const started = await start(config);
  onTestFinished(() => started.gateway[Symbol.asyncDispose]());
  return started;
}
