import { createSecureContext } from "node:tls";
import { promisify } from "node:util";
import { gzip as gzipWithCallback } from "node:zlib";
import { Client, compressionAlgorithms, credentials, Metadata, status } from "@grpc/grpc-js";
import type { ChannelCredentials, ServiceError } from "@grpc/grpc-js";
import { loadDeclaredTls } from "../net/client-tls.ts";
import type { ClientTls, DeclaredTls } from "../net/client-tls.ts";
import { HttpClient } from "../net/http-client.ts";
import { OTLP_METHODS } from "../net/otlp-methods.ts";
import { MEDIA_TYPES } from "../net/sender-answers.ts";

const gzip = promisify(gzipWithCallback);

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
  readonly compression: "gzip" | "none";
  /** Of an endpoint without a scheme: false is TLS. */
  readonly insecure: boolean;
  /** Only where the endpoint is https. */
  readonly tls: DeclaredTls;
}

/** Reads the certificates, if any. Rejects with an error that names the key and the file. */
export async function createPushTarget(settings: OtlpPushSettings): Promise<OtlpPushTarget> {
  const { endpoint, insecure } = settings;
  const url = new URL(endpoint.includes("://") ? endpoint : `${insecure ? "http" : "https"}://${endpoint}`);
  const tls = url.protocol === "https:" ? await loadDeclaredTls(settings.tls) : undefined;
  return settings.protocol === "grpc" ? new GrpcTarget(settings, url, tls) : new HttpTarget(settings, url, tls);
}

/** One request a minute: a connection is not worth keeping. */
const CLIENT = {
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
  readonly #isCompressed: boolean;
  readonly #client: HttpClient;

  constructor({ protocol, headers, compression }: OtlpPushSettings, url: URL, tls: ClientTls | undefined) {
    this.#client = new HttpClient({ ...CLIENT, tls });
    this.#isCompressed = compression === "gzip";
    this.encoding = protocol === "http/json" ? "json" : "protobuf";
    this.endpoint = url.host;
    this.#url = new URL(url.pathname === "/" ? "/v1/metrics" : url.pathname, url);
    const coding = this.#isCompressed ? { "content-encoding": "gzip" } : {};
    this.#headers = { ...headers, ...coding, "content-type": MEDIA_TYPES[this.encoding] };
  }

  async send(body: Uint8Array, signal: AbortSignal): Promise<void> {
    const sent = this.#isCompressed ? await gzip(body) : body;
    const reply = await this.#client.post({ url: this.#url, headers: this.#headers, body: [sent] }, signal);
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

  constructor({ headers, compression }: OtlpPushSettings, url: URL, tls: ClientTls | undefined) {
    this.endpoint = url.host;
    const channel: ChannelCredentials =
      tls === undefined
        ? credentials.createInsecure()
        : credentials.createFromSecureContext(createSecureContext(tls.contextOptions));
    const address = url.port === "" ? `${url.hostname}:${tls === undefined ? 80 : 443}` : url.host;
    const options = compression === "gzip" ? { "grpc.default_compression_algorithm": compressionAlgorithms.gzip } : {};
    this.#client = new Client(address, channel, options);
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
