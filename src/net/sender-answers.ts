import type { ConsumeError, ConsumeErrorKind } from "../core/errors.ts";
import { RETRY_AFTER_MS_DEFAULT } from "../core/limits.ts";
import { encodeStatus, GRPC_CODES, statusToJson } from "./rpc-status.ts";
import type { RpcStatus } from "./rpc-status.ts";

/**
 * What a sender is told when its request was not taken: the one table for all doors.
 * The other direction, from a backend's answer to a kind, is backend-answers.ts.
 */
const ANSWERS = {
  refused: { code: GRPC_CODES.UNAVAILABLE, httpStatus: 503 },
  retryable: { code: GRPC_CODES.UNAVAILABLE, httpStatus: 503 },
  permanent: { code: GRPC_CODES.INVALID_ARGUMENT, httpStatus: 400 },
  // Never with RetryInfo: OTLP reads RESOURCE_EXHAUSTED with one as "try again", and the same bytes would come for ever.
  too_large: { code: GRPC_CODES.RESOURCE_EXHAUSTED, httpStatus: 413 },
  unauthenticated: { code: GRPC_CODES.UNAUTHENTICATED, httpStatus: 401 },
  forbidden: { code: GRPC_CODES.PERMISSION_DENIED, httpStatus: 403 },
  unimplemented: { code: GRPC_CODES.UNIMPLEMENTED, httpStatus: 404 },
  internal: { code: GRPC_CODES.INTERNAL, httpStatus: 500 },
} as const satisfies Record<ConsumeErrorKind, { code: number; httpStatus: number }>;

/** The Status for gRPC's trailers and for HTTP's error bodies. Retryable kinds carry a RetryInfo, bad data a BadRequest. */
export function toRpcStatus(error: ConsumeError): RpcStatus {
  const { code } = ANSWERS[error.kind];
  if (error.kind === "permanent") return { code, message: error.message, isBadRequest: true };
  if (!error.isRetryable) return { code, message: error.message };
  return { code, message: error.message, retryDelayMs: Math.max(0, error.retryAfterMs ?? RETRY_AFTER_MS_DEFAULT) };
}

/** How a body is written; OTLP/HTTP answers in the request's own. */
export type BodyEncoding = "protobuf" | "json";

export const MEDIA_TYPES = {
  protobuf: "application/x-protobuf",
  json: "application/json",
} as const satisfies Record<BodyEncoding, string>;

export interface StatusAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | string;
}

/** The HTTP answer: status, `Retry-After` where trying again makes sense, and a Status as the body. */
export function toHttpAnswer(error: ConsumeError, encoding: BodyEncoding): StatusAnswer {
  const status = toRpcStatus(error);
  const headers: Record<string, string> = { "content-type": MEDIA_TYPES[encoding] };
  // In whole seconds, and never 0, which would ask for a storm.
  if (status.retryDelayMs !== undefined) {
    headers["retry-after"] = String(Math.max(1, Math.ceil(status.retryDelayMs / 1000)));
  }
  const body = encoding === "json" ? statusToJson(status) : encodeStatus(status);
  return { status: ANSWERS[error.kind].httpStatus, headers, body };
}
