import type { ServerHttp2Stream } from "node:http2";
import type { HttpRefusal } from "./grpc-request-head.ts";
import { ACCEPT_ENCODING, frameMessage, statusHeaders } from "./grpc-wire.ts";
import type { RpcStatus } from "./rpc-status.ts";

/** The headers of every success; the flat form spares node:http2 the copying of an object. */
const SUCCESS_HEADERS = [
  ":status",
  "200",
  "content-type",
  "application/grpc",
  "grpc-accept-encoding",
  ACCEPT_ENCODING,
] as const;
/** node:http2 reads `sendDate`, which its types do not know; gRPC has no use for a date. */
const WITH_TRAILERS = { waitForTrailers: true, sendDate: false };
const AT_ONCE = { endStream: true, sendDate: false };
const WITHOUT_DATE = { endStream: false, sendDate: false };
const OK_TRAILERS = { "grpc-status": "0" };

function sendOkTrailers(this: ServerHttp2Stream): void {
  this.sendTrailers(OK_TRAILERS);
}

export function respondOk(stream: ServerHttp2Stream, response: Uint8Array): void {
  if (stream.closed || stream.destroyed) return;
  stream.respond(SUCCESS_HEADERS, WITH_TRAILERS);
  stream.on("wantTrailers", sendOkTrailers);
  stream.end(frameMessage(response));
}

/** Trailers-only: no message of ours has left. False where the stream is gone. */
export function respondStatus(stream: ServerHttp2Stream, status: RpcStatus): boolean {
  if (stream.closed || stream.destroyed) return false;
  const headers = { ":status": 200, "content-type": "application/grpc", "grpc-accept-encoding": ACCEPT_ENCODING };
  stream.respond({ ...headers, ...statusHeaders(status) }, AT_ONCE);
  return true;
}

export function respondHttp(stream: ServerHttp2Stream, { status, text, headers }: HttpRefusal): void {
  stream.respond({ ":status": status, "content-type": "text/plain", ...headers }, WITHOUT_DATE);
  // node:http2 has ended the answer to HEAD already.
  if (!stream.writableEnded) stream.end(text);
  // A reset would overtake the text: the body is read and thrown away, for as long as an answer may take.
  stream.resume();
}
