import { readFileSync } from "node:fs";
import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import type { Socket } from "node:net";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { OTLP_METHODS } from "../../../src/net/otlp-methods.ts";
import { RawConnection } from "../../net/raw-connection.ts";
import { END_HEADERS, FRAME, frame, headerBlock, PREFACE, RawHttp2 } from "../../net/raw-http2.ts";
import {
  framed,
  JSON_TYPE,
  PROTOBUF_TYPE,
  sendGrpc,
  sendHttp,
  sendRaw,
  sendWithGrpcJs,
} from "../../peers/protocol-senders.ts";
import type { HttpCase } from "../../peers/protocol-senders.ts";

/** What bad senders do to a running gateway, and what each is answered. */
export interface BadSender {
  readonly name: string;
  /** The answers, each once, in order of the alphabet. */
  readonly answers: string;
  /** What the gateway may take more than before, at its peak. Default: GROWTH_MIB. */
  readonly growthMib?: number;
  readonly attack: (ports: DoorPorts) => Promise<readonly string[]>;
}

export interface DoorPorts {
  readonly grpc: number;
  readonly http: number;
}

/** The largest request is 64 MiB; it may be there as it came, inflated, and as what it becomes. */
export const GROWTH_MIB = 300;

const MIB = 1024 * 1024;
const LOGS = readFileSync(new URL("../../testdata/collector-otlp/logs.binpb", import.meta.url));

const json = (body: string): HttpCase => ({ headers: JSON_TYPE, body });
const protobuf = (body: Uint8Array, headers: HttpCase["headers"] = {}): HttpCase => ({
  headers: { ...PROTOBUF_TYPE, ...headers },
  body,
});

function times<T>(count: number, make: (index: number) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => make(index)));
}

/** A field of wire type 2. */
function field(number: number, content: Uint8Array): Buffer {
  const length: number[] = [];
  let rest = content.length;
  for (; rest >= 128; rest = Math.floor(rest / 128)) length.push((rest % 128) | 0x80);
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length, rest]), content]);
}

function nested(levels: number): Buffer {
  let value = field(1, Buffer.from("deep"));
  for (let level = 0; level < levels; level++) value = field(5, field(1, value));
  return field(1, field(2, field(2, field(5, value))));
}

function nestedJson(levels: number): string {
  const deep = `{"arrayValue":{"values":[`.repeat(levels) + `{"stringValue":"deep"}` + `]}}`.repeat(levels);
  return `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":${deep}}]}]}]}`;
}

const MILLION = 1_000_000;

/** Messages of no bytes: two bytes each, and next to nothing in gzip. */
function emptyRecords(count: number): Buffer {
  return field(1, field(2, Buffer.alloc(count * 2, Buffer.from([0x12, 0x00]))));
}

function emptyAttributes(count: number, records: number): Buffer {
  const record = field(2, Buffer.alloc(count * 2, Buffer.from([0x32, 0x00])));
  return field(1, field(2, Buffer.alloc(record.length * records, record)));
}

/** Every key another one, and all of them such as the attributes processor deletes. */
function deletedAttributes(count: number): Buffer {
  const value = field(2, field(1, Buffer.from("v")));
  const keys = Array.from({ length: count }, (_, index) => field(1, Buffer.from(`x${index}`)));
  return field(1, field(2, field(2, Buffer.concat(keys.map((key) => field(6, Buffer.concat([key, value])))))));
}

function text(content: Buffer): Buffer {
  return field(1, field(2, field(2, field(5, field(1, content)))));
}

const zipped = (body: Buffer): HttpCase => protobuf(gzipSync(body), { "content-encoding": "gzip" });

function millionAttributes(): Buffer {
  const attribute = field(6, Buffer.concat([field(1, Buffer.from("k")), field(2, field(1, Buffer.from("v")))]));
  return field(1, field(2, field(2, Buffer.alloc(MILLION * attribute.length, attribute))));
}

function millionAttributesJson(): string {
  const attributes = `{"key":"k","value":{"stringValue":"v"}},`.repeat(MILLION).slice(0, -1);
  return `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"attributes":[${attributes}]}]}]}]}`;
}

/** A thousand million zeros in a million bytes or less. */
const BOMBS = { gzip: gzipSync(Buffer.alloc(1024 * MIB)), zstd: zstdCompressSync(Buffer.alloc(1024 * MIB)) };

const HEAD = ["POST /v1/logs HTTP/1.1", "host: x", "content-type: application/x-protobuf"];
const declared = (length: number): string => [...HEAD, `content-length: ${length}`, "", ""].join("\r\n");

/** Half of a body, and then the end of the sender's half of the connection. */
async function halfClosed(port: number, sent: Uint8Array): Promise<string> {
  const connection = new RawConnection(port);
  connection.socket.end(Buffer.concat([Buffer.from(declared(LOGS.length)), sent]));
  const answer = await connection.answer().catch(() => undefined);
  connection.destroy();
  return answer === undefined ? "connection closed" : String(answer.status);
}

async function slowBody(port: number): Promise<string> {
  const connection = new RawConnection(port).write(declared(LOGS.length));
  const drip = setInterval(() => connection.write("x"), 200);
  const answer = await connection.answer().catch(() => undefined);
  clearInterval(drip);
  connection.destroy();
  return answer === undefined ? "connection closed" : String(answer.status);
}

async function idle(port: number, count: number): Promise<Socket[]> {
  return times(count, async () => {
    const socket = connectTcp(port, "127.0.0.1");
    socket.on("error", () => undefined);
    await once(socket, "connect");
    return socket;
  });
}

const GRPC_HEADERS: readonly (readonly [string, string])[] = [
  [":method", "POST"],
  [":scheme", "http"],
  [":authority", "x"],
  [":path", OTLP_METHODS.logs],
  ["content-type", "application/grpc"],
  ["te", "trailers"],
];

const CANCEL = Buffer.from([0, 0, 0, 8]);

/** Opens and resets streams as fast as the connection takes them, until it is closed. */
async function rapidResets(port: number): Promise<string> {
  const connection = new RawHttp2(port);
  const block = headerBlock(GRPC_HEADERS);
  for (let stream = 1; stream < 60_000 && !connection.isClosed; stream += 2) {
    connection.write(frame(FRAME.HEADERS, END_HEADERS, stream, block), frame(FRAME.RST_STREAM, 0, stream, CANCEL));
    if (stream % 1000 === 1) await new Promise((resolve) => setImmediate(resolve));
  }
  const code = await connection.goodbye();
  // ENHANCE_YOUR_CALM is ours, INTERNAL_ERROR that of nghttp2, which counts first where thousands come in one packet. Whether
  // it is read before the connection is reset, with frames of ours on their way, is chance.
  return code === 11 || code === 2 || code === undefined ? "GOAWAY, or cut off while it sends" : `GOAWAY ${code}`;
}

/** Large requests go one at a time, and how many get their turn in time is up to the machine. */
async function inTurn(port: number, request: HttpCase): Promise<string> {
  const answer = await sendHttp(port, request);
  const isExpected = answer === "200 no bytes" || /^503 .*Retry-After: 1$/.test(answer);
  return isExpected ? "200, or 503 where its turn does not come in time" : answer;
}

/** The answer leaves before the sender has sent all, and whether it reads it first is chance. */
async function hugeHeaders(port: number): Promise<string> {
  const answer = await sendRaw(port, `GET / HTTP/1.1\r\nhost: x\r\nbig: ${"x".repeat(20 * MIB)}\r\n\r\n`);
  return answer === "431" || answer === "connection closed" ? "431, or cut off while it sends" : answer;
}

/** A header block that never ends. */
async function endlessHeaders(port: number): Promise<string> {
  const connection = new RawHttp2(port);
  connection.write(frame(FRAME.HEADERS, 0, 1, headerBlock(GRPC_HEADERS)));
  const more = headerBlock([["a", "x".repeat(10_000)]]);
  for (let count = 0; count < 2000 && !connection.isClosed; count++) {
    connection.write(frame(FRAME.CONTINUATION, 0, 1, more));
    if (count % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await connection.goodbye();
  return "connection closed";
}

/** Declares the limit, sends next to nothing, and comes again when it is refused, for three seconds. */
async function declarers(port: number, count: number, sent: Buffer): Promise<void> {
  const endMs = performance.now() + 3_000;
  await times(count, async () => {
    while (performance.now() < endMs) {
      const socket = connectTcp(port, "127.0.0.1");
      socket.on("error", () => undefined);
      socket.write(sent);
      const leftMs = Math.max(1, endMs - performance.now());
      await Promise.race([once(socket, "data"), new Promise((resolve) => setTimeout(resolve, leftMs))]).catch(() => []);
      socket.destroy();
    }
  });
}

const DECLARED_OVER_GRPC = Buffer.concat([
  PREFACE,
  frame(FRAME.SETTINGS, 0, 0),
  ...[1, 3, 5, 7, 9, 11].flatMap((stream) => [
    frame(FRAME.HEADERS, END_HEADERS, stream, headerBlock(GRPC_HEADERS)),
    frame(FRAME.DATA, 0, stream, Buffer.from([0, 3, 0xc0, 0, 0, 1, 2, 3])),
  ]),
]);

export const BAD_SENDERS: readonly BadSender[] = [
  {
    name: "wrong content type, method and path",
    answers: "404 JSON Status; 405 JSON Status, Allow: POST; 415 JSON Status",
    attack: ({ http }) =>
      Promise.all([
        sendHttp(http, { headers: { "content-type": "text/xml" }, body: "<a/>" }),
        sendHttp(http, { method: "DELETE" }),
        sendHttp(http, { path: "/v1/log", ...json("{}") }),
      ]),
  },
  {
    name: "protobuf cut off at every 7th byte, over HTTP",
    answers: "200 no bytes; 400 protobuf Status",
    attack: ({ http }) =>
      times(Math.floor(LOGS.length / 7), (index) => sendHttp(http, protobuf(LOGS.subarray(0, index * 7)))),
  },
  {
    name: "protobuf cut off at every 70th byte, over gRPC",
    answers: "INVALID_ARGUMENT; OK, no bytes",
    attack: ({ grpc }) =>
      times(Math.floor(LOGS.length / 70), (index) => sendGrpc(grpc, { body: framed(LOGS.subarray(0, index * 70)) })),
  },
  {
    name: "bytes that are none of it, over both",
    answers: "400 JSON Status; 400 protobuf Status; INVALID_ARGUMENT",
    attack: ({ grpc, http }) =>
      Promise.all([
        sendHttp(http, json("hello")),
        sendHttp(http, protobuf(Buffer.alloc(100, 0xff))),
        sendGrpc(grpc, { body: framed(Buffer.alloc(100, 0xff)) }),
      ]),
  },
  {
    name: "bad hex, wrong nesting in JSON",
    answers: "400 JSON Status",
    attack: ({ http }) =>
      Promise.all([
        sendHttp(http, json(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"traceId":"xyz"}]}]}]}`)),
        sendHttp(http, json(`{"resourceLogs":{"scopeLogs":[]}}`)),
        sendHttp(http, json(`{"resourceLogs":[[[[]]]]}`)),
      ]),
  },
  {
    name: "200 MiB declared, of which nothing comes",
    answers: "413",
    attack: ({ http }) => times(20, () => sendRaw(http, declared(200 * MIB))),
  },
  {
    name: "200 MiB in chunks",
    answers: "413 protobuf Status",
    attack: async ({ http }) => [await sendHttp(http, { ...protobuf(Buffer.alloc(200 * MIB)), isChunked: true })],
  },
  {
    name: "65 MiB over gRPC",
    answers: "RESOURCE_EXHAUSTED",
    attack: async ({ grpc }) => [await sendWithGrpcJs(grpc, Buffer.alloc(65 * MIB), "identity")],
  },
  {
    name: "10 bombs of 1 GiB in gzip and zstd, at once, over both",
    answers: "413 protobuf Status; RESOURCE_EXHAUSTED",
    attack: async ({ grpc, http }) => [
      ...(await times(4, () => sendHttp(http, protobuf(BOMBS.gzip, { "content-encoding": "gzip" })))),
      ...(await times(4, () => sendHttp(http, protobuf(BOMBS.zstd, { "content-encoding": "zstd" })))),
      ...(await times(2, () => sendGrpc(grpc, { headers: { "grpc-encoding": "gzip" }, body: framed(BOMBS.gzip, 1) }))),
    ],
  },
  {
    name: "a coding that is not what it says, or that nobody knows",
    answers: "400 protobuf Status; INVALID_ARGUMENT; UNIMPLEMENTED",
    attack: ({ grpc, http }) =>
      Promise.all([
        sendHttp(http, protobuf(LOGS, { "content-encoding": "zstd" })),
        sendHttp(http, protobuf(LOGS, { "content-encoding": "br" })),
        sendGrpc(grpc, { headers: { "grpc-encoding": "gzip" }, body: framed(LOGS, 1) }),
        sendGrpc(grpc, { headers: { "grpc-encoding": "br" }, body: framed(LOGS, 1) }),
      ]),
  },
  {
    name: "half a request, then the sender's end",
    answers: "400; UNAVAILABLE with RetryInfo 1s",
    attack: async ({ grpc, http }) => [
      ...(await times(50, () => halfClosed(http, LOGS.subarray(0, 300)))),
      ...(await times(10, () => sendGrpc(grpc, { body: framed(LOGS.subarray(0, 300), 0, LOGS.length) }))),
    ],
  },
  {
    name: "a whole request, then the sender's end",
    answers: "200",
    attack: ({ http }) => times(50, () => halfClosed(http, LOGS)),
  },
  {
    name: "200 bodies that come a byte at a time",
    answers: "408",
    attack: ({ http }) => times(200, () => slowBody(http)),
  },
  {
    name: "60 MiB declared by 50 senders at each door, of which three bytes come",
    answers: "none, or refused and sent again",
    attack: async ({ grpc, http }) => {
      const overHttp = Buffer.concat([Buffer.from(declared(60 * MIB)), Buffer.from("abc")]);
      await Promise.all([declarers(http, 50, overHttp), declarers(grpc, 50, DECLARED_OVER_GRPC)]);
      return ["none, or refused and sent again"];
    },
  },
  {
    name: "2,000 idle connections at each door",
    answers: "none",
    attack: async ({ grpc, http }) => {
      const sockets = [...(await idle(http, 2000)), ...(await idle(grpc, 2000))];
      await new Promise((resolve) => setTimeout(resolve, 500));
      for (const socket of sockets) socket.destroy();
      return ["none"];
    },
  },
  {
    name: "streams that are reset as soon as they are open",
    answers: "GOAWAY, or cut off while it sends",
    attack: ({ grpc }) => times(4, () => rapidResets(grpc)),
  },
  {
    name: "HTTP/1.1 at the gRPC door, HTTP/2 at the HTTP door, noise at both",
    answers: "400; 505; connection closed",
    attack: ({ grpc, http }) =>
      Promise.all([
        sendRaw(grpc, "POST /v1/logs HTTP/1.1\r\nhost: x\r\n\r\n"),
        sendRaw(http, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        sendRaw(http, Buffer.alloc(100_000, 0x16)),
        sendRaw(grpc, Buffer.alloc(100_000, 0x16)),
      ]),
  },
  {
    name: "headers of 20 MiB",
    answers: "431, or cut off while it sends; connection closed",
    attack: async ({ grpc, http }) => [
      ...(await times(5, () => hugeHeaders(http))),
      ...(await times(5, () => endlessHeaders(grpc))),
    ],
  },
  {
    name: "values in 64 levels, 100,000 open brackets",
    answers: "400 JSON Status; 400 protobuf Status; INVALID_ARGUMENT",
    attack: ({ grpc, http }) =>
      Promise.all([
        sendHttp(http, json(nestedJson(64))),
        sendHttp(http, json("[".repeat(100_000))),
        sendHttp(http, protobuf(nested(64))),
        sendGrpc(grpc, { body: framed(nested(64)) }),
      ]),
  },
  {
    name: "a million resources without anything in them",
    answers: "400 protobuf Status; INVALID_ARGUMENT",
    attack: async ({ grpc, http }) => {
      const resources = Buffer.alloc(2 * MILLION, Buffer.from([0x0a, 0x00]));
      return [await sendHttp(http, protobuf(resources)), await sendWithGrpcJs(grpc, resources, "identity")];
    },
  },
  {
    name: "records of no bytes, as many as are taken, through processors that edit each",
    answers: "200 no bytes; OK, no bytes",
    // Two batches of 2^20 records, each with what the processors note and as JSON.
    growthMib: 500,
    attack: async ({ grpc, http }) => {
      const records = emptyRecords(2 ** 20);
      return Promise.all([sendHttp(http, zipped(records)), sendWithGrpcJs(grpc, records, "identity")]);
    },
  },
  {
    name: "4,000,000 records of no bytes, in 8 KB of gzip",
    answers: "400 protobuf Status; INVALID_ARGUMENT",
    attack: async ({ grpc, http }) => {
      const records = emptyRecords(4 * MILLION);
      return [await sendHttp(http, zipped(records)), await sendWithGrpcJs(grpc, records, "identity")];
    },
  },
  {
    name: "20 times 200,000 records of no bytes at once",
    answers: "200, or 503 where its turn does not come in time",
    attack: ({ http }) => times(20, () => inTurn(http, zipped(emptyRecords(200_000)))),
  },
  {
    name: "131,072 attributes that are deleted, on one record; as many empty ones on 20",
    answers: "200 no bytes",
    attack: async ({ http }) => [
      await sendHttp(http, protobuf(deletedAttributes(2 ** 17))),
      await sendHttp(http, zipped(emptyAttributes(2 ** 17, 20))),
    ],
  },
  {
    name: "a million attributes on one record",
    answers: "400 JSON Status; 400 protobuf Status; INVALID_ARGUMENT",
    attack: async ({ grpc, http }) => {
      const bytes = millionAttributes();
      return [
        await sendHttp(http, protobuf(bytes)),
        await sendWithGrpcJs(grpc, bytes, "identity"),
        await sendHttp(http, json(millionAttributesJson())),
      ];
    },
  },
  {
    name: "60 MB of control characters, six times as long in JSON",
    answers: "200 no bytes",
    // The text as it came and with an attribute more, and 360 MB of JSON.
    growthMib: 900,
    attack: async ({ http }) => {
      const answer = await sendHttp(http, zipped(text(Buffer.alloc(60 * MILLION, 1))));
      // It is written behind the answer.
      await new Promise((resolve) => setTimeout(resolve, 5_000));
      return [answer];
    },
  },
];
