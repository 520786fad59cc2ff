/**
 * The two engines of the gRPC door by hand, in alternation: CPU of the door's process per 1,000 requests, nothing behind it.
 *
 *   node --conditions=signalbox-source bench/grpc-doors.ts [--rounds 3] [--node-flag --max-semi-space-size=4]
 *
 * The load comes from this process over two connections with eight requests in flight each; the door is a child that
 * measures itself. Take the medians' ratio of one run; the figures alone move with the machine's other work.
 */
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:http2";
import type { ClientHttp2Session } from "node:http2";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { systemClock } from "../src/core/clock.ts";
import type { GrpcDoorSettings } from "../src/net/grpc-door.ts";
import { GrpcJsDoor } from "../src/net/grpc-js-door.ts";
import { frameMessage } from "../src/net/grpc-wire.ts";
import { Http2Door } from "../src/net/http2-door.ts";
import { SharedDoorBudget } from "../src/queue/door-budget.ts";
import { PressureBoard } from "../src/queue/pressure.ts";

const ENGINES = ["http2", "grpc_js"] as const;
type Engine = (typeof ENGINES)[number];
const METHOD = "/bench/Send";
const SIZES = [34_000, 3_000];
const CONNECTIONS = 2;
const IN_FLIGHT = 8;
const WARM_UP_MS = 1_500;
const MEASURE_MS = 4_000;

interface Reading {
  readonly cpuUs: number;
  readonly requests: number;
}

/** The child: a door that counts, and tells its CPU when asked. */
async function serve(engine: Engine): Promise<void> {
  let requests = 0;
  const budget = new SharedDoorBudget({
    clock: systemClock,
    pressure: new PressureBoard(),
    bytesMax: 256 * 1024 * 1024,
  });
  const settings: GrpcDoorSettings = {
    endpoint: { host: "127.0.0.1", port: 0 },
    owner: "bench",
    endpointKey: "endpoint",
    methods: new Map([
      [
        METHOD,
        // What the receiver asks of every call, without the rest of the gateway.
        async (_request, { client, signal }) => {
          if (client.address !== "" && !signal.aborted) requests += 1;
          return new Uint8Array(0);
        },
      ],
    ]),
    messageBytesMax: 64 * 1024 * 1024,
    streamsMax: 1000,
    budget,
    clock: systemClock,
  };
  const door = engine === "http2" ? new Http2Door(settings) : new GrpcJsDoor(settings);
  const { port } = await door.start();
  process.on("message", () => {
    const { user, system } = process.cpuUsage();
    process.send?.({ cpuUs: user + system, requests } satisfies Reading);
  });
  process.send?.(port);
}

async function measure(engine: Engine, size: number, flags: readonly string[]): Promise<number> {
  const child = fork(fileURLToPath(import.meta.url), ["--serve", engine], {
    execArgv: ["--conditions=signalbox-source", ...flags],
  });
  const [port] = (await once(child, "message")) as [number];
  const load = new Load(port, size);
  await pause(WARM_UP_MS);
  const before = await read(child);
  await pause(MEASURE_MS);
  const after = await read(child);
  await load.stop();
  child.kill();
  return (after.cpuUs - before.cpuUs) / (after.requests - before.requests);
}

async function read(child: ChildProcess): Promise<Reading> {
  child.send("read");
  const [reading] = (await once(child, "message")) as [Reading];
  return reading;
}

class Load {
  readonly #frame: Buffer;
  readonly #sessions: readonly ClientHttp2Session[];
  readonly #workers: readonly Promise<void>[];
  #isStopped = false;

  constructor(port: number, size: number) {
    this.#frame = frameMessage(Buffer.alloc(size, "a"));
    this.#sessions = Array.from({ length: CONNECTIONS }, () => connect(`http://127.0.0.1:${port}`));
    this.#workers = this.#sessions.flatMap((session) => Array.from({ length: IN_FLIGHT }, () => this.#work(session)));
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#workers);
    for (const session of this.#sessions) session.destroy();
  }

  async #work(session: ClientHttp2Session): Promise<void> {
    while (!this.#isStopped) await this.#send(session);
  }

  #send(session: ClientHttp2Session): Promise<void> {
    const headers = { "content-type": "application/grpc", te: "trailers", "grpc-timeout": "9998m" };
    const stream = session.request({ ":method": "POST", ":path": METHOD, ...headers });
    let status = "";
    stream.on("trailers", (trailers) => (status = String(trailers["grpc-status"])));
    stream.resume();
    stream.end(this.#frame);
    return new Promise((resolve, reject) => {
      stream.on("close", () => (status === "0" ? resolve() : reject(new Error(`answered ${status || "nothing"}`))));
    });
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[values.length >> 1]!;
}

async function compare(rounds: number, flags: readonly string[]): Promise<void> {
  for (const size of SIZES) {
    const figures: Record<Engine, number[]> = { http2: [], grpc_js: [] };
    for (let round = 0; round < rounds; round++) {
      for (const engine of ENGINES) figures[engine].push(await measure(engine, size, flags));
    }
    const [http2, grpcJs] = [median(figures.http2), median(figures.grpc_js)];
    const shown = ENGINES.map((engine) => `${engine} ${figures[engine].map((us) => us.toFixed(0)).join("/")}`);
    console.log(
      `${size} bytes: ms of CPU per 1,000 requests: ${shown.join(", ")}; ratio ${(http2 / grpcJs).toFixed(2)}`,
    );
  }
}

const { values } = parseArgs({
  options: {
    serve: { type: "string" },
    rounds: { type: "string", default: "3" },
    "node-flag": { type: "string", multiple: true, default: [] },
  },
});
if (values.serve === undefined) await compare(Number(values.rounds), values["node-flag"]);
else await serve(values.serve === "http2" ? "http2" : "grpc_js");
