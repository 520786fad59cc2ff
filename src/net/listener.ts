import { lookup } from "node:dns/promises";
import type { AddressInfo, Server } from "node:net";
import { formatEndpoint } from "../config/endpoint.ts";
import type { Endpoint } from "../config/endpoint.ts";

/**
 * Connections of one door. A connection costs some 20 KiB, so this is 200 MiB at worst; a fleet of workers keeps one to
 * three each. Beyond it a new connection is closed at once, which senders take as a reason to try again later.
 */
export const CONNECTIONS_MAX = 10_000;

export interface ListenSettings {
  readonly endpoint: Endpoint;
  /** The component as it stands in the YAML, `receivers.otlp`; begins every error. */
  readonly owner: string;
  /** The key below it that holds the endpoint, `protocols.grpc.endpoint`; errors tell to change it. */
  readonly endpointKey: string;
}

/** Makes any TCP server listen; resolves with where it really does. Errors say what to do, with the system's error as cause. */
export async function listen(server: Server, settings: ListenSettings): Promise<Endpoint> {
  server.maxConnections = CONNECTIONS_MAX;
  try {
    return await bind(server, await resolveHost(settings.endpoint.host), settings.endpoint.port);
  } catch (error) {
    throw new Error(explain(error, settings), { cause: error });
  }
}

/** As Go does, and with it the Collector: IPv4 wins where a name has both, so that `localhost` is 127.0.0.1. */
async function resolveHost(host: string): Promise<string> {
  if (host === "") return "::";
  const addresses = await lookup(host, { all: true });
  const best = addresses.find(({ family }) => family === 4) ?? addresses[0];
  return best?.address ?? host;
}

async function bind(server: Server, host: string, port: number): Promise<Endpoint> {
  try {
    return await bindOnce(server, host, port);
  } catch (error) {
    // Every address of a machine without IPv6 is every IPv4 address.
    if (host === "::" && ["EAFNOSUPPORT", "EADDRNOTAVAIL"].includes(codeOf(error))) {
      return bindOnce(server, "0.0.0.0", port);
    }
    throw error;
  }
}

function bindOnce(server: Server, host: string, port: number): Promise<Endpoint> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, () => {
      server.removeListener("error", reject);
      const bound = server.address() as AddressInfo;
      resolve({ host: bound.address, port: bound.port });
    });
  });
}

function explain(error: unknown, { endpoint, owner, endpointKey }: ListenSettings): string {
  const place = formatEndpoint(endpoint);
  switch (codeOf(error)) {
    case "EADDRINUSE":
      return `${owner}: ${place} is in use by another process; stop it (a Collector?) or set ${endpointKey} to another port`;
    case "EACCES":
      return `${owner}: no right to listen on ${place}; set ${endpointKey} to a port of 1024 or higher`;
    case "EADDRNOTAVAIL":
      return `${owner}: ${place} is no address of this machine; set ${endpointKey} to one, or to ":${endpoint.port}" for all`;
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return `${owner}: the host of ${place} has no address; set ${endpointKey} to an address of this machine`;
    default:
      return `${owner}: cannot listen on ${place} (${endpointKey}): ${error instanceof Error ? error.message : String(error)}`;
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}
