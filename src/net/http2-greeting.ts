import type { Socket } from "node:net";
import type { GrpcDoorSettings } from "./grpc-door.ts";
import { encodeStatus, GRPC_CODES, statusToJson } from "./rpc-status.ts";
import { MEDIA_TYPES } from "./sender-answers.ts";

/** How an HTTP/2 client begins (RFC 9113, 3.4). */
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/** How HTTP/1 begins: a method, a space and a target. Whoever says something else gets no answer in words. */
const HTTP1_START = /^[A-Z]{3,10} [/*h]/;
const HTTP1_START_BYTES = 16;

/** A client that gets as far as this, and no further, speaks HTTP/2, badly. */
const PREFACE_LINE = "PRI * HTTP/2.0\r\n";

const PROTOBUF_TYPE = /^content-type:[ \t]*application\/x-protobuf/im;

/**
 * A server's empty SETTINGS, and why it goes (RFC 9113, 3.4 and 6.8):
 *
 *   length 24 | type 8 | flags 8 | stream 32      then GOAWAY: last stream 32 | error code 32 | words
 */
const GOAWAY = goAway("this is no connection preface of HTTP/2");

function goAway(words: string): Buffer {
  const PROTOCOL_ERROR = 1;
  const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
  const head = Buffer.from([0, 0, 8 + words.length, 7, 0, 0, 0, 0, 0]);
  return Buffer.concat([settings, head, Buffer.from([0, 0, 0, 0, 0, 0, 0, PROTOCOL_ERROR]), Buffer.from(words)]);
}

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
    const answer = this.#answer(this.#bytes.toString("latin1"));
    if (answer === undefined) return this.destroy();
    this.#socket.end(answer);
    // What it still sends is thrown away, so that it reads the answer before it sees the end.
    this.#socket.resume();
  }

  /** Whoever sends OTLP over HTTP/1.1 here gets a Status, in its own encoding where it said so; HTTP/2 gone wrong, a GOAWAY. */
  #answer(said: string): Buffer | undefined {
    if (said.startsWith(PREFACE_LINE)) return GOAWAY;
    if (!HTTP1_START.test(said.slice(0, HTTP1_START_BYTES))) return undefined;
    const { elsewhere } = this.#settings;
    const message = `this port speaks gRPC (HTTP/2)${elsewhere === undefined ? "" : `; ${elsewhere}`}`;
    const encoding = PROTOBUF_TYPE.test(said) ? "protobuf" : "json";
    const status = { code: GRPC_CODES.UNIMPLEMENTED, message };
    const body = Buffer.from(encoding === "json" ? statusToJson(status) : encodeStatus(status));
    const type = `content-type: ${MEDIA_TYPES[encoding]}\r\ncontent-length: ${body.byteLength}`;
    const head = `HTTP/1.1 505 HTTP Version Not Supported\r\n${type}\r\nconnection: close\r\n\r\n`;
    return Buffer.concat([Buffer.from(head, "latin1"), body]);
  }
}

function ignore(): void {}
