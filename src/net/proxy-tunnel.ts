import type { IncomingMessage } from "node:http";
import { request as requestHttps } from "node:https";
import type { Socket } from "node:net";
import type { Clock } from "../core/clock.ts";
import { requestHttp } from "./node-http.ts";

export interface TunnelSettings {
  /** May hold credentials, which no error shows. */
  readonly proxy: URL;
  /** The proxy resolves it. */
  readonly host: string;
  readonly port: number;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** A connection through an HTTP proxy (CONNECT, RFC 9110, 9.3.6). Rejects with an Error that names the proxy. */
export function openTunnel(settings: TunnelSettings): Promise<Socket> {
  const { proxy, host, port, timeoutMs, clock } = settings;
  const late = new AbortController();
  const timer = clock.after(timeoutMs, () => late.abort());
  return new Promise<Socket>((resolve, reject) => {
    const fail = (reason: string, cause?: unknown): void =>
      reject(new Error(`proxy ${proxy.host}: ${reason}`, { cause }));
    const path = `${host.includes(":") ? `[${host}]` : host}:${port}`;
    const request = (proxy.protocol === "https:" ? requestHttps : requestHttp)({
      method: "CONNECT",
      host: proxy.hostname.replace(/^\[(.*)\]$/, "$1"),
      port: proxy.port === "" ? (proxy.protocol === "https:" ? 443 : 80) : proxy.port,
      path,
      headers: { host: path, ...authorization(proxy) },
      agent: false,
      signal: AbortSignal.any([settings.signal, late.signal]),
    });
    request.once("connect", (answer: IncomingMessage, socket: Socket, head: Buffer) => {
      if (answer.statusCode !== 200) {
        socket.destroy();
        return fail(`answered CONNECT with ${answer.statusCode}`);
      }
      if (head.length > 0) socket.unshift(head);
      socket.setNoDelay(true);
      resolve(socket);
    });
    request.once("error", (error) => fail(late.signal.aborted ? "connect ETIMEDOUT" : error.message, error));
    // An answer to CONNECT that node:http takes for one with a body.
    request.once("response", (answer) => fail(`answered CONNECT with ${answer.statusCode}`));
    request.end();
  }).finally(() => timer.cancel());
}

function authorization({ username, password }: URL): Record<string, string> {
  if (username === "" && password === "") return {};
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { "proxy-authorization": `Basic ${Buffer.from(credentials).toString("base64")}` };
}
