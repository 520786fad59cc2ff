import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Endpoint } from "../config/endpoint.ts";
import { ClientMetadata } from "../core/client-metadata.ts";
import type { Clock } from "../core/clock.ts";
import type { DoorBudget } from "../core/component.ts";
import { ConsumeError } from "../core/errors.ts";
import { DOOR_WAIT_MS_DEFAULT } from "../core/limits.ts";
import type { UnreadReason, UnreadRequest } from "../core/unread-request.ts";
import { boundedHeaders, headerLists, plainAddress } from "./client-headers.ts";
import { Cors } from "./cors.ts";
import { BodyTimeoutError, readBody } from "./http-body.ts";
import type { BodySettings } from "./http-body.ts";
import { answerBroken, isAnswering } from "./http-broken.ts";
import { observeExchange } from "./http-exchange.ts";
import type { HttpExchange } from "./http-exchange.ts";
import { waitOrCut } from "./graceful-stop.ts";
import { linger } from "./linger.ts";
import { closeListening, listen } from "./listener.ts";
import type { ListenSettings } from "./listener.ts";
import { createServer } from "./node-http.ts";
import { splitTarget } from "./request-target.ts";
import type { ServerTls } from "./server-tls.ts";
import { unreadReason } from "./unread-reason.ts";

/** A request whose body is whole, decompressed and within its bounds. */
export interface HttpRequest {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  /** Behind the "?", undecoded; "" for none. */
  readonly query: string;
  readonly headers: IncomingHttpHeaders;
  /** Of the body, lower case, without parameters; "" where the sender did not say. */
  readonly mediaType: string;
  /** Belongs to the handler. Empty where the route takes none. */
  readonly body: Uint8Array;
  readonly client: ClientMetadata;
  /** Milliseconds since the epoch: by then the sender is to be answered. */
  readonly deadline: number;
  /** Aborts when the sender disconnects before it was answered. */
  readonly signal: AbortSignal;
}

export interface HttpAnswer {
  readonly status: number;
  /** Lower-case names. `content-length` is the door's. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
}

export const ANY_PATH = "*";

export interface HttpRoute {
  readonly method: string;
  /** Exact; ANY_PATH takes what no other route does. */
  readonly path: string;
  /** Absent: the route reads no body. */
  readonly body?: {
    /** On the wire and after decompression alike. */
    readonly sizeMax: number;
    /** Lower case; any other is answered 415. */
    readonly mediaTypes: readonly string[];
    /** Names of content codings that are taken, "" for none; absent: all that there are. */
    readonly codings?: ReadonlySet<string>;
  };
  handle(request: HttpRequest): Promise<HttpAnswer>;
  /** The answer where `handle` rejected, or the door refused: no room, body too large, broken or in an unknown coding. */
  refuse(error: ConsumeError, mediaType: string): HttpAnswer;
}

export interface HttpDoorSettings extends ListenSettings {
  readonly routes: readonly HttpRoute[];
  /** Default: false. See ClientMetadata.isForwardable. */
  readonly includeMetadata?: boolean;
  /** The door holds a lease on each request with a body from before it is read until it is answered. */
  readonly budget: DoorBudget;
  readonly clock: Clock;
  readonly timeouts?: Partial<HttpTimeouts>;
  /** Default: plain HTTP. The door's owner stops it after the door. */
  readonly tls?: ServerTls;
  /** Default: pages of other origins get no permission. */
  readonly cors?: Cors;
  /** Of every answer; lower-case names. An answer's own header wins. */
  readonly responseHeaders?: Readonly<Record<string, string>>;
  /** The answer to what never reaches a route: 404, 405, 408, 415. Default: textAnswer. */
  readonly fault?: (status: number, message: string, mediaType: string) => HttpAnswer;
  /** Told of every request that was answered. Absent: nothing is measured. */
  readonly observe?: (exchange: HttpExchange) => void;
  /** Told of a request for a route with a body that was refused before the route had it. */
  readonly onRefusedUnread?: (request: UnreadRequest) => void;
}

export interface HttpTimeouts {
  /** From a connection's, or a request's, first byte to the end of its headers. */
  readonly headersMs: number;
  /** From the start of reading a body to its end. */
  readonly bodyMs: number;
  /** How long a connection without a request stays open. */
  readonly idleMs: number;
  /**
   * After an answer that did not wait for the body, what still comes is read and thrown away: until nothing has come for
   * this long, and no longer than `bodyMs`.
   */
  readonly lingerMs: number;
  /** How long an answer may wait for a client that does not read it; then the connection is closed. */
  readonly writeMs: number;
}

/**
 * The bets: honest senders need less than 10 s for their headers and a minute for 64 MiB (9 Mbit/s); exporters that
 * send every few seconds keep their connection. Lost: the request is answered 408, the connection is opened anew.
 * Lingering lets a sender read a 413 or 503: many write all of their body first, and cut off before they are done they see
 * ECONNRESET instead. Reading costs no memory, and holds the connection no longer than a body does.
 */
const TIMEOUTS: HttpTimeouts = {
  headersMs: 10_000,
  bodyMs: 60_000,
  idleMs: 60_000,
  lingerMs: 2_000,
  writeMs: 10_000,
};

/** How exactly node:http keeps `headersMs`, and how often it looks. */
const TIMEOUT_CHECK_MS = 1_000;

/** An HTTP/1.1 server for any component: routes, bounds, timeouts, a graceful end. Knows nothing of what it carries. */
export class HttpDoor {
  readonly #settings: HttpDoorSettings;
  readonly #timeouts: HttpTimeouts;
  readonly #routes: ReadonlyMap<string, ReadonlyMap<string, HttpRoute>>;
  readonly #server: Server;
  /** Connections without a request so far. */
  readonly #unused = new Set<Socket>();
  readonly #broken = new WeakSet<Duplex>();
  #isRetiring = false;
  #closed: Promise<void> | undefined;

  constructor(settings: HttpDoorSettings) {
    this.#settings = settings;
    this.#timeouts = { ...TIMEOUTS, ...settings.timeouts };
    this.#routes = groupRoutes(settings.routes);
    this.#server = this.#createServer();
    // With TLS, what a connection is before its handshake is the business of ServerTls.
    this.#server.on(settings.tls === undefined ? "connection" : "secureConnection", (socket: Socket) => {
      this.#unused.add(socket);
      socket.once("close", () => this.#unused.delete(socket));
    });
    this.#server.on("request", (request, response) => this.#serve(request, response, "nothing"));
    this.#server.on("clientError", (error: NodeJS.ErrnoException, socket) => this.#answerBroken(error, socket));
    // A sender that asks first gets its "100 Continue" when the door is about to read, not before.
    this.#server.on("checkContinue", (request, response) => this.#serve(request, response, "continue"));
    this.#server.on("checkExpectation", (request, response) => this.#serve(request, response, "unknown"));
  }

  #createServer(): Server {
    const { headersMs, idleMs } = this.#timeouts;
    const options = {
      headersTimeout: headersMs,
      // The body has a timeout of its own, which starts when the door is ready to read it.
      requestTimeout: 0,
      keepAliveTimeout: idleMs,
      connectionsCheckingInterval: Math.min(TIMEOUT_CHECK_MS, headersMs),
    };
    return this.#settings.tls?.createHttpServer(options) ?? createServer(options);
  }

  /** Binds; resolves with where it listens. Called once. */
  start(): Promise<Endpoint> {
    return listen(this.#server, this.#settings);
  }

  /** Stops accepting, lets requests in flight end, closes; when `signal` aborts, cuts off what is left. Idempotent, legal before start. */
  stop(signal: AbortSignal): Promise<void> {
    this.#closed ??= this.#close();
    return waitOrCut(this.#closed, signal, () => this.#server.closeAllConnections());
  }

  /**
   * Another door has the socket now. Closing a connection that is idle would cost the request that is just on its way, so
   * each may have one more answer, which says "connection: close"; those that stay silent are cut off when `signal` aborts.
   */
  async retire(signal: AbortSignal): Promise<void> {
    this.#isRetiring = true;
    const gone = this.#settings.sockets?.detach(this.#server) ?? Promise.resolve();
    await waitOrCut(gone, signal, () => this.#server.closeAllConnections());
    await this.stop(signal);
  }

  #close(): Promise<void> {
    // close() closes connections that are idle between two requests; one whose first request is not there yet counts as
    // busy to node:http. Connections with a request close with its answer, which says "connection: close" from now on.
    const closed = closeListening(this.#server, this.#settings);
    for (const socket of this.#unused) socket.destroy();
    return closed;
  }

  #serve(request: IncomingMessage, response: ServerResponse, expects: Exchange["expects"]): void {
    this.#unused.delete(request.socket);
    const abort = new AbortController();
    response.once("close", () => {
      if (!response.writableFinished) abort.abort();
    });
    // Errors of a dying connection: reading reports what matters of them, and without a listener they would be thrown.
    request.on("error", () => abort.abort());
    response.on("error", () => abort.abort());
    const exchange: Exchange = { request, response, expects, signal: abort.signal, responseBytes: 0 };
    if (this.#settings.observe !== undefined) this.#observe(exchange, this.#settings.observe);
    this.#answer(exchange)
      .then((answer) => this.#send(exchange, answer))
      // A route whose refuse() throws, or whose headers are none, is a bug that costs its request and nothing more.
      .catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined));
  }

  #observe(exchange: Exchange, observe: (exchange: HttpExchange) => void): void {
    const { clock, endpoint, tls } = this.#settings;
    const { request, response } = exchange;
    const { path } = splitTarget(request.url);
    const route = this.#routes.has(path) ? path : undefined;
    const responseBytes = (): number => exchange.responseBytes;
    const [address, isTls] = [endpoint.host, tls !== undefined];
    observeExchange({ request, response, route, address, isTls, responseBytes, clock }, observe);
  }

  async #answer(exchange: Exchange): Promise<HttpAnswer> {
    const { request, expects } = exchange;
    const { cors } = this.#settings;
    if (cors !== undefined && Cors.isPreflight(request.method, request.headers)) {
      return { status: 204, headers: cors.preflightHeaders(request.headers) };
    }
    const mediaType = parseMediaType(request.headers["content-type"]);
    if (expects === "unknown") {
      return this.#fault(417, "417 expectation failed: found another than 100-continue, leave Expect out", mediaType);
    }
    const found = this.#findRoute(request, mediaType);
    if ("status" in found) return found;
    if (found.body !== undefined && !found.body.mediaTypes.includes(mediaType)) {
      this.#tellUnread(exchange, "request_head");
      const supported = found.body.mediaTypes.join(", ");
      return this.#fault(415, `415 unsupported media type, supported: [${supported}]`, mediaType);
    }
    try {
      return await this.#handle(exchange, found, mediaType);
    } catch (error) {
      if (error instanceof BodyTimeoutError)
        return this.#fault(408, `408 request timeout: ${error.message}`, mediaType);
      return found.refuse(ConsumeError.from(error), mediaType);
    }
  }

  #findRoute(request: IncomingMessage, mediaType: string): HttpRoute | HttpAnswer {
    const methods = this.#routes.get(splitTarget(request.url).path) ?? this.#routes.get(ANY_PATH);
    if (methods === undefined) return this.#fault(404, "404 page not found", mediaType);
    const route = methods.get(request.method ?? "");
    if (route !== undefined) return route;
    const supported = [...methods.keys()].join(", ");
    const answer = this.#fault(405, `405 method not allowed, supported: [${supported}]`, mediaType);
    return { ...answer, headers: { ...answer.headers, allow: supported } };
  }

  #fault(status: number, message: string, mediaType: string): HttpAnswer {
    return this.#settings.fault?.(status, message, mediaType) ?? textAnswer(status, message);
  }

  async #handle(exchange: Exchange, route: HttpRoute, mediaType: string): Promise<HttpAnswer> {
    if (route.body === undefined) return route.handle(this.#describe(exchange, mediaType, NO_BODY));
    const reading = readBody(exchange.request, this.#bodySettings(exchange, route.body));
    const { body, lease } = await reading.catch((error: unknown) => {
      const reason = error instanceof BodyTimeoutError ? "too_slow" : unreadReason(ConsumeError.from(error));
      this.#tellUnread(exchange, reason);
      throw error;
    });
    try {
      return await route.handle(this.#describe(exchange, mediaType, body));
    } finally {
      lease.release();
    }
  }

  /** Who has gone was not refused. */
  #tellUnread({ request, signal }: Exchange, reason: UnreadReason): void {
    if (signal.aborted) return;
    this.#settings.onRefusedUnread?.({ reason, bytes: Number(request.headers["content-length"] ?? 0) });
  }

  #bodySettings(exchange: Exchange, { sizeMax, codings }: NonNullable<HttpRoute["body"]>): BodySettings {
    const { response, expects, signal } = exchange;
    const { budget, clock } = this.#settings;
    return {
      sizeMax,
      ...(codings !== undefined && { codings }),
      timeoutMs: this.#timeouts.bodyMs,
      clock,
      acquire: (bytes, holding) => budget.acquire(bytes, clock.nowMs() + DOOR_WAIT_MS_DEFAULT, signal, { holding }),
      stepBytes: budget.stepBytes,
      onReady: () => {
        if (expects === "continue") response.writeContinue();
      },
    };
  }

  #describe({ request, signal }: Exchange, mediaType: string, body: Uint8Array): HttpRequest {
    const { method = "", headers, socket } = request;
    const { clock, includeMetadata } = this.#settings;
    const address = plainAddress(socket.remoteAddress);
    const client = new ClientMetadata(
      "http",
      address,
      boundedHeaders(headerLists(request.rawHeaders)),
      includeMetadata,
    );
    const deadline = clock.nowMs() + DOOR_WAIT_MS_DEFAULT;
    return { method, ...splitTarget(request.url), headers, mediaType, body, client, deadline, signal };
  }

  #send(exchange: Exchange, answer: HttpAnswer): void {
    const { request, response } = exchange;
    if (response.destroyed) return;
    const body = answer.body ?? "";
    exchange.responseBytes = Buffer.byteLength(body);
    // 204 is the one status a route may choose that must not say how long nothing is (RFC 9110, 8.6).
    const length = answer.status === 204 ? {} : { "content-length": String(exchange.responseBytes) };
    const { cors, responseHeaders } = this.#settings;
    const headers = {
      ...responseHeaders,
      ...(cors !== undefined && cors.answerHeaders(request.method, request.headers)),
      ...answer.headers,
      ...length,
    };
    if (this.#closed !== undefined || this.#isRetiring) response.setHeader("connection", "close");
    const closesAfterwards = !response.shouldKeepAlive;
    // node:http would close with the answer where the sender asked for it, and cut off one that is still sending.
    if (!request.complete && this.#closed === undefined) response.shouldKeepAlive = true;
    response.writeHead(answer.status, headers);
    // Of nothing, node:http would make a second piece for the socket.
    if (body.length === 0) response.end();
    else response.end(body);
    if (!request.complete) linger(request, { ...this.#timeouts, clock: this.#settings.clock, closesAfterwards });
    if (request.socket.writableLength > 0) this.#cutSlowReader(request.socket, response);
  }

  /** The kernel's buffer is full of answers that the client does not read. */
  #cutSlowReader(socket: Socket, response: ServerResponse): void {
    const timer = this.#settings.clock.after(this.#timeouts.writeMs, () => socket.destroy());
    response.once("close", () => timer.cancel());
  }

  /**
   * What is no HTTP request, or one whose head is too large or too slow. As node:http would answer it, but for what comes
   * then: closed at once, with bytes unread, many senders would see a reset in place of the answer.
   */
  #answerBroken(error: NodeJS.ErrnoException, socket: Duplex): void {
    // Each further piece of what cannot be read is told again.
    if (this.#broken.has(socket)) return;
    this.#broken.add(socket);
    if (!socket.writable || isAnswering(socket) || error.code === "ECONNRESET") return void socket.destroy();
    answerBroken(error, socket, (status, message, mediaType) => this.#fault(status, message, mediaType));
    const timer = this.#settings.clock.after(this.#timeouts.lingerMs, () => socket.destroy());
    socket.once("close", () => timer.cancel());
  }
}

/** One request and its response while the door works on it. */
interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Of the header Expect. "continue": the sender waits for "100 Continue" before it sends the body. */
  readonly expects: "nothing" | "continue" | "unknown";
  readonly signal: AbortSignal;
  /** Of the answer's body, once there is one. */
  responseBytes: number;
}

const NO_BODY = new Uint8Array(0);

export function textAnswer(status: number, text: string): HttpAnswer {
  return { status, headers: { "content-type": "text/plain" }, body: text };
}

function groupRoutes(routes: readonly HttpRoute[]): ReadonlyMap<string, ReadonlyMap<string, HttpRoute>> {
  const groups = new Map<string, Map<string, HttpRoute>>();
  for (const route of routes) {
    const methods = groups.get(route.path) ?? new Map<string, HttpRoute>();
    groups.set(route.path, methods.set(route.method, route));
  }
  return groups;
}

function parseMediaType(header = ""): string {
  const end = header.indexOf(";");
  return (end < 0 ? header : header.slice(0, end)).trim().toLowerCase();
}
