import { isIPv6 } from "node:net";

export interface Endpoint {
  /** Without brackets; "" means every address of the machine. */
  readonly host: string;
  readonly port: number;
  /** A Unix socket: host and port say nothing then. */
  readonly path?: string;
  /** Of IP addresses, the only ones that will do; absent: either. */
  readonly family?: 4 | 6;
}

const PORT = /^\d{1,5}$/;
const PORT_MAX = 65_535;
// Names, IPv4 addresses, and container names with an underscore.
const HOST = /^[a-zA-Z0-9]([a-zA-Z0-9._-]{0,251}[a-zA-Z0-9_])?$/;

/** Reads `host:port`, `:port` and `[::1]:4317`; otherwise a sentence that says what is wrong. It never repeats the text. */
export function parseEndpoint(text: string): Endpoint | { readonly problem: string } {
  const colon = text.lastIndexOf(":");
  if (colon < 0) return { problem: "the port is missing" };
  const host = parseHost(text.slice(0, colon));
  if (host === undefined) return { problem: hostProblem(text.slice(0, colon)) };
  const portText = text.slice(colon + 1);
  if (!PORT.test(portText) || Number(portText) > PORT_MAX) return { problem: `the port must be 0 to ${PORT_MAX}` };
  return { host, port: Number(portText) };
}

function parseHost(text: string): string | undefined {
  if (text.startsWith("[") && text.endsWith("]")) {
    const address = text.slice(1, -1);
    return isIPv6(address) ? address : undefined;
  }
  return text === "" || HOST.test(text) ? text : undefined;
}

function hostProblem(host: string): string {
  if (host.includes("//")) return "the scheme must be left out";
  if (host.includes(":")) return "an IPv6 address must stand in brackets";
  return "the host is not a name or an address";
}

/** A place to listen that is a file. */
export function unixEndpoint(path: string): Endpoint {
  return { host: "", port: 0, path };
}

/** The opposite of parseEndpoint; a Unix socket as gRPC's clients write it. */
export function formatEndpoint(endpoint: Endpoint): string {
  if (endpoint.path !== undefined) return `unix:${endpoint.path}`;
  return endpoint.host.includes(":") ? `[${endpoint.host}]:${endpoint.port}` : `${endpoint.host}:${endpoint.port}`;
}
