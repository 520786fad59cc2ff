import type { Socket } from "node:net";
import type { GrpcDoorSettings } from "./grpc-door.ts";

/** How an HTTP/2 client begins (RFC 9113, 3.4). */
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/** How HTTP/1 begins: a method, a space and a target. Whoever says something else gets no answer in words. */
const HTTP1_START = /^[A-Z]{3,10} [/*h]/;
const HTTP1_START_BYTES = 16;

interface GreetingEvents {
  /** The socket speaks HTTP/2; nothing of what it said has been taken from it. */
  readonly onHttp2: () => void;
  /** It is no greeting any more: it speaks HTTP/2, or is closed. */
  readonly onEnd: () => void;
}

/** A connection until it has said what it speaks: HTTP/2 goes on, HTTP/1 is told where it belongs. */
export class Http2Greeting {
  readonly #socket: Socket;
  readonly #settings: GrpcDoorSettings;
  readonly #events: GreetingEvents;
  readonly #sinceMs: number;
  #bytes = Buffer.alloc(0);

  constructor(socket: Socket, settings: GrpcDoorSettings, events: GreetingEvents) {
    this.#socket = socket;
    this.#settings = settings;
    this.#events = events;
    this.#sinceMs = settings.clock.monotonicMs();
    socket.on("error", ignore);
    socket.once("close", events.onEnd);
    socket.on("readable", this.#onReadable);
  }

  tick(nowMs: number, timeoutMs: number): void {
    if (nowMs - this.#sinceMs >= timeoutMs) this.destroy();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  readonly #onReadable = (): void => {
    const chunk: unknown = this.#socket.read();
    // null comes at the end of what the client has to say, too.
    if (!(chunk instanceof Buffer)) return;
    this.#bytes = this.#bytes.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#bytes, chunk]);
    const length = Math.min(this.#bytes.length, PREFACE.length);
    if (this.#bytes.compare(PREFACE, 0, length, 0, length) === 0) {
      if (length === PREFACE.length) this.#goOn();
    } else if (length >= HTTP1_START_BYTES || this.#bytes.includes("\n")) this.#refuse();
  };

  #goOn(): void {
    const socket = this.#socket;
    socket.off("readable", this.#onReadable);
    socket.off("close", this.#events.onEnd);
    this.#events.onEnd();
    if (socket.destroyed) return;
    socket.unshift(this.#bytes);
    this.#events.onHttp2();
  }

  #refuse(): void {
    this.#socket.off("readable", this.#onReadable);
    const isHttp1 = HTTP1_START.test(this.#bytes.toString("latin1", 0, HTTP1_START_BYTES));
    if (!isHttp1) return this.destroy();
    const { elsewhere } = this.#settings;
    const body = `this port speaks gRPC (HTTP/2)${elsewhere === undefined ? "" : `; ${elsewhere}`}\n`;
    const head = ["HTTP/1.1 505 HTTP Version Not Supported", "content-type: text/plain", "connection: close"];
    this.#socket.end(`${head.join("\r\n")}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
    // What it still sends is thrown away, so that it reads the answer before it sees the end.
    this.#socket.resume();
  }
}

function ignore(): void {}
