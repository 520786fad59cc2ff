import { lookup, Resolver } from "node:dns/promises";
import { isIP } from "node:net";
import { parseEndpoint } from "../config/types.ts";
import type { GrpcAddress } from "./grpc-http2-connection.ts";

/** Where a name leads, as gRPC's naming.md writes names: `dns:host:port`, `dns://server/host:port`, `unix:path`. */
export interface AddressSource {
  /** For the :authority of requests and for the certificate. */
  readonly authority: string;
  readonly host: string;
  /** Which is asked for the name; "" for the system's. */
  readonly nameServer: string;
  /** Rejects with the resolver's error. */
  resolve(): Promise<readonly GrpcAddress[]>;
}

/** What a server of names has for one name; more is no list that anyone meant. */
const ADDRESS_COUNT_MAX = 100;

/** `isLeftToProxy`: a name stays a name, for a proxy to resolve. Throws where the target is none of these: endpoint.ts has let nothing else in. */
export function addressSource(target: string, isLeftToProxy = false): AddressSource {
  if (target.startsWith("unix:")) {
    const path = target.slice("unix:".length).replace(/^\/\/(?=\/)/, "");
    return { authority: "localhost", host: "localhost", nameServer: "", resolve: () => Promise.resolve([{ path }]) };
  }
  const match = /^dns:(?:\/\/([^/]*)\/)?(.*)$/s.exec(target);
  const endpoint = match === null ? undefined : parseEndpoint(match[2]!);
  if (endpoint === undefined || "problem" in endpoint) throw new Error(`${target} is no gRPC name`);
  const { host, port } = endpoint;
  const nameServer = match![1] ?? "";
  const resolve = async (): Promise<GrpcAddress[]> => {
    const hosts = isIP(host) === 0 && !isLeftToProxy ? await resolveName(host, nameServer) : [host];
    return hosts.slice(0, ADDRESS_COUNT_MAX).map((address) => ({ host: address, port }));
  };
  return { authority: match![2]!, host, nameServer, resolve };
}

async function resolveName(host: string, nameServer: string): Promise<string[]> {
  if (nameServer === "") return (await lookup(host, { all: true })).map(({ address }) => address);
  const resolver = new Resolver();
  resolver.setServers([nameServer]);
  const answers = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
  const found = answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
  const [first] = answers;
  if (found.length === 0 && first.status === "rejected") throw first.reason;
  return found;
}
