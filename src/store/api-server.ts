import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Endpoint } from "../config/types.ts";
import { listen } from "../net/listener.ts";
import { createServer } from "../net/node-http.ts";
import { errorAnswer } from "./api-error.ts";
import type { ApiAnswer, ApiError } from "./api-error.ts";
import { ApiGuard } from "./api-guard.ts";
import { toApiError } from "./api-routes.ts";
import { START_PAGE } from "./start-page.ts";

export interface ApiServerSettings {
  readonly endpoint: Endpoint;
  /** As it stands in the YAML, `exporters.local_store`: begins the error of a busy port. */
  readonly owner: string;
  readonly token: string | undefined;
  /** Answers a question that the guard let in. A rejection becomes an error answer. */
  readonly ask: (path: string, search: string) => Promise<ApiAnswer>;
}

// People and their scripts ask, not fleets. A client that sends its request slower than this is none of them.
const CONNECTIONS_MAX = 256;
const REQUEST_TIMEOUT_MS = 10_000;

const COMMON_HEADERS = {
  "Cache-Control": "no-store",
  "X-Content-Type-Options": "nosniff",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Referrer-Policy": "no-referrer",
  "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
} as const;

/** The store's door: HTTP on the loopback. It only guards and hands over; the reader threads answer. */
export class ApiServer {
  readonly #settings: ApiServerSettings;
  readonly #guard: ApiGuard;
  readonly #server: Server;

  constructor(settings: ApiServerSettings) {
    this.#settings = settings;
    this.#guard = new ApiGuard({ boundHost: settings.endpoint.host, token: settings.token });
    const timeouts = { headersTimeout: REQUEST_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS };
    this.#server = createServer(timeouts, (request, response) => void this.#answer(request, response));
    this.#server.maxConnections = CONNECTIONS_MAX;
  }

  /** Resolves with where it really listens. Rejects with an error that says what to do. */
  async listen(): Promise<Endpoint> {
    const { endpoint, owner } = this.#settings;
    const bound = await listen(this.#server, { endpoint, owner, endpointKey: "endpoint" });
    this.#server.maxConnections = CONNECTIONS_MAX;
    return bound;
  }

  /** Stops accepting, waits for the answers in flight. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeIdleConnections();
    });
  }

  /** Never rejects: the error becomes the answer. */
  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // A body is never read; closing the connection spares us receiving it.
    if (request.headers["content-length"] !== undefined || request.headers["transfer-encoding"] !== undefined)
      response.shouldKeepAlive = false;
    const [path, search] = splitTarget(request.url ?? "/");
    try {
      this.#guard.check(request.method ?? "", request.headers, path === "/");
      if (path === "/") return sendPage(response);
      sendJson(response, await this.#settings.ask(path, search));
    } catch (error) {
      sendError(response, toApiError(error));
    }
  }
}

function splitTarget(target: string): [string, string] {
  const mark = target.indexOf("?");
  return mark < 0 ? [target, ""] : [target.slice(0, mark), target.slice(mark + 1)];
}

function sendPage(response: ServerResponse): void {
  response.writeHead(200, { ...COMMON_HEADERS, "Content-Type": "text/plain; charset=utf-8" });
  response.end(START_PAGE);
}

function sendJson(response: ServerResponse, { status, body }: ApiAnswer): void {
  response.writeHead(status, {
    ...COMMON_HEADERS,
    "Content-Type": "application/json; charset=utf-8",
    "Content-Length": body.length,
  });
  response.end(body);
}

function sendError(response: ServerResponse, error: ApiError): void {
  if (error.status === 405) response.setHeader("Allow", "GET");
  if (error.status === 401) response.setHeader("WWW-Authenticate", "Bearer");
  if (error.status === 503) response.setHeader("Retry-After", "1");
  sendJson(response, errorAnswer(error));
}
