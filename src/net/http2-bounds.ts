import { CONNECTIONS_MAX } from "./listener.ts";

/** What the gRPC door on node:http2 lets one connection, and all of them, have. Tests set smaller ones. */
export interface Http2Bounds {
  /**
   * Connections at a time. Beyond it the one that has been idle longest is closed for the new one; where none is idle, the
   * new one is. Below CONNECTIONS_MAX, at which the listener itself closes what comes, idle or not.
   */
  readonly connectionsMax: number;
  /** From the first byte to the end of HTTP/2's preface. The bet: an honest client sends it with its first packet. */
  readonly greetingMs: number;
  /** Headers of a request, names and values and 32 bytes each (RFC 9113, 6.5.2). More is answered ENHANCE_YOUR_CALM. */
  readonly headerBytesMax: number;
  /**
   * What a sender may send on a stream before we have read it, and on a connection. The bet: with 256 KiB most requests
   * need no WINDOW_UPDATE, and one of 4 MiB over a path of 50 ms takes 0.8 s. Lost: large requests over long paths are slower.
   */
  readonly streamWindowBytes: number;
  readonly connectionWindowBytes: number;
  /**
   * What all requests without a lease may hold: STREAM_BYTES each, and what of a message came before its lease. Beyond it
   * new ones are refused, to be sent again. With 34 KB each, some 1,500 can wait for the doors' budget.
   */
  readonly unleasedBytesMax: number;
  /** From when the door is ready to read a message to its end. The bet: 64 MiB in a minute, 9 Mbit/s. Lost: refused. */
  readonly bodyMs: number;
  /**
   * A body must come this fast on average, after the grace, because it holds a lease of its declared size. The bet: an
   * honest sender has 256 kbit/s. Lost: refused, and the room is for others.
   */
  readonly bodyBytesPerSecondMin: number;
  readonly bodyGraceMs: number;
  /** How long an answer may lie with a client that does not read it; then the stream is reset. */
  readonly lingerMs: number;
  /**
   * How long a client that is asked to go may take until it shows that it has heard of it. The bet: a round trip takes less.
   * Lost: a request that is just on its way is refused, unprocessed, and sent again; longer, and a client that is stopped
   * would hold up our own end.
   */
  readonly farewellMs: number;
  /**
   * Streams that a client may reset before they were answered: as many as it may have open at a time, since its patience
   * may end for all of them at once, and then this many a second. Beyond it it is not sending but burning our time
   * (CVE-2023-44487): the connection ends with ENHANCE_YOUR_CALM.
   */
  readonly resetsPerSecond: number;
  /** How often the door looks after deadlines and connections. */
  readonly tickMs: number;
}

export const HTTP2_BOUNDS: Http2Bounds = {
  connectionsMax: CONNECTIONS_MAX - CONNECTIONS_MAX / 10,
  greetingMs: 10_000,
  headerBytesMax: 16 * 1024,
  streamWindowBytes: 256 * 1024,
  connectionWindowBytes: 4 * 1024 * 1024,
  unleasedBytesMax: 64 * 1024 * 1024,
  bodyMs: 60_000,
  bodyBytesPerSecondMin: 32 * 1024,
  bodyGraceMs: 5_000,
  lingerMs: 10_000,
  farewellMs: 1_000,
  resetsPerSecond: 100,
  tickMs: 250,
};

/** What an open stream costs by itself: its objects here and in node:http2, and its headers. Measured at 5 to 9 KiB. */
export const STREAM_BYTES = 8 * 1024;

/** The bytes that requests hold without a lease from the doors' budget, over all connections of a door. */
export class UnleasedBytes {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** False where a change upwards would exceed the bound; then nothing has changed. */
  change(bytes: number): boolean {
    if (bytes > 0 && this.#bytes + bytes > this.#bytesMax) return false;
    this.#bytes += bytes;
    return true;
  }
}
