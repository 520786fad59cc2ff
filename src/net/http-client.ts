import type { Agent, ClientRequest, IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as requestHttps, type RequestOptions } from "node:https";
import type { LookupFunction } from "node:net";
import { ANSWER_BYTES_MAX, type HttpAnswer } from "./backend-answers.ts";
import type { ClientTls } from "./client-tls.ts";
import { HttpAgent, requestHttp } from "./node-http.ts";

/**
 * POST requests to backends over HTTP/1.1, on node:http rather than fetch: the body is a list of slices that are
 * written as they are, sockets are pooled and bounded, and errors keep their codes.
 */

export interface HttpClientSettings {
  /** For https addresses. */
  readonly tls: ClientTls | undefined;
  /**
   * Where requests go instead of to the backend: the whole URL in the request line for http addresses, a tunnel (CONNECT)
   * for https ones. May hold credentials.
   */
  readonly proxy: URL | undefined;
  /** How names become addresses. Default: as the system does. Of several, a connection tries one after the other. */
  readonly lookup?: LookupFunction;
  readonly keepAlive: boolean;
  /** Connections to one host and port; requests beyond it wait for one. */
  readonly socketCountMax: number;
  /** Connections that may stand idle. */
  readonly idleSocketCountMax: number;
  /** An idle connection is closed after this time. */
  readonly idleMs: number;
}

export interface HttpPost {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: readonly Uint8Array[];
}

/** The answer's body went on beyond ANSWER_BYTES_MAX; the connection is closed. */
export class LargeAnswerError extends Error {
  override readonly name = "LargeAnswerError";
}

export interface HttpReply extends HttpAnswer {
  /** The connection broke before the body was complete; status and headers are whole. */
  readonly isCut: boolean;
}

export class HttpClient {
  readonly #http: Agent;
  readonly #https: HttpsAgent;
  /** Without a pool: each request gets a connection of its own. */
  readonly #fresh: { readonly http: Agent; readonly https: HttpsAgent };
  #tls: RequestOptions;
  #isClosed = false;

  constructor(settings: HttpClientSettings) {
    const { tls, proxy, lookup, keepAlive, socketCountMax, idleSocketCountMax, idleMs } = settings;
    const way = {
      ...(proxy !== undefined && { proxyEnv: { HTTP_PROXY: proxy.href, HTTPS_PROXY: proxy.href } }),
      ...(lookup !== undefined && { lookup }),
    };
    const pool = { keepAlive, maxSockets: socketCountMax, maxFreeSockets: idleSocketCountMax, timeout: idleMs, ...way };
    this.#http = new HttpAgent(pool);
    this.#https = new HttpsAgent(pool);
    this.#fresh = { http: new HttpAgent(way), https: new HttpsAgent(way) };
    this.#tls = tls === undefined ? {} : tlsOptions(tls);
  }

  /**
   * Sends once; a second time, on a connection of its own, where the pooled one proved dead before any answer. A server
   * may close an idle connection at the moment we use it, and OTLP asks to try again when disconnected without an answer.
   * Rejects with the error of the connection, with LargeAnswerError, or with an AbortError.
   */
  async post(post: HttpPost, signal: AbortSignal): Promise<HttpReply> {
    const isTls = post.url.protocol === "https:";
    const pooled = this.#open(post, isTls ? this.#https : this.#http, signal);
    try {
      return await exchange(pooled, post.body);
    } catch (error) {
      if (!isStaleConnection(pooled, error) || signal.aborted || this.#isClosed) throw error;
      return exchange(this.#open(post, isTls ? this.#fresh.https : this.#fresh.http, signal), post.body);
    }
  }

  /** For connections from now on: those that stand belong to the options they were made with, and are not used again. */
  replaceTls(tls: ClientTls): void {
    this.#tls = tlsOptions(tls);
  }

  /** Closes idle connections at once and those in use too: whoever shuts down has waited for its requests. */
  close(): void {
    this.#isClosed = true;
    this.#http.destroy();
    this.#https.destroy();
  }

  #open(post: HttpPost, agent: Agent | HttpsAgent, signal: AbortSignal): ClientRequest {
    const size = post.body.reduce((sum, slice) => sum + slice.byteLength, 0);
    const headers = { ...post.headers, "content-length": String(size) };
    const options = { method: "POST", headers, agent, signal };
    if (post.url.protocol !== "https:") return requestHttp(post.url, options);
    return requestHttps(post.url, { ...options, ...this.#tls });
  }
}

function tlsOptions({ contextOptions, rejectUnauthorized, serverName }: ClientTls): RequestOptions {
  return { ...contextOptions, rejectUnauthorized, ...(serverName !== undefined && { servername: serverName }) };
}

function isStaleConnection(request: ClientRequest, error: unknown): boolean {
  if (!request.reusedSocket || !(error instanceof Error) || !("code" in error)) return false;
  return error.code === "ECONNRESET" || error.code === "EPIPE";
}

/** Settles once. An answer that comes before the body is sent (413) counts, whatever happens to the rest of the body. */
function exchange(request: ClientRequest, body: readonly Uint8Array[]): Promise<HttpReply> {
  return new Promise((resolve, reject) => {
    let isAnswered = false;
    request.on("error", (error) => {
      if (!isAnswered) reject(error);
    });
    request.on("response", (response) => {
      isAnswered = true;
      collect(response)
        .then(resolve, reject)
        .finally(() => {
          // A connection with half a request in it is of no more use.
          if (!request.writableFinished) request.destroy();
        });
    });
    for (const slice of body) request.write(slice);
    request.end();
  });
}

function collect(response: IncomingMessage): Promise<HttpReply> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const finish = (isCut: boolean): void =>
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks), isCut });
    response.on("data", (chunk: Buffer) => {
      size += chunk.byteLength;
      chunks.push(chunk);
      if (size > ANSWER_BYTES_MAX) {
        reject(new LargeAnswerError(`more than ${ANSWER_BYTES_MAX} bytes`));
        response.destroy();
      }
    });
    response.on("end", () => finish(false));
    response.on("error", () => finish(true));
  });
}
