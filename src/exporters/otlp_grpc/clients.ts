import { isIP } from "node:net";
import { createSecureContext } from "node:tls";
import { type ClientOptions, compressionAlgorithms, credentials } from "@grpc/grpc-js";
import type { Clock } from "../../core/clock.ts";
import { USER_AGENT } from "../../core/version.ts";
import { ANSWER_BYTES_MAX } from "../../net/backend-answers.ts";
import type { ClientTls } from "../../net/client-tls.ts";
import { addressSource } from "../../net/grpc-addresses.ts";
import type { GrpcClient } from "../../net/grpc-client.ts";
import { GrpcHttp2Client } from "../../net/grpc-http2-client.ts";
import type { OtlpGrpcConfig } from "./config.ts";
import { GrpcJsClient } from "./grpc-js-client.ts";

// grpc-js waits up to two minutes between attempts to connect. The sending queue already spaces its attempts, and a
// backend that is back should be found within seconds.
const RECONNECT_MS_MAX = 10_000;

export interface ExporterClient extends GrpcClient {
  replaceTls(tls: ClientTls): void;
}

export interface ClientSettings {
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly config: OtlpGrpcConfig;
  readonly clock: Clock;
  /** What the environment wants for the target; grpc-js would read other names than the Collector does. */
  readonly proxy?: URL | undefined;
}

/**
 * grpc-js, where it can do what is asked: it knows neither zstd nor snappy, asks no name server but the system's, and
 * gives the IP address of an endpoint to the server as its name, which TLS forbids and Node warns of; and goes through proxies
 * by other rules than the Collector.
 * docs/decisions/0006 has what was weighed.
 */
export function createClient(settings: ClientSettings, tls: ClientTls | undefined): ExporterClient {
  return suitsGrpcJs(settings, tls) ? createGrpcJsClient(settings, tls) : createHttp2Client(settings, tls);
}

function suitsGrpcJs({ target, config, proxy }: ClientSettings, tls: ClientTls | undefined): boolean {
  if (proxy !== undefined) return false;
  const { host, nameServer } = addressSource(target);
  const isNamed = tls === undefined || tls.serverName !== undefined || isIP(host) === 0;
  return isNamed && nameServer === "" && (config.compression === "gzip" || config.compression === "none");
}

export function createHttp2Client(
  { target, headers, config, clock, proxy }: ClientSettings,
  tls: ClientTls | undefined,
): GrpcHttp2Client {
  const { compression, user_agent, authority, balancer_name, wait_for_ready, keepalive } = config;
  const lowered = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value] as const);
  return new GrpcHttp2Client({
    target,
    tls,
    proxy,
    compression: compression === "none" ? "identity" : compression,
    headers: Object.fromEntries(lowered),
    userAgent: user_agent ?? USER_AGENT,
    authority,
    balancer: balancer_name,
    waitForReady: wait_for_ready,
    keepalive: keepalive && {
      timeMs: keepalive.time,
      timeoutMs: keepalive.timeout,
      permitWithoutStream: keepalive.permit_without_stream,
    },
    clock,
    random: Math.random,
  });
}

export function createGrpcJsClient(
  { target, headers, config, clock }: ClientSettings,
  tls: ClientTls | undefined,
): ExporterClient {
  const client = new GrpcJsClient({
    target,
    credentials: createCredentials(tls),
    options: channelOptions(config),
    headers,
    waitForReady: config.wait_for_ready,
    clock,
  });
  return {
    call: (call, signal) => client.call(call, signal),
    close: () => client.close(),
    replaceTls: (changed) => client.replaceCredentials(createCredentials(changed)),
  };
}

function channelOptions({
  authority,
  compression,
  keepalive,
  tls,
  user_agent,
  balancer_name,
}: OtlpGrpcConfig): ClientOptions {
  return {
    // A pool shared by channels would let one exporter's shutdown, or its replaced connection, touch another's.
    "grpc.use_local_subchannel_pool": 1,
    // It would read http_proxy itself, by rules of its own: what goes through a proxy goes with the other client.
    "grpc.enable_http_proxy": 0,
    "grpc.primary_user_agent": user_agent ?? USER_AGENT,
    "grpc.max_send_message_length": -1,
    "grpc.max_receive_message_length": ANSWER_BYTES_MAX,
    "grpc.max_reconnect_backoff_ms": RECONNECT_MS_MAX,
    "grpc.service_config": JSON.stringify({ loadBalancingConfig: [{ [balancer_name]: {} }] }),
    // The backend's DNS must not change how requests are balanced and retried.
    "grpc.service_config_disable_resolution": 1,
    ...(compression === "gzip" && { "grpc.default_compression_algorithm": compressionAlgorithms.gzip }),
    ...(authority !== undefined && { "grpc.default_authority": authority }),
    ...(tls.server_name_override !== undefined && { "grpc.ssl_target_name_override": tls.server_name_override }),
    ...(keepalive !== undefined && {
      "grpc.keepalive_time_ms": keepalive.time,
      "grpc.keepalive_timeout_ms": keepalive.timeout,
      "grpc.keepalive_permit_without_calls": keepalive.permit_without_stream ? 1 : 0,
    }),
  };
}

function createCredentials(tls: ClientTls | undefined): ReturnType<typeof credentials.createInsecure> {
  if (tls === undefined) return credentials.createInsecure();
  const context = createSecureContext(tls.contextOptions);
  return credentials.createFromSecureContext(context, { rejectUnauthorized: tls.rejectUnauthorized });
}
