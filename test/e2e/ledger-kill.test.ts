import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import { eventually, freePort } from "../support/processes.ts";
import { SLOW_TESTS } from "../support/slow-tests.ts";
import { CountingBackend, grpcDoor, httpDoor, ledgerItems, NumberedLoad, readMetrics } from "./numbered-load.ts";
import { startGateway as start, TestFolder } from "./peers.ts";

const KILLS = SLOW_TESTS ? 20 : 3;
const SAMPLE_MS = 30;
const RECORDS_PER_REQUEST = 20;

type Metrics = Map<string, number>;

describe("the ledger of a gateway under load that is killed by SIGKILL", () => {
  it(
    `holds at every sample over ${KILLS} kills, and agrees with what senders and two backends count`,
    async () => {
      await using folder = await TestFolder.create();
      await using steady = await CountingBackend.listen();
      await using shaky = await CountingBackend.listen();
      const ports = { grpc: await freePort(), http: await freePort(), metrics: await freePort() };
      const config = await folder.write("ledger.yaml", configOf(folder.path, ports, steady, shaky));
      const page = `http://127.0.0.1:${ports.metrics}/metrics`;
      const doors = [grpcDoor(`127.0.0.1:${ports.grpc}`, 3000), httpDoor(`http://127.0.0.1:${ports.http}`, 10_000)];

      let { gateway } = await startGateway(config);
      const load = new NumberedLoad({ doors, lanes: 4, recordsPerRequest: RECORDS_PER_REQUEST, pauseMs: 5 });
      const sampler = new Sampler(page);
      let acceptedBefore = 0;
      for (let kill = 0; kill < KILLS; kill++) {
        shaky.isRefusing = kill % 2 === 0;
        await sleep(1000);
        const acknowledged = load.acknowledgedItems;
        await gateway.stop("SIGKILL");
        ({ gateway } = await startGateway(config));
        const accepted = ledgerItems(await readMetrics(page), "receiver", "accepted");
        // Of what was acknowledged before the kill nothing is forgotten, and nothing that the ledger ever said is taken back.
        expect(accepted).toBeGreaterThanOrEqual(acknowledged);
        expect(accepted).toBeGreaterThanOrEqual(acceptedBefore);
        acceptedBefore = accepted;
      }
      shaky.isRefusing = false;
      await load.stop();
      const metrics = await eventually(async () => drained(await readMetrics(page)), "both queues are empty", 20_000);
      await sampler.stop();
      for (const door of doors) door.close();
      expect(await gateway.stop()).toBe(0);

      process.stdout.write(
        `\nledger over ${KILLS} kills: ${sampler.sampleCount} samples, ${load.acknowledgedItems} records acknowledged, ` +
          `${load.unknownItems} without an answer, copies ${steady.copies} and ${shaky.copies}\n\n`,
      );
      expect(sampler.sampleCount).toBeGreaterThan(KILLS * 5);
      expect(sampler.faults).toEqual([]);
      expect([...load.unexpected]).toEqual([]);
      const accepted = ledgerItems(metrics, "receiver", "accepted");
      expect(accepted).toBeGreaterThanOrEqual(load.acknowledgedItems);
      expect(accepted).toBeLessThanOrEqual(load.acknowledgedItems + load.unknownItems);
      expect(ledgerItems(metrics, "pipeline", "admitted")).toBe(accepted);
      for (const [id, backend] of [["steady", steady] as const, ["shaky", shaky] as const]) {
        const of = (entry: string): number => ledgerItems(metrics, "destination", entry, `exporter="otlp_http/${id}"`);
        expect(load.missingAt(backend)).toBe(0);
        expect(of("admitted")).toBe(accepted);
        // Twice came only what was under way at a kill: everything whose answer was read is known to be delivered.
        expect(backend.unexplainedCopies).toEqual([]);
        // Each record that was kept, once, whoever knows of it.
        expect(of("sent")).toBe(backend.counts.size);
        expect(of("sent")).toBe(accepted);
      }
    },
    KILLS * 10_000 + 60_000,
  );
});

function configOf(
  folder: string,
  ports: { grpc: number; http: number; metrics: number },
  steady: CountingBackend,
  shaky: CountingBackend,
): string {
  const exporter = (backend: CountingBackend): string =>
    `{ endpoint: "${backend.url}", compression: none, retry_on_failure: { initial_interval: 100ms, max_interval: 200ms, max_elapsed_time: 0s },
      sending_queue: { storage: file_storage, queue_size: 1000, batch: { sizer: items, min_size: 100, flush_timeout: 50ms } } }`;
  return `
extensions: { file_storage: { directory: "${folder}/queue", create_directory: true } }
receivers:
  otlp: { protocols: { grpc: { endpoint: "127.0.0.1:${ports.grpc}" }, http: { endpoint: "127.0.0.1:${ports.http}" } } }
exporters:
  otlp_http/steady: ${exporter(steady)}
  otlp_http/shaky: ${exporter(shaky)}
service:
  extensions: [file_storage]
  telemetry: { metrics: { address: "127.0.0.1:${ports.metrics}" } }
  pipelines: { logs: { receivers: [otlp], exporters: [otlp_http/steady, otlp_http/shaky] } }
`;
}

/** The metrics where nothing waits any more. */
function drained(metrics: Metrics): Metrics | undefined {
  const waiting = ["queued", "in_flight"].map((entry) => ledgerItems(metrics, "destination", entry));
  return waiting.every((items) => items === 0) ? metrics : undefined;
}

const ACCOUNTS = { receiver: "receiver", pipeline: "pipeline", destination: "exporter" } as const;

/** Reads the page again and again, and adds both sides of each equation up by itself. A gateway that is dead is not asked. */
class Sampler {
  sampleCount = 0;
  readonly faults: string[] = [];
  readonly #running: Promise<void>;
  #isStopped = false;

  constructor(page: string) {
    this.#running = this.#run(page);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }

  async #run(page: string): Promise<void> {
    while (!this.#isStopped) {
      const metrics = await readMetrics(page).catch(() => undefined);
      if (metrics !== undefined) this.#judge(metrics);
      await sleep(SAMPLE_MS);
    }
  }

  #judge(metrics: Metrics): void {
    this.sampleCount += 1;
    for (const kind of ["receiver", "pipeline", "destination"] as const) {
      const sides = new Map<string, number>();
      for (const [series, value] of metrics) {
        if (!series.startsWith(`signalbox_ledger_${kind}_items{`)) continue;
        const account = `${kind} ${["transport", ACCOUNTS[kind]].map((label) => labelOf(series, label)).join(" ")}`;
        const sign = labelOf(series, "side") === "came" ? 1 : -1;
        sides.set(account, (sides.get(account) ?? 0) + sign * value);
      }
      for (const [account, difference] of sides) {
        if (difference !== 0) this.faults.push(`${account}: ${difference} items do not add up`);
      }
    }
  }
}

function labelOf(series: string, label: string): string {
  return new RegExp(`[{,]${label}="([^"]*)"`).exec(series)?.[1] ?? "";
}

/** A gateway that does not outlive its test, however that ends. */
async function startGateway(config: string): ReturnType<typeof start> {
  const started = await start(config);
  onTestFinished(() => started.gateway[Symbol.asyncDispose]());
  return started;
}
