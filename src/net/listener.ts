import { lookup } from "node:dns/promises";
import type { AddressInfo, Server } from "node:net";
import { formatEndpoint, unixEndpoint } from "../config/endpoint.ts";
import type { Endpoint } from "../config/endpoint.ts";
import { SocketTakenError } from "../core/listening.ts";
import type { ListeningSockets } from "../core/listening.ts";

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
  /** Told of what is not as asked, and works all the same. */
  readonly warn?: (message: string) => void;
  /** Host.sockets of a component whose socket should outlive it. Default: the server has its own. */
  readonly sockets?: ListeningSockets | undefined;
}

/** Makes any TCP server listen; resolves with where it really does. Errors say what to do, with the system's error as cause. */
export async function listen(server: Server, settings: ListenSettings): Promise<Endpoint> {
  try {
    const host = settings.endpoint.path === undefined ? await resolveHost(settings.endpoint) : "";
    const { sockets } = settings;
    if (sockets === undefined) return await bindTo(server, host, settings);
    const { owner } = settings;
    const bindShared = async (acceptor: Server): Promise<void> => void (await bindTo(acceptor, host, settings));
    return boundEndpoint(await sockets.attach(server, { key: keyOf(host, settings), owner, bind: bindShared }));
  } catch (error) {
    throw new Error(explain(error, settings), { cause: error });
  }
}

/**
 * Accepts no more, lets go of the socket, and resolves once every connection is closed. What is to become of those that
 * are open is the caller's affair.
 */
export async function closeListening(server: Server, { sockets }: Pick<ListenSettings, "sockets">): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  await Promise.all([closed, sockets?.detach(server)]);
}

/** The place by its address, since `localhost` is 127.0.0.1. With port 0 the system chooses, anew for each owner. */
function keyOf(host: string, { endpoint, owner, endpointKey }: ListenSettings): string {
  if (endpoint.path !== undefined) return endpoint.path;
  const place = formatEndpoint({ host, port: endpoint.port });
  return endpoint.port === 0 ? `${place} ${owner} ${endpointKey}` : place;
}

function bindTo(server: Server, host: string, settings: ListenSettings): Promise<Endpoint> {
  server.maxConnections = CONNECTIONS_MAX;
  const { path } = settings.endpoint;
  return path === undefined ? bind(server, host, settings) : bindOnce(server, { path });
}

/** As Go does, and with it the Collector: IPv4 wins where a name has both, so that `localhost` is 127.0.0.1. */
async function resolveHost({ host, family: wanted }: Endpoint): Promise<string> {
  if (host === "") return wanted === 4 ? "0.0.0.0" : "::";
  const addresses = await lookup(host, { all: true });
  const best = addresses.find(({ family }) => family === (wanted ?? 4));
  if (wanted !== undefined && best === undefined) {
    throw Object.assign(new Error(`${host} has no address of IPv${wanted}`), { code: "ENOTFOUND" });
  }
  return best?.address ?? addresses[0]?.address ?? host;
}

const NO_IPV6 = ["EAFNOSUPPORT", "EADDRNOTAVAIL"];

async function bind(server: Server, host: string, settings: ListenSettings): Promise<Endpoint> {
  const { endpoint, owner, endpointKey, warn } = settings;
  try {
    return await bindOnce(server, { host, port: endpoint.port, ipv6Only: endpoint.family === 6 });
  } catch (error) {
    if (host !== "::" || endpoint.family === 6 || !NO_IPV6.includes(codeOf(error))) throw error;
    // Every address of a machine without IPv6 is every IPv4 address; who left the host out asked for no more.
    if (endpoint.host !== "") {
      const place = `${formatEndpoint(endpoint)} (${endpointKey})`;
      warn?.(`${owner}: this machine has no IPv6: listening on 0.0.0.0:${endpoint.port} instead of ${place}`);
    }
    return bindOnce(server, { host: "0.0.0.0", port: endpoint.port });
  }
}

type Place = { readonly host: string; readonly port: number; readonly ipv6Only?: boolean } | { readonly path: string };

function bindOnce(server: Server, place: Place): Promise<Endpoint> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(place, () => {
      server.removeListener("error", reject);
      resolve(boundEndpoint(server));
    });
  });
}

function boundEndpoint(server: Server): Endpoint {
  const bound = server.address() as AddressInfo | string;
  return typeof bound === "string" ? unixEndpoint(bound) : { host: bound.address, port: bound.port };
}

function explain(error: unknown, { endpoint, owner, endpointKey }: ListenSettings): string {
  const place = formatEndpoint(endpoint);
  if (error instanceof SocketTakenError)
    return `${owner}: ${place} is in use by ${error.owner}; set ${endpointKey} to another port`;
  if (endpoint.path !== undefined) return `${owner}: cannot listen on ${place} (${endpointKey}): ${unixReason(error)}`;
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

function unixReason(error: unknown): string {
  switch (codeOf(error)) {
    case "EADDRINUSE":
      return "there is such a file already; remove it if no process listens there";
    case "EACCES":
      return "no right to make a file there";
    case "ENOENT":
      return "there is no such folder";
    default:
      return error instanceof Error ? error.message : String(error);
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}
