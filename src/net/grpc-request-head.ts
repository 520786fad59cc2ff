import type { IncomingHttpHeaders } from "node:http2";
import { ConsumeError } from "../core/errors.ts";
import type { GrpcDoorSettings, GrpcHandler } from "./grpc-door.ts";
import { ACCEPT_ENCODING, GRPC_ENCODINGS, headerListSize, isGrpcContentType, parseGrpcTimeoutMs } from "./grpc-wire.ts";
import { GRPC_CODES } from "./rpc-status.ts";
import type { RpcStatus } from "./rpc-status.ts";
import { toRpcStatus } from "./sender-answers.ts";

/** Not gRPC at all: answered as HTTP, so that no other client takes a gRPC error for a success (PROTOCOL-HTTP2.md). */
export interface HttpRefusal {
  readonly kind: "http";
  readonly status: number;
  readonly text: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What the headers of a request come to, before a byte of its body is read. */
export type GrpcRequestHead =
  | HttpRefusal
  | { readonly kind: "status"; readonly status: RpcStatus }
  | {
      readonly kind: "call";
      readonly handler: GrpcHandler;
      /** By which content-coding.ts knows grpc-encoding; undefined for none. */
      readonly coding: string | undefined;
      /** Infinity where the client sets none. */
      readonly timeoutMs: number;
    };

export interface HeadSettings extends Pick<GrpcDoorSettings, "methods" | "elsewhere"> {
  readonly headerBytesMax: number;
}

export function readRequestHead(
  headers: IncomingHttpHeaders,
  rawHeaders: readonly string[],
  settings: HeadSettings,
): GrpcRequestHead {
  if (headers[":method"] !== "POST") {
    return { kind: "http", status: 405, text: "405 method not allowed, supported: [POST]", headers: { allow: "POST" } };
  }
  if (!isGrpcContentType(headers["content-type"])) {
    const hint = settings.elsewhere === undefined ? "" : `; ${settings.elsewhere}`;
    const text = `415 unsupported media type: this port speaks gRPC (application/grpc)${hint}`;
    return { kind: "http", status: 415, text };
  }
  // nghttp2 holds to the bound once the client has confirmed our settings; until then this does.
  const headerBytes = headerListSize(rawHeaders);
  if (headerBytes > settings.headerBytesMax) {
    const message = `the request's headers are ${headerBytes} bytes, over the limit of ${settings.headerBytesMax}`;
    return { kind: "status", status: toRpcStatus(new ConsumeError("too_large", message)) };
  }
  return readCall(headers, settings.methods);
}

function readCall(headers: IncomingHttpHeaders, methods: GrpcDoorSettings["methods"]): GrpcRequestHead {
  const path = headers[":path"] ?? "";
  const handler = methods.get(path);
  if (handler === undefined) return refusal(GRPC_CODES.UNIMPLEMENTED, `unknown method ${path.slice(0, 256)}`);
  const encoding = textOf(headers["grpc-encoding"]) ?? "identity";
  if (!GRPC_ENCODINGS.has(encoding)) {
    const message = `unknown grpc-encoding ${encoding.slice(0, 64)}, supported: ${ACCEPT_ENCODING}`;
    return refusal(GRPC_CODES.UNIMPLEMENTED, message);
  }
  const timeout = textOf(headers["grpc-timeout"]);
  const timeoutMs = timeout === undefined ? Number.POSITIVE_INFINITY : parseGrpcTimeoutMs(timeout);
  if (timeoutMs === undefined) {
    return refusal(GRPC_CODES.INTERNAL, `malformed grpc-timeout ${timeout?.slice(0, 64)}`);
  }
  return { kind: "call", handler, coding: GRPC_ENCODINGS.get(encoding), timeoutMs };
}

function refusal(code: number, message: string): GrpcRequestHead {
  return { kind: "status", status: { code, message } };
}

function textOf(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}
