/**
 * `npm run demo`: the gateway with collector/local.yaml, and four workers on two machines that work off made-up jobs.
 * Then it says what to type next, and the gateway runs on until Ctrl+C (`-- --exit`: until the jobs are done).
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const endsAfterJobs = process.argv.includes("--exit");
const host = "127.0.0.1";
const grpc = `http://${host}:${process.env["OTLP_GRPC_PORT"] ?? 4317}`;
const http = `http://${host}:${process.env["OTLP_HTTP_PORT"] ?? 4318}`;
const python = process.env["PYTHON"] ?? "python3";
const hasPython =
  spawnSync(python, ["-c", "import opentelemetry.sdk, opentelemetry.exporter.otlp.proto.grpc"]).status === 0;

interface DemoWorker {
  readonly machineId: string;
  readonly workerId: string;
  readonly serviceType: string;
  readonly command: readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string>>;
}

const node = (file: string): [string, string] => [process.execPath, `examples/node/${file}`];

const WORKERS: readonly DemoWorker[] = [
  {
    machineId: "railway-abc123",
    workerId: "worker-001",
    serviceType: "comfyui",
    command: node("worker-grpc.ts"),
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: grpc },
  },
  {
    machineId: "railway-abc123",
    workerId: "worker-002",
    serviceType: "comfyui",
    command: node("worker-http.ts"),
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: http },
  },
  {
    machineId: "railway-abc123",
    workerId: "worker-003",
    serviceType: "simulation",
    command: hasPython ? [python, "examples/python/worker.py"] : node("worker-grpc.ts"),
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: grpc },
  },
  {
    machineId: "railway-xyz789",
    workerId: "worker-001",
    serviceType: "a1111",
    command: node("worker-http.ts"),
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: http },
  },
];

const gateway = spawn(
  process.execPath,
  ["--conditions=signalbox-source", "src/main.ts", "run", "--config", "collector/local.yaml"],
  {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
  },
);
const gatewayEnd = new Promise<number>((resolve) => gateway.once("exit", (code) => resolve(code ?? 1)));
const stopGateway = (): boolean => gateway.kill("SIGTERM");
for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, stopGateway);

const isUp = await Promise.race([untilReady(gateway), gatewayEnd.then(() => false)]);
if (!isUp) process.exit(await gatewayEnd);

if (!hasPython)
  console.log("worker-003 runs on Node: pip install -r examples/python/requirements.txt makes it a Python worker");
const outcomes = (await Promise.all(WORKERS.map(runWorker))).flat();
const failed = outcomes.filter(({ outcome }) => outcome === "failed");
console.log(`\n${outcomes.length} jobs, ${failed.length} failed. What to type next, in another terminal:\n`);
const shown = (failed[0] ?? outcomes[0])?.jobId;
if (shown !== undefined) console.log(`  npm run -s signalbox job ${shown}`);
console.log(`  npm run -s signalbox logs 'level:error'`);
console.log(`  npm run -s signalbox logs 'machine_id:"railway-abc123" service_type:comfyui'`);

if (endsAfterJobs) stopGateway();
else console.log("\nThe gateway runs on; Ctrl+C ends it.");
process.exitCode = await gatewayEnd;

/** Hands the gateway's own words on, and resolves once it says that it listens. */
function untilReady(child: ChildProcess): Promise<boolean> {
  return new Promise((resolve) => {
    child.stdout?.on("data", (chunk: Buffer) => {
      process.stdout.write(chunk);
      if (chunk.includes("OTEL_EXPORTER_OTLP_ENDPOINT")) resolve(true);
    });
  });
}

async function runWorker(worker: DemoWorker): Promise<{ jobId: string; outcome: string }[]> {
  const [command, ...args] = worker.command;
  const identity = `machine.id=${worker.machineId},worker.id=${worker.workerId},service.type=${worker.serviceType}`;
  const child = spawn(command, args, {
    cwd: root,
    env: { ...process.env, ...worker.env, SERVICE_TYPE: worker.serviceType, OTEL_RESOURCE_ATTRIBUTES: identity },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const own: { jobId: string; outcome: string }[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    console.log(`  ${worker.machineId} ${worker.workerId} ${worker.serviceType}: ${line}`);
    const [jobId = "", outcome = ""] = line.split(" ");
    own.push({ jobId, outcome });
  }
  return own;
}
