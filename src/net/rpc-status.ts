/**
 * google.rpc.Status and the answers of the three OTLP services, as protobuf and as JSON.
 *
 *   Status          { int32 code = 1; string message = 2; repeated Any details = 3 }      (google/rpc/status.proto)
 *   Any             { string type_url = 1; bytes value = 2 }
 *   RetryInfo       { Duration retry_delay = 1 }                                           (google/rpc/error_details.proto)
 *   Duration        { int64 seconds = 1; int32 nanos = 2 }
 *   BadRequest      { repeated FieldViolation field_violations = 1 }
 *   FieldViolation  { string field = 1; string description = 2 }
 *   Export*Response { Export*PartialSuccess partial_success = 1 }                          (opentelemetry/proto/collector)
 *   Export*PartialSuccess { int64 rejected_<items> = 1; string error_message = 2 }
 *
 * None of this is hot: a status leaves once per refused request, so it goes through protobufjs' reflection.
 */
import protobuf from "protobufjs/light.js";
import type { Signal } from "../core/signal.ts";

/** The codes of gRPC, which a Status over HTTP uses too (google/rpc/code.proto). */
export const GRPC_CODES = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

export interface RpcStatus {
  /** One of GRPC_CODES; what another program sent may be any int32. */
  readonly code: number;
  readonly message: string;
  /** Present where the status carries a RetryInfo: how long to wait before the next attempt. Whole and never negative. */
  readonly retryDelayMs?: number;
  /** The message is about the data: it is repeated in a BadRequest, where OTLP's senders look for it. Not read from others. */
  readonly isBadRequest?: boolean;
}

/** What an OTLP service says of a request that it took. Full success is `{ rejectedItems: 0, message: "" }`. */
export interface PartialSuccess {
  readonly rejectedItems: number;
  /** With rejectedItems 0 it is a warning. */
  readonly message: string;
}

export const RETRY_INFO_TYPE = "type.googleapis.com/google.rpc.RetryInfo";
const BAD_REQUEST_TYPE = "type.googleapis.com/google.rpc.BadRequest";

const REJECTED_FIELDS = {
  traces: "rejectedSpans",
  metrics: "rejectedDataPoints",
  logs: "rejectedLogRecords",
} as const satisfies Record<Signal, string>;

const field = (name: string, id: number, type: string): protobuf.Field => new protobuf.Field(name, id, type);

const root = new protobuf.Root().add(
  new protobuf.Namespace("signalbox")
    .add(new protobuf.Type("Any").add(field("typeUrl", 1, "string")).add(field("value", 2, "bytes")))
    .add(new protobuf.Type("Duration").add(field("seconds", 1, "int64")).add(field("nanos", 2, "int32")))
    .add(new protobuf.Type("RetryInfo").add(field("retryDelay", 1, "Duration")))
    .add(new protobuf.Type("FieldViolation").add(field("field", 1, "string")).add(field("description", 2, "string")))
    .add(new protobuf.Type("BadRequest").add(new protobuf.Field("fieldViolations", 1, "FieldViolation", "repeated")))
    .add(
      new protobuf.Type("Status")
        .add(field("code", 1, "int32"))
        .add(field("message", 2, "string"))
        .add(new protobuf.Field("details", 3, "Any", "repeated")),
    )
    // One type for the three services: their messages differ in names only, and names do not travel.
    .add(new protobuf.Type("PartialSuccess").add(field("rejected", 1, "int64")).add(field("errorMessage", 2, "string")))
    .add(new protobuf.Type("ExportResponse").add(field("partialSuccess", 1, "PartialSuccess"))),
);

const STATUS = root.lookupType("signalbox.Status");
const RETRY_INFO = root.lookupType("signalbox.RetryInfo");
const BAD_REQUEST = root.lookupType("signalbox.BadRequest");
const EXPORT_RESPONSE = root.lookupType("signalbox.ExportResponse");

const EMPTY = new Uint8Array(0);

interface StatusFields {
  readonly code?: number;
  readonly message?: string;
  readonly details?: readonly { readonly typeUrl?: string; readonly value?: Uint8Array }[];
}

interface RetryInfoFields {
  readonly retryDelay?: { readonly seconds?: number; readonly nanos?: number };
}

interface ExportResponseFields {
  readonly partialSuccess?: { readonly rejected?: number; readonly errorMessage?: string };
}

export function encodeStatus(status: RpcStatus): Uint8Array {
  const { code, message, retryDelayMs, isBadRequest } = status;
  const details = [
    ...(retryDelayMs === undefined ? [] : [{ typeUrl: RETRY_INFO_TYPE, value: encodeRetryInfo(retryDelayMs) }]),
    ...(isBadRequest === true ? [{ typeUrl: BAD_REQUEST_TYPE, value: encodeBadRequest(message) }] : []),
  ];
  return STATUS.encode(STATUS.create({ code, message, details })).finish();
}

function encodeBadRequest(description: string): Uint8Array {
  return BAD_REQUEST.encode(BAD_REQUEST.fromObject({ fieldViolations: [{ description }] })).finish();
}

/** Reads what another program sent; undefined where the bytes are not a Status. Details other than RetryInfo are passed over. */
export function decodeStatus(bytes: Uint8Array): RpcStatus | undefined {
  const fields: StatusFields | undefined = decodeFields(STATUS, bytes);
  if (fields === undefined) return undefined;
  const retryInfo = fields.details?.find((detail) => detail.typeUrl === RETRY_INFO_TYPE);
  const retryDelayMs = retryInfo === undefined ? undefined : decodeRetryInfo(retryInfo.value ?? EMPTY);
  return createStatus(fields.code ?? GRPC_CODES.OK, fields.message ?? "", retryDelayMs);
}

/** The body of an OTLP/HTTP error in JSON. */
export function statusToJson(status: RpcStatus): string {
  const { code, message, retryDelayMs, isBadRequest } = status;
  const details = [
    ...(retryDelayMs === undefined ? [] : [{ "@type": RETRY_INFO_TYPE, retryDelay: `${retryDelayMs / 1000}s` }]),
    ...(isBadRequest === true ? [{ "@type": BAD_REQUEST_TYPE, fieldViolations: [{ description: message }] }] : []),
  ];
  return JSON.stringify(details.length === 0 ? { code, message } : { code, message, details });
}

/** Reads what another program sent; undefined where the text is not a Status. */
export function statusFromJson(text: string): RpcStatus | undefined {
  const status = parseJsonObject(text);
  if (status === undefined) return undefined;
  const { code = GRPC_CODES.OK, message = "", details } = status;
  if (typeof code !== "number" || !Number.isInteger(code) || typeof message !== "string") return undefined;
  return createStatus(code, message, retryDelayFromJson(details));
}

/** The message that every Export*Service answers with; a full success is empty (OTLP: partial_success must be unset). */
export function encodePartialSuccess(_signal: Signal, partial: PartialSuccess): Uint8Array {
  if (isFullSuccess(partial)) return EMPTY;
  const partialSuccess = { rejected: partial.rejectedItems, errorMessage: partial.message };
  return EXPORT_RESPONSE.encode(EXPORT_RESPONSE.fromObject({ partialSuccess })).finish();
}

/** Reads a backend's success; undefined where the bytes are not an Export*ServiceResponse. No bytes are a full success. */
export function decodePartialSuccess(_signal: Signal, bytes: Uint8Array): PartialSuccess | undefined {
  const fields: ExportResponseFields | undefined = decodeFields(EXPORT_RESPONSE, bytes);
  if (fields === undefined) return undefined;
  return { rejectedItems: fields.partialSuccess?.rejected ?? 0, message: fields.partialSuccess?.errorMessage ?? "" };
}

export function partialSuccessToJson(signal: Signal, partial: PartialSuccess): string {
  if (isFullSuccess(partial)) return "{}";
  // proto3 JSON writes int64 as a string.
  const rejected = { [REJECTED_FIELDS[signal]]: String(partial.rejectedItems) };
  return JSON.stringify({ partialSuccess: { ...rejected, errorMessage: partial.message } });
}

/** Reads a backend's success; undefined where the text is not an Export*ServiceResponse. The Collector writes `{"partialSuccess":{}}` for a full success. */
export function partialSuccessFromJson(signal: Signal, text: string): PartialSuccess | undefined {
  const response = parseJsonObject(text);
  if (response === undefined) return undefined;
  const partial = response["partialSuccess"] ?? {};
  if (!isJsonObject(partial)) return undefined;
  const rejectedItems = Number(partial[REJECTED_FIELDS[signal]] ?? 0);
  const message = partial["errorMessage"] ?? "";
  return Number.isSafeInteger(rejectedItems) && typeof message === "string" ? { rejectedItems, message } : undefined;
}

function isFullSuccess(partial: PartialSuccess): boolean {
  return partial.rejectedItems === 0 && partial.message === "";
}

function createStatus(code: number, message: string, retryDelayMs: number | undefined): RpcStatus {
  return retryDelayMs === undefined ? { code, message } : { code, message, retryDelayMs };
}

type Fields = ReturnType<protobuf.Type["toObject"]>;

/** Answers of other programs are data, not a contract: what cannot be read is a value here, not an exception. */
function decodeFields(type: protobuf.Type, bytes: Uint8Array): Fields | undefined {
  try {
    return type.toObject(type.decode(bytes), { longs: Number });
  } catch {
    // protobufjs throws RangeError and plain Error for truncated and malformed bytes alike; both mean "not this message".
    return undefined;
  }
}

function encodeRetryInfo(retryDelayMs: number): Uint8Array {
  const seconds = Math.floor(retryDelayMs / 1000);
  const nanos = Math.round((retryDelayMs - seconds * 1000) * 1e6);
  return RETRY_INFO.encode(RETRY_INFO.fromObject({ retryDelay: { seconds, nanos } })).finish();
}

function decodeRetryInfo(bytes: Uint8Array): number | undefined {
  const fields: RetryInfoFields | undefined = decodeFields(RETRY_INFO, bytes);
  if (fields === undefined) return undefined;
  const { seconds = 0, nanos = 0 } = fields.retryDelay ?? {};
  return Math.max(0, seconds * 1000 + Math.ceil(nanos / 1e6));
}

function retryDelayFromJson(details: unknown): number | undefined {
  if (!Array.isArray(details)) return undefined;
  const retryInfo = details.filter(isJsonObject).find((detail) => detail["@type"] === RETRY_INFO_TYPE);
  if (retryInfo === undefined) return undefined;
  const retryDelay = retryInfo["retryDelay"] ?? "0s";
  // proto3 JSON of a Duration: decimal seconds with an "s" behind.
  const match = typeof retryDelay === "string" ? /^(\d+(?:\.\d{1,9})?)s$/.exec(retryDelay) : null;
  return match === null ? undefined : Math.round(Number(match[1]) * 1000);
}

function parseJsonObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) ? value : undefined;
  } catch {
    // A backend's proxy answers with HTML as often as with JSON; the caller falls back to the HTTP status.
    return undefined;
  }
}

function isJsonObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
