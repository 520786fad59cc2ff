import type { Duplex } from "node:stream";
import type { HttpAnswer } from "./http-door.ts";

/** By the error's code; the rest is 400. */
const ANSWERS: Readonly<Record<string, readonly [status: number, reason: string, advice: string]>> = {
  HPE_HEADER_OVERFLOW: [431, "Request Header Fields Too Large", "the request's headers are too large"],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, "Payload Too Large", "the extensions of a chunk are too large"],
  ERR_HTTP_REQUEST_TIMEOUT: [408, "Request Timeout", "the request's headers did not come in time"],
};
const NO_HTTP = [400, "Bad Request", "this is no HTTP/1.1 request"] as const;
/** How HTTP/2 begins; node:http has no parser for it and calls it by this code. */
const HTTP2 = [400, "Bad Request", "this port speaks HTTP/1.1; HTTP/2 without TLS is not offered"] as const;

export type Fault = (status: number, message: string, mediaType: string) => HttpAnswer;

/**
 * Answers what is no HTTP request, or one whose head is too large or too slow: with the same body as other faults, in
 * words, because the parser has no answer to write with. The connection is then to be closed.
 */
export function answerBroken(error: NodeJS.ErrnoException, socket: Duplex, fault: Fault): void {
  const [status, reason, words] = ANSWERS[error.code ?? ""] ?? (isHttp2(error) ? HTTP2 : NO_HTTP);
  const { headers, body = "" } = fault(status, `${status} ${reason.toLowerCase()}: ${words}`, mediaTypeOf(error));
  const bytes = Buffer.from(body);
  const all = { ...headers, "content-length": String(bytes.byteLength), connection: "close" };
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`HTTP/1.1 ${status} ${reason}\r\n${head.join("")}\r\n`, "latin1");
  socket.end(bytes);
}

/** An answer to an earlier request is half written. node:http keeps this to itself, and asks it in the same place. */
export function isAnswering(socket: Duplex): boolean {
  const message: unknown = Reflect.get(socket, "_httpMessage");
  return typeof message === "object" && message !== null && Reflect.get(message, "_headerSent") === true;
}

/** The parser hands over the piece in which it gave up; a head that fits into one piece says what its body would have been. */
function rawPacket(error: Error): Buffer | undefined {
  const packet: unknown = Reflect.get(error, "rawPacket");
  return Buffer.isBuffer(packet) ? packet : undefined;
}

function isHttp2(error: NodeJS.ErrnoException): boolean {
  return error.code === "HPE_PAUSED_H2_UPGRADE" || rawPacket(error)?.subarray(0, 4).toString("latin1") === "PRI ";
}

/** Wherever the head may stand: an answer in the wrong encoding does no harm. */
function mediaTypeOf(error: Error): string {
  const text = rawPacket(error)?.toString("latin1") ?? "";
  return /^content-type:[ \t]*([\w.+/-]+)/im.exec(text)?.[1]?.toLowerCase() ?? "";
}
