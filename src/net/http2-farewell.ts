import type { ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";

/**
 * A GOAWAY that names the highest stream there can be: the client is to open no more streams here, and those that it had
 * opened before it read this are still served.
 *
 *   length 24 | type 8 | flags 8 | stream 32      last stream 32 | error code 32      (RFC 9113, 4.1 and 6.8)
 */
const NOTICE = Buffer.from([0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);

/**
 * The end of a connection that costs nobody a request: a notice, the answer to a PING behind it, and only then the GOAWAY
 * that names the last stream (RFC 9113, 6.8). The client answers frames in their order, so that with its answer all that it
 * sent before it read the notice is here. Without the notice what is just on its way is refused; gRPC clients send that
 * once more by themselves, once, and after a second GOAWAY the call fails.
 *
 * The caller bounds the time, since the answer may never come: session.close() ends it.
 */
export function bidFarewell(session: ServerHttp2Session, socket: Socket): void {
  // Our SETTINGS are the first that a client may hear of us, and its first requests are on their way until it confirms them.
  if (session.pendingSettingsAck) session.once("localSettings", () => giveNotice(session, socket));
  else giveNotice(session, socket);
}

function giveNotice(session: ServerHttp2Session, socket: Socket): void {
  if (session.closed || session.destroyed) return;
  writeNotice(socket);
  // The answer, or that there will be none.
  if (!session.ping(() => session.close())) session.close();
}

/**
 * Writes the notice past nghttp2, which takes no stream any more once a GOAWAY of its own has left. node:http2 hands whole
 * frames to the socket in each write, and libuv writes in the order of the calls, so it stands between two frames.
 */
export function writeNotice(socket: Socket): void {
  if (!socket.writable) return;
  // Who has gone by now needs no notice.
  socket.on("error", ignore).write(NOTICE);
}

function ignore(): void {}

/** A TLS socket has one write at a time: one of ours and one of node:http2's together are an assertion of Node's that fails. */
export function canTakeNotice(socket: Socket): boolean {
  return !("encrypted" in socket);
}
