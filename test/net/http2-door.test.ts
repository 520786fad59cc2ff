import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { connect } from "node:http2";
import type { ClientHttp2Session, IncomingHttpHeaders } from "node:http2";
import { connect as connectTcp } from "node:net";
import { deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import type { Clock } from "../../src/core/clock.ts";
import { ConsumeError } from "../../src/core/errors.ts";
import type { UnreadRequest } from "../../src/core/unread-request.ts";
import { GRPC_KEEPALIVE_DEFAULT } from "../../src/net/grpc-door.ts";
import type { GrpcHandler, GrpcKeepalive } from "../../src/net/grpc-door.ts";
import { frameMessage } from "../../src/net/grpc-wire.ts";
import type { Http2Bounds } from "../../src/net/http2-bounds.ts";
import { Http2Door } from "../../src/net/http2-door.ts";
import { decodeStatus } from "../../src/net/rpc-status.ts";
import { settle, TestClock } from "../support/test-clock.ts";
import { OpenBudget } from "./open-budget.ts";
import { RawConnection } from "./raw-connection.ts";
import { ACK, END_HEADERS, END_STREAM, FRAME, frame, headerBlock, PREFACE, RawHttp2 } from "./raw-http2.ts";
import type { RawFrame } from "./raw-http2.ts";

/** What only the engine on node:http2 promises; grpc-door.test.ts has what every engine does. */

const METHOD = "/signalbox.test.Echo/Send";
const LIMIT = 1_000_000;
const ELSEWHERE = "this port speaks gRPC (HTTP/2); OTLP/HTTP is at localhost:4318";
const PROTOCOL_ERROR = 1;
const [NO_ERROR, INTERNAL_ERROR, REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM] = [0, 2, 7, 8, 11];

const closers: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

const echo: GrpcHandler = async (request) => request;

interface DoorSettings {
  readonly handler?: GrpcHandler;
  readonly budget?: OpenBudget;
  readonly streamsMax?: number;
  readonly clock?: Clock;
  readonly keepalive?: Partial<GrpcKeepalive>;
  readonly bounds?: Partial<Http2Bounds>;
}

async function openDoor(settings: DoorSettings = {}) {
  const { handler = echo, budget = new OpenBudget(), streamsMax = 100, clock = systemClock } = settings;
  const seen = { calls: 0, aborted: 0, ended: [] as string[], unread: [] as UnreadRequest[] };
  const door = new Http2Door(
    {
      endpoint: { host: "127.0.0.1", port: 0 },
      owner: "receivers.test",
      endpointKey: "protocols.grpc.endpoint",
      methods: new Map([
        [
          METHOD,
          (request, call) => {
            seen.calls += 1;
            return handler(request, call);
          },
        ],
      ]),
      messageBytesMax: LIMIT,
      streamsMax,
      keepalive: { ...GRPC_KEEPALIVE_DEFAULT, ...settings.keepalive },
      elsewhere: "OTLP/HTTP is at localhost:4318",
      observer: {
        onAbortedRequest: () => (seen.aborted += 1),
        onRefusedUnread: (request) => seen.unread.push(request),
        onEndedConnection: (_address, reason) => seen.ended.push(reason),
      },
      budget,
      clock,
    },
    settings.bounds,
  );
  const { port } = await door.start();
  closers.push(() => door.stop(AbortSignal.abort()));
  return { door, port, budget, seen };
}

interface Answer {
  readonly headers: IncomingHttpHeaders;
  /** grpc-status of the trailers, or of the headers where there are only those. */
  readonly code: number;
  readonly body: Buffer;
}

class Client {
  readonly session: ClientHttp2Session;

  constructor(port: number) {
    this.session = connect(`http://127.0.0.1:${port}`);
    this.session.on("error", () => undefined);
    closers.push(() => this.session.destroy());
  }

  open(headers: Record<string, string> = {}) {
    const stream = this.session.request({
      ":method": "POST",
      ":path": METHOD,
      "content-type": "application/grpc",
      te: "trailers",
      ...headers,
    });
    const { promise, resolve } = Promise.withResolvers<Answer>();
    const chunks: Buffer[] = [];
    let head: IncomingHttpHeaders = {};
    let trailers: IncomingHttpHeaders = {};
    stream.on("error", () => undefined);
    stream.on("response", (received) => (head = received));
    stream.on("trailers", (received) => (trailers = received));
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("close", () => {
      const code = Number(trailers["grpc-status"] ?? head["grpc-status"] ?? Number.NaN);
      resolve({ headers: head, code, body: Buffer.concat(chunks) });
    });
    return { stream, answer: promise };
  }

  send(bytes: Uint8Array, headers: Record<string, string> = {}): Promise<Answer> {
    const { stream, answer } = this.open(headers);
    // node:http2 has ended a GET already.
    if (!stream.writableEnded) stream.end(bytes);
    return answer;
  }
}

/** A good client is served: what every test of a bad one ends with. */
async function isServed(port: number): Promise<boolean> {
  const answer = await new Client(port).send(frameMessage(Buffer.from("hello")));
  return answer.code === 0 && answer.body.equals(frameMessage(Buffer.from("hello")));
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await settle();
}

function compressed(bytes: Uint8Array): Buffer {
  const framed = Buffer.from(frameMessage(bytes));
  framed[0] = 1;
  return framed;
}

const snappy = (name: string): Buffer => readFileSync(new URL(`../testdata/snappy/${name}`, import.meta.url));

describe("a call whose headers are wrong", () => {
  it("is answered 405 for its method, with what is supported", async () => {
    const { port, seen } = await openDoor();
    for (const method of ["GET", "PUT", "HEAD"]) {
      const { headers, body } = await new Client(port).send(Buffer.alloc(0), { ":method": method });
      expect([headers[":status"], headers["allow"]]).toEqual([405, "POST"]);
      expect(body.toString()).toBe(method === "HEAD" ? "" : "405 method not allowed, supported: [POST]");
    }
    expect(seen.calls).toBe(0);
  });

  it("is answered 415 for its content type, and told where OTLP/HTTP is", async () => {
    const { port } = await openDoor();
    for (const type of ["application/json", "application/grpc-web", "application/x-protobuf"]) {
      const { headers, body } = await new Client(port).send(Buffer.alloc(10), { "content-type": type });
      expect(headers[":status"]).toBe(415);
      expect(body.toString()).toBe(
        "415 unsupported media type: this port speaks gRPC (application/grpc); OTLP/HTTP is at localhost:4318",
      );
    }
    expect(
      (await new Client(port).send(frameMessage(Buffer.alloc(1)), { "content-type": "application/grpc+proto" })).code,
    ).toBe(0);
  });

  it("is answered UNIMPLEMENTED for an unknown method or encoding, before its body is read", async () => {
    const { port, budget, seen } = await openDoor();
    expect((await new Client(port).send(frameMessage(Buffer.alloc(1)), { ":path": "/other/Method" })).code).toBe(12);
    expect(seen.unread).toEqual([]);
    const { code, headers } = await new Client(port).send(compressed(Buffer.alloc(1)), { "grpc-encoding": "br" });
    expect([code, headers["grpc-accept-encoding"]]).toEqual([12, "identity,gzip,deflate,zstd,snappy"]);
    expect(budget.acquireCount).toBe(0);
    expect(seen.unread).toEqual([{ reason: "request_head", bytes: 0 }]);
  });

  it("is answered INTERNAL for a malformed grpc-timeout, and DEADLINE_EXCEEDED for one that is over", async () => {
    const { port, seen } = await openDoor();
    expect((await new Client(port).send(frameMessage(Buffer.alloc(1)), { "grpc-timeout": "1x" })).code).toBe(13);
    const { stream, answer } = new Client(port).open({ "grpc-timeout": "0n" });
    stream.write(Buffer.from([0]));
    expect((await answer).code).toBe(4);
    expect(seen.unread.map(({ reason }) => reason)).toEqual(["request_head", "deadline"]);
  });

  it("is refused for headers over their limit, or over their number", async () => {
    const { port, seen } = await openDoor();
    const headers = { "x-large": "x".repeat(20_000) };
    const client = new Client(port);
    const early = client.open(headers);
    expect((await early.answer).code).toBe(8);
    // From when the client has confirmed our settings, node:http2 does it without asking us.
    const late = client.open(headers);
    const many = client.open(Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`x-${index}`, ""])));
    await Promise.all([late.answer, many.answer]);
    expect([late.stream.rstCode, many.stream.rstCode]).toEqual([ENHANCE_YOUR_CALM, ENHANCE_YOUR_CALM]);
    expect(seen.calls).toBe(0);
    expect(await isServed(port)).toBe(true);
  });
});

describe("a message", () => {
  const TEXT = Buffer.from("a line of a worker\n".repeat(2000));
  const logs = readFileSync(new URL("../testdata/collector-otlp/logs.binpb", import.meta.url));
  const CODINGS: readonly (readonly [string, Buffer, Buffer])[] = [
    ["gzip", gzipSync(TEXT), TEXT],
    ["deflate", deflateSync(TEXT), TEXT],
    ["zstd", zstdCompressSync(TEXT), TEXT],
    ["snappy", snappy("logs.snappy-framed"), logs],
  ];

  it.each(CODINGS)("in %s is taken, as it is one that is not compressed", async (encoding, wire, expected) => {
    const { port, budget } = await openDoor();
    const headers = { "grpc-encoding": encoding };
    const { code, body } = await new Client(port).send(compressed(wire), headers);
    expect([code, body.equals(frameMessage(expected))]).toEqual([0, true]);
    expect((await new Client(port).send(frameMessage(expected), headers)).body.length).toBe(expected.length + 5);
    expect(budget.leasedBytes).toBe(0);
  });

  it.each(CODINGS)("in %s that is broken is answered INVALID_ARGUMENT", async (encoding, wire) => {
    const { port, budget, seen } = await openDoor();
    const { code } = await new Client(port).send(compressed(wire.subarray(0, wire.length - 1)), {
      "grpc-encoding": encoding,
    });
    expect([code, seen.calls, budget.leasedBytes]).toEqual([3, 0, 0]);
  });

  it.each([
    ["gzip", gzipSync(Buffer.alloc(100 * LIMIT))],
    ["deflate", deflateSync(Buffer.alloc(100 * LIMIT))],
    ["zstd", zstdCompressSync(Buffer.alloc(100 * LIMIT))],
  ])("in %s that inflates past the limit is refused without being inflated", async (encoding, bomb) => {
    const { port, budget, seen } = await openDoor();
    const { code } = await new Client(port).send(compressed(bomb), { "grpc-encoding": encoding });
    expect([code, seen.calls, budget.leasedBytes]).toEqual([8, 0, 0]);
    expect(budget.leasedBytesPeak).toBeLessThan(LIMIT + bomb.length + 1);
  });

  it("marked as compressed without an encoding, or with an unknown mark, is answered INTERNAL", async () => {
    const { port, seen } = await openDoor();
    const unknown = Buffer.from(frameMessage(Buffer.from("hello")));
    unknown[0] = 2;
    expect((await new Client(port).send(compressed(Buffer.from("hello")))).code).toBe(13);
    expect((await new Client(port).send(unknown)).code).toBe(13);
    expect(seen.calls).toBe(0);
    expect(seen.unread.map(({ reason }) => reason)).toEqual(["protocol", "protocol"]);
  });

  it("behind which more comes is answered INTERNAL, and never handled", async () => {
    const { port, seen, budget } = await openDoor();
    const one = frameMessage(Buffer.from("hello"));
    for (const bytes of [Buffer.concat([one, one]), Buffer.concat([one, Buffer.alloc(1)])]) {
      expect((await new Client(port).send(bytes)).code).toBe(13);
    }
    const { stream, answer } = new Client(port).open();
    stream.write(one);
    await until(() => budget.leasedBytes === 5);
    stream.end(one);
    expect((await answer).code).toBe(13);
    expect([seen.calls, budget.leasedBytes]).toEqual([0, 0]);
  });

  it("that ends early, or is reset, is an aborted request: counted, to be sent again, and never data", async () => {
    const { port, seen, budget } = await openDoor();
    const part = frameMessage(Buffer.alloc(100)).subarray(0, 50);
    for (const bytes of [part, part.subarray(0, 3), Buffer.alloc(0)]) {
      expect((await new Client(port).send(bytes)).code).toBe(14);
    }
    expect(seen.aborted).toBe(3);
    const { stream } = new Client(port).open();
    stream.write(part);
    await until(() => budget.leasedBytes === 100);
    stream.close(CANCEL);
    await until(() => budget.leasedBytes === 0);
    const cut = new Client(port);
    cut.open().stream.write(part);
    await until(() => budget.leasedBytes === 100);
    cut.session.destroy();
    await until(() => budget.leasedBytes === 0);
    expect([seen.aborted, seen.calls]).toEqual([5, 0]);
  });

  it("of several windows goes through, in chunks of any size", async () => {
    const { port } = await openDoor();
    const bytes = frameMessage(randomBytes(LIMIT));
    expect((await new Client(port).send(bytes)).body.equals(bytes)).toBe(true);
    for (const size of [1, 2, 7]) {
      const { stream, answer } = new Client(port).open();
      for (let at = 0; at < 300; at += size) stream.write(bytes.subarray(at, Math.min(300, at + size)));
      stream.end(bytes.subarray(300));
      expect((await answer).body.equals(bytes)).toBe(true);
    }
  });
});

describe("the doors' budget", () => {
  it("is leased for the declared size as soon as that is there, and given back with the answer", async () => {
    const { port, budget } = await openDoor();
    const bytes = frameMessage(Buffer.alloc(70_000));
    const { stream, answer } = new Client(port).open();
    stream.write(bytes.subarray(0, 5));
    await until(() => budget.leasedBytes > 0);
    expect(budget.leasedBytes).toBe(70_000);
    stream.end(bytes.subarray(5));
    expect((await answer).code).toBe(0);
    expect([budget.leasedBytes, budget.leasedBytesPeak]).toEqual([0, 70_000]);
  });

  it("is not asked for a message over the limit, which is refused by its declared size", async () => {
    const { port, budget, seen } = await openDoor();
    const { stream, answer } = new Client(port).open();
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(LIMIT + 1, 1);
    stream.write(prefix);
    expect((await answer).code).toBe(8);
    expect(budget.acquireCount).toBe(0);
    expect(seen.unread).toEqual([{ reason: "too_large", bytes: LIMIT + 1 }]);
  });

  it("that is spent holds the sender's window back; with room the message goes on", async () => {
    const budget = new OpenBudget(LIMIT);
    const { promise: release, resolve: releaseNow } = Promise.withResolvers<void>();
    const handler: GrpcHandler = async () => {
      await release;
      return Buffer.alloc(0);
    };
    const { port, seen } = await openDoor({ budget, handler });
    const first = new Client(port).send(frameMessage(Buffer.alloc(LIMIT)));
    await until(() => seen.calls === 1);

    const raw = rawClient(port);
    const windowBytes = 256 * 1024;
    const message = frameMessage(Buffer.alloc(900_000, "x"));
    let sent = 0;
    const sendUpTo = (end: number): void => {
      for (; sent < Math.min(end, message.length);) {
        const chunk = message.subarray(sent, Math.min(sent + 16_384, end));
        sent += chunk.length;
        raw.write(frame(FRAME.DATA, sent === message.length ? END_STREAM : 0, 1, chunk));
      }
    };
    await raw.next(({ type, flags }) => type === FRAME.SETTINGS && flags === ACK);
    raw.write(openStream(1));
    sendUpTo(windowBytes);
    await until(() => budget.waiterCount === 1);
    // A ping is answered when all that was sent before it has been seen.
    raw.write(frame(FRAME.PING, 0, 0, Buffer.alloc(8)));
    await raw.next(({ type, flags }) => type === FRAME.PING && flags === ACK);
    const given = (): number =>
      raw.frames
        .filter(({ type, stream }) => type === FRAME.WINDOW_UPDATE && stream === 1)
        .reduce((sum, { payload }) => sum + payload.readUInt32BE(0), 0);
    expect(given()).toBeLessThan(windowBytes / 2);
    expect(budget.leasedBytes).toBe(LIMIT);

    releaseNow();
    expect((await first).code).toBe(0);
    while (sent < message.length) {
      sendUpTo(windowBytes + given());
      await settle();
    }
    await raw.next(({ type, stream, flags }) => type === FRAME.HEADERS && stream === 1 && (flags & END_STREAM) !== 0);
    expect([seen.calls, budget.leasedBytes]).toEqual([2, 0]);
  });

  it("is asked for a step first, and for the declared length once more has come", async () => {
    const budget = new OpenBudget();
    budget.stepBytes = 1000;
    const { port } = await openDoor({ budget });
    const message = frameMessage(randomBytes(200_000));
    const { stream, answer } = new Client(port).open();
    stream.write(message.subarray(0, 1005));
    await until(() => budget.arrivals.size === 1);
    expect(budget.leasedBytes).toBe(1000);
    stream.write(message.subarray(1005, 100_000));
    await until(() => budget.leasedBytes === 200_000);
    await until(() => budget.arrivals.size === 1);
    stream.end(message.subarray(100_000));
    expect((await answer).body.equals(message)).toBe(true);
    expect([budget.acquireCount, budget.leasedBytes, budget.leasedBytesPeak]).toEqual([2, 0, 201_000]);
  });

  it("refuses, to be sent again, a message that has to give way", async () => {
    const budget = new OpenBudget();
    const { port, seen } = await openDoor({ budget });
    const { stream, answer } = new Client(port).open();
    stream.write(frameMessage(Buffer.alloc(200)).subarray(0, 50));
    await until(() => budget.arrivals.size === 1);
    const [arrival] = budget.arrivals;
    expect(arrival!.receivedSize).toBe(45);
    arrival!.giveWay(new ConsumeError("refused", "too slow", { reason: "too_slow" }));
    expect((await answer).code).toBe(14);
    expect([budget.leasedBytes, budget.arrivals.size, seen.unread]).toEqual([
      0,
      0,
      [{ reason: "too_slow", bytes: 200 }],
    ]);
  });

  it("gives back what a message holds whose client goes while it waits for more", async () => {
    const budget = new OpenBudget(100_000);
    budget.stepBytes = 1000;
    const { port, door } = await openDoor({ budget });
    const { stream } = new Client(port).open();
    stream.write(frameMessage(randomBytes(200_000)).subarray(0, 50_000));
    await until(() => budget.waiterCount === 1);
    expect(budget.leasedBytes).toBe(1000);
    stream.close(CANCEL);
    await until(() => budget.leasedBytes === 0 && door.unleased.bytes === 0);
    expect(budget.waiterCount).toBe(0);
  });

  it("does not get to a handler what is whole only after the client's deadline", async () => {
    const clock = new TestClock();
    const budget = new OpenBudget();
    const { port, seen } = await openDoor({ clock, budget });
    const { stream, answer } = new Client(port).open({ "grpc-timeout": "100m" });
    const message = frameMessage(Buffer.alloc(200));
    stream.write(message.subarray(0, 50));
    await until(() => budget.arrivals.size === 1);
    // Before the door looks after its calls again.
    await clock.advance(100);
    stream.end(message.subarray(50));
    expect((await answer).code).toBe(4);
    expect([seen.calls, seen.unread]).toEqual([0, [{ reason: "deadline", bytes: 200 }]]);
  });

  it("that is spent does not let requests without a lease pile up: beyond their bound they are refused", async () => {
    const budget = new OpenBudget(0);
    const { port, door, seen } = await openDoor({ budget, bounds: { unleasedBytesMax: 100_000 } });
    const client = new Client(port);
    const waiting = [1, 2].map(() => client.open());
    for (const { stream } of waiting) stream.write(frameMessage(Buffer.alloc(30_000)));
    await until(() => budget.waiterCount === 2);
    const { code, headers } = await client.send(frameMessage(Buffer.alloc(30_000)));
    expect([code, decodeURIComponent(String(headers["grpc-message"]))]).toEqual([
      14,
      expect.stringContaining("no room at the doors"),
    ]);
    for (const { stream } of waiting) stream.close(CANCEL);
    await until(() => door.unleased.bytes === 0);
    expect(budget.waiterCount).toBe(0);
    // Those who waited have gone by themselves.
    expect(seen.unread).toEqual([{ reason: "waiting_requests", bytes: 30_000 }]);
  });

  it("that is spent does not help who sends more than declared: it is looked after meanwhile", async () => {
    const clock = new TestClock();
    const budget = new OpenBudget(0);
    const { port } = await openDoor({ budget, clock });
    const { stream, answer } = new Client(port).open();
    stream.write(frameMessage(Buffer.alloc(10)));
    await until(() => budget.waiterCount === 1);
    stream.write(Buffer.alloc(50_000));
    const answered = answer.then(({ code }) => code);
    for (let isDone = false; !isDone;) {
      await clock.advance(250);
      isDone = await Promise.race([answered.then(() => true), settle().then(() => false)]);
    }
    expect(await answered).toBe(13);
    await until(() => budget.waiterCount === 0);
  });
});

function openStream(id: number, headers: readonly (readonly [string, string])[] = [], flags = END_HEADERS): Buffer {
  const all: (readonly [string, string])[] = [
    [":method", "POST"],
    [":scheme", "http"],
    [":path", METHOD],
    [":authority", "x"],
    ["content-type", "application/grpc"],
    ...headers,
  ];
  return frame(FRAME.HEADERS, flags, id, headerBlock(all));
}

function echoCall(id: number): readonly Buffer[] {
  return [openStream(id), frame(FRAME.DATA, END_STREAM, id, frameMessage(Buffer.alloc(1)))];
}

/** What a GOAWAY says that names no stream yet (RFC 9113, 6.8). */
const ANY_STREAM = 2 ** 31 - 1;

function lastStreamOf({ payload }: RawFrame): number {
  return payload.readUInt32BE(0);
}

/** The last streams of the GOAWAYs that came. */
function goaways(raw: RawHttp2): number[] {
  return raw.frames.filter(({ type }) => type === FRAME.GOAWAY).map(lastStreamOf);
}

function rawClient(port: number): RawHttp2 {
  const raw = new RawHttp2(port);
  closers.push(() => void raw.socket.destroy());
  return raw;
}

describe("a connection", () => {
  it("that speaks HTTP/1.1 is told what this port speaks", async () => {
    const { port } = await openDoor();
    for (const line of ["GET / HTTP/1.1", "POST /v1/logs HTTP/1.1", "PRI * HTTP/1.1"]) {
      const connection = new RawConnection(port);
      closers.push(() => connection.destroy());
      connection.write(`${line}\r\nhost: x\r\n\r\n`);
      const { status, headers, body } = await connection.answer();
      expect([status, headers.get("content-type")]).toEqual([505, "application/json"]);
      expect(JSON.parse(body.toString())).toEqual({ code: 12, message: ELSEWHERE });
      await connection.closed();
    }
    expect(await isServed(port)).toBe(true);
  });

  it("that speaks HTTP/1.1 and protobuf is told so in protobuf", async () => {
    const { port } = await openDoor();
    const connection = new RawConnection(port);
    closers.push(() => connection.destroy());
    connection.write("POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n\r\n");
    const { status, headers, body } = await connection.answer();
    expect([status, headers.get("content-type")]).toEqual([505, "application/x-protobuf"]);
    expect(decodeStatus(body)).toMatchObject({ code: 12, message: ELSEWHERE });
  });

  it("whose HTTP/2 preface goes wrong gets a GOAWAY that says so", async () => {
    const { port } = await openDoor();
    const socket = connectTcp(port, "127.0.0.1");
    socket.end("PRI * HTTP/2.0\r\n\r\nno such thing");
    const said = Buffer.concat(await socket.toArray());
    const words = Buffer.from("this is no connection preface of HTTP/2");
    const payload = Buffer.concat([Buffer.from([0, 0, 0, 0, 0, 0, 0, PROTOCOL_ERROR]), words]);
    expect(said).toEqual(Buffer.concat([frame(FRAME.SETTINGS, 0, 0), frame(FRAME.GOAWAY, 0, 0, payload)]));
    expect(await isServed(port)).toBe(true);
  });

  it("that speaks nothing known is closed without a word", async () => {
    const { port } = await openDoor();
    for (const bytes of [
      Buffer.alloc(100),
      Buffer.from("\u0016\u0003\u0001\u0002\u0000 a TLS hello"),
      PREFACE.subarray(1),
    ]) {
      const connection = new RawConnection(port);
      await connection.write(bytes).closed();
    }
    expect(await isServed(port)).toBe(true);
  });

  it("may send its preface in pieces", async () => {
    const { port } = await openDoor();
    const connection = new RawConnection(port);
    closers.push(() => connection.destroy());
    connection.socket.setNoDelay(true);
    const { promise: settings, resolve } = Promise.withResolvers<Buffer>();
    connection.socket.on("data", resolve);
    for (const byte of Buffer.concat([PREFACE, frame(FRAME.SETTINGS, 0, 0)])) {
      connection.write(Buffer.from([byte]));
      await connection.flushed();
    }
    expect((await settings)[3]).toBe(FRAME.SETTINGS);
  });

  it("that says nothing, or half of its preface, is closed after its time", async () => {
    const clock = new TestClock();
    const { port } = await openDoor({ clock, bounds: { greetingMs: 1000 } });
    const silent = new RawConnection(port);
    const half = new RawConnection(port).write(PREFACE.subarray(0, 10));
    await half.flushed();
    const gone = Promise.all([silent, half].map((connection) => connection.closed().then(() => "closed")));
    await clock.advance(1_250);
    expect(await gone).toEqual(["closed", "closed"]);
  });

  it("beyond their number takes the place of the one that is idle longest; busy ones stay", async () => {
    const { port, seen } = await openDoor({
      bounds: { connectionsMax: 2 },
      handler: () => new Promise(() => undefined),
    });
    const busy = rawClient(port).write(openStream(1), frame(FRAME.DATA, END_STREAM, 1, frameMessage(Buffer.alloc(1))));
    await until(() => seen.calls === 1);
    const idle = rawClient(port);
    await idle.next(({ type }) => type === FRAME.SETTINGS);
    const third = rawClient(port);
    await until(() => idle.isClosed);
    third.write(openStream(1), frame(FRAME.DATA, END_STREAM, 1, frameMessage(Buffer.alloc(1))));
    await until(() => seen.calls === 2);
    const fourth = rawClient(port);
    await until(() => fourth.isClosed);
    expect([busy.isClosed, third.isClosed]).toEqual([false, false]);
  });

  it("may have so many streams open, and is told how many", async () => {
    const { port } = await openDoor({ streamsMax: 2, handler: () => new Promise(() => undefined) });
    const raw = rawClient(port).write(openStream(1), openStream(3), openStream(5));
    const settings = await raw.next(({ type, flags }) => type === FRAME.SETTINGS && flags === 0);
    const pairs = Array.from({ length: settings!.payload.length / 6 }, (_, index) => [
      settings!.payload.readUInt16BE(index * 6),
      settings!.payload.readUInt32BE(index * 6 + 2),
    ]);
    expect(new Map(pairs as [number, number][]).get(3)).toBe(2);
    const refused = await raw.next(({ type }) => type === FRAME.RST_STREAM);
    expect([refused?.stream, refused?.payload.readUInt32BE(0)]).toEqual([5, REFUSED_STREAM]);
    expect(await isServed((await openDoor()).port)).toBe(true);
  });
});

describe("a client without manners", () => {
  /** Writes until the connection is closed, or so many times; resolves with the code of the GOAWAY. */
  async function flood(raw: RawHttp2, times: number, next: (index: number) => Buffer): Promise<number | undefined> {
    for (let index = 0; index < times && !raw.isClosed; index++) {
      if (!raw.socket.write(next(index))) await settle();
    }
    return raw.goodbye();
  }

  it("that resets its streams as fast as it opens them is sent away; a good one beside it is served", async () => {
    const { port, seen, door, budget } = await openDoor({ streamsMax: 50, bounds: { resetsPerSecond: 10 } });
    const rst = Buffer.from([0, 0, 0, CANCEL]);
    const raw = rawClient(port);
    const gone = flood(raw, 5000, (index) => {
      const id = index * 2 + 1;
      return Buffer.concat([openStream(id), frame(FRAME.RST_STREAM, 0, id, rst)]);
    });
    expect(await isServed(port)).toBe(true);
    expect(await gone).toBe(ENHANCE_YOUR_CALM);
    expect(seen.ended).toEqual(["it opened and reset streams faster than 10 a second"]);
    await until(() => door.unleased.bytes === 0);
    expect([seen.calls, budget.leasedBytes]).toEqual([1, 0]);
    expect(await isServed(port)).toBe(true);
  });

  it("that resets streams which hold a lease is sent away, and leaves no lease behind", async () => {
    const { port, door, budget } = await openDoor({ streamsMax: 50, bounds: { resetsPerSecond: 10 } });
    const rst = Buffer.from([0, 0, 0, CANCEL]);
    const part = frameMessage(Buffer.alloc(10_000)).subarray(0, 100);
    const code = await flood(rawClient(port), 5000, (index) => {
      const id = index * 2 + 1;
      return Buffer.concat([openStream(id), frame(FRAME.DATA, 0, id, part), frame(FRAME.RST_STREAM, 0, id, rst)]);
    });
    expect(code).toBe(ENHANCE_YOUR_CALM);
    await until(() => budget.leasedBytes === 0 && door.unleased.bytes === 0);
    expect(await isServed(port)).toBe(true);
  });

  it("may cancel all it has in flight at once", async () => {
    const { port, seen } = await openDoor({ streamsMax: 200, handler: () => new Promise(() => undefined) });
    const client = new Client(port);
    const streams = Array.from({ length: 200 }, () => client.open().stream);
    for (const stream of streams) stream.end(frameMessage(Buffer.alloc(1)));
    await until(() => seen.calls === 200);
    for (const stream of streams) stream.close(CANCEL);
    while (streams.some(({ destroyed }) => !destroyed)) await settle();
    expect([seen.ended, client.session.destroyed]).toEqual([[], false]);
  });

  it("that makes us reset its streams is sent away too", async () => {
    const { port } = await openDoor({ streamsMax: 50, bounds: { resetsPerSecond: 10 } });
    // More than its content-length is an error of the stream (RFC 9113, 8.1.1): the server resets it (CVE-2025-8671).
    const code = await flood(rawClient(port), 5000, (index) => {
      const id = index * 2 + 1;
      return Buffer.concat([openStream(id, [["content-length", "1"]]), frame(FRAME.DATA, 0, id, Buffer.alloc(10))]);
    });
    // INTERNAL_ERROR is nghttp2's word for it, where it is faster than we are.
    expect([ENHANCE_YOUR_CALM, INTERNAL_ERROR]).toContain(code);
    expect(await isServed(port)).toBe(true);
  });

  it("that pings too often is sent away with the word that gRPC clients know", async () => {
    const { port, seen } = await openDoor();
    const raw = rawClient(port);
    for (let count = 0; count < 4; count++) raw.write(frame(FRAME.PING, 0, 0, Buffer.alloc(8)));
    const goaway = await raw.next(({ type }) => type === FRAME.GOAWAY);
    expect([goaway?.payload.readUInt32BE(4), goaway?.payload.subarray(8).toString()]).toEqual([
      ENHANCE_YOUR_CALM,
      "too_many_pings",
    ]);
    await raw.goodbye();
    expect(seen.ended).toHaveLength(1);
  });

  it("that floods with PING or SETTINGS and reads no answer loses its connection, not us our memory", async () => {
    const keepalive = { minTimeMs: 0, permitWithoutStream: true };
    const { port, door } = await openDoor({ keepalive });
    for (const bytes of [frame(FRAME.PING, 0, 0, Buffer.alloc(8)), frame(FRAME.SETTINGS, 0, 0)]) {
      const raw = rawClient(port);
      raw.socket.pause();
      const many = Buffer.concat(Array.from({ length: 1000 }, () => bytes));
      // Paused, a client does not see its end; what it can no longer write tells.
      while (!raw.isClosed) {
        raw.socket.write(many);
        if (raw.socket.writableLength > 16 * 1024 * 1024) raw.socket.resume();
        await settle();
      }
      expect(await isServed(port)).toBe(true);
    }
    expect(door.unleased.bytes).toBe(0);
  });

  it("that never ends its headers loses its connection", async () => {
    const { port, seen } = await openDoor();
    const raw = rawClient(port).write(openStream(1, [], 0));
    const more = frame(FRAME.CONTINUATION, 0, 1, headerBlock([["x-more", "x".repeat(100)]]));
    expect(await flood(raw, 100_000, () => more)).not.toBe(NO_ERROR);
    expect(await isServed(port)).toBe(true);
    expect(seen.ended).toHaveLength(1);
  });

  it("that sends empty DATA frames without end loses its connection", async () => {
    const { port } = await openDoor();
    const raw = rawClient(port).write(openStream(1));
    await flood(raw, 100_000, () => frame(FRAME.DATA, 0, 1));
    expect(await isServed(port)).toBe(true);
  });

  it("that sends what is no frame loses its connection", async () => {
    const { port } = await openDoor();
    for (let round = 0; round < 20; round++) {
      const raw = rawClient(port).write(openStream(1), randomBytes(5000));
      raw.socket.end();
      await raw.goodbye();
    }
    expect(await isServed(port)).toBe(true);
  });

  it("that sends its message drop by drop is refused after its grace, and its lease is for others", async () => {
    const clock = new TestClock();
    const { port, budget, seen } = await openDoor({ clock });
    const { stream, answer } = new Client(port).open();
    stream.write(frameMessage(Buffer.alloc(LIMIT)).subarray(0, 100));
    await until(() => budget.leasedBytes === LIMIT);
    await clock.advance(4_000);
    expect(budget.leasedBytes).toBe(LIMIT);
    await clock.advance(2_000);
    const { code, headers } = await answer;
    expect([code, headers["grpc-message"], budget.leasedBytes]).toEqual([
      14,
      `the message comes too slowly: 95 of ${LIMIT} bytes came`,
      0,
    ]);
    expect(seen.unread).toEqual([{ reason: "too_slow", bytes: LIMIT }]);
  });

  it("that opens streams and sends nothing is refused after a minute", async () => {
    const clock = new TestClock();
    const { port, door } = await openDoor({ clock });
    const { answer } = new Client(port).open();
    await until(() => door.unleased.bytes > 0);
    await clock.advance(61_000);
    expect((await answer).code).toBe(14);
    expect(door.unleased.bytes).toBe(0);
  });

  it("that does not read its answer loses the stream", async () => {
    const clock = new TestClock();
    const { port } = await openDoor({ clock });
    const raw = rawClient(port);
    // SETTINGS_INITIAL_WINDOW_SIZE 0: nothing may be sent to it.
    raw.write(frame(FRAME.SETTINGS, 0, 0, Buffer.from([0, 4, 0, 0, 0, 0])));
    raw.write(openStream(1), frame(FRAME.DATA, END_STREAM, 1, frameMessage(Buffer.from("hi"))));
    await raw.next(({ type }) => type === FRAME.HEADERS);
    await clock.advance(11_000);
    const reset = await raw.next(({ type }) => type === FRAME.RST_STREAM);
    expect(reset?.payload.readUInt32BE(0)).toBe(CANCEL);
  });
});

describe("keepalive", () => {
  const isGoaway = ({ type }: { readonly type: number }): boolean => type === FRAME.GOAWAY;

  it("asks a connection to go that is idle for too long, not one that is busy", async () => {
    const clock = new TestClock();
    const { promise: release, resolve: releaseNow } = Promise.withResolvers<void>();
    const { port, seen } = await openDoor({
      clock,
      keepalive: { maxConnectionIdleMs: 5_000 },
      handler: async (request) => {
        await release;
        return request;
      },
    });
    const idle = rawClient(port);
    await idle.next(({ type }) => type === FRAME.SETTINGS);
    const busy = rawClient(port).write(openStream(1), frame(FRAME.DATA, END_STREAM, 1, frameMessage(Buffer.alloc(1))));
    await until(() => seen.calls === 1);
    idle.answersPings = true;
    await clock.advance(6_000);
    expect(await idle.goodbye()).toBe(NO_ERROR);
    expect([busy.isClosed, busy.frames.some(isGoaway)]).toEqual([false, false]);
    busy.answersPings = true;
    releaseNow();
    await busy.next(({ type, flags }) => type === FRAME.HEADERS && (flags & END_STREAM) !== 0);
    await clock.advance(6_000);
    expect(await busy.goodbye()).toBe(NO_ERROR);
  });

  it("asks a connection to go that is too old, and cuts it off after the grace", async () => {
    const clock = new TestClock();
    const { port, seen } = await openDoor({
      clock,
      keepalive: { maxConnectionAgeMs: 10_000, maxConnectionAgeGraceMs: 5_000 },
      handler: () => new Promise(() => undefined),
    });
    const raw = rawClient(port).write(openStream(1), frame(FRAME.DATA, END_STREAM, 1, frameMessage(Buffer.alloc(1))));
    await until(() => seen.calls === 1);
    await clock.advance(8_500);
    expect(raw.frames.some(isGoaway)).toBe(false);
    raw.answersPings = true;
    await clock.advance(3_000);
    await raw.next((sent) => isGoaway(sent) && lastStreamOf(sent) === 1);
    expect([goaways(raw)[0], raw.isClosed]).toEqual([ANY_STREAM, false]);
    await clock.advance(5_000);
    await raw.goodbye();
  });

  it("pings a silent connection, keeps it when it answers, and closes it when it does not", async () => {
    const clock = new TestClock();
    const { port } = await openDoor({ clock, keepalive: { timeMs: 10_000, timeoutMs: 2_000 } });
    const alive = rawClient(port);
    const dead = rawClient(port);
    for (const raw of [alive, dead]) await raw.next(({ type, flags }) => type === FRAME.SETTINGS && flags === ACK);
    await clock.advance(10_500);
    const ping = await alive.next(({ type }) => type === FRAME.PING);
    alive.write(frame(FRAME.PING, ACK, 0, ping!.payload));
    await dead.next(({ type }) => type === FRAME.PING);
    for (let count = 0; count < 20; count++) await settle();
    await clock.advance(3_000);
    await until(() => dead.isClosed);
    expect(alive.isClosed).toBe(false);
  });

  it("permits pings at their interval, and forgives early ones once an answer has left", async () => {
    const clock = new TestClock();
    const { port, seen } = await openDoor({ clock, keepalive: { minTimeMs: 1_000, permitWithoutStream: true } });
    const raw = rawClient(port);
    const ping = frame(FRAME.PING, 0, 0, Buffer.alloc(8));
    for (let count = 0; count < 6; count++) {
      raw.write(ping);
      await until(() => raw.frames.filter(({ type }) => type === FRAME.PING).length === count + 1);
      await clock.advance(1_000);
    }
    for (let id = 1; id < 10; id += 2) {
      raw.write(ping, openStream(id), frame(FRAME.DATA, END_STREAM, id, frameMessage(Buffer.alloc(1))));
      await raw.next(
        ({ type, flags, stream }) => stream === id && type === FRAME.HEADERS && (flags & END_STREAM) !== 0,
      );
    }
    expect([raw.isClosed, seen.ended]).toEqual([false, []]);
  });
});

describe("stopping", () => {
  it("serves what a client sends until it has heard that it is to go, then says which call was the last, and closes", async () => {
    const { promise: release, resolve: releaseNow } = Promise.withResolvers<void>();
    const { door, port, seen } = await openDoor({
      handler: async (request) => {
        await release;
        return request;
      },
    });
    const raw = rawClient(port).write(...echoCall(1));
    await until(() => seen.calls === 1);
    const stopped = door.stop(new AbortController().signal);
    await raw.next(({ type }) => type === FRAME.GOAWAY);
    const ping = await raw.next(({ type }) => type === FRAME.PING);
    expect(goaways(raw)).toEqual([ANY_STREAM]);
    // As one that had not read the GOAWAY yet.
    raw.write(...echoCall(3), frame(FRAME.PING, ACK, 0, ping!.payload));
    await raw.next((sent) => sent.type === FRAME.GOAWAY && lastStreamOf(sent) === 3);
    raw.write(...echoCall(5));
    releaseNow();
    await stopped;
    expect(await raw.goodbye()).toBe(NO_ERROR);
    const ended = raw.frames.filter(({ type, flags }) => type === FRAME.HEADERS && (flags & END_STREAM) !== 0);
    expect([ended.map(({ stream }) => stream), seen.calls]).toEqual([[1, 3], 2]);
  });

  it("tells a client that does not answer which call was the last, after a second", async () => {
    const clock = new TestClock();
    const { door, port } = await openDoor({ clock });
    const raw = rawClient(port);
    await raw.next(({ type, flags }) => type === FRAME.SETTINGS && flags === ACK);
    const stopped = door.stop(new AbortController().signal);
    await raw.next(({ type }) => type === FRAME.PING);
    expect(goaways(raw)).toEqual([ANY_STREAM]);
    await clock.advance(2_000);
    expect(await raw.goodbye()).toBe(NO_ERROR);
    expect(goaways(raw).at(-1)).toBe(0);
    await stopped;
  });

  it("says nothing before its settings to one that has only just connected, and serves its first call", async () => {
    const { door, port, seen } = await openDoor();
    const raw = rawClient(port).write(...echoCall(1));
    raw.confirmsSettings = false;
    raw.answersPings = true;
    await raw.next(({ type }) => type === FRAME.HEADERS);
    const stopped = door.stop(new AbortController().signal);
    raw.write(...echoCall(3));
    await raw.next(({ type, stream }) => type === FRAME.HEADERS && stream === 3);
    expect(goaways(raw)).toEqual([]);
    raw.write(frame(FRAME.SETTINGS, ACK, 0));
    expect(await raw.goodbye()).toBe(NO_ERROR);
    await stopped;
    expect([seen.calls, goaways(raw)[0], goaways(raw).at(-1)]).toEqual([2, ANY_STREAM, 3]);
  });

  it("closes idle connections and those that never said a word at once, and leaves no timer", async () => {
    const clock = new TestClock();
    const { door, port } = await openDoor({ clock });
    const idle = rawClient(port);
    idle.answersPings = true;
    await idle.next(({ type }) => type === FRAME.SETTINGS);
    const silent = new RawConnection(port);
    await silent.flushed();
    await door.stop(new AbortController().signal);
    expect(await idle.goodbye()).toBe(NO_ERROR);
    await silent.closed();
    expect(clock.timerCount).toBe(0);
  });
});
