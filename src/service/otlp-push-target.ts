import { Client, credentials, Metadata, status } from "@grpc/grpc-js";
import type { ChannelCredentials, ServiceError } from "@grpc/grpc-js";
import { HttpClient } from "../net/http-client.ts";
import { OTLP_METHODS } from "../net/otlp-methods.ts";
import { MEDIA_TYPES } from "../net/sender-answers.ts";

/** Where own metrics are pushed, and how. */
export interface OtlpPushTarget {
  /** As it is shown: without what a person may have written in front of the host. */
  readonly endpoint: string;
  readonly encoding: "protobuf" | "json";
  /** One attempt. Rejects with an Error that says why not, and never shows a header. */
  send(body: Uint8Array, signal: AbortSignal): Promise<void>;
  close(): void;
}

export interface OtlpPushSettings {
  readonly protocol: "grpc" | "http/protobuf" | "http/json";
  /** With or without a scheme; https is TLS. */
  readonly endpoint: string;
  readonly headers: Readonly<Record<string, string>>;
}

export function createPushTarget(settings: OtlpPushSettings): OtlpPushTarget {
  const { endpoint } = settings;
  const url = new URL(endpoint.includes("://") ? endpoint : `http://${endpoint}`);
  return settings.protocol === "grpc" ? new GrpcTarget(settings, url) : new HttpTarget(settings, url);
}

/** One request a minute: a connection is not worth keeping. */
const CLIENT = {
  tls: undefined,
  proxy: undefined,
  keepAlive: false,
  socketCountMax: 1,
  idleSocketCountMax: 0,
  idleMs: 1000,
};

class HttpTarget implements OtlpPushTarget {
  readonly endpoint: string;
  readonly encoding: "protobuf" | "json";
  readonly #url: URL;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #client = new HttpClient(CLIENT);

  constructor({ protocol, headers }: OtlpPushSettings, url: URL) {
    this.encoding = protocol === "http/json" ? "json" : "protobuf";
    this.endpoint = url.host;
    this.#url = new URL(url.pathname === "/" ? "/v1/metrics" : url.pathname, url);
    this.#headers = { ...headers, "content-type": MEDIA_TYPES[this.encoding] };
  }

  async send(body: Uint8Array, signal: AbortSignal): Promise<void> {
    const reply = await this.#client.post({ url: this.#url, headers: this.#headers, body: [body] }, signal);
    if (reply.status < 200 || reply.status > 299) throw new Error(`HTTP ${reply.status}`);
  }

  close(): void {
    this.#client.close();
  }
}

class GrpcTarget implements OtlpPushTarget {
  readonly endpoint: string;
  readonly encoding = "protobuf";
  readonly #client: Client;
  readonly #metadata = new Metadata();

  constructor({ headers }: OtlpPushSettings, url: URL) {
    this.endpoint = url.host;
    const isTls = url.protocol === "https:";
    const channel: ChannelCredentials = isTls ? credentials.createSsl() : credentials.createInsecure();
    this.#client = new Client(url.port === "" ? `${url.hostname}:${isTls ? 443 : 80}` : url.host, channel);
    for (const [name, value] of Object.entries(headers)) this.#metadata.set(name, value);
  }

  send(body: Uint8Array, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (error: ServiceError | null): void => {
        signal.removeEventListener("abort", cancel);
        if (error === null) resolve();
        else reject(new Error(`${status[error.code]}: ${error.details}`));
      };
      const message = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
      const call = this.#client.makeUnaryRequest(OTLP_METHODS.metrics, asIs, asIs, message, this.#metadata, done);
      const cancel = (): void => call.cancel();
      signal.addEventListener("abort", cancel, { once: true });
      if (signal.aborted) cancel();
    });
  }

  close(): void {
    this.#client.close();
  }
}

function asIs(bytes: Buffer): Buffer {
  return bytes;
}
