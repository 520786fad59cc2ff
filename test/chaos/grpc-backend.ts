import { once } from "node:events";
import { constants, createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import { type Answer, type Backend, type BackendServer, LOOPBACK, type Reply } from "./backend.ts";
import { bytesField, varintField } from "./protobuf.ts";

/** OTLP over gRPC on plain node:http2: the harness must be able to break every rule of it. */
export class GrpcBackend implements BackendServer {
  readonly port: number;
  readonly #backend: Backend;
  readonly #sessions = new Set<ServerHttp2Session>();
  #server: Http2Server | undefined;

  constructor(backend: Backend, port: number) {
    this.#backend = backend;
    this.port = port;
  }

  async listen(): Promise<void> {
    const server = createServer();
    this.#server = server;
    server.on("session", (session) => {
      this.#sessions.add(session);
      session.on("close", () => this.#sessions.delete(session));
      // What breaks a connection is what the exchanges on it report.
      session.on("error", () => undefined);
    });
    server.on("stream", (stream) => this.#take(stream));
    server.listen(this.port, LOOPBACK);
    await once(server, "listening");
  }

  async cut(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const closed = once(server, "close");
    server.close();
    for (const session of this.#sessions) session.destroy();
    await closed;
  }

  #take(stream: ServerHttp2Stream): void {
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("error", () => undefined);
    // Framed as gRPC has it: one byte for compression, four for the length.
    stream.on("end", () => void this.#answer(stream, Buffer.concat(chunks).subarray(5)));
  }

  async #answer(stream: ServerHttp2Stream, message: Buffer): Promise<void> {
    if (stream.destroyed) return;
    const reply = this.#backend.receive(message);
    let isWhole = false;
    stream.on("close", () => this.#backend.closed(reply, isWhole && stream.rstCode === constants.NGHTTP2_NO_ERROR));
    if (reply.delayMs > 0) await sleep(reply.delayMs);
    if (stream.destroyed) return;
    isWhole = this.#write(stream, reply);
    if (isWhole) this.#backend.answered(reply);
  }

  /** False where it is no answer. */
  #write(stream: ServerHttp2Stream, { answer }: Reply): boolean {
    if (answer.kind === "hang_up") {
      // This exchange alone: the answers to others are on the same connection.
      stream.close(constants.NGHTTP2_INTERNAL_ERROR);
      return false;
    }
    if (answer.kind === "garbage_protocol") {
      // A stream that ends without a status: no gRPC, and no word about the data.
      stream.respond({ ":status": 200, "content-type": "application/grpc" });
      stream.end();
      return true;
    }
    const head = { ":status": 200, "content-type": "application/grpc" };
    const status = statusOf(answer);
    if (status !== undefined) {
      stream.respond({ ...head, ...status }, { endStream: true });
      return true;
    }
    stream.respond(head, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(framed(messageOf(answer)));
    return true;
  }
}

const INVALID_ARGUMENT = 3;
const RESOURCE_EXHAUSTED = 8;
const UNAVAILABLE = 14;

/** The status of an answer that has no message. */
function statusOf(answer: Answer): Record<string, string> | undefined {
  if (answer.kind === "exhausted") return failure(RESOURCE_EXHAUSTED, "quota used up", answer.retryAfterS ?? 1);
  if (answer.kind === "unavailable") return failure(UNAVAILABLE, "not now", answer.retryAfterS);
  if (answer.kind === "bad") return failure(INVALID_ARGUMENT, "these records are refused for good");
  if (answer.kind === "too_large") {
    return failure(RESOURCE_EXHAUSTED, "grpc: received message larger than max (5000 vs. 1000)");
  }
  return undefined;
}

function failure(code: number, message: string, retryAfterS?: number): Record<string, string> {
  const status = { "grpc-status": String(code), "grpc-message": message };
  if (retryAfterS === undefined) return status;
  const retryInfo = bytesField(1, varintField(1, retryAfterS));
  const any = [bytesField(1, "type.googleapis.com/google.rpc.RetryInfo"), bytesField(2, retryInfo)];
  const details = Buffer.concat([varintField(1, code), bytesField(2, message), bytesField(3, ...any)]);
  return { ...status, "grpc-status-details-bin": details.toString("base64") };
}

function framed(message: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** The response message that both protocols have. */
export function messageOf(answer: Answer): Buffer {
  if (answer.kind === "partial") return bytesField(1, varintField(1, answer.rejected), bytesField(2, "not all of it"));
  if (answer.kind === "garbage_body") return Buffer.from([0xff, 0xff, 0xff, 0xff, 0x07, 0x67, 0x61, 0x72]);
  return Buffer.alloc(0);
}
