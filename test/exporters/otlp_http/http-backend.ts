import { once } from "node:events";
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer as createTlsServer, type ServerOptions } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { gunzipSync, inflateSync, zstdDecompressSync } from "node:zlib";
import { expect } from "vitest";
import { decodeSnappy, isSnappyFramed } from "../../../src/net/snappy.ts";

export interface ReceivedPost {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  /** Decompressed. */
  readonly body: Buffer;
}

export type HttpAnswerer = (response: ServerResponse, post: ReceivedPost) => void;

export class HttpBackend {
  readonly posts: ReceivedPost[] = [];
  readonly sockets = new Set<Socket>();
  /** Connections since the start, also those that have ended. */
  connectionCount = 0;
  answer: HttpAnswerer = answerWith(200);
  port = 0;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    server.on("connection", (socket: Socket) => {
      this.connectionCount += 1;
      this.sockets.add(socket);
      socket.on("close", () => this.sockets.delete(socket));
    });
    server.on("request", (request, response) => void this.#serve(request, response));
  }

  static async listen(tls?: ServerOptions): Promise<HttpBackend> {
    const server = tls === undefined ? createServer() : createTlsServer(tls);
    const backend = new HttpBackend(server);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    backend.port = (server.address() as AddressInfo).port;
    return backend;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    for (const socket of this.sockets) socket.destroy();
    await once(this.#server, "close");
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    await once(request, "end");
    const body = await decompress(request.headers["content-encoding"], Buffer.concat(chunks));
    const post = { method: request.method ?? "", url: request.url ?? "", headers: request.headers, body };
    this.posts.push(post);
    this.answer(response, post);
  }
}

export async function decompress(encoding: string | undefined, body: Buffer): Promise<Buffer> {
  switch (encoding) {
    case undefined:
      return body;
    case "gzip":
      return gunzipSync(body);
    case "deflate":
    case "zlib":
      return inflateSync(body);
    case "zstd":
      return zstdDecompressSync(body);
    case "snappy":
    case "x-snappy-framed":
      // Which of the two formats it is shows in its first bytes; the decoder takes either under either name.
      expect(isSnappyFramed(body)).toBe(encoding === "x-snappy-framed");
      return (await decodeSnappy(body, Infinity))!;
    default:
      throw new Error(`the test's backend does not know ${encoding}`);
  }
}

export function answerWith(
  status: number,
  headers: Readonly<Record<string, string>> = {},
  body: string | Uint8Array = "",
): HttpAnswerer {
  return (response) => {
    response.writeHead(status, headers);
    response.end(body);
  };
}
