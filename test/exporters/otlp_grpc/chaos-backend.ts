import { once } from "node:events";
import { constants, createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import { gunzipSync } from "node:zlib";
import { seeded } from "../../support/seeded.ts";

/** What befalls a call. */
const FATES = [
  { name: "refused", weight: 4 },
  { name: "reset", weight: 4 },
  { name: "reset before", weight: 2 },
  { name: "half an answer", weight: 3 },
  { name: "connection lost", weight: 2 },
  { name: "connection lost before", weight: 2 },
  { name: "half-closed", weight: 2 },
  { name: "leave", weight: 4 },
  { name: "leave at once", weight: 2 },
  { name: "answered", weight: 75 },
] as const;

type Fate = (typeof FATES)[number];

const RESPONSE = { ":status": 200, "content-type": "application/grpc" } as const;
const EMPTY_MESSAGE = Buffer.alloc(5);

/** A backend that keeps what it takes, knows how often it took each message, and breaks what it likes. */
export class ChaosBackend {
  readonly taken = new Map<string, number>();
  readonly fates = new Map<string, number>();
  port = 0;
  readonly #server: Http2Server = createServer();
  readonly #random: () => number;
  readonly #sockets = new Set<Socket>();

  private constructor(random: () => number) {
    this.#random = random;
    this.#server.on("session", (session: ServerHttp2Session) => session.on("error", () => session.destroy()));
    this.#server.on("sessionError", () => {});
    this.#server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    this.#server.on("stream", (stream: ServerHttp2Stream) => void this.#serve(stream));
  }

  static async listen(seed: number): Promise<ChaosBackend> {
    const backend = new ChaosBackend(seeded(seed));
    backend.#server.listen(0, "127.0.0.1");
    await once(backend.#server, "listening");
    backend.port = (backend.#server.address() as AddressInfo).port;
    return backend;
  }

  async close(): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#server, "close");
  }

  async #serve(stream: ServerHttp2Stream): Promise<void> {
    stream.on("error", () => {});
    const fate = this.#draw();
    this.fates.set(fate.name, (this.fates.get(fate.name) ?? 0) + 1);
    if (fate.name === "refused") return stream.close(constants.NGHTTP2_REFUSED_STREAM);
    if (fate.name === "reset before") return stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    if (fate.name === "connection lost before") return this.#drop(stream);
    const text = await readMessage(stream);
    if (text === undefined) return;
    this.taken.set(text, (this.taken.get(text) ?? 0) + 1);
    this.#answer(stream, fate);
  }

  #answer(stream: ServerHttp2Stream, fate: Fate): void {
    const session = stream.session as ServerHttp2Session | undefined;
    switch (fate.name) {
      case "refused":
      case "reset before":
      case "connection lost before":
        throw new Error(`${fate.name} comes before the message`);
      case "reset":
        return stream.close(constants.NGHTTP2_INTERNAL_ERROR);
      case "half an answer":
        stream.respond(RESPONSE);
        stream.write(EMPTY_MESSAGE.subarray(0, 3));
        return void setImmediate(() => stream.close(constants.NGHTTP2_CANCEL));
      case "connection lost":
        return this.#drop(stream);
      case "half-closed":
        // The socket says that nothing more will come, before the answer.
        this.#socketOf(stream)?.destroySoon();
        return;
      case "leave":
        session?.goaway(constants.NGHTTP2_NO_ERROR, (1 << 30) - 1);
        return this.#succeed(stream);
      case "leave at once":
        this.#succeed(stream);
        return session?.close();
      case "answered":
        return this.#succeed(stream);
    }
  }

  #succeed(stream: ServerHttp2Stream): void {
    if (stream.destroyed || stream.closed) return;
    stream.respond(RESPONSE, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(EMPTY_MESSAGE);
  }

  #drop(stream: ServerHttp2Stream): void {
    this.#socketOf(stream)?.destroy();
    stream.session?.destroy();
  }

  /** node:http2 hands out a proxy that forbids what this does; the server knows the real one by its port. */
  #socketOf(stream: ServerHttp2Stream): Socket | undefined {
    const port = stream.session?.socket.remotePort;
    return [...this.#sockets].find((socket) => socket.remotePort === port);
  }

  #draw(): Fate {
    const calm = FATES.at(-1)!;
    let left = this.#random() * FATES.reduce((sum, { weight }) => sum + weight, 0);
    return FATES.find(({ weight }) => (left -= weight) < 0) ?? calm;
  }
}

/** undefined where the message does not arrive whole. */
async function readMessage(stream: ServerHttp2Stream): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  const ended = await new Promise<boolean>((resolve) => {
    stream.once("end", () => resolve(true));
    stream.once("close", () => resolve(false));
  });
  const frame = Buffer.concat(chunks);
  if (!ended || frame.length < 5 || frame.readUInt32BE(1) !== frame.length - 5) return undefined;
  const body = frame.subarray(5);
  return (frame[0] === 1 ? gunzipSync(body) : body).toString();
}
