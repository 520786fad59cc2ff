import { z } from "zod";
import {
  annotate,
  block,
  defaultBlock,
  duration,
  optionalBlock,
  refuse,
  secret,
  optionalUrl,
  withoutEffect,
} from "../../config/types.ts";
import type { Secret } from "../../config/types.ts";
import { ENCODINGS, LEVEL_DEFAULT, LEVEL_MAX } from "../../net/content-encode.ts";
import { headersSchema, clientTlsSchema, notYet } from "../../net/client-config.ts";
import { retrySchema, sendingQueueSchema, timeoutSchema } from "../../queue/config.ts";

export const COMPRESSIONS = [...ENCODINGS, "none"] as const;
export type Compression = (typeof COMPRESSIONS)[number];

/** "" is what the Collector takes for none, too. */
const compressionNames = z
  .enum([...COMPRESSIONS, ""])
  .default("gzip")
  .transform((name): Compression => name || "none");

const compressionSchema = annotate(compressionNames, {
  type: COMPRESSIONS.map((name) => `\`${name}\``).join(", "),
  fix: (found) =>
    found === "lz4"
      ? "lz4 is not supported, because Node has no encoder for it: write zstd"
      : `write ${COMPRESSIONS.slice(0, -1).join(", ")} or none`,
});

const RESERVED_HEADERS = new Map([
  ["content-type", "set encoding"],
  ["content-encoding", "set compression"],
  ["content-length", "leave it out"],
  ["transfer-encoding", "leave it out"],
  ["connection", "set keepalive.enabled"],
]);

const proxyUrl = annotate(
  secret().transform((written, context): Secret | undefined => {
    // As for the Collector: nothing is set.
    if (written.reveal() === "") return undefined;
    const parsed = URL.parse(written.reveal());
    if (parsed !== null && ["http:", "https:"].includes(parsed.protocol) && parsed.host !== "") return written;
    // Not shown: it may hold a password.
    const message =
      parsed?.protocol.startsWith("socks") === true ? "SOCKS proxies are not supported" : "is not the URL of a proxy";
    refuse(context, { message, fix: 'write it as "http://proxy.example.com:3128"' });
    return z.NEVER;
  }),
  { type: "secret URL", secret: true },
);

const configBlock = block({
  endpoint: optionalUrl().describe("The backend's base URL; /v1/traces, /v1/metrics or /v1/logs is added."),
  traces_endpoint: optionalUrl().describe("The whole URL for traces."),
  metrics_endpoint: optionalUrl().describe("The whole URL for metrics."),
  logs_endpoint: optionalUrl().describe("The whole URL for logs."),
  profiles_endpoint: withoutEffect(optionalUrl(), "profiles are no signal here").describe("Read for compatibility."),
  encoding: z.enum(["proto", "json"]).default("proto").describe("How requests are encoded."),
  compression: compressionSchema.describe("How requests are compressed."),
  compression_params: defaultBlock({
    level: z
      .int()
      .min(-1)
      .max(22)
      .default(LEVEL_DEFAULT)
      .describe(
        "From fast to small: gzip, deflate and zlib 1 to 9, or 0 to store only; zstd 1 to 22; -1: the algorithm's default.",
      ),
  }).describe("Details of the compression."),
  headers: headersSchema((name) => RESERVED_HEADERS.get(name)).describe("Headers sent with every request."),
  timeout: timeoutSchema("30s").describe("Time for one attempt."),
  tls: clientTlsSchema.describe("TLS towards the backend, where the URL begins with https://."),
  max_conns_per_host: z.int().min(0).max(10_000).default(0).describe("Connections to the backend at most; 0: 100."),
  keepalive: defaultBlock({
    enabled: z.boolean().default(true).describe("Keep connections open between requests."),
    idle_conn_timeout: duration({ default: "90s" }).describe("An idle connection is closed after this time."),
    max_idle_conns: z.int().min(0).default(100).describe("Idle connections at most; 0: 100."),
    max_idle_conns_per_host: withoutEffect(z.int().min(0).optional(), "all connections go to one host").describe(
      "Read for compatibility.",
    ),
  }).describe("Connections between requests."),
  retry_on_failure: retrySchema.describe("When a failed request is sent again."),
  sending_queue: sendingQueueSchema.describe("The queue before this destination."),
  write_buffer_size: withoutEffect(z.number().optional(), "Node sizes its own buffers").describe(
    "Read for compatibility.",
  ),
  read_buffer_size: withoutEffect(z.number().optional(), "Node sizes its own buffers").describe(
    "Read for compatibility.",
  ),
  force_attempt_http2: withoutEffect(z.boolean().optional(), "requests go over HTTP/1.1").describe(
    "Read for compatibility.",
  ),
  http2_read_idle_timeout: withoutEffect(duration().optional(), "requests go over HTTP/1.1").describe(
    "Read for compatibility.",
  ),
  http2_ping_timeout: withoutEffect(duration().optional(), "requests go over HTTP/1.1").describe(
    "Read for compatibility.",
  ),
  proxy_url: proxyUrl
    .optional()
    .describe(
      "The proxy to go through, with credentials where it wants any. Default: as HTTP_PROXY, HTTPS_PROXY and NO_PROXY of the environment say.",
    ),
  auth: notYet("put the token into headers", "authenticator").describe("Not supported yet."),
  cookies: withoutEffect(optionalBlock(block({})), "cookies of the backend are not kept").describe(
    "Read for compatibility.",
  ),
  middlewares: notYet("leave it out").describe("Not supported yet."),
});

export type OtlpHttpConfig = z.output<typeof configBlock>;

export const otlpHttpConfig = configBlock.superRefine((config, context) => {
  const { endpoint, traces_endpoint, metrics_endpoint, logs_endpoint } = config;
  const endpoints = { endpoint, traces_endpoint, metrics_endpoint, logs_endpoint };
  if (Object.values(endpoints).every((written) => written === undefined)) {
    const fix = 'write endpoint: "http://localhost:4318"';
    refuse(context, { message: "at least one endpoint must be specified", fix });
  }
  for (const [key, written] of Object.entries(endpoints)) checkEndpoint(key, written, context);
  checkLevel(config, context);
});

function checkEndpoint(key: string, written: string | undefined, context: z.core.$RefinementCtx): void {
  if (written === undefined) return;
  const { username, password, search, hash } = new URL(written);
  if (username !== "" || password !== "") {
    const message = "must not hold credentials, which would be shown in messages";
    refuse(context, { path: [key], message, fix: "put them into headers" });
  }
  if (key === "endpoint" && (search !== "" || hash !== "")) {
    const message = "must not have a query, because a path is added to it";
    refuse(context, { path: [key], message, fix: "leave the query out, or write logs_endpoint and its like in full" });
  }
}

function checkLevel(
  { compression, compression_params: { level } }: OtlpHttpConfig,
  context: z.core.$RefinementCtx,
): void {
  if (level <= 0 || compression === "none") return;
  const levelMax = LEVEL_MAX[compression] ?? 0;
  if (level <= levelMax) return;
  const message = `unsupported level ${level} for ${compression}`;
  const fix = levelMax === 0 ? "leave it out: snappy has no levels" : `write 1 to ${levelMax}, or leave it out`;
  refuse(context, { path: ["compression_params", "level"], message, fix });
}
