/** What a stop of the real process does: drain, keep, let go of connections, and give way to who asks twice. */
import { once } from "node:events";
import { createServer } from "node:net";
import { connect } from "node:http2";
import { describe, expect, test } from "vitest";
import { eventually } from "../support/processes.ts";
import { CountingBackend, grpcDoor, httpDoor, numberedRequest } from "./numbered-load.ts";
import { startGateway, TestFolder } from "./peers.ts";

interface Options {
  readonly endpoint: string;
  readonly engine?: string;
  readonly queue?: string;
  readonly storage?: string;
  readonly shutdownTimeout?: string;
}

async function writeConfig(folder: TestFolder, options: Options): Promise<string> {
  const { endpoint, engine = "http2", queue = "", storage, shutdownTimeout } = options;
  return folder.write(
    "shutdown.yaml",
    `
${storage === undefined ? "" : `extensions: { file_storage: { directory: "${folder.path}/queue", create_directory: true } }`}
receivers:
  otlp: { protocols: { grpc: { endpoint: "127.0.0.1:0", engine: ${engine} }, http: { endpoint: "127.0.0.1:0" } } }
exporters:
  otlp_http:
    { endpoint: "${endpoint}", compression: none, sending_queue: { ${storage === undefined ? "" : "storage: file_storage, "}${queue} } }
service:
  ${storage === undefined ? "" : "extensions: [file_storage]"}
  telemetry: { metrics: { level: none } }
  pipelines: { logs: { receivers: [otlp], exporters: [otlp_http] } }
${shutdownTimeout === undefined ? "" : `signalbox: { shutdown_timeout: ${shutdownTimeout} }`}
`,
  );
}

/** Takes connections and never answers. */
async function openDeafBackend(): Promise<{ readonly url: string } & Disposable> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  return { url: `http://127.0.0.1:${port}`, [Symbol.dispose]: () => void server.close() };
}

describe("SIGTERM", () => {
  test("sends what waits for company in its queue, and exits 0", async () => {
    await using folder = await TestFolder.create();
    await using backend = await CountingBackend.listen();
    const queue = "batch: { sizer: items, min_size: 100000, flush_timeout: 600s }";
    const { gateway, http } = await startGateway(await writeConfig(folder, { endpoint: backend.url, queue }));
    await using running = gateway;
    const door = httpDoor(http, 5000);
    for (let first = 0; first < 500; first += 10) expect(await door.send(numberedRequest(first, 10))).toBe("ok");
    expect(backend.counts.size).toBe(0);
    expect(await running.stop("SIGTERM")).toBe(0);
    door.close();
    expect([backend.counts.size, backend.copies]).toEqual([500, 0]);
    expect(running.stderr).toContain("exporters.otlp_http logs: admitted 500, sent 500");
  });

  test("within shutdown_timeout leaves on disk what a deaf backend does not take, and exits 0; the next run sends it", async () => {
    await using folder = await TestFolder.create();
    using deaf = await openDeafBackend();
    const settings = { storage: "file_storage", shutdownTimeout: "1s" };
    const { gateway, http } = await startGateway(await writeConfig(folder, { endpoint: deaf.url, ...settings }));
    await using running = gateway;
    const door = httpDoor(http, 5000);
    for (let first = 0; first < 200; first += 10) expect(await door.send(numberedRequest(first, 10))).toBe("ok");
    const startedMs = performance.now();
    expect(await running.stop("SIGTERM")).toBe(0);
    expect(performance.now() - startedMs).toBeLessThan(4000);
    door.close();
    expect(running.stderr).toContain(
      "200 log records not sent before the end of shutdown; kept in the queue's storage",
    );

    await using backend = await CountingBackend.listen();
    const next = await startGateway(await writeConfig(folder, { endpoint: backend.url, ...settings }));
    await using second = next.gateway;
    await eventually(async () => backend.counts.size === 200 || undefined, "the rest has arrived");
    expect(await second.stop("SIGTERM")).toBe(0);
    expect(backend.copies).toBe(0);
  });

  test("a second one ends the process at once", async () => {
    await using folder = await TestFolder.create();
    using deaf = await openDeafBackend();
    const path = await writeConfig(folder, { endpoint: deaf.url, shutdownTimeout: "60s" });
    const { gateway, http } = await startGateway(path);
    await using running = gateway;
    const door = httpDoor(http, 5000);
    expect(await door.send(numberedRequest(0, 10))).toBe("ok");
    process.kill(running.pid, "SIGTERM");
    await running.until((_stdout, stderr) => stderr.includes("stopping: no more is accepted"));
    const startedMs = performance.now();
    expect(await running.stop("SIGTERM")).toBeNull();
    expect(performance.now() - startedMs).toBeLessThan(2000);
    door.close();
  });

  test.for(["http2", "grpc_js"])("tells long-lived gRPC connections to go: engine %s", async (engine) => {
    await using folder = await TestFolder.create();
    await using backend = await CountingBackend.listen();
    const { gateway, grpc } = await startGateway(await writeConfig(folder, { endpoint: backend.url, engine }));
    await using running = gateway;
    const door = grpcDoor(grpc, 5000);
    expect(await door.send(numberedRequest(0, 10))).toBe("ok");
    const session = connect(grpc);
    await once(session, "remoteSettings");
    const told = once(session, "goaway") as Promise<[number, number]>;
    const closed = once(session, "close");
    const startedMs = performance.now();
    expect(await running.stop("SIGTERM")).toBe(0);
    expect((await told)[0]).toBe(0);
    await closed;
    expect(performance.now() - startedMs).toBeLessThan(3000);
    door.close();
    expect(backend.counts.size).toBe(10);
  });
});
