/**
 * What a backend's answer means for the request that was sent: the one table from gRPC and HTTP to ConsumeError.
 *
 * | the backend's answer | kind | source |
 * | --- | --- | --- |
 * | CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS | retryable, after RetryInfo where given | OTLP 1.11, "Failures" |
 * | RESOURCE_EXHAUSTED with RetryInfo | retryable | the same |
 * | RESOURCE_EXHAUSTED, OUT_OF_RANGE whose text says that the message is too large | too_large | observed texts of gRPC servers |
 * | RESOURCE_EXHAUSTED otherwise | permanent | OTLP: no RetryInfo, no retry |
 * | a stream that ends without a gRPC status | retryable | OTLP/HTTP, "All Other Responses": retry when disconnected without an answer |
 * | UNAUTHENTICATED / 401, PERMISSION_DENIED / 403 | unauthenticated, forbidden | |
 * | UNIMPLEMENTED / 404, 405, 501 | unimplemented: the endpoint or its path is wrong, or the signal is not taken | |
 * | 429, 502, 503, 504 | retryable, after Retry-After or RetryInfo where given | OTLP/HTTP, "Retryable Response Codes" |
 * | 413; 400 whose text says that the body is too large, as the Collector answers | too_large | observed with v0.165.0 |
 * | any other code or status, redirects included | permanent | |
 * | no connection, TLS failure, connection lost | retryable (connection-advice.ts says what to do) | |
 */
import { ConsumeError, type ConsumeErrorKind } from "../core/errors.ts";
import { SENT_WHOLE, type SendResult } from "../core/sender.ts";
import { adviseOnConnection } from "./connection-advice.ts";
import { decodeStatus, GRPC_CODES, type PartialSuccess, type RpcStatus, statusFromJson } from "./rpc-status.ts";

/** Who was asked, as messages name it, and what they must not show. */
export interface Backend {
  /** `host:port`, or a URL without credentials and query. */
  readonly name: string;
  readonly protocol: "grpc" | "http";
  /** Values that never reach a message, even where the backend quotes them back; from secretsOf(). */
  readonly secrets: readonly string[];
}

/** Bytes of an answer that are read. OTLP 1.11 bounds answers to 4 MiB; a larger one is no OTLP answer, and its request is given up. */
export const ANSWER_BYTES_MAX = 4 * 1024 * 1024;

// Characters of a backend's own words in our messages: enough for any sentence, too few for a page of HTML to bury the log.
const QUOTE_LENGTH_MAX = 300;

// A backend that asks for more is asked again after an hour: by then someone has mended it, or its clock was wrong.
const RETRY_AFTER_MS_MAX = 60 * 60 * 1000;

/** Shorter words of a header value ("Bearer", "a") are no secrets, and replacing them would only garble messages. */
const SECRET_LENGTH_MIN = 6;

/** The header values and the words in them, longest first, so that a whole value goes before its parts. */
export function secretsOf(headerValues: Iterable<string>): readonly string[] {
  const parts = [...headerValues].flatMap((value) => [value, ...value.split(/[\s,;=]+/)]);
  const secrets = parts.filter((part) => part.length >= SECRET_LENGTH_MIN);
  return [...new Set(secrets)].toSorted((left, right) => right.length - left.length);
}

interface Verdict {
  readonly kind: ConsumeErrorKind;
  /** What to do about it, for the person who reads the log. */
  readonly advice?: string;
}

const RETRYABLE: Verdict = { kind: "retryable" };
const PERMANENT: Verdict = { kind: "permanent" };
const TOO_LARGE: Verdict = { kind: "too_large", advice: "set sending_queue.batch.max_size lower" };
const UNAUTHENTICATED: Verdict = { kind: "unauthenticated", advice: "check the credentials in headers" };
const FORBIDDEN: Verdict = { kind: "forbidden", advice: "check what the credentials in headers allow" };

const GRPC_VERDICTS: Readonly<Record<keyof typeof GRPC_CODES, Verdict>> = {
  // A gRPC error with code OK is a contradiction; it is final, because nothing says that another attempt ends otherwise.
  OK: PERMANENT,
  CANCELLED: RETRYABLE,
  UNKNOWN: PERMANENT,
  INVALID_ARGUMENT: PERMANENT,
  DEADLINE_EXCEEDED: RETRYABLE,
  NOT_FOUND: PERMANENT,
  ALREADY_EXISTS: PERMANENT,
  PERMISSION_DENIED: FORBIDDEN,
  RESOURCE_EXHAUSTED: {
    kind: "permanent",
    advice: "it named no time to wait, so OTLP forbids a retry: check the backend's quota",
  },
  FAILED_PRECONDITION: PERMANENT,
  ABORTED: RETRYABLE,
  OUT_OF_RANGE: RETRYABLE,
  UNIMPLEMENTED: {
    kind: "unimplemented",
    advice: "check that endpoint is an OTLP/gRPC port and that the backend takes this signal",
  },
  INTERNAL: PERMANENT,
  UNAVAILABLE: RETRYABLE,
  DATA_LOSS: RETRYABLE,
  UNAUTHENTICATED,
};

const GRPC_NAMES: ReadonlyMap<number, string> = new Map(Object.entries(GRPC_CODES).map(([name, code]) => [code, name]));

function isGrpcName(name: string | undefined): name is keyof typeof GRPC_CODES {
  return name !== undefined && Object.hasOwn(GRPC_VERDICTS, name);
}

export interface GrpcAnswer {
  readonly code: number;
  /** grpc-message. */
  readonly details: string;
  /** grpc-status-details-bin: a google.rpc.Status. */
  readonly statusBytes?: Uint8Array;
}

// What grpc-js says by itself when no answer came; a backend's own UNAVAILABLE never begins so.
const NO_ANSWER_PATTERN =
  /^(?:\w+: )?No connection established|^Name resolution failed|^Connection dropped$|^Deadline exceeded after/;

export function errorFromGrpcAnswer(answer: GrpcAnswer, backend: Backend): ConsumeError {
  if (NO_ANSWER_PATTERN.test(answer.details)) return errorFromConnection(answer.details, backend);
  const name = GRPC_NAMES.get(answer.code);
  const retryDelayMs = answer.statusBytes === undefined ? undefined : decodeStatus(answer.statusBytes)?.retryDelayMs;
  const verdict = isGrpcName(name) ? judgeGrpc(name, answer.details, retryDelayMs) : PERMANENT;
  const what = `answered ${name ?? `the unknown gRPC code ${answer.code}`}`;
  return createError(backend, what, answer.details, verdict, retryDelayMs);
}

/**
 * How gRPC servers say that a message exceeds their limit. Go, C++, Python and grpc-js: "Received message larger than
 * max (5 vs. 4)"; Java: "gRPC message exceeds maximum size 4: 5"; .NET: "Received message exceeds the maximum
 * configured message size"; Rust's tonic, with OUT_OF_RANGE: "decoded message length too large: found 5 bytes"; this
 * gateway: "5 items exceed the whole sending queue". Kept narrow: what is taken for too large is split down to single
 * items, and a quota that reads so would be met by thousands of small requests.
 */
const TOO_LARGE_PATTERN =
  /\b(?:message|request|body|payload|batch|admission)\b.*(?:\blarger than\b|\bexceeds\b|\btoo (?:large|big)\b|\bsize limit\b)|\bexceed the whole sending queue\b/i;

// grpc-js names so what ended without a status: the backend, or a proxy before it, reset the stream.
const RESET_PATTERN = /^Received RST_STREAM with code \d|^Bandwidth exhausted or memory limit exceeded$/;

/**
 * How gRPC servers say that they do not know the encoding of a message. Go: "grpc: Decompressor is not installed for
 * grpc-encoding "zstd""; Java: "Can't find decompressor for zstd"; grpc-js: "Received message compressed with ...".
 */
const COMPRESSION_PATTERN = /\b(?:de)?compress|grpc-encoding/i;
const UNREAD_COMPRESSION: Verdict = {
  kind: "permanent",
  advice: "the backend does not read this compression: set compression: gzip",
};

function judgeGrpc(name: keyof typeof GRPC_CODES, details: string, retryDelayMs: number | undefined): Verdict {
  if (name === "RESOURCE_EXHAUSTED" && retryDelayMs !== undefined) return RETRYABLE;
  const mayBeTooLarge = name === "RESOURCE_EXHAUSTED" || name === "OUT_OF_RANGE";
  if (mayBeTooLarge && TOO_LARGE_PATTERN.test(details)) return TOO_LARGE;
  if ((name === "INTERNAL" || name === "RESOURCE_EXHAUSTED") && RESET_PATTERN.test(details)) return RETRYABLE;
  if (name === "UNIMPLEMENTED" && COMPRESSION_PATTERN.test(details)) return UNREAD_COMPRESSION;
  const verdict = GRPC_VERDICTS[name];
  return verdict.advice === undefined ? { ...verdict, ...adviseOnProxy(details) } : verdict;
}

// grpc-js reports so an answer that came with an HTTP status and without a gRPC one.
function adviseOnProxy(details: string): { advice?: string } {
  if (!details.startsWith("Received HTTP status code")) return {};
  return { advice: "a proxy or a web server answered, not a gRPC backend: check endpoint" };
}

export interface HttpAnswer {
  readonly status: number;
  /** As node:http gives them: lower-case names. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: Uint8Array;
}

/** For every answer but 2xx. `nowMs` is for Retry-After in its form as a date. */
export function errorFromHttpAnswer(answer: HttpAnswer, backend: Backend, nowMs: number): ConsumeError {
  const status = decodeErrorBody(answer);
  const retryAfterMs = parseRetryAfter(firstValue(answer.headers["retry-after"]), nowMs) ?? status?.retryDelayMs;
  // JSON of any other shape reads as a Status without a message; its text is then all there is.
  const said = status?.message || textOf(answer);
  const isTooLarge = answer.status === 400 && TOO_LARGE_PATTERN.test(said);
  const verdict = isTooLarge ? TOO_LARGE : judgeHttp(answer, backend);
  return createError(backend, `answered ${answer.status}`, said, verdict, retryAfterMs);
}

function judgeHttp(answer: HttpAnswer, backend: Backend): Verdict {
  switch (answer.status) {
    case 429:
    case 502:
    case 503:
    case 504:
      return RETRYABLE;
    case 401:
      return UNAUTHENTICATED;
    case 403:
      return adviseOnForbidden(backend);
    case 404:
    case 405:
    case 501:
      return {
        kind: "unimplemented",
        advice: `nothing takes OTLP at ${backend.name}: endpoint is a base URL to which /v1/logs, /v1/traces or /v1/metrics is added; logs_endpoint and its like are used as written`,
      };
    case 413:
      return TOO_LARGE;
    case 415:
      return {
        kind: "permanent",
        advice: "the backend does not read this encoding or compression: change one of them",
      };
    default:
      return answer.status >= 300 && answer.status < 400 ? adviseOnRedirect(answer) : PERMANENT;
  }
}

function adviseOnForbidden(backend: Backend): Verdict {
  if (!/\.dash0\.com\b/.test(backend.name)) return FORBIDDEN;
  return { kind: "forbidden", advice: "a Dash0 token that is limited to one dataset needs the header Dash0-Dataset" };
}

function adviseOnRedirect(answer: HttpAnswer): Verdict {
  const location = firstValue(answer.headers["location"]);
  const target = location === undefined ? "" : ` to ${location.replace(/[?#].*$/s, "")}`;
  return {
    kind: "permanent",
    advice: `it redirects${target}, which is not followed: write the final address as endpoint`,
  };
}

/** No answer came: the connection could not be made, or broke. */
export function errorFromConnection(thrown: unknown, backend: Backend): ConsumeError {
  const { reason, advice } = adviseOnConnection(thrown, backend.protocol);
  const verdict: Verdict = advice === undefined ? RETRYABLE : { kind: "retryable", advice };
  return createError(backend, "gave no answer", reason, verdict, undefined, thrown);
}

/** The attempt was ended from our side: its timeout has passed, or the gateway shuts down. */
export function errorFromAbort(signal: AbortSignal, backend: Backend): ConsumeError {
  const reason: unknown = signal.reason;
  const said = reason instanceof Error && reason.name !== "AbortError" ? reason.message : "";
  return createError(backend, "gave no answer before the attempt was ended", said, RETRYABLE, undefined, reason);
}

/** Final, though the backend may have taken the data: a second attempt would get the same answer, and double the data. */
export function errorFromLargeAnswer(backend: Backend): ConsumeError {
  const advice = "check that endpoint is an OTLP backend";
  const what = `answered with more than ${ANSWER_BYTES_MAX} bytes, so the connection was closed`;
  return createError(backend, what, "", { kind: "permanent", advice }, undefined);
}

/** A success, as counted: a backend cannot reject more than it was sent, nor less than nothing. */
export function resultFromPartialSuccess(partial: PartialSuccess, itemCount: number, backend: Backend): SendResult {
  const rejectedItems = Math.min(Math.max(Math.trunc(partial.rejectedItems) || 0, 0), itemCount);
  const message = quote(partial.message, backend.secrets);
  return rejectedItems === 0 && message === "" ? SENT_WHOLE : { rejectedItems, message };
}

/** `Retry-After` in milliseconds: whole seconds, or an HTTP date (RFC 9110, 10.2.3). undefined where it is neither. */
export function parseRetryAfter(text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined;
  const trimmed = text.trim();
  if (/^\d+$/.test(trimmed)) return Number(trimmed) * 1000;
  // Date.parse takes "5 apples" for May: a date of HTTP begins with the day's name.
  const dateMs = /^[A-Za-z]{3,9},? /.test(trimmed) ? Date.parse(trimmed) : Number.NaN;
  return Number.isNaN(dateMs) ? undefined : Math.max(0, dateMs - nowMs);
}

function createError(
  backend: Backend,
  what: string,
  said: string,
  verdict: Verdict,
  retryAfterMs: number | undefined,
  cause?: unknown,
): ConsumeError {
  const words = quote(said, backend.secrets);
  const message = `${backend.name} ${what}${words === "" ? "" : `: ${words}`}`;
  const advised = verdict.advice === undefined ? message : `${message}; ${quote(verdict.advice, backend.secrets)}`;
  return new ConsumeError(verdict.kind, advised, {
    ...(retryAfterMs === undefined ? {} : { retryAfterMs: Math.min(retryAfterMs, RETRY_AFTER_MS_MAX) }),
    ...(cause === undefined ? {} : { cause }),
  });
}

// What is searched for secrets: several times the quote, since redacting shortens, and not megabytes.
const SEARCHED_LENGTH_MAX = QUOTE_LENGTH_MAX * 8;

/** Another program's words on one line, bounded and without secrets. */
function quote(text: string, secrets: readonly string[]): string {
  const searched = text.slice(0, SEARCHED_LENGTH_MAX);
  const safe = secrets.reduce((shown, secret) => shown.replaceAll(secret, "[REDACTED]"), searched);
  // The cut may have gone through a secret, which is then not found: its beginning goes with the end of the text.
  const longest = secrets[0]?.length ?? 0;
  const whole = text.length > SEARCHED_LENGTH_MAX ? safe.slice(0, Math.max(0, safe.length - longest)) : safe;
  const line = whole.replaceAll(/[\p{Cc}\s]+/gu, " ").trim();
  return line.length > QUOTE_LENGTH_MAX ? `${line.slice(0, QUOTE_LENGTH_MAX)}…` : line;
}

function firstValue(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === "string" || value === undefined ? value : value[0];
}

function decodeErrorBody(answer: HttpAnswer): RpcStatus | undefined {
  const contentType = firstValue(answer.headers["content-type"]) ?? "";
  if (contentType.startsWith("application/x-protobuf")) return decodeStatus(answer.body);
  if (contentType.startsWith("application/json")) return statusFromJson(Buffer.from(answer.body).toString("utf8"));
  return undefined;
}

/** Plain text, or JSON of another shape, is quoted as it is; of HTML and binary nothing helps. */
function textOf(answer: HttpAnswer): string {
  const contentType = firstValue(answer.headers["content-type"]) ?? "";
  if (!/^(?:text\/plain|application\/(?:problem\+)?json)/.test(contentType)) return "";
  return Buffer.from(answer.body.subarray(0, SEARCHED_LENGTH_MAX * 4)).toString("utf8");
}
