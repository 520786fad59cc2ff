/**
 * gRPC over HTTP/2, as far as unary methods need it.
 *
 *   request   = HEADERS (:method POST, :path /package.Service/Method, content-type application/grpc[+proto],
 *               [grpc-timeout], [grpc-encoding], te trailers), then one message in DATA frames, END_STREAM
 *   message   = flag (1 byte: 0 as it is, 1 compressed with grpc-encoding), length (4 bytes, big-endian), that many bytes
 *   response  = HEADERS (:status 200, content-type), one message in DATA frames, HEADERS with the status, END_STREAM
 *             | HEADERS with both and END_STREAM ("trailers-only"), where there is no message
 *   status    = grpc-status (decimal), [grpc-message] (percent-encoded UTF-8), [grpc-status-details-bin] (base64 of google.rpc.Status)
 *   timeout   = 1 to 8 digits, then H, M, S, m (ms), u (us) or n (ns)
 *
 * https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md and compression.md
 */
import { headerLists } from "./client-headers.ts";
import { encodeStatus } from "./rpc-status.ts";
import type { RpcStatus } from "./rpc-status.ts";

export const PREFIX_BYTES = 5;

/** By the name in `grpc-encoding`: the coding as content-coding.ts knows it. `identity` is none. */
export const GRPC_ENCODINGS: ReadonlyMap<string, string | undefined> = new Map([
  ["identity", undefined],
  ["gzip", "gzip"],
  ["deflate", "deflate"],
  ["zstd", "zstd"],
  // The framing format, as the Collector and other Go programs write it.
  ["snappy", "x-snappy-framed"],
]);

export const ACCEPT_ENCODING = [...GRPC_ENCODINGS.keys()].join(",");

/** Of a status' message: clients bound their trailers, some at 8 KiB, and it travels in them twice. */
const MESSAGE_CHARS_MAX = 1024;

const TIMEOUT_PATTERN = /^(\d{1,8})([HMSmun])$/;
const TIMEOUT_UNITS_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/** `grpc-timeout` in milliseconds; undefined where it is not one. */
export function parseGrpcTimeoutMs(text: string): number | undefined {
  const match = TIMEOUT_PATTERN.exec(text);
  return match === null ? undefined : Number(match[1]) * TIMEOUT_UNITS_MS[match[2]!]!;
}

/** `application/grpc` alone, with parameters, and as `application/grpc+proto`; gRPC-Web and JSON are others. */
export function isGrpcContentType(contentType: string | undefined): boolean {
  return contentType === "application/grpc" || /^application\/grpc(?:\+proto)?(?:\s*;|$)/i.test(contentType ?? "");
}

/** What needs no encoding in `grpc-message`: printable ASCII but for the percent sign. */
const PLAIN_MESSAGE = /^[ -$&-~]*$/;

export function encodeGrpcMessage(text: string): string {
  if (PLAIN_MESSAGE.test(text)) return text;
  let encoded = "";
  for (const byte of Buffer.from(text, "utf8")) {
    const isPlain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    encoded += isPlain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
}

const EMPTY_FRAME = Buffer.alloc(PREFIX_BYTES);

/** A message behind its prefix, as it is. A full success of OTLP is empty: one frame serves them all. */
export function frameMessage(message: Uint8Array): Buffer {
  if (message.length === 0) return EMPTY_FRAME;
  const frame = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
  frame[0] = 0;
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, PREFIX_BYTES);
  return frame;
}

export type GrpcHeaders = Readonly<Record<string, string | number>>;

/** The status of a call that failed, with its details; bounded, and fit for a header whatever the message holds. */
export function statusHeaders(status: RpcStatus): GrpcHeaders {
  const message = status.message.slice(0, MESSAGE_CHARS_MAX).toWellFormed();
  return {
    "grpc-status": status.code,
    "grpc-message": encodeGrpcMessage(message),
    // Without padding, as the specification wants it written; it is read with and without.
    "grpc-status-details-bin": Buffer.from(encodeStatus({ ...status, message }))
      .toString("base64")
      .replace(/=+$/, ""),
  };
}

/** As HTTP/2 counts it (RFC 9113, 6.5.2), of node:http2's flat list of names and values. */
export function headerListSize(raw: readonly string[]): number {
  let size = raw.length * 16;
  for (const text of raw) size += text.length;
  return size;
}

/** Names that belong to the call and not to who made it. */
const CALL_HEADERS: ReadonlySet<string> = new Set(["te", "content-type", "content-length"]);

/** From node:http2's flat list of names and values, without what is the transport's own; repeated ones are together. */
export function senderHeaders(raw: readonly string[]): [string, string[]][] {
  return headerLists(raw, isSendersOwn);
}

function isSendersOwn(name: string): boolean {
  return !name.startsWith(":") && !name.startsWith("grpc-") && !CALL_HEADERS.has(name);
}
