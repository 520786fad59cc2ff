import { once } from "node:events";
import {
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type SecureServerOptions,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { decodeSnappy, isSnappyFramed } from "../../../src/net/snappy.ts";

export interface ReceivedCall {
  readonly headers: IncomingHttpHeaders;
  /** The flag before the message: 1 is compressed. */
  readonly flag: number;
  /** Decompressed. */
  readonly message: Buffer;
  readonly session: ServerHttp2Session;
}

export type Answer = (stream: ServerHttp2Stream, call: ReceivedCall) => void;

/**
 * A gRPC backend written on bare HTTP/2, so that a test can answer what no gRPC library would: resets, half answers,
 * GOAWAY. It decodes requests by the specification alone and so checks what grpc-js sends.
 */
export class Http2Backend {
  readonly calls: ReceivedCall[] = [];
  readonly sessions = new Set<ServerHttp2Session>();
  /** Sessions since the start, also those that have ended. */
  sessionCount = 0;
  answer: Answer = answerOk();
  port = 0;
  readonly #server: Http2Server | Http2SecureServer;
  readonly #sockets = new Set<Socket>();
  #onPing: () => void = () => {};

  private constructor(server: Http2Server | Http2SecureServer) {
    this.#server = server;
    server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    server.on("session", (session: ServerHttp2Session) => {
      this.sessionCount += 1;
      this.sessions.add(session);
      session.on("error", () => session.destroy());
      session.on("ping", () => this.#onPing());
      session.on("close", () => this.sessions.delete(session));
    });
    server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void this.#serve(stream, headers));
  }

  static async listen(tls?: SecureServerOptions, port = 0, host = "127.0.0.1"): Promise<Http2Backend> {
    const server = tls === undefined ? createServer() : createSecureServer(tls);
    const backend = new Http2Backend(server);
    server.listen(port, host);
    await once(server, "listening");
    backend.port = (server.address() as AddressInfo).port;
    return backend;
  }

  async close(): Promise<void> {
    for (const session of this.sessions) session.destroy();
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }

  /** Resolves when so many pings have come. */
  pinged(count: number): Promise<void> {
    return new Promise((resolve) => {
      let left = count;
      this.#onPing = () => {
        left -= 1;
        if (left === 0) resolve();
      };
    });
  }

  async #serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
    const chunks: Buffer[] = [];
    stream.on("error", () => stream.destroy());
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    await new Promise((resolve) => stream.once("end", resolve));
    // A call that the client gave up ends in the middle of its message, or before it.
    if (stream.aborted || stream.destroyed) return;
    const frame = Buffer.concat(chunks);
    const body = frame.subarray(5);
    if (body.length !== frame.readUInt32BE(1)) throw new Error("the message's length is not the declared one");
    const flag = frame[0]!;
    const encoding = String(headers["grpc-encoding"]);
    const call = {
      headers,
      flag,
      message: flag === 1 ? await decompress(encoding, body) : body,
      session: stream.session! as ServerHttp2Session,
    };
    this.calls.push(call);
    this.answer(stream, call);
  }
}

async function decompress(encoding: string, body: Buffer): Promise<Buffer> {
  if (encoding === "gzip") return gunzipSync(body);
  if (encoding === "zstd") return zstdDecompressSync(body);
  // gRPC's snappy is the framing format.
  if (encoding === "snappy" && isSnappyFramed(body)) return (await decodeSnappy(body, Infinity))!;
  throw new Error(`the test's backend does not know ${encoding}`);
}

const RESPONSE = { ":status": 200, "content-type": "application/grpc" } as const;

export function answerOk(message: Uint8Array = new Uint8Array(0)): Answer {
  return (stream) => {
    stream.respond(RESPONSE, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(frameOf(message));
  };
}

export function answerStatus(code: number, message: string, statusBytes?: Uint8Array): Answer {
  const details =
    statusBytes === undefined ? {} : { "grpc-status-details-bin": Buffer.from(statusBytes).toString("base64") };
  return (stream) => {
    stream.respond(
      { ...RESPONSE, "grpc-status": String(code), "grpc-message": encodeURIComponent(message), ...details },
      { endStream: true },
    );
  };
}

/** Headers, and then a message that declares `size` bytes and brings a few of them. */
export function answerDeclaring(size: number): Answer {
  return (stream) => {
    stream.respond(RESPONSE);
    const head = Buffer.alloc(5);
    head.writeUInt32BE(size, 1);
    stream.write(Buffer.concat([head, Buffer.alloc(100)]));
  };
}

export const answerNothing: Answer = () => {};

function frameOf(message: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}
