import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { type Answer, type Backend, type BackendServer, LOOPBACK } from "./backend.ts";
import { messageOf } from "./grpc-backend.ts";

/** OTLP over HTTP. */
export class HttpBackend implements BackendServer {
  readonly port: number;
  readonly #backend: Backend;
  #server: Server | undefined;

  constructor(backend: Backend, port: number) {
    this.#backend = backend;
    this.port = port;
  }

  async listen(): Promise<void> {
    // Kept connections are not closed from this side: that would be one fault more, at times nobody planned.
    const server = createServer({ keepAliveTimeout: 0 }, (request, response) => this.#take(request, response));
    this.#server = server;
    server.listen(this.port, LOOPBACK);
    await once(server, "listening");
  }

  async cut(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const closed = once(server, "close");
    server.close();
    server.closeAllConnections();
    await closed;
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("error", () => undefined);
    request.on("end", () => void this.#answer(response, Buffer.concat(chunks)));
  }

  async #answer(response: ServerResponse, body: Buffer): Promise<void> {
    if (response.destroyed) return;
    const reply = this.#backend.receive(body);
    response.on("finish", () => this.#backend.answered(reply));
    response.on("close", () => this.#backend.closed(reply, response.writableFinished));
    if (reply.delayMs > 0) await sleep(reply.delayMs);
    if (!response.destroyed) write(response, reply.answer);
  }
}

const PROTOBUF = { "content-type": "application/x-protobuf" };
const TEXT = { "content-type": "text/plain" };

function write(response: ServerResponse, answer: Answer): void {
  switch (answer.kind) {
    case "hang_up":
      return void response.socket?.destroy();
    case "garbage_protocol":
      return void response.socket?.end("This is no HTTP.\r\n\r\n");
    case "exhausted":
      return void response.writeHead(429, { ...TEXT, ...retryAfter(answer.retryAfterS) }).end("quota used up");
    case "unavailable":
      return void response.writeHead(503, { ...TEXT, ...retryAfter(answer.retryAfterS) }).end("not now");
    case "bad":
      return void response.writeHead(400, TEXT).end("these records are refused for good");
    case "too_large":
      return void response.writeHead(413, TEXT).end("too large");
    case "ok":
    case "partial":
    case "garbage_body":
      return void response.writeHead(200, PROTOBUF).end(messageOf(answer));
  }
}

function retryAfter(seconds: number | undefined): Record<string, string> {
  return seconds === undefined ? {} : { "retry-after": String(seconds) };
}
