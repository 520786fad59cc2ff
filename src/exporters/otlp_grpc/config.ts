import { z } from "zod";
import { annotate, block, duration, optionalBlock, optionalText, refuse, withoutEffect } from "../../config/types.ts";
import { headersSchema, clientTlsSchema, notYet } from "../../net/client-config.ts";
import { retrySchema, sendingQueueSchema, timeoutSchema } from "../../queue/config.ts";
import { parseGrpcEndpoint } from "./endpoint.ts";

const grpcEndpoint = annotate(
  z.string().superRefine((text, context) => {
    if (text === "") return refuse(context, { message: 'requires a non-empty "endpoint"', fix: ENDPOINT_FIX });
    const parsed = parseGrpcEndpoint(text);
    if ("problem" in parsed) refuse(context, { expected: `host:port (${parsed.problem})`, fix: ENDPOINT_FIX });
  }),
  { type: "host:port", expected: "host:port", example: '"localhost:4317"' },
);

const ENDPOINT_FIX =
  'write it as "localhost:4317"; "http://localhost:4317" is plain text, "https://localhost:4317" is TLS';

/** "" is what the Collector takes for none, too. */
const compressionNames = z
  .enum(["gzip", "zstd", "snappy", "none", ""])
  .default("gzip")
  .transform((name) => name || "none");

const compression = annotate(compressionNames, {
  type: "`gzip`, `zstd`, `snappy`, `none`",
  fix: "write gzip, zstd, snappy or none",
});

/** "" leaves the choice to the client, in the Collector too: the first address that answers. */
const balancerNames = z.enum(["round_robin", "pick_first", ""]).transform((name) => name || "pick_first");

const balancer = annotate(balancerNames, {
  type: "`round_robin`, `pick_first`",
  fix: "write round_robin or pick_first",
});

// grpc-go refuses to ping more often than every 10 s, and servers close connections that do (too_many_pings).
const keepalive = block({
  time: duration({ default: "10s", positive: true }).describe("A ping is sent after this long without an answer."),
  timeout: duration({ default: "10s", positive: true }).describe(
    "A ping not answered in this time ends the connection.",
  ),
  permit_without_stream: z.boolean().default(false).describe("Ping also while no request is under way."),
});

const RESERVED_HEADERS = new Map([
  ["content-type", "leave it out"],
  ["te", "leave it out"],
  ["host", "set authority"],
  ["user-agent", "set user_agent"],
  ["grpc-timeout", "set timeout"],
  ["grpc-encoding", "set compression"],
]);

function reservedHeader(name: string): string | undefined {
  const advice = RESERVED_HEADERS.get(name);
  if (advice !== undefined) return advice;
  if (name.startsWith("grpc-")) return 'leave it out: names that begin with "grpc-" belong to the protocol';
  return name.endsWith("-bin") ? 'choose another name: "-bin" marks bytes, and headers are text here' : undefined;
}

export const otlpGrpcConfig = block({
  endpoint: grpcEndpoint.describe("The backend's gRPC address."),
  tls: clientTlsSchema.describe("TLS towards the backend."),
  compression: compression.describe("How requests are compressed."),
  headers: headersSchema(reservedHeader).describe("Metadata sent with every request."),
  authority: optionalText().describe("The :authority that requests carry instead of the endpoint."),
  user_agent: optionalText().describe(
    "What the backend reads as our name, before grpc-js's own; default: Signalbox and its version.",
  ),
  keepalive: optionalBlock(keepalive).describe("Pings that find out whether the connection lives."),
  wait_for_ready: z
    .boolean()
    .default(false)
    .describe("Wait for a connection until the timeout instead of failing at once."),
  balancer_name: balancer
    .prefault("round_robin")
    .describe("How requests are spread over the addresses of the endpoint."),
  timeout: timeoutSchema("5s").describe("Time for one attempt."),
  retry_on_failure: retrySchema.describe("When a failed request is sent again."),
  sending_queue: sendingQueueSchema.describe("The queue before this destination."),
  write_buffer_size: withoutEffect(z.number().optional(), "Node sizes its own buffers").describe(
    "Read for compatibility.",
  ),
  read_buffer_size: withoutEffect(z.number().optional(), "Node sizes its own buffers").describe(
    "Read for compatibility.",
  ),
  auth: notYet("put the token into headers", "authenticator").describe("Not supported yet."),
  middlewares: notYet("leave it out").describe("Not supported yet."),
});

export type OtlpGrpcConfig = z.output<typeof otlpGrpcConfig>;
