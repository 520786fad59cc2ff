import type { Server } from "node:http";
import type { Logger } from "../core/logger.ts";
import { createServer } from "../net/node-http.ts";

export interface TelemetryServer {
  /** What is served from now on. */
  show(write: () => string): void;
  /** host:port, with the real port where 0 was asked for. */
  readonly address: string;
  close(): Promise<void>;
}

/**
 * Serves what `write` gives, the gateway's own metrics, at `/metrics`. A busy port is a warning and no more: a gateway that does not start
 * because nobody could have looked at it would be the wrong choice.
 */
export async function startTelemetryServer(
  write: () => string,
  host: string,
  port: number,
  logger: Logger,
): Promise<TelemetryServer | undefined> {
  let written = write;
  const server = createServer((request, response) => {
    const isMetrics = request.method === "GET" && request.url?.split("?")[0] === "/metrics";
    response.writeHead(isMetrics ? 200 : 404, { "content-type": "text/plain; version=0.0.4; charset=utf-8" });
    response.end(isMetrics ? written() : "the metrics are at /metrics\n");
  });
  try {
    await listen(server, host, port);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    logger.warn(
      `own metrics are not served: ${reason}; set service.telemetry.metrics to another address, or level: none`,
    );
    return undefined;
  }
  server.unref();
  const bound = server.address();
  const boundPort = typeof bound === "object" && bound !== null ? bound.port : port;
  const show = (next: () => string): void => void (written = next);
  return { address: `${host}:${boundPort}`, show, close: () => close(server) };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

function close(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}
