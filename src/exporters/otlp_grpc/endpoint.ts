import type { Labels } from "../../core/meter.ts";
import { formatEndpoint, parseEndpoint } from "../../config/types.ts";

/** `endpoint` as grpc-js wants it. */
export interface GrpcEndpoint {
  /** For the channel: a gRPC name (https://github.com/grpc/grpc/blob/master/doc/naming.md). */
  readonly target: string;
  /** For messages. */
  readonly name: string;
  /** What a scheme says; undefined leaves it to `tls.insecure`. */
  readonly isPlaintext: boolean | undefined;
}

const SCHEMES: Readonly<Record<string, boolean>> = { "http://": true, "https://": false };

/**
 * Reads `host:port`, `:port`, `http://host:port` (plain text), `https://host:port` (TLS), `dns:///host:port`,
 * `dns://server/host:port` and `unix:path`; otherwise a sentence that says what is wrong.
 */
export function parseGrpcEndpoint(text: string): GrpcEndpoint | { readonly problem: string } {
  if (/^unix:(\/\/)?$/.test(text)) return { problem: "unix socket path cannot be empty" };
  if (text.startsWith("unix:")) return { target: text, name: text, isPlaintext: undefined };
  const dns = /^(dns:(?:\/\/[^/]*\/)?)(.*)$/s.exec(text);
  if (dns !== null) return parseTarget(dns[1]!, dns[2]!, undefined);
  const scheme = Object.keys(SCHEMES).find((prefix) => text.toLowerCase().startsWith(prefix));
  if (scheme === undefined) return parseTarget("dns:", text, undefined);
  const rest = text.slice(scheme.length);
  if (rest.includes("@")) return { problem: "credentials do not belong in an address: put them into headers" };
  const [authority = "", ...path] = rest.split("/");
  if (path.join("") !== "") return { problem: "a gRPC address has no path" };
  return parseTarget("dns:", authority, SCHEMES[scheme]);
}

/** As labels of metrics; a Unix socket has a path in the place of both. */
export function addressLabels({ name }: GrpcEndpoint): Labels {
  const parsed = parseEndpoint(name);
  if ("problem" in parsed || parsed.path !== undefined) return { "server.address": name };
  return { "server.address": parsed.host, "server.port": String(parsed.port) };
}

function parseTarget(
  prefix: string,
  hostPort: string,
  isPlaintext: boolean | undefined,
): GrpcEndpoint | { readonly problem: string } {
  const parsed = parseEndpoint(hostPort);
  if ("problem" in parsed) return parsed;
  if (parsed.port === 0) return { problem: "the port must be 1 to 65535" };
  // `:4317` is this machine, as it is for Go's dialler.
  const name = formatEndpoint(parsed.host === "" ? { ...parsed, host: "localhost" } : parsed);
  return { target: `${prefix}${name}`, name, isPlaintext };
}
