import { readFileSync } from "node:fs";
import { deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { OTLP_METHODS } from "../../src/net/otlp-methods.ts";
import { encodeSnappyBlock, encodeSnappyFramed } from "../../src/net/snappy-encode.ts";
import {
  framed,
  JSON_TYPE,
  PROTOBUF_TYPE,
  sendGrpc,
  sendHttp,
  exchangeRaw,
  sendWithGrpcJs,
} from "./protocol-senders.ts";
import type { GrpcCase, HttpCase } from "./protocol-senders.ts";
import type { Ports } from "./protocol-servers.ts";

export interface ProtocolCase {
  readonly door: "gRPC" | "HTTP" | "HTTP/protobuf" | "HTTP/JSON";
  readonly name: string;
  /** What the specification says, or that it says nothing. */
  readonly specification: string;
  /** What we answer. */
  readonly expected: string;
  readonly send: (ports: Ports) => Promise<string>;
}

const golden = (name: string): Buffer => readFileSync(new URL(`../testdata/collector-otlp/${name}`, import.meta.url));
const LOGS = golden("logs.binpb");
const TRACES = golden("traces.binpb");
const METRICS = golden("metrics.binpb");
const MIB = 1024 * 1024;

/** A request of about this size: unknown fields (number 1000, bytes), which every reader skips. */
function padded(size: number): Buffer {
  const padding = Buffer.alloc(size - LOGS.length - 8);
  const key = Buffer.from([0xc2, 0x3e]);
  const length: number[] = [];
  for (let rest = padding.length; rest > 0; rest = Math.floor(rest / 128)) length.push((rest % 128) | 0x80);
  length[length.length - 1]! &= 0x7f;
  return Buffer.concat([LOGS, key, Buffer.from(length), padding]);
}

/** A field of wire type 2. */
function field(number: number, content: Uint8Array): Buffer {
  const length: number[] = [];
  for (let rest = content.length; rest >= 128; rest = Math.floor(rest / 128)) length.push((rest % 128) | 0x80);
  const last = Math.floor(content.length / 128 ** length.length);
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length, last]), content]);
}

/** One log record with these fields. */
const record = (...fields: readonly Uint8Array[]): Buffer => field(1, field(2, field(2, Buffer.concat(fields))));
const text = (value: string | Uint8Array): Buffer => field(1, Buffer.from(value));

/** A body of arrays in arrays. */
function nested(levels: number): Buffer {
  let value = text("deep");
  for (let level = 0; level < levels; level++) value = field(5, field(1, value));
  return record(field(5, value));
}

function nestedJson(levels: number): string {
  const deep = `{"arrayValue":{"values":[`.repeat(levels) + `{"stringValue":"deep"}` + `]}}`.repeat(levels);
  return `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":${deep}}]}]}]}`;
}

const NOT_SAID = "not said";
const FULL = "`partial_success` MUST be unset";
const MALFORMED = "MUST be refused as bad data, for good";

const OK = "OK, no bytes";
const BAD = "INVALID_ARGUMENT";

interface RawRow {
  readonly door: "gRPC" | "HTTP";
  readonly name: string;
  readonly says: string;
  readonly expected: string;
  readonly sent: string;
}

type GrpcRow = readonly [name: string, says: string, expected: string, sent: GrpcCase, full?: "full"];

const message = (bytes: Uint8Array): GrpcCase => ({ body: framed(bytes) });
const coded = (encoding: string, bytes: Uint8Array): GrpcCase => ({
  headers: { "grpc-encoding": encoding },
  body: framed(bytes, 1),
});

async function grpcRows(): Promise<GrpcRow[]> {
  return [
    ["logs", FULL, OK, message(LOGS)],
    ["traces", FULL, OK, { path: OTLP_METHODS.traces, body: framed(TRACES) }],
    ["metrics", FULL, OK, { path: OTLP_METHODS.metrics, body: framed(METRICS) }],
    ["a request of no bytes", "SHOULD be success", OK, message(Buffer.alloc(0))],
    ["an empty resource", "receivers MAY ignore it", OK, message(field(1, Buffer.alloc(0)))],
    ["an unknown field", "protobuf: ignored", OK, message(padded(LOGS.length + 1000))],
    ["gzip", "MUST be taken", OK, coded("gzip", gzipSync(LOGS))],
    ["deflate", "MAY", OK, coded("deflate", deflateSync(LOGS))],
    ["zstd", "MAY", OK, coded("zstd", zstdCompressSync(LOGS))],
    ["snappy, framed", "MAY", OK, coded("snappy", await encodeSnappyFramed(LOGS))],
    ["an encoding that nobody knows", "gRPC: UNIMPLEMENTED", "UNIMPLEMENTED", coded("br", LOGS)],
    ["compressed flag without grpc-encoding", "gRPC: INTERNAL", "INTERNAL", { body: framed(LOGS, 1) }],
    ["compressed flag with identity", "gRPC: INTERNAL", "INTERNAL", coded("identity", LOGS)],
    ["a flag of 2", "gRPC: 0 or 1", "INTERNAL", { body: framed(LOGS, 2) }],
    ["gzip that is none", MALFORMED, BAD, coded("gzip", LOGS)],
    ["gzip that is cut off", MALFORMED, BAD, coded("gzip", gzipSync(LOGS).subarray(0, 100))],
    ["protobuf that is cut off", MALFORMED, BAD, message(LOGS.subarray(0, 100))],
    ["bytes that are no protobuf", MALFORMED, BAD, message(Buffer.from("hello"))],
    ["a string where a message stands", MALFORMED, BAD, message(field(1, Buffer.from("hello")))],
    ["a trace id of 15 bytes", "16 bytes", BAD, message(record(field(9, Buffer.alloc(15, 1))))],
    ["text that is not UTF-8", "protobuf: malformed", OK, message(record(field(5, text(Buffer.from([0xff])))))],
    ["values in 29 levels", NOT_SAID, OK, message(nested(29))],
    ["values in 64 levels", NOT_SAID, BAD, message(nested(64))],
    ["5 MiB", "limit 64 MiB by default", OK, message(padded(5 * MIB))],
    ["an end before the message is whole", NOT_SAID, "UNAVAILABLE with RetryInfo 1s", { body: framed(LOGS, 0, 9000) }],
    ["no message", NOT_SAID, "UNAVAILABLE with RetryInfo 1s", {}],
    [
      "two messages in one call",
      "gRPC: unary takes one",
      "INTERNAL",
      { body: Buffer.concat([framed(LOGS), framed(LOGS)]) },
    ],
    ["an unknown method", "gRPC: UNIMPLEMENTED", "UNIMPLEMENTED", { path: `${OTLP_METHODS.logs}s`, ...message(LOGS) }],
    ["an unknown service", "gRPC: UNIMPLEMENTED", "UNIMPLEMENTED", { path: "/a.B/C", ...message(LOGS) }],
    [
      "application/grpc+proto",
      "gRPC: taken",
      OK,
      { headers: { "content-type": "application/grpc+proto" }, ...message(LOGS) },
    ],
    ["application/json", "gRPC: HTTP 415", "HTTP 415", { headers: JSON_TYPE, ...message(LOGS) }],
    ["GET", "gRPC: POST alone", "HTTP 405", { method: "GET" }],
    [
      "a grpc-timeout that is none",
      "gRPC: INTERNAL",
      "INTERNAL",
      { headers: { "grpc-timeout": "soon" }, ...message(LOGS) },
    ],
    [
      "40 KiB of headers",
      NOT_SAID,
      "RESOURCE_EXHAUSTED",
      { headers: { big: "x".repeat(40 * 1024) }, ...message(LOGS) },
    ],
    [
      "no room, a second to wait",
      "SHOULD be UNAVAILABLE with RetryInfo",
      "UNAVAILABLE with RetryInfo 1s",
      { headers: { "grpc-timeout": "1S" }, ...message(LOGS) },
      "full",
    ],
  ];
}

type HttpRow = readonly [name: string, says: string, expected: string, sent: HttpCase, full?: "full"];

const protobuf = (body: Uint8Array, headers: HttpCase["headers"] = {}): HttpCase => ({
  headers: { ...PROTOBUF_TYPE, ...headers },
  body,
});
const encoded = (encoding: string, body: Uint8Array): HttpCase => protobuf(body, { "content-encoding": encoding });

const DONE = "200 no bytes";
const BAD_PROTOBUF = "400 protobuf Status";
const STATUS_BODY = "a Status is the body of every 4xx";

async function protobufRows(): Promise<HttpRow[]> {
  const brotli = "not said; 400 or 415";
  return [
    ["logs", FULL, DONE, protobuf(LOGS)],
    ["traces", FULL, DONE, { path: "/v1/traces", ...protobuf(TRACES) }],
    ["metrics", FULL, DONE, { path: "/v1/metrics", ...protobuf(METRICS) }],
    ["a request of no bytes", "SHOULD be success", DONE, protobuf(Buffer.alloc(0))],
    ["chunked", "HTTP", DONE, { ...protobuf(LOGS), isChunked: true }],
    ["gzip", "MUST be taken", DONE, encoded("gzip", gzipSync(LOGS))],
    ["GZIP", "RFC 9110: any case", DONE, encoded("GZIP", gzipSync(LOGS))],
    ["x-gzip", "RFC 9110: is gzip", DONE, encoded("x-gzip", gzipSync(LOGS))],
    ["identity", "RFC 9110: no coding", DONE, encoded("identity", LOGS)],
    ["deflate", "MAY", DONE, encoded("deflate", deflateSync(LOGS))],
    ["zlib", "MAY", DONE, encoded("zlib", deflateSync(LOGS))],
    ["deflate without zlib around it", "RFC 9110: malformed", BAD_PROTOBUF, encoded("deflate", deflateRawSync(LOGS))],
    ["zstd", "MAY", DONE, encoded("zstd", zstdCompressSync(LOGS))],
    ["snappy, block", "MAY", DONE, encoded("snappy", await encodeSnappyBlock(LOGS))],
    ["snappy, framed", "MAY", DONE, encoded("x-snappy-framed", await encodeSnappyFramed(LOGS))],
    ["lz4", "MAY", DONE, encoded("lz4", LZ4_LOGS)],
    ["br", brotli, BAD_PROTOBUF, encoded("br", LOGS)],
    ["gzip that is none", MALFORMED, BAD_PROTOBUF, encoded("gzip", LOGS)],
    ["gzip that is cut off", MALFORMED, BAD_PROTOBUF, encoded("gzip", gzipSync(LOGS).subarray(0, 100))],
    ["protobuf that is cut off", MALFORMED, BAD_PROTOBUF, protobuf(LOGS.subarray(0, 100))],
    ["bytes that are no protobuf", MALFORMED, BAD_PROTOBUF, protobuf(Buffer.from("hello"))],
    ["JSON under protobuf's type", MALFORMED, BAD_PROTOBUF, protobuf(Buffer.from("{}"))],
    ["values in 64 levels", NOT_SAID, BAD_PROTOBUF, protobuf(nested(64))],
    ["21 MiB", "limit 64 MiB by default", DONE, protobuf(padded(21 * MIB))],
    ["65 MiB", "413", "413 protobuf Status", protobuf(padded(65 * MIB))],
    ["65 MiB in gzip", "413 after decompression", "413 protobuf Status", encoded("gzip", gzipSync(padded(65 * MIB)))],
    ["65 MiB, chunked", "413", "413 protobuf Status", { ...protobuf(padded(65 * MIB)), isChunked: true }],
    ["type in capitals", "HTTP: any case", DONE, { headers: { "content-type": "Application/X-Protobuf" }, body: LOGS }],
    [
      "type with a parameter",
      "HTTP: may have",
      DONE,
      { headers: { "content-type": "application/x-protobuf;a=b" }, body: LOGS },
    ],
    [
      "GET",
      `405 with Allow; ${STATUS_BODY}`,
      "405 protobuf Status, Allow: POST",
      { method: "GET", headers: PROTOBUF_TYPE },
    ],
    ["unknown path", `404; ${STATUS_BODY}`, "404 protobuf Status", { path: "/v2/logs", ...protobuf(LOGS) }],
    ["a query behind the path", "HTTP: not part of it", DONE, { path: "/v1/logs?a=b", ...protobuf(LOGS) }],
    [
      "no room",
      "SHOULD be 429 or 503, Retry-After",
      "503 protobuf Status with RetryInfo 1s, Retry-After: 1",
      protobuf(LOGS),
      "full",
    ],
  ];
}

/** One stored block in an lz4 frame: magic, flags, block size, header checksum; then size with the top bit set, and the end. */
const LZ4_LOGS = lz4Frame(LOGS);

function lz4Frame(content: Buffer): Buffer {
  const size = Buffer.alloc(4);
  size.writeUInt32LE(content.length + 2 ** 31);
  return Buffer.concat([Buffer.from("04224d18604082", "hex"), size, content, Buffer.alloc(4)]);
}

const json = (body: string | Uint8Array): HttpCase => ({ headers: JSON_TYPE, body });
const log = (fields: string): HttpCase => json(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{${fields}}]}]}]}`);
const attribute = (value: string): HttpCase => log(`"attributes":[{"key":"a","value":${value}}]`);
const span = (fields: string): HttpCase => ({
  path: "/v1/traces",
  ...json(`{"resourceSpans":[{"scopeSpans":[{"spans":[{${fields}}]}]}]}`),
});

const DONE_JSON = "200 {}";
const BAD_JSON = "400 JSON Status";
const PROTO3 = "proto3 JSON";

function jsonRows(): HttpRow[] {
  return [
    ["logs", FULL, DONE_JSON, log(`"body":{"stringValue":"hello"}`)],
    ["traces", FULL, DONE_JSON, span(`"name":"work"`)],
    ["metrics", FULL, DONE_JSON, { path: "/v1/metrics", ...json(`{"resourceMetrics":[]}`) }],
    ["{}", "SHOULD be success", DONE_JSON, json("{}")],
    [
      "gzip",
      "MUST be taken",
      DONE_JSON,
      { headers: { ...JSON_TYPE, "content-encoding": "gzip" }, body: gzipSync("{}") },
    ],
    [
      "type with a charset",
      "HTTP: may have",
      DONE_JSON,
      { headers: { "content-type": "application/json; charset=utf-8" }, body: "{}" },
    ],
    ["an unknown field", "MUST be ignored", DONE_JSON, log(`"nope":{"a":[1,{"b":null}]},"body":{"stringValue":"x"}`)],
    ["a field in snake_case", "no valid name: ignored", DONE_JSON, log(`"severity_number":"nope"`)],
    ["int64 as text", PROTO3, DONE_JSON, attribute(`{"intValue":"9223372036854775807"}`)],
    ["int64 as a number", PROTO3, DONE_JSON, attribute(`{"intValue":42}`)],
    ["int64 as 1e3", `${PROTO3}: allowed`, DONE_JSON, attribute(`{"intValue":1e3}`)],
    ["int64 as 1.5", `${PROTO3}: malformed`, BAD_JSON, attribute(`{"intValue":1.5}`)],
    ["int64 out of range", `${PROTO3}: malformed`, BAD_JSON, attribute(`{"intValue":"9223372036854775808"}`)],
    [
      "double as NaN, Infinity",
      PROTO3,
      DONE_JSON,
      attribute(`{"arrayValue":{"values":[{"doubleValue":"NaN"},{"doubleValue":"Infinity"}]}}`),
    ],
    ["bytes in base64", PROTO3, DONE_JSON, attribute(`{"bytesValue":"aGVsbG8="}`)],
    ["bytes in base64url", `${PROTO3}: either`, DONE_JSON, attribute(`{"bytesValue":"_-8"}`)],
    ["bytes that are no base64", `${PROTO3}: malformed`, BAD_JSON, attribute(`{"bytesValue":"*"}`)],
    ["null for a field", `${PROTO3}: absent`, DONE_JSON, log(`"body":null,"attributes":null`)],
    [
      "ids in small hex",
      "any case",
      DONE_JSON,
      span(`"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174"`),
    ],
    [
      "ids in capital hex",
      "any case",
      DONE_JSON,
      span(`"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174"`),
    ],
    ["ids in base64", "not base64", BAD_JSON, span(`"traceId":"W47/95gDgQPSabYzgT/GDA=="`)],
    ["hex of odd length", MALFORMED, BAD_JSON, span(`"traceId":"5b8"`)],
    ["a trace id of 15 bytes", "16 bytes", BAD_JSON, span(`"traceId":"5b8efff798038103d269b633813fc6"`)],
    ["an enum as a number", "MUST be a number", DONE_JSON, span(`"kind":2`)],
    ["an enum by name", "MUST NOT be used", DONE_JSON, span(`"kind":"SPAN_KIND_SERVER"`)],
    ["an enum that nobody knows", `${PROTO3}: open`, DONE_JSON, span(`"kind":99`)],
    ["a bool as text", `${PROTO3}: malformed`, BAD_JSON, attribute(`{"boolValue":"true"}`)],
    ["a key twice", `${PROTO3}: malformed, or the last`, DONE_JSON, log(`"severityText":"a","severityText":"b"`)],
    ["an object where a list stands", MALFORMED, BAD_JSON, json(`{"resourceLogs":{}}`)],
    ["a list as the request", MALFORMED, BAD_JSON, json("[]")],
    ["null as the request", NOT_SAID, BAD_JSON, json("null")],
    ["no bytes", MALFORMED, BAD_JSON, json("")],
    ["text behind the value", MALFORMED, BAD_JSON, json("{} {}")],
    ["JSON that is cut off", MALFORMED, BAD_JSON, json(`{"resourceLogs":[`)],
    ["protobuf under JSON's type", MALFORMED, BAD_JSON, json(LOGS)],
    ["text that is not UTF-8", MALFORMED, BAD_JSON, json(Buffer.from(`{"a":"\xff"}`, "latin1"))],
    ["a byte order mark in front", "RFC 8259: MAY be ignored", BAD_JSON, json("\ufeff{}")],
    ["values in 29 levels", NOT_SAID, DONE_JSON, json(nestedJson(29))],
    ["values in 64 levels", NOT_SAID, BAD_JSON, json(nestedJson(64))],
    ["100,000 open brackets", MALFORMED, BAD_JSON, json("[".repeat(100_000))],
    ["GET", `405 with Allow; ${STATUS_BODY}`, "405 JSON Status, Allow: POST", { method: "GET", headers: JSON_TYPE }],
    ["unknown path", `404; ${STATUS_BODY}`, "404 JSON Status", { path: "/v1/nope", ...json("{}") }],
    [
      "no room",
      "SHOULD be 429 or 503, Retry-After",
      "503 JSON Status with RetryInfo 1s, Retry-After: 1",
      log(""),
      "full",
    ],
  ];
}

const ANY_TYPE = `415; ${STATUS_BODY}`;

function httpRows(): HttpRow[] {
  return [
    ["text/plain", ANY_TYPE, "415 JSON Status", { headers: { "content-type": "text/plain" }, body: "{}" }],
    ["no type", ANY_TYPE, "415 JSON Status", { body: "{}" }],
    [
      "a type with a broken parameter",
      NOT_SAID,
      DONE_JSON,
      { headers: { "content-type": "application/json; charset" }, body: "{}" },
    ],
    ["PUT", "405 with Allow", "405 JSON Status, Allow: POST", { method: "PUT", body: "{}" }],
    ["OPTIONS", "405 with Allow", "405 JSON Status, Allow: POST", { method: "OPTIONS" }],
  ];
}

const RAW_ROWS: readonly RawRow[] = [
  {
    door: "gRPC",
    name: "HTTP/1.1 on the gRPC port",
    says: NOT_SAID,
    expected: "505 JSON Status",
    sent: "POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n",
  },
  {
    door: "HTTP",
    name: "HTTP/2 on the HTTP port",
    says: "HTTP/1.1 or HTTP/2",
    expected: "400 JSON Status",
    sent: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  },
  {
    door: "HTTP",
    name: "an upgrade to HTTP/2 (h2c)",
    says: "RFC 9110: may be ignored",
    expected: DONE_JSON,
    sent: `POST /v1/logs HTTP/1.1\r\nhost: x\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}`,
  },
  {
    door: "HTTP",
    name: "what is no HTTP",
    says: `400; ${STATUS_BODY}`,
    expected: "400 JSON Status",
    sent: "hello\r\n\r\n",
  },
  {
    door: "HTTP",
    name: "2 MiB of headers",
    says: "RFC 6585: 431",
    expected: "431 JSON Status",
    sent: `POST /v1/logs HTTP/1.1\r\nhost: x\r\nbig: ${"x".repeat(2 * MIB)}\r\n\r\n`,
  },
];

function tooLargeOverGrpc(): ProtocolCase[] {
  const large = padded(65 * MIB);
  return (["identity", "gzip"] as const).map((coding) => ({
    door: "gRPC",
    name: coding === "gzip" ? "65 MiB in gzip" : "65 MiB",
    specification: `RESOURCE_EXHAUSTED${coding === "gzip" ? " after decompression" : ""}, without RetryInfo`,
    expected: "RESOURCE_EXHAUSTED",
    send: (ports) => sendWithGrpcJs(ports.grpc, large, coding),
  }));
}

export async function protocolCases(): Promise<ProtocolCase[]> {
  const overGrpc = (await grpcRows()).map(([name, specification, expected, sent, full]): ProtocolCase => ({
    door: "gRPC",
    name,
    specification,
    expected,
    send: (ports) => sendGrpc(full === undefined ? ports.grpc : ports.fullGrpc, sent),
  }));
  const overHttp = (door: ProtocolCase["door"], rows: readonly HttpRow[]): ProtocolCase[] =>
    rows.map(([name, specification, expected, sent, full]) => ({
      door,
      name,
      specification,
      expected,
      send: (ports) => sendHttp(full === undefined ? ports.http : ports.fullHttp, sent),
    }));
  const raw = RAW_ROWS.map(({ door, name, says, expected, sent }): ProtocolCase => ({
    door,
    name,
    specification: says,
    expected,
    send: (ports) => exchangeRaw(door === "gRPC" ? ports.grpc : ports.http, sent),
  }));
  return [
    ...overGrpc,
    ...tooLargeOverGrpc(),
    ...raw.filter(({ door }) => door === "gRPC"),
    ...overHttp("HTTP/protobuf", await protobufRows()),
    ...overHttp("HTTP/JSON", jsonRows()),
    ...overHttp("HTTP", httpRows()),
    ...raw.filter(({ door }) => door === "HTTP"),
  ];
}

/** A request for filling a queue. */
export const ONE_REQUEST: GrpcCase = { headers: { "grpc-timeout": "500m" }, body: framed(LOGS) };
