import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { isIP } from "node:net";
import { ApiError } from "./api-error.ts";

export interface GuardSettings {
  /** The host the API is bound to, as configured; "" or a wildcard address for all. */
  readonly boundHost: string;
  /** The plain token, where one is configured. */
  readonly token: string | undefined;
}

export function isLoopbackHost(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

function isWildcard(host: string): boolean {
  return host === "" || host === "0.0.0.0" || host === "::";
}

/**
 * Who may ask. The store holds what workers logged, and a browser on the same machine will send a request to the
 * loopback for any page that asks it to; so:
 *
 * - the Host header must name an address that we are bound to: a foreign name that resolves to us is DNS rebinding;
 * - a request of another origin is refused, and no CORS header ever lets its answer be read;
 * - where a token is configured, every question needs it.
 */
export class ApiGuard {
  readonly #settings: GuardSettings;
  readonly #tokenDigest: Buffer | undefined;

  constructor(settings: GuardSettings) {
    this.#settings = settings;
    this.#tokenDigest = settings.token === undefined ? undefined : digest(settings.token);
  }

  /** Throws ApiError where the request must not be answered. */
  check(method: string, headers: IncomingHttpHeaders, isPublic: boolean): void {
    if (method !== "GET")
      throw new ApiError(405, `${method} is not answered here`, { fix: "the store is read with GET" });
    this.#checkHost(headers.host);
    checkOrigin(headers);
    if (!isPublic) this.#checkToken(headers.authorization);
  }

  #checkHost(header: string | undefined): void {
    const host = hostOf(header ?? "");
    if (host !== undefined && this.#isOurs(host)) return;
    throw new ApiError(
      421,
      `the Host header is "${(header ?? "").slice(0, 100)}", which is not an address of this gateway`,
      {
        fix: "ask for http://localhost or http://127.0.0.1 with the port of the store",
      },
    );
  }

  #isOurs(host: string): boolean {
    const { boundHost, token } = this.#settings;
    if (isLoopbackHost(host) || host === boundHost.toLowerCase()) return true;
    // Bound to every address, no list of names is complete. The token protects: no foreign page has it to send.
    return isWildcard(boundHost) && token !== undefined;
  }

  #checkToken(header: string | undefined): void {
    if (this.#tokenDigest === undefined) return;
    const given = /^Bearer +(\S+)$/i.exec(header ?? "")?.[1];
    // Digests have one length, so the comparison takes one time, whatever was given.
    if (given !== undefined && timingSafeEqual(digest(given), this.#tokenDigest)) return;
    const message = header === undefined ? "the store asks for a token" : "the token is not the right one";
    throw new ApiError(401, message, {
      fix: 'send "Authorization: Bearer <token>"; on the command line set SIGNALBOX_TOKEN',
    });
  }
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/** The name in `name:port`, without brackets; the port may be another one, behind a tunnel or a container's mapping. */
function hostOf(header: string): string | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::\d{1,5})?$/i.exec(header);
  return (match?.[1] ?? match?.[2])?.toLowerCase();
}

function checkOrigin(headers: IncomingHttpHeaders): void {
  const { origin, host } = headers;
  const site = headers["sec-fetch-site"];
  const isSameOrigin = origin === undefined || origin === `http://${host}` || origin === `https://${host}`;
  // Following a link from elsewhere shows our page to the person, not to the page it came from.
  const isNavigation = headers["sec-fetch-mode"] === "navigate" && headers["sec-fetch-dest"] === "document";
  const isForeignSite = (site === "cross-site" || site === "same-site") && !isNavigation;
  if (isSameOrigin && !isForeignSite) return;
  throw new ApiError(403, "pages of other origins may not read the store", {
    fix: "open it directly, or ask from a program",
  });
}
