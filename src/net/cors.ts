import type { IncomingHttpHeaders } from "node:http";
import type { CorsConfig } from "./server-config.ts";

/**
 * Cross-Origin Resource Sharing (https://fetch.spec.whatwg.org/#http-cors-protocol), answered as github.com/rs/cors does
 * it in the Collector, but for HEADERS_ALWAYS: a page that is not allowed is answered without the headers, and its browser keeps the answer
 * from it. So this shuts nobody out; it lets browsers in.
 */
export class Cors {
  readonly #isOriginAllowed: (origin: string) => boolean;
  readonly #allowsAllOrigins: boolean;
  readonly #allowedHeaders: ReadonlySet<string>;
  readonly #exposedHeaders: string;
  readonly #maxAgeSeconds: number;

  constructor(config: CorsConfig) {
    this.#allowsAllOrigins = config.allowed_origins.includes("*");
    this.#isOriginAllowed = originTest(config.allowed_origins);
    this.#allowedHeaders = new Set([...HEADERS_ALWAYS, ...config.allowed_headers.map((name) => name.toLowerCase())]);
    this.#exposedHeaders = config.exposed_headers.map(canonical).join(", ");
    this.#maxAgeSeconds = config.max_age;
  }

  /** Whether a browser asks what it may send, before it sends it. */
  static isPreflight(method: string | undefined, headers: IncomingHttpHeaders): boolean {
    return method === "OPTIONS" && (headers["access-control-request-method"] ?? "") !== "";
  }

  /** The headers of the answer to a preflight, whose status is 204 whether or not it was granted. */
  preflightHeaders(headers: IncomingHttpHeaders): Record<string, string> {
    const vary = { vary: "Origin, Access-Control-Request-Method, Access-Control-Request-Headers" };
    const { origin = "", "access-control-request-method": method = "" } = headers;
    const wanted = headers["access-control-request-headers"] ?? "";
    if (origin === "" || !this.#isOriginAllowed(origin)) return vary;
    if (!SIMPLE_METHODS.has(method) || !this.#allowsHeaders(wanted)) return vary;
    return {
      ...vary,
      "access-control-allow-origin": this.#allowsAllOrigins ? "*" : origin,
      "access-control-allow-methods": method,
      ...(wanted !== "" && { "access-control-allow-headers": wanted }),
      "access-control-allow-credentials": "true",
      ...(this.#maxAgeSeconds !== 0 && { "access-control-max-age": String(Math.max(0, this.#maxAgeSeconds)) }),
    };
  }

  /** What any other answer carries. */
  answerHeaders(method: string | undefined, headers: IncomingHttpHeaders): Record<string, string> {
    const vary = { vary: "Origin" };
    const { origin = "" } = headers;
    if (origin === "" || !this.#isOriginAllowed(origin) || !SIMPLE_METHODS.has(method ?? "")) return vary;
    return {
      ...vary,
      "access-control-allow-origin": this.#allowsAllOrigins ? "*" : origin,
      ...(this.#exposedHeaders !== "" && { "access-control-expose-headers": this.#exposedHeaders }),
      "access-control-allow-credentials": "true",
    };
  }

  #allowsHeaders(wanted: string): boolean {
    if (this.#allowedHeaders.has("*")) return true;
    const names = wanted.split(",").map((name) => name.trim().toLowerCase());
    return names.every((name) => name === "" || this.#allowedHeaders.has(name));
  }
}

/**
 * What a page may send whatever the configuration names. rs/cors has these only where that names nothing; but without
 * Content-Type no page could send OTLP at all.
 */
const HEADERS_ALWAYS = ["accept", "content-type", "x-requested-with"];
const SIMPLE_METHODS: ReadonlySet<string> = new Set(["GET", "POST", "HEAD"]);

/** One `*` in an origin stands for anything, also nothing. Cases are alike, as in the Collector. */
function originTest(allowed: readonly string[]): (origin: string) => boolean {
  const plain = new Set<string>();
  const wildcards: { readonly start: string; readonly end: string }[] = [];
  for (const origin of allowed.map((written) => written.toLowerCase())) {
    const star = origin.indexOf("*");
    if (star < 0) plain.add(origin);
    else wildcards.push({ start: origin.slice(0, star), end: origin.slice(star + 1) });
  }
  return (written) => {
    const origin = written.toLowerCase();
    if (plain.has(origin)) return true;
    return wildcards.some(
      ({ start, end }) =>
        origin.length >= start.length + end.length && origin.startsWith(start) && origin.endsWith(end),
    );
  };
}

/** `x-job-id` as `X-Job-Id`, as Go writes header names. */
function canonical(name: string): string {
  return name.toLowerCase().replaceAll(/(^|-)[a-z]/g, (start) => start.toUpperCase());
}
