import { connect } from "node:net";
import type { Socket } from "node:net";

export const FRAME = {
  DATA: 0,
  HEADERS: 1,
  RST_STREAM: 3,
  SETTINGS: 4,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;
export const END_STREAM = 1;
export const END_HEADERS = 4;
export const ACK = 1;

export interface RawFrame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

export function frame(type: number, flags: number, stream: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** HPACK without tables and without Huffman: each header as a literal that is never indexed (RFC 7541, 6.2.2). */
export function headerBlock(headers: Iterable<readonly [string, string]>): Buffer {
  const parts: Buffer[] = [];
  for (const [name, value] of headers) parts.push(Buffer.from([0]), hpackText(name), hpackText(value));
  return Buffer.concat(parts);
}

function hpackText(text: string): Buffer {
  const bytes = Buffer.from(text, "latin1");
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const length: number[] = [127];
  let rest = bytes.length - 127;
  for (; rest >= 128; rest = Math.floor(rest / 128)) length.push((rest % 128) | 0x80);
  length.push(rest);
  return Buffer.concat([Buffer.from(length), bytes]);
}

export const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/** An HTTP/2 client that writes exactly the frames that a test says, also what no client would; only settings are confirmed by themselves, and pings where a test wants it. */
export class RawHttp2 {
  readonly socket: Socket;
  readonly frames: RawFrame[] = [];
  isClosed = false;
  confirmsSettings = true;
  answersPings = false;
  #received = Buffer.alloc(0);
  #wake: () => void = () => undefined;

  constructor(port: number) {
    this.socket = connect(port, "127.0.0.1");
    this.socket.on("data", (chunk) => this.#take(chunk));
    this.socket.on("error", () => undefined);
    this.socket.once("close", () => {
      this.isClosed = true;
      this.#wake();
    });
    this.socket.write(Buffer.concat([PREFACE, frame(FRAME.SETTINGS, 0, 0)]));
  }

  write(...frames: readonly Buffer[]): this {
    this.socket.write(Buffer.concat(frames));
    return this;
  }

  /** The first frame that fits, of those that came and those that will; undefined where the connection closes before. */
  async next(fits: (frame: RawFrame) => boolean): Promise<RawFrame | undefined> {
    for (;;) {
      const found = this.frames.find(fits);
      if (found !== undefined || this.isClosed) return found;
      await this.#change();
    }
  }

  /** The error code of the last GOAWAY, once the connection has closed. */
  async goodbye(): Promise<number | undefined> {
    while (!this.isClosed) await this.#change();
    const goaway = this.frames.findLast(({ type }) => type === FRAME.GOAWAY);
    return goaway?.payload.readUInt32BE(4);
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #take(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    while (this.#received.length >= 9) {
      const length = this.#received.readUIntBE(0, 3);
      if (this.#received.length < 9 + length) break;
      const [type, flags] = [this.#received[3]!, this.#received[4]!];
      const stream = this.#received.readUInt32BE(5);
      this.frames.push({ type, flags, stream, payload: Buffer.from(this.#received.subarray(9, 9 + length)) });
      // What the server allows holds from when its settings are confirmed.
      if (type === FRAME.SETTINGS && flags === 0 && this.confirmsSettings)
        this.socket.write(frame(FRAME.SETTINGS, ACK, 0));
      if (type === FRAME.PING && flags === 0 && this.answersPings) {
        this.socket.write(frame(FRAME.PING, ACK, 0, this.frames.at(-1)!.payload));
      }
      this.#received = this.#received.subarray(9 + length);
    }
    this.#wake();
  }
}
