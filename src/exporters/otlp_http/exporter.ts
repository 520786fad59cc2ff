import type { Exporter, Settings } from "../../core/component.ts";
import { ConsumeError } from "../../core/errors.ts";
import type { Labels } from "../../core/meter.ts";
import type { ProxyEnvironment } from "../../core/proxy-environment.ts";
import type { OutgoingRequest, SendResult } from "../../core/sender.ts";
import { SIGNALS, type Signal } from "../../core/signal.ts";
import { USER_AGENT } from "../../core/version.ts";
import {
  type Backend,
  errorFromAbort,
  errorFromConnection,
  errorFromHttpAnswer,
  errorFromLargeAnswer,
  resultFromPartialSuccess,
  secretsOf,
} from "../../net/backend-answers.ts";
import { HttpClientCalls, urlLabels } from "../../net/call-metrics.ts";
import { revealHeaders } from "../../net/client-config.ts";
import type { ClientTls } from "../../net/client-tls.ts";
import { ClientTlsReload } from "../../net/client-tls-reload.ts";
import { HttpClient, type HttpPost, type HttpReply, LargeAnswerError } from "../../net/http-client.ts";
import { proxyFor } from "../../net/proxy-for.ts";
import { decodePartialSuccess, type PartialSuccess, partialSuccessFromJson } from "../../net/rpc-status.ts";
import { CONTENT_TYPES, encodeBody, type BodySettings } from "./body.ts";
import type { OtlpHttpConfig } from "./config.ts";

// `max_conns_per_host: 0` is "no limit" in the Collector. Requests under way are bounded by num_consumers anyway; this
// bounds them where someone sets that to thousands.
const SOCKET_COUNT_DEFAULT = 100;

interface Destination {
  readonly url: URL;
  readonly backend: Backend;
  readonly proxy: URL | undefined;
}

/** Sends Export requests over HTTP/1.1. */
export class OtlpHttpExporter implements Exporter {
  readonly #config: OtlpHttpConfig;
  readonly #settings: Settings;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #body: BodySettings;
  readonly #destinations: ReadonlyMap<Signal, Destination>;
  readonly #calls: HttpClientCalls | undefined;
  /** By the proxy that they go through, "" for none; undefined while it does not run. */
  #clients: ReadonlyMap<string, HttpClient> | undefined;
  #tls: ClientTlsReload | undefined;

  constructor(settings: Settings, config: OtlpHttpConfig) {
    this.#settings = settings;
    this.#config = config;
    this.#calls = HttpClientCalls.of(settings.meter, settings.clock);
    const { encoding, compression, compression_params } = config;
    this.#body = { encoding, compression, level: compression_params.level };
    const headers = revealHeaders(config.headers);
    this.#headers = allHeaders(headers, this.#body);
    this.#destinations = createDestinations(config, Object.values(headers), settings.proxy);
  }

  async start(): Promise<void> {
    const isTls = [...this.#destinations.values()].some(({ url }) => url.protocol === "https:");
    const { keepalive, max_conns_per_host } = this.#config;
    if (isTls) {
      const { clock, logger } = this.#settings;
      const onChange = (tls: ClientTls): void => this.#clients?.forEach((client) => client.replaceTls(tls));
      this.#tls = new ClientTlsReload(this.#config.tls, { clock, logger, onChange });
    }
    const shared = {
      tls: await this.#tls?.start(),
      keepAlive: keepalive.enabled,
      socketCountMax: max_conns_per_host || SOCKET_COUNT_DEFAULT,
      idleSocketCountMax: keepalive.max_idle_conns || SOCKET_COUNT_DEFAULT,
      idleMs: keepalive.idle_conn_timeout,
    };
    const proxies = new Map([...this.#destinations.values()].map(({ proxy }) => [proxy?.href ?? "", proxy] as const));
    this.#clients = new Map([...proxies].map(([href, proxy]) => [href, new HttpClient({ ...shared, proxy })]));
  }

  shutdown(): Promise<void> {
    this.#tls?.stop();
    this.#clients?.forEach((client) => client.close());
    this.#clients = undefined;
    return Promise.resolve();
  }

  async send(request: OutgoingRequest, signal: AbortSignal): Promise<SendResult> {
    const { url, backend, proxy } = this.#destinationOf(request.signal);
    const body = await this.#encode(request, backend);
    if (signal.aborted) throw errorFromAbort(signal, backend);
    const client = this.#clients?.get(proxy?.href ?? "");
    if (client === undefined) throw notRunning(backend);
    const reply = await this.#post(client, { url, headers: this.#headers, body }, signal).catch((error: unknown) => {
      throw this.#clients !== undefined ? errorFromFailure(error, signal, backend) : notRunning(backend);
    });
    if (reply.status < 200 || reply.status > 299) {
      throw errorFromHttpAnswer(reply, backend, this.#settings.clock.nowMs());
    }
    const partial = readSuccess(request.signal, reply);
    return resultFromPartialSuccess(partial, request.payload.itemCount, backend);
  }

  addressLabels(signal: Signal): Labels {
    const destination = this.#destinations.get(signal);
    return destination === undefined ? {} : urlLabels(destination.url);
  }

  #post(client: HttpClient, post: HttpPost, signal: AbortSignal): Promise<HttpReply> {
    if (this.#calls === undefined) return client.post(post, signal);
    const size = post.body.reduce((sum, slice) => sum + slice.byteLength, 0);
    return this.#calls.time(post.url, size, () => client.post(post, signal));
  }

  async #encode({ signal, payload }: OutgoingRequest, backend: Backend): Promise<readonly Uint8Array[]> {
    try {
      return await encodeBody(signal, payload, this.#body);
    } catch (error) {
      // Only bytes that no door lets in; every attempt would end so.
      const reason = error instanceof Error ? error.message : String(error);
      const message = `${backend.name}: the request cannot be written as ${this.#body.encoding}: ${reason}`;
      throw new ConsumeError("permanent", message, { cause: error });
    }
  }

  #destinationOf(signal: Signal): Destination {
    const destination = this.#destinations.get(signal);
    if (destination !== undefined) return destination;
    throw new ConsumeError("unimplemented", `neither endpoint nor ${signal}_endpoint is set; add one of them`);
  }
}

/** What no message may show of a proxy's URL: Node's own errors quote it. */
function credentialsOf(proxy: URL | undefined): string[] {
  if (proxy === undefined || (proxy.username === "" && proxy.password === "")) return [];
  const { username, password } = proxy;
  return [`${username}:${password}`, password, decodeURIComponent(password)];
}

function notRunning(backend: Backend): ConsumeError {
  return new ConsumeError("refused", `${backend.name}: the exporter is not running`);
}

function errorFromFailure(error: unknown, signal: AbortSignal, backend: Backend): ConsumeError {
  if (signal.aborted) return errorFromAbort(signal, backend);
  return error instanceof LargeAnswerError ? errorFromLargeAnswer(backend) : errorFromConnection(error, backend);
}

function allHeaders(
  configured: Readonly<Record<string, string>>,
  body: BodySettings,
): Readonly<Record<string, string>> {
  const own = {
    "user-agent": USER_AGENT,
    "content-type": CONTENT_TYPES[body.encoding],
    ...(body.compression !== "none" && { "content-encoding": body.compression }),
  };
  // Lower case, so that a configured User-Agent replaces ours instead of standing beside it.
  const lowered = Object.entries(configured).map(([name, value]) => [name.toLowerCase(), value] as const);
  return { ...own, ...Object.fromEntries(lowered) };
}

/** `proxy_url` wins over what the environment says. */
function createDestinations(
  config: OtlpHttpConfig,
  headerValues: readonly string[],
  environment: ProxyEnvironment | undefined,
): ReadonlyMap<Signal, Destination> {
  const configured = config.proxy_url && new URL(config.proxy_url.reveal());
  const destinations = new Map<Signal, Destination>();
  for (const signal of SIGNALS) {
    const text =
      config[`${signal}_endpoint`] ?? (config.endpoint === undefined ? undefined : `${config.endpoint}/v1/${signal}`);
    if (text === undefined) continue;
    const url = new URL(text);
    const proxy = configured ?? proxyFor(url, environment);
    const secrets = secretsOf([...headerValues, ...credentialsOf(proxy)]);
    const backend: Backend = { name: `${url.origin}${url.pathname}`, protocol: "http", secrets };
    destinations.set(signal, { url, backend, proxy });
  }
  return destinations;
}

/** The status line is the backend's promise; what its body says beyond it is a count and a warning. */
function readSuccess(signal: Signal, reply: HttpReply): PartialSuccess {
  if (reply.isCut) return warning(`answered ${reply.status}, then the connection broke`);
  if (reply.body.byteLength === 0) return NOTHING_REJECTED;
  const contentType = reply.headers["content-type"];
  const partial = decodeSuccess(signal, typeof contentType === "string" ? contentType : "", reply.body);
  return partial ?? warning(`answered ${reply.status} with a body that is no OTLP response: is this the OTLP address?`);
}

const NOTHING_REJECTED: PartialSuccess = { rejectedItems: 0, message: "" };

function warning(message: string): PartialSuccess {
  return { rejectedItems: 0, message };
}

function decodeSuccess(signal: Signal, contentType: string, body: Uint8Array): PartialSuccess | undefined {
  if (contentType.startsWith(CONTENT_TYPES.proto)) return decodePartialSuccess(signal, body);
  if (contentType.startsWith(CONTENT_TYPES.json))
    return partialSuccessFromJson(signal, Buffer.from(body).toString("utf8"));
  return undefined;
}
