/** Real workers, the real gateway, and the real Collector behind it. */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { SIGNALS } from "../../src/core/signal.ts";
import { findCollector, findPython, PEER_HINT } from "../peers/find.ts";
import { eventually, TestProcess } from "../support/processes.ts";
import {
  attributesOf,
  CapturingBackend,
  recordsOf,
  repository,
  signalbox,
  startCollector,
  startGateway,
  TestFolder,
} from "./peers.ts";

const INSTANCE_ID = "machine-railway-abc123.worker-001";
const IDENTITY = "machine.id=railway-abc123,worker.id=worker-001,service.type=comfyui";

/** Gateway with a store and a Collector behind it, which hands on to a backend that keeps what it got. */
async function startChain(collectorBinary: string): Promise<
  AsyncDisposable & {
    readonly backend: CapturingBackend;
    readonly gateway: Awaited<ReturnType<typeof startGateway>>;
  }
> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await TestFolder.create());
  const backend = stack.use(await CapturingBackend.start());
  const { collector, endpoint } = await startCollector(collectorBinary, folder, backend.url);
  stack.use(collector);
  const config = await folder.write("gateway.yaml", chainYaml(endpoint, join(folder.path, "store")));
  const gateway = await startGateway(config);
  stack.use(gateway.gateway);
  const kept = stack.move();
  return { backend, gateway, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

function chainYaml(collectorEndpoint: string, storeFolder: string): string {
  return `
receivers:
  otlp: { protocols: { grpc: { endpoint: "127.0.0.1:0" }, http: { endpoint: "127.0.0.1:0" } } }
processors:
  worker_identity:
exporters:
  otlp_grpc: { endpoint: "${collectorEndpoint}", tls: { insecure: true } }
  local_store: { directory: ${JSON.stringify(storeFolder)}, endpoint: "127.0.0.1:0" }
service:
  telemetry: { metrics: { level: none } }
  pipelines:
    logs: { receivers: [otlp], processors: [worker_identity], exporters: [otlp_grpc, local_store] }
    traces: { receivers: [otlp], processors: [worker_identity], exporters: [otlp_grpc, local_store] }
    metrics: { receivers: [otlp], processors: [worker_identity], exporters: [otlp_grpc, local_store] }
`;
}

interface WorkerRun {
  readonly name: string;
  readonly command: (python: string | undefined) => readonly [string, ...string[]] | undefined;
  readonly door: "grpc" | "http";
  readonly env?: Readonly<Record<string, string>>;
}

const node = (file: string) => (): readonly [string, string] => [
  process.execPath,
  join(repository, "examples/node", file),
];
const pythonWorker = (python: string | undefined): readonly [string, string] | undefined =>
  python === undefined ? undefined : [python, join(repository, "examples/python/worker.py")];

const RUNS: readonly WorkerRun[] = [
  { name: "Node SDK over gRPC", command: node("worker-grpc.ts"), door: "grpc" },
  {
    name: "Node SDK over gRPC with gzip",
    command: node("worker-grpc.ts"),
    door: "grpc",
    env: { OTEL_EXPORTER_OTLP_COMPRESSION: "gzip" },
  },
  { name: "Node SDK over HTTP/protobuf", command: node("worker-http.ts"), door: "http" },
  {
    name: "Node SDK over HTTP/protobuf with gzip",
    command: node("worker-http.ts"),
    door: "http",
    env: { OTEL_EXPORTER_OTLP_COMPRESSION: "gzip" },
  },
  { name: "Node SDK over HTTP/JSON", command: node("worker-json.ts"), door: "http" },
  { name: "Python SDK over gRPC", command: pythonWorker, door: "grpc" },
  {
    name: "Python SDK over HTTP",
    command: pythonWorker,
    door: "http",
    env: { OTEL_EXPORTER_OTLP_PROTOCOL: "http/protobuf" },
  },
];

const byText = (a: unknown, b: unknown): number => String(a).localeCompare(String(b));

describe("a stock worker with nothing but resource attributes", () => {
  test.for(RUNS)(
    "$name: every record of three signals goes on under its instance id, and its job is found",
    async (run, { skip }) => {
      const collector = findCollector();
      const command = run.command(findPython());
      if (collector === undefined) {
        skip(`the real Collector is not here: ${PEER_HINT}`);
        return;
      }
      if (command === undefined) {
        skip(`the Python SDK is not here: ${PEER_HINT}`);
        return;
      }
      await using chain = await startChain(collector);
      const { backend, gateway } = chain;

      const [file, ...args] = command;
      await using worker = new TestProcess(file, args, {
        env: {
          ...run.env,
          OTEL_EXPORTER_OTLP_ENDPOINT: gateway[run.door],
          OTEL_RESOURCE_ATTRIBUTES: IDENTITY,
          SERVICE_TYPE: "comfyui",
          JOBS: "3",
          SEED: "5",
        },
      });
      expect(await worker.exit(), worker.stderr).toBe(0);
      expect(worker.stderr).toBe("");
      const jobIds = worker.stdout
        .trim()
        .split("\n")
        .map((line) => line.split(" ")[0]!);
      expect(jobIds).toHaveLength(3);

      await eventually(
        async () => (SIGNALS.every((signal) => recordsOf(backend.requests, signal).length > 0) ? true : undefined),
        "all signals behind the Collector",
      );
      expect(await gateway.gateway.stop(), gateway.gateway.stderr).toBe(0);

      for (const signal of SIGNALS) {
        const records = recordsOf(backend.requests, signal);
        const ids = new Set(records.map(({ resource }) => resource.get("service.instance.id")));
        expect([...ids], signal).toEqual([INSTANCE_ID]);
        for (const { resource } of records) {
          expect(resource.get("machine.id")).toBe("railway-abc123");
          expect(resource.get("worker.id")).toBe("worker-001");
          expect(resource.get("service.type")).toBe("comfyui");
          expect(resource.get("machine_id")).toBe(signal === "metrics" ? undefined : "railway-abc123");
        }
      }
      // Behind the Collector stands what the worker said, once: a first and a last line for each job.
      const logs = recordsOf(backend.requests, "logs");
      for (const jobId of jobIds) {
        const bodies = logs
          .filter(({ record }) => attributesOf(record.attributes).get("job_id") === jobId)
          .map(({ record }) => record.body?.stringValue ?? "");
        expect(bodies.filter((body) => body.startsWith("Processing job"))).toHaveLength(1);
        expect(bodies.filter((body) => /^Job (completed|failed)/.test(body))).toHaveLength(1);
      }
      const spans = recordsOf(backend.requests, "traces").filter(({ record }) => record.name === "job.process");
      expect(spans.map(({ record }) => attributesOf(record.attributes).get("job.id")).toSorted(byText)).toEqual(
        jobIds.toSorted(byText),
      );
    },
  );
});

describe("a failed job of a worker", () => {
  test("is told whole by `signalbox job`: error, span, neighbouring lines and machine, running or stopped", async () => {
    await using folder = await TestFolder.create();
    const config = await folder.write("local.yaml", localYaml(join(folder.path, "store")));
    const gateway = await startGateway(config);
    await using running = gateway.gateway;
    await using worker = new TestProcess(process.execPath, [join(repository, "examples/node/worker-grpc.ts")], {
      env: {
        OTEL_EXPORTER_OTLP_ENDPOINT: gateway.grpc,
        OTEL_RESOURCE_ATTRIBUTES: IDENTITY,
        SERVICE_TYPE: "comfyui",
        JOBS: "6",
        SEED: "5",
      },
    });
    expect(await worker.exit(), worker.stderr).toBe(0);
    const failed = /^(\S+) failed$/m.exec(worker.stdout)?.[1];
    expect(failed, worker.stdout).toBeDefined();

    const tellsAll = async (args: readonly string[]): Promise<string | undefined> => {
      await using command = signalbox(["job", failed!, ...args]);
      const code = await command.exit();
      const text = command.stdout;
      const isWhole = ["Job failed", "job.process", "polling the queue", "railway-abc123", "worker-001"].every((part) =>
        text.includes(part),
      );
      return code === 0 && isWhole ? text : undefined;
    };
    await eventually(() => tellsAll(["--url", gateway.store]), "the whole story over the API");
    expect(await running.stop(), running.stderr).toBe(0);
    await eventually(() => tellsAll(["--data", join(folder.path, "store")]), "the whole story from the folder");
  });
});

function localYaml(storeFolder: string): string {
  return `
receivers:
  otlp: { protocols: { grpc: { endpoint: "127.0.0.1:0" }, http: { endpoint: "127.0.0.1:0" } } }
processors:
  worker_identity:
exporters:
  local_store: { directory: ${JSON.stringify(storeFolder)}, endpoint: "127.0.0.1:0" }
service:
  telemetry: { metrics: { level: none } }
  pipelines:
    logs: { receivers: [otlp], processors: [worker_identity], exporters: [local_store] }
    traces: { receivers: [otlp], processors: [worker_identity], exporters: [local_store] }
    metrics: { receivers: [otlp], processors: [worker_identity], exporters: [local_store] }
`;
}
