/**
 * What a full queue on disk costs: memory with records waiting for a backend that is away, beside the same load through a
 * queue that stays empty; and the time from a start until requests are answered.
 *
 *     node --conditions=signalbox-source bench/queue-memory.ts [--records 1000000] [--main dist/src/main.js]
 *
 * Requests of 100 records. Exits with 1 where a bar is missed.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { BackendAnswer, BackendQuestion } from "./backend.ts";
import { Helper } from "./child.ts";
import type { GeneratorAnswer, GeneratorQuestion } from "./generator.ts";
import type { LoadShape } from "./load.ts";
import { Server } from "./server.ts";

const { values } = parseArgs({
  options: { records: { type: "string", default: "1000000" }, main: { type: "string", default: "src/main.ts" } },
});

const SHAPE: LoadShape = { signal: "logs", recordsPerRequest: 100, identity: "resource" };
const REQUESTS = Math.ceil(Number(values.records) / SHAPE.recordsPerRequest);
const LOGS_PATH = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
const SERVER_CORE = 1;
/** Nobody listens there, so a connection is refused at once. */
const DEAD_PORT = 9;
/** After it V8 has collected what the load left behind, and the figure is what waiting costs. */
const REST_MS = 5_000;
const DRAIN_TIMEOUT_MS = 120_000;

const MEMORY_BAR_MIB = 50;
const START_BAR_MS = 1_000;

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "signalbox-queue-memory-"));

function writeConfig(name: string): string {
  const config = {
    extensions: { file_storage: { directory: join(folder, name), create_directory: true } },
    receivers: { otlp: { protocols: { grpc: { endpoint: "127.0.0.1:${env:BENCH_PORT}" } } } },
    exporters: {
      otlp_grpc: {
        endpoint: "127.0.0.1:${env:BENCH_BACKEND_PORT}",
        tls: { insecure: true },
        compression: "none",
        retry_on_failure: { max_elapsed_time: "0s" },
        sending_queue: { storage: "file_storage", queue_size: REQUESTS + 1000, batch: { min_size: 8192 } },
      },
    },
    service: {
      extensions: ["file_storage"],
      telemetry: { metrics: { level: "none" } },
      pipelines: { logs: { receivers: ["otlp"], exporters: ["otlp_grpc"] } },
    },
  };
  const path = join(folder, `${name}.yaml`);
  writeFileSync(path, JSON.stringify(config));
  return path;
}

function startGateway(config: string, backendPort: number): Promise<Server> {
  const command = [
    process.execPath,
    "--conditions=signalbox-source",
    join(root, values.main),
    "run",
    "--config",
    config,
  ];
  const probe = { protocol: "grpc", path: LOGS_PATH } as const;
  return Server.start({ name: "gateway", command, probe }, SERVER_CORE, backendPort);
}

async function load(generator: Helper<GeneratorQuestion, GeneratorAnswer>, port: number): Promise<void> {
  const answer = await generator.ask({
    port,
    protocol: "grpc",
    isGzip: false,
    shape: SHAPE,
    first: 0,
    countMax: REQUESTS,
    durationMs: DRAIN_TIMEOUT_MS,
    inFlight: 32,
    connections: 4,
    recordsPerSecond: undefined,
  });
  if (answer.acknowledged !== REQUESTS)
    throw new Error(`${answer.acknowledged} of ${REQUESTS}: ${answer.failures.join("; ")}`);
}

/** The process under load and at rest: what it has then. */
async function rest(server: Server, what: string): Promise<number> {
  await sleep(REST_MS);
  const mib = server.rssMib();
  process.stdout.write(
    `${what}: ${mib.toFixed(0)} MiB, peak ${server.rssPeakMib().toFixed(0)}, start ${server.startMs.toFixed(0)} ms\n`,
  );
  return mib;
}

async function main(): Promise<boolean> {
  const backend = new Helper<BackendQuestion, BackendAnswer>("./backend.ts");
  const generator = new Helper<GeneratorQuestion, GeneratorAnswer>("./generator.ts");
  const recordsMax = REQUESTS * SHAPE.recordsPerRequest;
  try {
    const { port } = await backend.ask({ expect: { shape: SHAPE, recordsMax, isIdentified: false } });
    const [empty, full] = [writeConfig("empty"), writeConfig("full")];

    const draining = await startGateway(empty, port);
    await load(generator, draining.port);
    await backend.ask({ awaitRecords: recordsMax, timeoutMs: DRAIN_TIMEOUT_MS });
    const emptyMib = await rest(draining, "the load through an empty queue");
    await draining.stop();

    const keeping = await startGateway(full, DEAD_PORT);
    await load(generator, keeping.port);
    const fullMib = await rest(keeping, `${recordsMax} records queued`);
    await keeping.stop();

    const fresh = await startGateway(empty, DEAD_PORT);
    const freshMib = await rest(fresh, "started with an empty queue");
    const freshMs = fresh.startMs;
    await fresh.stop();

    const restarted = await startGateway(full, DEAD_PORT);
    const restartedMib = await rest(restarted, `started with ${recordsMax} records queued`);
    const restartMs = restarted.startMs;
    await restarted.stop();

    await backend.ask({ expect: { shape: SHAPE, recordsMax, isIdentified: false } });
    const delivering = await startGateway(full, port);
    const drained = await backend.ask({ awaitRecords: recordsMax, timeoutMs: DRAIN_TIMEOUT_MS });
    await rest(delivering, "all delivered");
    await delivering.stop();

    const memory = { queued: fullMib - emptyMib, restarted: restartedMib - freshMib };
    return judge({ ...memory, restartMs, freshMs, arrived: drained.tally });
  } finally {
    await Promise.all([backend.stop(), generator.stop()]);
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Found {
  readonly queued: number;
  readonly restarted: number;
  readonly restartMs: number;
  readonly freshMs: number;
  readonly arrived: BackendAnswer["tally"];
}

function judge({ queued, restarted, restartMs, freshMs, arrived }: Found): boolean {
  const { received, duplicated, unknown } = arrived;
  const isOnce = received === REQUESTS * SHAPE.recordsPerRequest && duplicated + unknown === 0;
  const restart = `${restartMs.toFixed(0)} ms, with an empty queue ${freshMs.toFixed(0)} ms`;
  const rows: readonly (readonly [string, boolean])[] = [
    [`memory of what is queued: ${queued.toFixed(0)} MiB (bar ${MEMORY_BAR_MIB})`, queued <= MEMORY_BAR_MIB],
    [`the same after a restart: ${restarted.toFixed(0)} MiB (bar ${MEMORY_BAR_MIB})`, restarted <= MEMORY_BAR_MIB],
    [`restart until requests are answered: ${restart} (bar ${START_BAR_MS})`, restartMs <= START_BAR_MS],
    [`delivered: ${received} records, ${duplicated} twice`, isOnce],
  ];
  for (const [text, isMet] of rows) process.stdout.write(`${isMet ? "met   " : "MISSED"} ${text}\n`);
  return rows.every(([, isMet]) => isMet);
}

process.exitCode = (await main()) ? 0 : 1;
