import { BlockList, isIP } from "node:net";
import type { ProxyEnvironment } from "../core/proxy-environment.ts";

/**
 * The proxy that the environment wants for an address, by the rules of Go's net/http (golang.org/x/net/http/httpproxy):
 * none for the loopback, nor for what NO_PROXY names:
 *
 *   example.com     the name and all below it      .example.com, *.example.com   those below it alone
 *   10.1.2.3        an address                     10.0.0.0/8                    a network
 *   name:8080       each with a port               *                             everything
 *
 * Throws an Error, without what was written, where the environment names a proxy that cannot be used.
 */
export function proxyFor(url: URL, environment: ProxyEnvironment | undefined): URL | undefined {
  const isTls = url.protocol === "https:";
  const written = (isTls ? environment?.https : environment?.http) ?? "";
  if (written === "" || isExempt(url, environment!.none)) return undefined;
  const proxy = URL.parse(written.includes("://") ? written : `http://${written}`);
  if (proxy !== null && (proxy.protocol === "http:" || proxy.protocol === "https:")) return proxy;
  const name = isTls ? "HTTPS_PROXY" : "HTTP_PROXY";
  throw new Error(`${name} of the environment is no http or https address\n  write it as http://host:port`);
}

function isExempt(url: URL, none: string): boolean {
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1").toLowerCase();
  if (host === "localhost" || isLoopback(host)) return true;
  const port = url.port === "" ? (url.protocol === "https:" ? "443" : "80") : url.port;
  return none.split(",").some((entry) => isNamed(entry.trim().toLowerCase(), host, port));
}

function isLoopback(host: string): boolean {
  return host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

function isNamed(entry: string, host: string, port: string): boolean {
  if (entry === "") return false;
  if (entry === "*") return true;
  if (entry.includes("/")) return isInNetwork(entry, host);
  const [name, wantedPort] = splitPort(entry);
  if (wantedPort !== undefined && wantedPort !== port) return false;
  if (isIP(name) !== 0) return name === host;
  if (name.startsWith("*.")) return host.endsWith(name.slice(1));
  return name.startsWith(".") ? host.endsWith(name) : host === name || host.endsWith(`.${name}`);
}

function splitPort(entry: string): [name: string, port: string | undefined] {
  const match = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(entry);
  return match === null ? [entry, undefined] : [match[1] ?? match[2] ?? "", match[3]];
}

function isInNetwork(entry: string, host: string): boolean {
  const family = isIP(host);
  const [network = "", bits = ""] = entry.split("/");
  const bitsMax = family === 4 ? 32 : 128;
  if (family === 0 || isIP(network) !== family || !/^\d{1,3}$/.test(bits) || Number(bits) > bitsMax) return false;
  const list = new BlockList();
  const type = family === 4 ? "ipv4" : "ipv6";
  list.addSubnet(network, Number(bits), type);
  return list.check(host, type);
}
