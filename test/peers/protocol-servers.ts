import { createServer } from "node:http2";
import { once } from "node:events";
import { eventually, freePort, TestProcess } from "../support/processes.ts";
import { startGateway } from "../e2e/peers.ts";
import type { TestFolder } from "../e2e/peers.ts";

/** Two pairs of ports: behind the first is room, behind the second none. */
export interface Ports {
  readonly grpc: number;
  readonly http: number;
  readonly fullGrpc: number;
  readonly fullHttp: number;
}

/** The same YAML for both, but for the name of the exporter that takes everything. */
function configOf(ports: Ports, silent: string, deadEnd: string): string {
  const protocols = (grpc: number, http: number): string =>
    `protocols: { grpc: { endpoint: "127.0.0.1:${grpc}" }, http: { endpoint: "127.0.0.1:${http}" } }`;
  const pipelines = ["logs", "traces", "metrics"].map(
    (signal) => `    ${signal}: { receivers: [otlp], exporters: [${silent}] }`,
  );
  return `
receivers:
  otlp: { ${protocols(ports.grpc, ports.http)} }
  otlp/full: { ${protocols(ports.fullGrpc, ports.fullHttp)} }
exporters:
  ${silent}: {}
  otlp_grpc/full:
    endpoint: "${deadEnd}"
    tls: { insecure: true }
    timeout: 300s
    sending_queue: { queue_size: 1, num_consumers: 1, block_on_overflow: false }
service:
  telemetry: { metrics: { level: none } }
  pipelines:
${pipelines.join("\n")}
    logs/full: { receivers: [otlp/full], exporters: [otlp_grpc/full] }
`;
}

/** A backend that takes every request and never answers, so that a queue in front of it stays full. */
export class SilentBackend implements AsyncDisposable {
  readonly #server = createServer();
  readonly #sessions = new Set<{ destroy(): void }>();

  static async start(): Promise<SilentBackend> {
    const backend = new SilentBackend();
    backend.#server.on("session", (session) => {
      backend.#sessions.add(session);
      session.on("error", () => undefined);
    });
    backend.#server.on("stream", (stream) => {
      stream.on("error", () => undefined);
      stream.resume();
    });
    backend.#server.listen(0, "127.0.0.1");
    await once(backend.#server, "listening");
    return backend;
  }

  get endpoint(): string {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? `127.0.0.1:${address.port}` : "";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of this.#sessions) session.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }
}

async function freePorts(): Promise<Ports> {
  const [grpc, http, fullGrpc, fullHttp] = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
  return { grpc, http, fullGrpc, fullHttp };
}

export interface Server {
  readonly process: TestProcess;
  readonly ports: Ports;
}

export async function startOurs(folder: TestFolder, deadEnd: string): Promise<Server> {
  const ports = await freePorts();
  const config = await folder.write("ours.yaml", configOf(ports, "debug", deadEnd));
  const { gateway } = await startGateway(config);
  return { process: gateway, ports };
}

export async function startCollectorBeside(binary: string, folder: TestFolder, deadEnd: string): Promise<Server> {
  const ports = await freePorts();
  const config = await folder.write("collector.yaml", configOf(ports, "nop", deadEnd));
  const collector = new TestProcess(binary, ["--config", config]);
  await collector.until((_stdout, stderr) => stderr.includes("Everything is ready"));
  return { process: collector, ports };
}

/** Sends until a request is refused: one is on its way to the backend, one in the queue. */
export async function fillQueue(send: () => Promise<string>): Promise<void> {
  await eventually(async () => ((await send()).startsWith("OK") ? undefined : true), "the queue is full");
}
