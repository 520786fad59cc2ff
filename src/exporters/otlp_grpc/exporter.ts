import type { Exporter, Settings } from "../../core/component.ts";
import { ConsumeError } from "../../core/errors.ts";
import type { Labels } from "../../core/meter.ts";
import type { OutgoingRequest, SendResult } from "../../core/sender.ts";
import {
  ANSWER_BYTES_MAX,
  type Backend,
  errorFromAbort,
  errorFromGrpcAnswer,
  errorFromLargeAnswer,
  resultFromPartialSuccess,
  secretsOf,
} from "../../net/backend-answers.ts";
import { GrpcClientCalls } from "../../net/call-metrics.ts";
import { revealHeaders } from "../../net/client-config.ts";
import type { ClientTls } from "../../net/client-tls.ts";
import { ClientTlsReload } from "../../net/client-tls-reload.ts";
import type { GrpcCall, GrpcReply } from "../../net/grpc-client.ts";
import { OTLP_METHODS } from "../../net/otlp-methods.ts";
import { proxyFor } from "../../net/proxy-for.ts";
import { decodePartialSuccess, GRPC_CODES } from "../../net/rpc-status.ts";
import { createClient, type ExporterClient } from "./clients.ts";
import type { OtlpGrpcConfig } from "./config.ts";
import { addressLabels, type GrpcEndpoint, parseGrpcEndpoint } from "./endpoint.ts";
import { MessageBuffers } from "./message-buffers.ts";

/** Sends Export requests over gRPC: the bytes as they are, framed and compressed by a client (clients.ts). */
export class OtlpGrpcExporter implements Exporter {
  readonly #config: OtlpGrpcConfig;
  readonly #settings: Settings;
  readonly #endpoint: GrpcEndpoint;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #backend: Backend;
  readonly #calls: GrpcClientCalls | undefined;
  readonly #proxy: URL | undefined;
  readonly #messages = new MessageBuffers();
  #client: ExporterClient | undefined;
  #tls: ClientTlsReload | undefined;

  constructor(settings: Settings, config: OtlpGrpcConfig) {
    const endpoint = parseGrpcEndpoint(config.endpoint);
    if ("problem" in endpoint) throw new Error(`endpoint: ${endpoint.problem}`);
    this.#settings = settings;
    this.#config = config;
    this.#endpoint = endpoint;
    this.#calls = GrpcClientCalls.of(settings.meter, settings.clock, addressLabels(endpoint));
    this.#headers = revealHeaders(config.headers);
    // By HTTPS_PROXY in plain text, too: as in Go's gRPC.
    this.#proxy = endpoint.target.startsWith("unix:")
      ? undefined
      : proxyFor(new URL(`https://${endpoint.name}`), settings.proxy);
    this.#backend = { name: endpoint.name, protocol: "grpc", secrets: secretsOf(Object.values(this.#headers)) };
  }

  async start(): Promise<void> {
    const { clock, logger } = this.#settings;
    const config = this.#config;
    const isPlaintext = this.#endpoint.isPlaintext ?? config.tls.insecure;
    if (!isPlaintext) {
      const onChange = (changed: ClientTls): void => this.#client?.replaceTls(changed);
      this.#tls = new ClientTlsReload(config.tls, { clock, logger, onChange });
    }
    const tls = await this.#tls?.start();
    const { target } = this.#endpoint;
    this.#client = createClient({ target, headers: this.#headers, config, clock, proxy: this.#proxy }, tls);
  }

  shutdown(): Promise<void> {
    this.#tls?.stop();
    this.#client?.close();
    this.#client = undefined;
    return Promise.resolve();
  }

  async send(request: OutgoingRequest, signal: AbortSignal): Promise<SendResult> {
    if (signal.aborted) throw errorFromAbort(signal, this.#backend);
    if (this.#client === undefined)
      throw new ConsumeError("refused", `${this.#backend.name}: the exporter is not running`);
    const message = this.#messages.join(request.payload);
    const call = { path: OTLP_METHODS[request.signal], message, timeoutMs: this.#config.timeout };
    const reply = await this.#call(this.#client, call, signal);
    if (reply.code === GRPC_CODES.OK) {
      this.#messages.giveBack(message, request.payload);
      return this.#readSuccess(request, reply);
    }
    if (signal.aborted) throw errorFromAbort(signal, this.#backend);
    throw isAnswerTooLarge(reply) ? errorFromLargeAnswer(this.#backend) : errorFromGrpcAnswer(reply, this.#backend);
  }

  addressLabels(): Labels {
    return addressLabels(this.#endpoint);
  }

  #call(client: ExporterClient, call: GrpcCall, signal: AbortSignal): Promise<GrpcReply> {
    if (this.#calls === undefined) return client.call(call, signal);
    return this.#calls.time(call.path, () => client.call(call, signal));
  }

  #readSuccess(request: OutgoingRequest, reply: GrpcReply): SendResult {
    const partial = decodePartialSuccess(request.signal, reply.message ?? new Uint8Array(0));
    const said = partial ?? { rejectedItems: 0, message: "answered OK with a message that is no OTLP response" };
    return resultFromPartialSuccess(said, request.payload.itemCount, this.#backend);
  }
}

// The clients' own words when an answer exceeds what we let it receive; a backend's words name the backend's limit.
const LARGE_ANSWER_PATTERN = new RegExp(`(?: vs |larger than )${ANSWER_BYTES_MAX}\\)?$`);

function isAnswerTooLarge(reply: GrpcReply): boolean {
  return reply.hasHeaders && reply.code === GRPC_CODES.RESOURCE_EXHAUSTED && LARGE_ANSWER_PATTERN.test(reply.details);
}
