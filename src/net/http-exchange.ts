import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "../core/clock.ts";

/** What became of one request, for whoever measures. */
export interface HttpExchange {
  readonly method: string;
  /** undefined where the path is none of the door's. */
  readonly route: string | undefined;
  readonly status: number;
  readonly address: string;
  readonly port: number;
  readonly isTls: boolean;
  /** On the wire; undefined where the sender did not say before. */
  readonly requestBytes: number | undefined;
  readonly responseBytes: number;
  readonly durationMs: number;
}

interface Place {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly route: string | undefined;
  readonly address: string;
  readonly isTls: boolean;
  /** Known when the answer is. */
  readonly responseBytes: () => number;
  readonly clock: Clock;
}

/** Tells of the exchange when its answer has been written; of one that broke off before, nothing. */
export function observeExchange(place: Place, observe: (exchange: HttpExchange) => void): void {
  const { request, response, route, address, isTls, responseBytes, clock } = place;
  const startedMs = clock.monotonicMs();
  response.once("finish", () => {
    const size = Number(request.headers["content-length"]);
    observe({
      method: request.method ?? "",
      route,
      status: response.statusCode,
      address,
      port: request.socket.localPort ?? 0,
      isTls,
      requestBytes: Number.isNaN(size) ? undefined : size,
      responseBytes: responseBytes(),
      durationMs: clock.monotonicMs() - startedMs,
    });
  });
}
