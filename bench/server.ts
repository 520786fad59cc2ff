/** A server under test: started on its own core, watched through /proc. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { connect } from "node:http2";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export interface ServerCommand {
  readonly name: string;
  readonly command: readonly string[];
  /** An empty request there says when it serves. */
  readonly probe: Probe;
}

export interface Probe {
  readonly protocol: "grpc" | "http";
  /** Of gRPC, or of the URL. */
  readonly path: string;
}

const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 15_000;
const STDERR_SIZE_KEPT = 4000;

export class Server {
  readonly port: number;
  /** From the spawn to the first request that was answered with OK. */
  readonly startMs: number;
  readonly #process: ChildProcess;
  /** For a queue on disk; its own. */
  readonly #queue: string;

  private constructor(child: ChildProcess, port: number, startMs: number, queue: string) {
    this.#queue = queue;
    this.#process = child;
    this.port = port;
    this.startMs = startMs;
  }

  static async start(server: ServerCommand, core: number, backendPort: number): Promise<Server> {
    const port = await freePort();
    const queue = mkdtempSync(join(tmpdir(), "signalbox-bench-queue-"));
    const ports = { BENCH_PORT: String(port), BENCH_BACKEND_PORT: String(backendPort) };
    const env = { ...process.env, ...ports, BENCH_QUEUE: queue };
    const startedAt = performance.now();
    const child = spawn("taskset", ["-c", String(core), ...server.command], { env, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    const keep = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-STDERR_SIZE_KEPT);
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    while (!(await isServing(port, server.probe))) {
      const hasEnded = child.exitCode !== null || performance.now() - startedAt > START_TIMEOUT_MS;
      if (hasEnded) {
        child.kill("SIGKILL");
        throw new Error(`${server.name} does not serve on port ${port}:\n${output}`);
      }
      await sleep(2);
    }
    return new Server(child, port, performance.now() - startedAt, queue);
  }

  /** CPU time in user and system mode so far, of all threads. */
  cpuMs(): number {
    return cpuMsOf(this.#pid);
  }

  rssMib(): number {
    return statusMib(this.#pid, "VmRSS");
  }

  rssPeakMib(): number {
    return statusMib(this.#pid, "VmHWM");
  }

  get #pid(): number {
    const { pid } = this.#process;
    if (pid === undefined) throw new Error("the server did not start");
    return pid;
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null) return;
    const exited = once(this.#process, "exit");
    this.#process.kill("SIGTERM");
    const killer = setTimeout(() => this.#process.kill("SIGKILL"), STOP_TIMEOUT_MS);
    await exited;
    clearTimeout(killer);
    rmSync(this.#queue, { recursive: true, force: true });
  }
}

/** Of the threads that are there: neither server ends threads while it is measured. Nanoseconds, unlike /proc/<pid>/stat. */
export function cpuMsOf(pid: number): number {
  let nanoseconds = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    nanoseconds += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]);
  }
  return nanoseconds / 1e6;
}

function statusMib(pid: number, key: string): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(new RegExp(`^${key}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) / 1024;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

function isServing(port: number, { protocol, path }: Probe): Promise<boolean> {
  return protocol === "grpc" ? isServingGrpc(port, path) : isServingHttp(port, path);
}

function isServingHttp(port: number, path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const headers = { "content-type": "application/x-protobuf", "content-length": 0 };
    const request = httpRequest({ host: "127.0.0.1", port, path, method: "POST", headers }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on("error", () => resolve(false));
    request.end();
  });
}

async function isServingGrpc(port: number, path: string): Promise<boolean> {
  const session = connect(`http://127.0.0.1:${port}`);
  const answered = new Promise<boolean>((resolve) => {
    session.on("error", () => resolve(false));
    const stream = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
    });
    const read = (headers: Record<string, unknown>): void => {
      if (headers["grpc-status"] === "0") resolve(true);
    };
    stream.on("response", read);
    stream.on("trailers", read);
    stream.on("error", () => resolve(false));
    stream.on("close", () => resolve(false));
    stream.resume();
    stream.end(Buffer.alloc(5));
  });
  const isOk = await answered;
  session.destroy();
  return isOk;
}
