import { z } from "zod";
import {
  annotate,
  block,
  byteSize,
  defaultBlock,
  duration,
  optionalBlock,
  refuse,
  withoutEffect,
} from "../../config/types.ts";
import { parseEndpoint, unixEndpoint } from "../../config/endpoint.ts";
import type { Endpoint } from "../../config/endpoint.ts";
import { DOOR_BYTES_MAX, REQUEST_BYTES_MAX } from "../../core/limits.ts";
import { CONTENT_CODINGS } from "../../net/content-coding.ts";
import { notYet } from "../../net/client-config.ts";
import { corsSchema, responseHeadersSchema, serverTlsSchema } from "../../net/server-config.ts";

const MIB = 1024 * 1024;

/**
 * Streams of one gRPC connection at a time. An exporter has some ten requests in flight, a Collector in front of us some
 * tens; beyond it a client queues by itself. The Collector sets no bound by default.
 */
const STREAMS_MAX_DEFAULT = 1000;

const AUTH_LATER =
  "leave it out until the extensions bearertokenauth and basicauth are there; tls.client_ca_file lets in only clients with a certificate of yours";

/** Milliseconds; 0 stands for `standard`, as in Go's gRPC. */
function keepaliveTime(what: string, standard: string): z.ZodType<number, string | undefined> {
  return duration({ default: "0s" }).describe(`${what} 0s: ${standard}.`);
}

const keepaliveConfig = block({
  server_parameters: optionalBlock(
    block({
      max_connection_idle: keepaliveTime("A connection without a request for this long is asked to go.", "never"),
      max_connection_age: keepaliveTime("So is one of this age, a tenth more or less.", "never"),
      max_connection_age_grace: keepaliveTime("What it then has to finish its requests.", "without end"),
      time: keepaliveTime("A connection that is silent for this long is pinged.", "2h"),
      timeout: keepaliveTime("It is closed where no answer comes in this time.", "20s"),
    }),
  ).describe("Connections that are idle, old or dead."),
  enforcement_policy: optionalBlock(
    block({
      min_time: keepaliveTime(
        "A client that pings more often, three times without a request between, is cut off.",
        "5m",
      ),
      permit_without_stream: z.boolean().default(false).describe("Clients may ping while they have no request."),
    }),
  ).describe("Clients' pings; with `engine: grpc_js` it has no effect."),
});

const TRANSPORTS = ["tcp", "tcp4", "tcp6", "unix"] as const;
type Transport = (typeof TRANSPORTS)[number];

interface Listening {
  readonly endpoint: string;
  readonly transport: Transport;
}

/** What `endpoint` may be depends on `transport`: checkListening() belongs behind the block. */
function listening(standard: string): {
  endpoint: z.ZodType<string, string | undefined>;
  transport: z.ZodType<Listening["transport"], Listening["transport"] | undefined>;
} {
  const schema = annotate(z.string().default(standard), { type: "host:port", example: `"${standard}"` });
  return {
    endpoint: schema.describe("Where it listens; port 0 lets the system choose. With unix: the path of the socket."),
    transport: z
      .enum(TRANSPORTS)
      .default("tcp")
      .describe("TCP, over IPv4 or IPv6 alone with tcp4 and tcp6, or a Unix socket."),
  };
}

function checkListening({ endpoint, transport }: Listening, context: z.core.$RefinementCtx): void {
  const parsed = transport === "unix" ? unixEndpoint(endpoint) : parseEndpoint(endpoint);
  if ("problem" in parsed) {
    const fix = 'write it as "localhost:4317", ":4317" or "[::1]:4317"';
    refuse(context, { path: ["endpoint"], expected: `host:port (${parsed.problem})`, fix });
  } else if (transport === "unix" && !endpoint.startsWith("/")) {
    refuse(context, { path: ["endpoint"], expected: "the path of a socket", fix: 'write it as "/run/signalbox.sock"' });
  }
}

/** Where checkListening() found no fault. */
export function listeningEndpoint({ endpoint, transport }: Listening): Endpoint {
  const parsed = transport === "unix" ? unixEndpoint(endpoint) : parseEndpoint(endpoint);
  if ("problem" in parsed) throw new Error(`${endpoint}: ${parsed.problem}`);
  if (transport === "tcp4") return { ...parsed, family: 4 };
  return transport === "tcp6" ? { ...parsed, family: 6 } : parsed;
}

const grpcConfig = block({
  engine: z
    .enum(["http2", "grpc_js"])
    .default("http2")
    .describe("Ours: what serves gRPC, node:http2 or @grpc/grpc-js (see Limits)."),
  ...listening("localhost:4317"),
  max_recv_msg_size_mib: z
    .int()
    .min(0)
    .max(DOOR_BYTES_MAX / MIB)
    .default(0)
    .describe("The largest request after decompression, in MiB. 0: 64, as OTLP recommends (the Collector: 4)."),
  max_concurrent_streams: z
    .int()
    .min(0)
    .max(100_000)
    .default(0)
    .describe(`Requests in flight on one connection. 0: ${STREAMS_MAX_DEFAULT} (the Collector: unbounded).`),
  include_metadata: z.boolean().default(false).describe("Exporters may pass the senders' headers on."),
  read_buffer_size: unused(z.int().min(0).default(524_288)),
  write_buffer_size: unused(z.int().min(0).default(0)),
  tls: optionalBlock(serverTlsSchema).describe("TLS, and with client_ca_file mutual TLS. Absent: plain text."),
  auth: later(AUTH_LATER),
  keepalive: optionalBlock(keepaliveConfig).describe("As the Collector's."),
  middlewares: later("leave it out; max_recv_msg_size_mib and processors/memory_limiter bound what comes in"),
}).superRefine(checkListening);

const httpConfig = block({
  ...listening("localhost:4318"),
  traces_url_path: urlPath("/v1/traces").describe("The path that takes traces."),
  metrics_url_path: urlPath("/v1/metrics").describe("The path that takes metrics."),
  logs_url_path: urlPath("/v1/logs").describe("The path that takes logs."),
  profiles_url_path: withoutEffect(urlPath("/v1development/profiles"), "profiles are no signal here").describe(
    "Read for compatibility.",
  ),
  max_request_body_size: byteSize({ default: "64MiB", max: "256MiB" }).describe(
    "The largest request, before and after decompression; 0 is the default, which OTLP recommends (the Collector: 20MiB).",
  ),
  include_metadata: z.boolean().default(false).describe("Exporters may pass the senders' headers on."),
  strict_json: z
    .boolean()
    .default(false)
    .describe("Refuse names of enum values in JSON, which OTLP forbids and every Collector takes."),
  read_timeout: duration({ default: "0s" }).describe(
    "From when the door begins to read a body to its end; then 408. 0s: 60s (the Collector: without end).",
  ),
  read_header_timeout: duration({ default: "0s" }).describe(
    "From a request's first byte to the end of its headers; then 408. 0s: 10s (the Collector: without end).",
  ),
  write_timeout: duration({ default: "0s" }).describe(
    "How long an answer may wait for a client that does not read it; then the connection is closed. 0s: 10s.",
  ),
  keepalive: optionalBlock(
    block({
      idle_timeout: duration({ default: "0s" }).describe(
        "A connection without a request for this long is closed. 0s: 60s.",
      ),
    }),
  ).describe("Connections between two requests."),
  tls: optionalBlock(serverTlsSchema).describe("TLS, and with client_ca_file mutual TLS. Absent: plain text."),
  cors: optionalBlock(corsSchema).describe("Pages of other origins that may send from a browser. Absent: none."),
  compression_algorithms: z
    .array(compressionAlgorithm())
    .default([...CONTENT_CODINGS])
    .describe('What a body may come in; "" is uncompressed.'),
  response_headers: responseHeadersSchema.describe("Headers of every answer."),
  auth: later(AUTH_LATER),
  middlewares: later("leave it out; max_request_body_size and processors/memory_limiter bound what comes in"),
}).superRefine(checkListening);

/** The Collector's keys (receiver/otlpreceiver/config.go, config/configgrpc, config/confighttp). */
export const otlpReceiverConfig = block({
  protocols: defaultBlock({
    grpc: optionalBlock(grpcConfig).describe("OTLP over gRPC; `grpc:` alone takes the defaults."),
    http: optionalBlock(httpConfig).describe("OTLP over HTTP, protobuf and JSON; `http:` alone takes the defaults."),
  }).describe("At least one of the two."),
}).superRefine(({ protocols: { grpc, http } }, context) => {
  if (grpc === undefined && http === undefined) {
    refuse(context, {
      path: ["protocols"],
      message: "must specify at least one protocol when using the OTLP receiver",
      fix: "write `grpc:` or `http:` below protocols",
    });
  }
  const paths = http === undefined ? [] : [http.traces_url_path, http.metrics_url_path, http.logs_url_path];
  if (new Set(paths).size < paths.length) {
    refuse(context, {
      path: ["protocols", "http"],
      message: "two signals have the same path",
      fix: "give traces_url_path, metrics_url_path and logs_url_path a path each",
    });
  }
});

export type OtlpReceiverConfig = z.output<typeof otlpReceiverConfig>;
export type OtlpGrpcConfig = NonNullable<OtlpReceiverConfig["protocols"]["grpc"]>;
export type OtlpHttpConfig = NonNullable<OtlpReceiverConfig["protocols"]["http"]>;

export function messageBytesMax(config: OtlpGrpcConfig): number {
  return config.max_recv_msg_size_mib === 0 ? REQUEST_BYTES_MAX : config.max_recv_msg_size_mib * MIB;
}

export function streamsMax(config: OtlpGrpcConfig): number {
  return config.max_concurrent_streams === 0 ? STREAMS_MAX_DEFAULT : config.max_concurrent_streams;
}

export function bodyBytesMax(config: OtlpHttpConfig): number {
  return config.max_request_body_size === 0 ? REQUEST_BYTES_MAX : config.max_request_body_size;
}

/** As the Collector, which puts the slash in front where it is missing. */
function urlPath(path: string): z.ZodType<string, string | undefined> {
  const schema = z
    .string()
    // Not a colon in front either, which the Collector takes for a scheme.
    .regex(/^([^:?#\s][^?#\s]*)?$/, "expected a path without query")
    .transform((text) => (text.startsWith("/") ? text : `/${text}`));
  return schema.prefault(path);
}

/** As the Collector names them; what it has and we have not is refused by name. */
function compressionAlgorithm(): z.ZodType<string, string> {
  const names = CONTENT_CODINGS.map((name) => `"${name}"`).join(", ");
  const schema = z.string().superRefine((name, context) => {
    if (CONTENT_CODINGS.includes(name)) return;
    refuse(context, { expected: `one of ${names}`, fix: `leave ${JSON.stringify(name)} out: it is not taken here` });
  });
  return annotate(schema, { type: "string" });
}

/** A key of the Collector's that this version does not serve yet: whoever sets it relies on it, so it is refused. */
function later(fix: string): ReturnType<typeof notYet> {
  return notYet(fix).describe("Not in this version: refused.");
}

function unused<T extends z.ZodType>(schema: T): T {
  return withoutEffect(schema, "the gateway sizes its buffers itself").describe("Read for compatibility.");
}
