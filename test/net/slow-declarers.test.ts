import { randomBytes } from "node:crypto";
import { connect } from "node:http2";
import type { ClientHttp2Session } from "node:http2";
import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import type { GrpcDoor, GrpcDoorSettings } from "../../src/net/grpc-door.ts";
import { GrpcJsDoor } from "../../src/net/grpc-js-door.ts";
import { frameMessage } from "../../src/net/grpc-wire.ts";
import { HttpDoor } from "../../src/net/http-door.ts";
import { Http2Door } from "../../src/net/http2-door.ts";
import { toHttpAnswer } from "../../src/net/sender-answers.ts";
import { SharedDoorBudget } from "../../src/queue/door-budget.ts";
import { PressureBoard } from "../../src/queue/pressure.ts";
import { settle } from "../support/test-clock.ts";
import { RawConnection } from "./raw-connection.ts";

/** All doors on one real budget: senders that declare much and send little, and large ones that all grow at once. */

const METHOD = "/signalbox.test.Echo/Send";
const LIMIT = 1_000_000;
/** A good client is answered within this, whatever others do. Generous: the machine may be busy. */
const PATIENCE_MS = 4_000;

const ENGINES: Readonly<Record<string, (settings: GrpcDoorSettings) => GrpcDoor>> = {
  http2: (settings) => new Http2Door(settings),
  grpc_js: (settings) => new GrpcJsDoor(settings),
};

const closers: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

async function openDoors(engine: string, bytesMax: number, smallBytes: number) {
  const budget = new SharedDoorBudget({ clock: systemClock, pressure: new PressureBoard(), bytesMax, smallBytes });
  const common = { endpoint: { host: "127.0.0.1", port: 0 }, owner: "receivers.test", endpointKey: "endpoint" };
  const http = new HttpDoor({
    ...common,
    routes: [
      {
        method: "POST",
        path: "/in",
        body: { sizeMax: LIMIT, mediaTypes: ["text/plain"] },
        handle: async ({ body }) => ({ status: 200, body }),
        refuse: (error) => toHttpAnswer(error, "json"),
      },
    ],
    budget,
    clock: systemClock,
  });
  const grpc = ENGINES[engine]!({
    ...common,
    methods: new Map([[METHOD, async (request: Uint8Array) => request]]),
    messageBytesMax: LIMIT,
    streamsMax: 100,
    budget,
    clock: systemClock,
  });
  const [{ port: httpPort }, { port: grpcPort }] = [await http.start(), await grpc.start()];
  closers.push(
    () => http.stop(AbortSignal.abort()),
    () => grpc.stop(AbortSignal.abort()),
  );
  return { budget, httpPort, grpcPort };
}

function post(port: number, length: number, bytes: Uint8Array): RawConnection {
  const connection = new RawConnection(port);
  closers.push(() => connection.destroy());
  return connection
    .write(`POST /in HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\ncontent-length: ${length}\r\n\r\n`)
    .write(bytes);
}

function openSession(port: number): ClientHttp2Session {
  const session = connect(`http://127.0.0.1:${port}`);
  session.on("error", () => undefined);
  closers.push(() => session.destroy());
  return session;
}

/** Starts a call; `bytes` are what is sent of it, and with `ends` that is all. */
function call(session: ClientHttp2Session, bytes: Uint8Array, ends = true) {
  const stream = session.request({ ":method": "POST", ":path": METHOD, "content-type": "application/grpc" });
  const { promise, resolve } = Promise.withResolvers<{ readonly code: number; readonly body: Buffer }>();
  const chunks: Buffer[] = [];
  let code = Number.NaN;
  const note = (headers: { readonly "grpc-status"?: unknown }): void => {
    if (headers["grpc-status"] !== undefined) code = Number(headers["grpc-status"]);
  };
  stream.on("error", () => undefined);
  stream.on("response", note);
  stream.on("trailers", note);
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.on("close", () => resolve({ code, body: Buffer.concat(chunks) }));
  if (ends) stream.end(bytes);
  else stream.write(bytes);
  return promise;
}

const PREFIX = Buffer.from([0, 0, 0x0f, 0x42, 0x40, 1, 2, 3]);

describe.each(Object.keys(ENGINES))("doors on one budget, gRPC on %s", (engine) => {
  async function serveGood(doors: { readonly httpPort: number; readonly grpcPort: number }): Promise<void> {
    const startMs = performance.now();
    const overHttp = post(doors.httpPort, 5, Buffer.from("hello")).answer();
    const overGrpc = call(openSession(doors.grpcPort), frameMessage(Buffer.from("hello")));
    expect([(await overHttp).status, (await overGrpc).code]).toEqual([200, 0]);
    expect(performance.now() - startMs).toBeLessThan(PATIENCE_MS);
  }

  it("serve good clients beside senders that declare the limit and send three bytes", async () => {
    const doors = await openDoors(engine, 4_000_000, 64 * 1024);
    for (let count = 0; count < 20; count++) post(doors.httpPort, LIMIT, Buffer.from("abc"));
    const session = openSession(doors.grpcPort);
    for (let count = 0; count < 20; count++) void call(session, PREFIX, false);
    while (doors.budget.bytesInFlight < 40 * 16 * 1024) await settle();
    for (let round = 0; round < 5; round++) await serveGood(doors);
    expect(doors.budget.bytesInFlight).toBeLessThanOrEqual(40 * 64 * 1024);
  });

  it("take the room of silent senders for those who wait, and tell them to come again", async () => {
    const doors = await openDoors(engine, 256 * 1024, 64 * 1024);
    const silent = Array.from({ length: 30 }, () => post(doors.httpPort, LIMIT, Buffer.from("abc")));
    for (let count = 0; count < 5; count++) void call(openSession(doors.grpcPort), PREFIX, false);
    while (doors.budget.waiterCount === 0) await settle();
    await serveGood(doors);
    const answer = await Promise.race(silent.map((connection) => connection.answer()));
    expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "1"]);
    for (const connection of silent) connection.destroy();
    await serveGood(doors);
  });

  it("end all of many large requests that grow at once, with never more than the budget", async () => {
    const doors = await openDoors(engine, 2_500_000, 64 * 1024);
    const body = randomBytes(LIMIT);
    let peakBytes = 0;
    const send = async (index: number): Promise<number> => {
      if (index % 2 === 0) {
        const { code, body: echoed } = await call(openSession(doors.grpcPort), frameMessage(body));
        if (code === 0) expect(echoed.subarray(5).equals(body)).toBe(true);
        return code;
      }
      const answer = await post(doors.httpPort, LIMIT, body).answer();
      if (answer.status === 200) expect(answer.body.equals(body)).toBe(true);
      return answer.status;
    };
    const over = new AbortController();
    const watch = async (): Promise<void> => {
      for (; !over.signal.aborted; await settle()) peakBytes = Math.max(peakBytes, doors.budget.bytesInFlight);
    };
    const watching = watch();
    const codes = await Promise.all(Array.from({ length: 16 }, (_, index) => send(index)));
    over.abort();
    await watching;
    expect(codes.every((code) => [0, 14, 200, 503].includes(code))).toBe(true);
    expect(codes).toContain(200);
    expect(codes).toContain(0);
    // grpc-js says how large a message is when it is whole.
    if (engine === "http2") expect(peakBytes).toBeLessThanOrEqual(2_500_000);
    while (doors.budget.bytesInFlight > 0) await settle();
  });
});
