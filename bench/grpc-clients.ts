/**
 * `node --conditions=signalbox-source bench/grpc-clients.ts`: the two gRPC clients of exporters/otlp_grpc side by side, in
 * alternation, against one backend in another process. docs/decisions/0006 has the figures of a run.
 */
import { fork } from "node:child_process";
import { createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import { systemClock } from "../src/core/clock.ts";
import { otlpGrpcConfig } from "../src/exporters/otlp_grpc/config.ts";
import { createGrpcJsClient, createHttp2Client } from "../src/exporters/otlp_grpc/clients.ts";
import { OTLP_METHODS } from "../src/net/otlp-methods.ts";

const CALLS = 2000;
const AT_A_TIME = 10;
const ROUNDS = 5;
const SIZES = [200, 34_000, 1_000_000];

if (process.argv[2] === "backend") serve();
else await compare();

/** Reads everything, answers everything. */
function serve(): void {
  const server = createServer({ settings: { initialWindowSize: 1024 * 1024 } });
  server.on("stream", (stream: ServerHttp2Stream) => {
    stream.on("data", () => undefined);
    stream.on("end", () => {
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.end(Buffer.alloc(5));
    });
  });
  server.listen(0, "127.0.0.1", () => process.send!((server.address() as AddressInfo).port));
}

async function compare(): Promise<void> {
  const backend = fork(import.meta.filename, ["backend"], { execArgv: process.execArgv });
  const [port] = (await once(backend, "message")) as [number];
  for (const size of SIZES) {
    const calls = size > 100_000 ? CALLS / 10 : CALLS;
    const best = new Map<string, { readonly cpuUs: number; readonly wallUs: number }>();
    for (let round = 0; round < ROUNDS; round++) {
      for (const [name, create] of [
        ["grpc-js", createGrpcJsClient],
        ["node:http2", createHttp2Client],
      ] as const) {
        const config = otlpGrpcConfig.parse({ endpoint: "localhost:4317", compression: "none" });
        const settings = { target: `dns:127.0.0.1:${port}`, headers: {}, config, clock: systemClock };
        const client = create(settings, undefined);
        const figures = await measure(client, calls, Buffer.alloc(size, "any bytes"));
        client.close();
        if (figures.cpuUs < (best.get(name)?.cpuUs ?? Infinity)) best.set(name, figures);
      }
    }
    for (const [name, { cpuUs, wallUs }] of best) {
      process.stdout.write(
        `${size} bytes  ${name.padEnd(10)}  ${cpuUs.toFixed(0)} us CPU  ${wallUs.toFixed(0)} us a call\n`,
      );
    }
  }
  backend.kill();
}

async function measure(
  client: ReturnType<typeof createHttp2Client> | ReturnType<typeof createGrpcJsClient>,
  calls: number,
  message: Buffer,
) {
  const call = { path: OTLP_METHODS.logs, message, timeoutMs: 10_000 };
  const { signal } = new AbortController();
  await client.call(call, signal);
  const cpu = process.cpuUsage();
  const startMs = performance.now();
  let left = calls;
  const sender = async (): Promise<void> => {
    while (left-- > 0) {
      const { code, details } = await client.call(call, signal);
      if (code !== 0) throw new Error(details);
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, sender));
  const { user, system } = process.cpuUsage(cpu);
  return { cpuUs: (user + system) / calls, wallUs: ((performance.now() - startMs) * 1000) / calls };
}
