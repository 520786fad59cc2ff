import { createSecureContext } from "node:tls";
import { type ClientOptions, compressionAlgorithms, credentials, Metadata } from "@grpc/grpc-js";
import type { Exporter, Settings } from "../../core/component.ts";
import { ConsumeError } from "../../core/errors.ts";
import type { OutgoingRequest, SendResult } from "../../core/sender.ts";
import { USER_AGENT } from "../../core/version.ts";
import {
  ANSWER_BYTES_MAX,
  type Backend,
  errorFromAbort,
  errorFromGrpcAnswer,
  errorFromLargeAnswer,
  resultFromPartialSuccess,
  secretsOf,
} from "../../net/backend-answers.ts";
import { revealHeaders } from "../../net/client-config.ts";
import { type ClientTls, loadClientTls } from "../../net/client-tls.ts";
import { OTLP_METHODS } from "../../net/otlp-methods.ts";
import { decodePartialSuccess, GRPC_CODES } from "../../net/rpc-status.ts";
import type { EncodedPayload } from "../../wire/otlp/types.ts";
import type { OtlpGrpcConfig } from "./config.ts";
import { GrpcConnection, type GrpcReply } from "./connection.ts";
import { type GrpcEndpoint, parseGrpcEndpoint } from "./endpoint.ts";

// grpc-js waits up to two minutes between attempts to connect. The sending queue already spaces its attempts, and a
// backend that is back should be found within seconds.
const RECONNECT_MS_MAX = 10_000;

/** Sends Export requests over gRPC: the bytes as they are, framed and compressed by grpc-js. */
export class OtlpGrpcExporter implements Exporter {
  readonly #config: OtlpGrpcConfig;
  readonly #settings: Settings;
  readonly #endpoint: GrpcEndpoint;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #backend: Backend;
  #connection: GrpcConnection | undefined;

  constructor(settings: Settings, config: OtlpGrpcConfig) {
    const endpoint = parseGrpcEndpoint(config.endpoint);
    if ("problem" in endpoint) throw new Error(`endpoint: ${endpoint.problem}`);
    this.#settings = settings;
    this.#config = config;
    this.#endpoint = endpoint;
    this.#headers = revealHeaders(config.headers);
    this.#backend = { name: endpoint.name, protocol: "grpc", secrets: secretsOf(Object.values(this.#headers)) };
  }

  async start(): Promise<void> {
    const isPlaintext = this.#endpoint.isPlaintext ?? this.#config.tls.insecure;
    const tls = isPlaintext ? undefined : await loadClientTls(this.#config.tls);
    this.#connection = new GrpcConnection(this.#endpoint.target, createCredentials(tls), this.#channelOptions());
  }

  shutdown(): Promise<void> {
    this.#connection?.close();
    this.#connection = undefined;
    return Promise.resolve();
  }

  async send(request: OutgoingRequest, signal: AbortSignal): Promise<SendResult> {
    if (signal.aborted) throw errorFromAbort(signal, this.#backend);
    if (this.#connection === undefined)
      throw new ConsumeError("refused", `${this.#backend.name}: the exporter is not running`);
    const call = {
      path: OTLP_METHODS[request.signal],
      message: joinSlices(request.payload),
      metadata: this.#createMetadata(),
      options: this.#config.timeout === 0 ? {} : { deadline: this.#settings.clock.nowMs() + this.#config.timeout },
    };
    const reply = await this.#connection.call(call, signal);
    if (reply.code === GRPC_CODES.OK) return this.#readSuccess(request, reply);
    if (signal.aborted) throw errorFromAbort(signal, this.#backend);
    throw isAnswerTooLarge(reply) ? errorFromLargeAnswer(this.#backend) : errorFromGrpcAnswer(reply, this.#backend);
  }

  #readSuccess(request: OutgoingRequest, reply: GrpcReply): SendResult {
    const partial = decodePartialSuccess(request.signal, reply.message ?? new Uint8Array(0));
    const said = partial ?? { rejectedItems: 0, message: "answered OK with a message that is no OTLP response" };
    return resultFromPartialSuccess(said, request.payload.itemCount, this.#backend);
  }

  /** A new one for each call: grpc-js and its filters write into it. */
  #createMetadata(): Metadata {
    const metadata = new Metadata({ waitForReady: this.#config.wait_for_ready });
    for (const [name, value] of Object.entries(this.#headers)) metadata.set(name, value);
    return metadata;
  }

  #channelOptions(): ClientOptions {
    const { authority, compression, keepalive, tls, user_agent, balancer_name } = this.#config;
    return {
      // A pool shared by channels would let one exporter's shutdown, or its replaced connection, touch another's.
      "grpc.use_local_subchannel_pool": 1,
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
}

function createCredentials(tls: ClientTls | undefined): ReturnType<typeof credentials.createInsecure> {
  if (tls === undefined) return credentials.createInsecure();
  const context = createSecureContext(tls.contextOptions);
  return credentials.createFromSecureContext(context, { rejectUnauthorized: tls.rejectUnauthorized });
}

/** A gRPC message is one piece: the only copy of the payload that this exporter makes, and none where it is one slice. */
function joinSlices({ slices, size }: EncodedPayload): Buffer {
  const [first] = slices;
  if (first !== undefined && slices.length === 1) return Buffer.from(first.buffer, first.byteOffset, first.byteLength);
  return Buffer.concat(slices, size);
}

// grpc-js's own words when an answer exceeds what we let it receive; a backend's words name the backend's limit.
const LARGE_ANSWER_PATTERN = new RegExp(`(?: vs |larger than )${ANSWER_BYTES_MAX}\\)?$`);

function isAnswerTooLarge(reply: GrpcReply): boolean {
  return reply.hasHeaders && reply.code === GRPC_CODES.RESOURCE_EXHAUSTED && LARGE_ANSWER_PATTERN.test(reply.details);
}
