import type { Clock } from "../core/clock.ts";
import type { Histogram, Labels, Meter } from "../core/meter.ts";
import type { HttpAnswer } from "./backend-answers.ts";
import type { GrpcReply } from "./grpc-client.ts";
import type { GrpcCallEnd } from "./grpc-door.ts";
import type { HttpExchange } from "./http-exchange.ts";
import { GRPC_CODES } from "./rpc-status.ts";

/**
 * Calls that go out and come in, by OpenTelemetry's semantic conventions for HTTP and RPC. All are of level detailed:
 * below it `of()` gives undefined, and nobody looks at a clock.
 */

/** As the conventions advise for durations, in seconds. */
const SECOND_BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
/** The Collector leaves OpenTelemetry's default bounds, which end at 10,000; a request of OTLP is mostly larger. */
const BYTE_BOUNDS = Array.from({ length: 18 }, (_, power) => 128 * 2 ** power);

class Calls {
  readonly clock: Clock;
  readonly #meter: Meter;
  readonly #fixed: Labels;

  constructor(meter: Meter, clock: Clock, fixed: Labels) {
    this.clock = clock;
    this.#meter = meter;
    this.#fixed = fixed;
  }

  seconds(name: string, description: string, labels: Labels): Histogram {
    return this.#histogram(name, { description, unit: "s" }, labels, SECOND_BOUNDS);
  }

  bytes(name: string, description: string, labels: Labels): Histogram {
    return this.#histogram(name, { description, unit: "By" }, labels, BYTE_BOUNDS);
  }

  #histogram(
    name: string,
    described: { readonly description: string; readonly unit: string },
    labels: Labels,
    bounds: readonly number[],
  ): Histogram {
    return this.#meter.histogram(name, { ...this.#fixed, ...labels }, { ...described, level: "detailed" }, bounds);
  }
}

const HTTP = { "network.protocol.name": "http", "network.protocol.version": "1.1" };

/** `http.client.request.duration` and `.request.body.size`. */
export class HttpClientCalls {
  readonly #calls: Calls;

  static of(meter: Meter, clock: Clock): HttpClientCalls | undefined {
    return meter.shows("detailed") ? new HttpClientCalls(new Calls(meter, clock, HTTP)) : undefined;
  }

  private constructor(calls: Calls) {
    this.#calls = calls;
  }

  /** Times `post`, a request to `url` with a body of `size` bytes, and gives back what it gives. */
  async time<R extends HttpAnswer>(url: URL, size: number, post: () => Promise<R>): Promise<R> {
    const startedMs = this.#calls.clock.monotonicMs();
    let outcome: Labels = { "error.type": "_OTHER" };
    try {
      const reply = await post();
      outcome = { "http.response.status_code": String(reply.status) };
      return reply;
    } catch (error) {
      outcome = { "error.type": errorCode(error) };
      throw error;
    } finally {
      this.#record(url, size, this.#calls.clock.monotonicMs() - startedMs, outcome);
    }
  }

  #record(url: URL, size: number, durationMs: number, outcome: Labels): void {
    const { "server.address": address, "server.port": port } = urlLabels(url);
    const labels = {
      ...outcome,
      "http.request.method": "POST",
      "server.address": address,
      "server.port": port,
      "url.scheme": url.protocol.slice(0, -1),
    };
    const durations = this.#calls.seconds("http.client.request.duration", "Duration of HTTP client requests.", labels);
    durations.record(durationMs / 1000);
    this.#calls.bytes("http.client.request.body.size", "Size of HTTP client request bodies.", labels).record(size);
  }
}

/** `http.server.request.duration`, `.request.body.size` and `.response.body.size`. */
export class HttpServerCalls {
  readonly #calls: Calls;

  static of(meter: Meter, clock: Clock): HttpServerCalls | undefined {
    return meter.shows("detailed") ? new HttpServerCalls(new Calls(meter, clock, HTTP)) : undefined;
  }

  private constructor(calls: Calls) {
    this.#calls = calls;
  }

  record({ method, route, status, port, address, isTls, requestBytes, responseBytes, durationMs }: HttpExchange): void {
    const labels = {
      "http.request.method": KNOWN_METHODS.has(method) ? method : "_OTHER",
      "http.response.status_code": String(status),
      ...(route !== undefined && { "http.route": route }),
      "server.address": address,
      "server.port": String(port),
      "url.scheme": isTls ? "https" : "http",
    };
    const bytes = (name: string, what: string): Histogram =>
      this.#calls.bytes(`http.server.${name}.body.size`, `Size of HTTP server ${what} bodies.`, labels);
    const durations = this.#calls.seconds("http.server.request.duration", "Duration of HTTP server requests.", labels);
    durations.record(durationMs / 1000);
    if (requestBytes !== undefined) bytes("request", "request").record(requestBytes);
    bytes("response", "response").record(responseBytes);
  }
}

/** A method that a client made up is no label. */
const KNOWN_METHODS = new Set([
  "CONNECT",
  "DELETE",
  "GET",
  "HEAD",
  "OPTIONS",
  "PATCH",
  "POST",
  "PUT",
  "QUERY",
  "TRACE",
]);

const RPC = { "rpc.system.name": "grpc" };

/** `rpc.client.call.duration`. */
export class GrpcClientCalls {
  readonly #calls: Calls;

  /** `server` are the labels that name the backend. */
  static of(meter: Meter, clock: Clock, server: Labels): GrpcClientCalls | undefined {
    return meter.shows("detailed") ? new GrpcClientCalls(new Calls(meter, clock, { ...RPC, ...server })) : undefined;
  }

  private constructor(calls: Calls) {
    this.#calls = calls;
  }

  /** Times one call of the method at `path`. */
  async time(path: string, call: () => Promise<GrpcReply>): Promise<GrpcReply> {
    const startedMs = this.#calls.clock.monotonicMs();
    const reply = await call();
    const description = "Measures the duration of an outgoing Remote Procedure Call (RPC).";
    const durations = this.#calls.seconds(
      "rpc.client.call.duration",
      description,
      rpcLabels(path, reply.code, reply.code !== GRPC_CODES.OK),
    );
    durations.record((this.#calls.clock.monotonicMs() - startedMs) / 1000);
    return reply;
  }
}

/** `rpc.server.call.duration`: from a call's headers to its status, also where the door refuses it. */
export class GrpcServerCalls {
  readonly #calls: Calls;

  static of(meter: Meter, clock: Clock): GrpcServerCalls | undefined {
    return meter.shows("detailed") ? new GrpcServerCalls(new Calls(meter, clock, RPC)) : undefined;
  }

  private constructor(calls: Calls) {
    this.#calls = calls;
  }

  /** `path` is a method that the door has, so no label is a client's invention. */
  begin(path: string): GrpcCallEnd {
    const { clock } = this.#calls;
    const startedMs = clock.monotonicMs();
    return (code) => {
      const description = "Measures the duration of an incoming Remote Procedure Call (RPC).";
      const labels = rpcLabels(path, code, SERVER_ERRORS.has(code));
      const durations = this.#calls.seconds("rpc.server.call.duration", description, labels);
      durations.record((clock.monotonicMs() - startedMs) / 1000);
    };
  }
}

/** The statuses that are the server's fault, by the conventions for gRPC; of the client's they say nothing. */
const SERVER_ERRORS: ReadonlySet<number> = new Set([
  GRPC_CODES.UNKNOWN,
  GRPC_CODES.DEADLINE_EXCEEDED,
  GRPC_CODES.UNIMPLEMENTED,
  GRPC_CODES.INTERNAL,
  GRPC_CODES.UNAVAILABLE,
  GRPC_CODES.DATA_LOSS,
]);

const CODE_NAMES = new Map<number, string>(Object.entries(GRPC_CODES).map(([name, code]) => [code, name]));

function rpcLabels(path: string, code: number, isError: boolean): Labels {
  const status = CODE_NAMES.get(code) ?? "UNKNOWN";
  const labels = { "rpc.method": path.slice(1), "rpc.response.status_code": status };
  return isError ? { ...labels, "error.type": status } : labels;
}

/** `ECONNREFUSED`, or the error's class: few different ones, and nothing that a backend wrote. */
function errorCode(error: unknown): string {
  if (!(error instanceof Error)) return "_OTHER";
  return "code" in error && typeof error.code === "string" ? error.code : error.name;
}

/** Where requests to a URL go, as labels. */
export function urlLabels(url: URL): { "server.address": string; "server.port": string; "url.path": string } {
  const standard = url.protocol === "https:" ? "443" : "80";
  return {
    "server.address": url.hostname.replace(/^\[(.*)\]$/, "$1"),
    "server.port": url.port === "" ? standard : url.port,
    "url.path": url.pathname,
  };
}
