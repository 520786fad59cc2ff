import { describe, expect, test } from "vitest";
import type { ConsumeErrorKind } from "../../src/core/errors.ts";
import {
  type Backend,
  errorFromAbort,
  errorFromConnection,
  errorFromGrpcAnswer,
  errorFromHttpAnswer,
  errorFromLargeAnswer,
  type HttpAnswer,
  parseRetryAfter,
  resultFromPartialSuccess,
  secretsOf,
} from "../../src/net/backend-answers.ts";
import { encodeStatus, GRPC_CODES, statusToJson } from "../../src/net/rpc-status.ts";

const GRPC: Backend = { name: "otlp.example.com:4317", protocol: "grpc", secrets: [] };
const HTTP: Backend = { name: "https://otlp.example.com/v1/logs", protocol: "http", secrets: [] };
const NOW_MS = Date.parse("2026-11-23T12:00:00Z");

const RETRYABLE_CODES = ["CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"];
const OWN_KINDS: Readonly<Record<string, ConsumeErrorKind>> = {
  UNAUTHENTICATED: "unauthenticated",
  PERMISSION_DENIED: "forbidden",
  UNIMPLEMENTED: "unimplemented",
};

function http(status: number, headers: HttpAnswer["headers"] = {}, body: string | Uint8Array = ""): HttpAnswer {
  return { status, headers, body: typeof body === "string" ? Buffer.from(body) : body };
}

function said(contentType: string, body: string | Uint8Array): string {
  return errorFromHttpAnswer(http(400, { "content-type": contentType }, body), HTTP, NOW_MS).message;
}

function systemError(name: string, message = `connect ${name}`): Error {
  return Object.assign(new Error(message), { code: name });
}

describe("a gRPC answer", () => {
  test.each(Object.entries(GRPC_CODES))("%s is read as OTLP's table of retryable codes says", (name, code) => {
    const error = errorFromGrpcAnswer({ code, details: "because" }, GRPC);
    const expected = RETRYABLE_CODES.includes(name) ? "retryable" : (OWN_KINDS[name] ?? "permanent");
    expect(error.kind).toBe(expected);
    expect(error.message).toContain(`otlp.example.com:4317 answered ${name}: because`);
    expect(error.retryAfterMs).toBeUndefined();
  });

  test("with a code that no one knows is final", () => {
    const error = errorFromGrpcAnswer({ code: 99, details: "" }, GRPC);
    expect(error.kind).toBe("permanent");
    expect(error.message).toBe("otlp.example.com:4317 answered the unknown gRPC code 99");
  });

  test("RESOURCE_EXHAUSTED is retryable with RetryInfo only", () => {
    const code = GRPC_CODES.RESOURCE_EXHAUSTED;
    const statusBytes = encodeStatus({ code, message: "slow down", retryDelayMs: 1500 });
    const throttled = errorFromGrpcAnswer({ code, details: "slow down", statusBytes }, GRPC);
    expect(throttled).toMatchObject({ kind: "retryable", retryAfterMs: 1500 });
    const withoutInfo = encodeStatus({ code, message: "quota" });
    expect(errorFromGrpcAnswer({ code, details: "quota", statusBytes: withoutInfo }, GRPC).kind).toBe("permanent");
    expect(errorFromGrpcAnswer({ code, details: "quota" }, GRPC).message).toContain("quota; it named no time to wait");
  });

  test("UNAVAILABLE keeps the delay of its RetryInfo", () => {
    const code = GRPC_CODES.UNAVAILABLE;
    const statusBytes = encodeStatus({ code, message: "", retryDelayMs: 250 });
    expect(errorFromGrpcAnswer({ code, details: "full", statusBytes }, GRPC).retryAfterMs).toBe(250);
  });

  test.each([
    [GRPC_CODES.RESOURCE_EXHAUSTED, "grpc: received message larger than max (5 vs. 4)"],
    [GRPC_CODES.RESOURCE_EXHAUSTED, "grpc: received message after decompression larger than max 4194304"],
    [GRPC_CODES.RESOURCE_EXHAUSTED, "Received message larger than max (5 vs 4)"],
    [GRPC_CODES.RESOURCE_EXHAUSTED, "Received message that decompresses to a size larger than 4"],
    [GRPC_CODES.RESOURCE_EXHAUSTED, "gRPC message exceeds maximum size 4194304: 5000000"],
    [GRPC_CODES.RESOURCE_EXHAUSTED, "Received message exceeds the maximum configured message size."],
    [GRPC_CODES.RESOURCE_EXHAUSTED, "900 items exceed the whole sending queue of otlp_grpc, which holds 500 items"],
    [GRPC_CODES.RESOURCE_EXHAUSTED, "a request of 9 bytes exceeds the 5 bytes that all requests in flight may have"],
    [GRPC_CODES.OUT_OF_RANGE, "Error, decoded message length too large: found 5 bytes, the limit is: 4 bytes"],
  ])("%i saying %j is too large", (code, details) => {
    const error = errorFromGrpcAnswer({ code, details }, GRPC);
    expect(error.kind).toBe("too_large");
    expect(error.message).toContain("sending_queue.batch.max_size");
  });

  test.each(["quota exceeded: 1000 bytes per second", "monthly limit of spans exceeded", "too many requests"])(
    "RESOURCE_EXHAUSTED saying %j is a quota, and final",
    (details) => {
      const error = errorFromGrpcAnswer({ code: GRPC_CODES.RESOURCE_EXHAUSTED, details }, GRPC);
      expect(error.kind).toBe("permanent");
    },
  );

  test.each([
    [GRPC_CODES.INTERNAL, "Received RST_STREAM with code 0 (Call ended without gRPC status)"],
    [GRPC_CODES.INTERNAL, "Received RST_STREAM with code 2 (Internal server error)"],
    [GRPC_CODES.RESOURCE_EXHAUSTED, "Bandwidth exhausted or memory limit exceeded"],
  ])("that is none (%i, %s) is retryable", (code, details) => {
    expect(errorFromGrpcAnswer({ code, details }, GRPC).kind).toBe("retryable");
  });

  test("of a web server is named as such", () => {
    const error = errorFromGrpcAnswer({ code: GRPC_CODES.UNKNOWN, details: "Received HTTP status code 500" }, GRPC);
    expect(error.message).toContain("a proxy or a web server answered");
  });

  test("that the transport made up is shown as no answer, with its innermost reason", () => {
    const details =
      "round_robin: No connection established. Last error: No connection established. Last error: Error: connect ECONNREFUSED 127.0.0.1:1. Resolution note: ";
    const error = errorFromGrpcAnswer({ code: GRPC_CODES.UNAVAILABLE, details }, GRPC);
    expect(error.kind).toBe("retryable");
    expect(error.message).toBe(
      "otlp.example.com:4317 gave no answer: connect ECONNREFUSED 127.0.0.1:1; nothing listens there: check endpoint, and that the backend runs",
    );
  });

  test("with a status that cannot be decoded is read by its code", () => {
    const answer = { code: GRPC_CODES.UNAVAILABLE, details: "full", statusBytes: Buffer.from("\u0002nonsense") };
    expect(errorFromGrpcAnswer(answer, GRPC)).toMatchObject({ kind: "retryable", retryAfterMs: undefined });
  });
});

describe("an HTTP answer", () => {
  test.each([
    [429, "retryable"],
    [502, "retryable"],
    [503, "retryable"],
    [504, "retryable"],
    [413, "too_large"],
    [401, "unauthenticated"],
    [403, "forbidden"],
    [404, "unimplemented"],
    [405, "unimplemented"],
    [501, "unimplemented"],
    [301, "permanent"],
    [400, "permanent"],
    [408, "permanent"],
    [415, "permanent"],
    [422, "permanent"],
    [500, "permanent"],
    [507, "permanent"],
  ] as const)("%i is %s", (status, kind) => {
    const error = errorFromHttpAnswer(http(status), HTTP, NOW_MS);
    expect(error.kind).toBe(kind);
    expect(error.message).toMatch(new RegExp(`^https://otlp.example.com/v1/logs answered ${status}`));
  });

  test("is asked again after Retry-After, in seconds or as a date", () => {
    const seconds = errorFromHttpAnswer(http(503, { "retry-after": "7" }), HTTP, NOW_MS);
    expect(seconds.retryAfterMs).toBe(7000);
    const date = errorFromHttpAnswer(http(429, { "retry-after": "Mon, 23 Nov 2026 12:00:30 GMT" }), HTTP, NOW_MS);
    expect(date.retryAfterMs).toBe(30_000);
  });

  test("is asked again after the RetryInfo of its body where it has no Retry-After", () => {
    const status = { code: GRPC_CODES.UNAVAILABLE, message: "full", retryDelayMs: 2500 };
    const protobuf = http(503, { "content-type": "application/x-protobuf" }, encodeStatus(status));
    expect(errorFromHttpAnswer(protobuf, HTTP, NOW_MS)).toMatchObject({ retryAfterMs: 2500 });
    const json = http(503, { "content-type": "application/json; charset=utf-8" }, statusToJson(status));
    expect(errorFromHttpAnswer(json, HTTP, NOW_MS).message).toBe("https://otlp.example.com/v1/logs answered 503: full");
  });

  test("never puts a request off for more than an hour", () => {
    const error = errorFromHttpAnswer(http(503, { "retry-after": "99999999" }), HTTP, NOW_MS);
    expect(error.retryAfterMs).toBe(3_600_000);
  });

  test("quotes plain text and JSON of any shape, but no page of HTML and no bytes", () => {
    expect(said("text/plain", "bad\r\n\tthings")).toMatch(/answered 400: bad things$/);
    expect(said("application/json", '{"error":"no tenant"}')).toMatch(/answered 400: \{"error":"no tenant"\}$/);
    expect(said("text/html", "<html>no</html>")).toMatch(/answered 400$/);
    expect(said("application/x-protobuf", Buffer.from([0xff, 0xff]))).toMatch(/answered 400$/);
    expect(said("text/plain", "x".repeat(100_000)).length).toBeLessThan(500);
  });

  test("400 of a Collector for a body beyond its limit is too large, so that the queue splits it", () => {
    const answer = http(400, { "content-type": "text/plain" }, "http: request body too large");
    expect(errorFromHttpAnswer(answer, HTTP, NOW_MS).kind).toBe("too_large");
  });

  test("404 names the address and the path that is added to a base", () => {
    const { message } = errorFromHttpAnswer(http(404), HTTP, NOW_MS);
    expect(message).toContain("nothing takes OTLP at https://otlp.example.com/v1/logs");
    expect(message).toContain("endpoint is a base URL");
  });

  test("a redirect is explained with its target, without the target's query", () => {
    const headers = { location: "https://other.example.com/v1/logs?token=abc" };
    const { message } = errorFromHttpAnswer(http(307, headers), HTTP, NOW_MS);
    expect(message).toContain("redirects to https://other.example.com/v1/logs, which is not followed");
    expect(message).not.toContain("token");
  });

  test("403 of Dash0 names the header that is most often missing", () => {
    const dash0: Backend = { ...HTTP, name: "https://ingress.eu-west-1.aws.dash0.com/v1/logs" };
    expect(errorFromHttpAnswer(http(403), dash0, NOW_MS).message).toContain("Dash0-Dataset");
  });
});

describe("a secret", () => {
  test("is not shown where a backend quotes it back", () => {
    const secrets = secretsOf(["Bearer auth_s3cret_value", "default"]);
    const backend: Backend = { ...HTTP, secrets };
    const body = 'token "auth_s3cret_value" of "Bearer auth_s3cret_value" is unknown';
    const { message } = errorFromHttpAnswer(http(401, { "content-type": "text/plain" }, body), backend, NOW_MS);
    expect(message).not.toContain("s3cret");
    expect(message).toContain("[REDACTED]");
    const grpc = errorFromGrpcAnswer({ code: 16, details: body }, { ...GRPC, secrets });
    expect(grpc.message).not.toContain("s3cret");
  });

  test("is not shown where a redirect or a partial success carries it", () => {
    const backend: Backend = { ...HTTP, secrets: secretsOf(["auth_s3cret_value"]) };
    const headers = { location: "https://other.example.com/auth_s3cret_value/logs" };
    expect(errorFromHttpAnswer(http(302, headers), backend, NOW_MS).message).not.toContain("s3cret");
    const partial = { rejectedItems: 1, message: "auth_s3cret_value over quota" };
    expect(resultFromPartialSuccess(partial, 5, backend).message).toBe("[REDACTED] over quota");
  });
});

describe("Retry-After", () => {
  test.each([
    ["0", 0],
    [" 12 ", 12_000],
    ["Mon, 23 Nov 2026 12:00:05 GMT", 5_000],
    ["Monday, 23-Nov-26 12:00:05 GMT", 5_000],
    ["Mon, 23 Nov 2020 12:00:05 GMT", 0],
    ["-1", undefined],
    ["1.5", undefined],
    ["5 apples", undefined],
    ["soon", undefined],
    ["", undefined],
    [undefined, undefined],
  ])("%j is %j ms", (text, expected) => {
    expect(parseRetryAfter(text, NOW_MS)).toBe(expected);
  });
});

describe("a connection error", () => {
  test.each([
    [systemError("ECONNREFUSED"), "nothing listens there"],
    [systemError("ENOTFOUND", "getaddrinfo ENOTFOUND nosuch"), "does not resolve"],
    [systemError("EHOSTUNREACH"), "the network does not lead there"],
    [
      systemError("EPROTO", "A0:error:0A00010B:SSL routines:f:wrong version number:f.c:77:"),
      "plaintext: write http://",
    ],
    [systemError("DEPTH_ZERO_SELF_SIGNED_CERT", "self-signed certificate"), "tls.ca_file"],
    [systemError("UNABLE_TO_VERIFY_LEAF_SIGNATURE", "unable to verify the first certificate"), "tls.ca_file"],
    [systemError("ERR_TLS_CERT_ALTNAME_INVALID", "Hostname/IP does not match"), "tls.server_name_override"],
    [systemError("CERT_HAS_EXPIRED", "certificate has expired"), "has expired"],
    [systemError("HPE_INVALID_CONSTANT", "Parse Error: Expected HTTP/"), "is this its OTLP/gRPC port?"],
    [systemError("ECONNRESET", "socket hang up"), "if it wants TLS, write https://"],
    [new AggregateError([systemError("ECONNREFUSED")]), "nothing listens there"],
  ])("%s is retryable and says what to do", (thrown, advice) => {
    const error = errorFromConnection(thrown, HTTP);
    expect(error.kind).toBe("retryable");
    expect(error.message).toContain(advice);
    expect(error.cause).toBe(thrown);
  });

  test("of an unknown sort is retryable with its own words", () => {
    const error = errorFromConnection(systemError("EWEIRD", "weird"), GRPC);
    expect(error).toMatchObject({ kind: "retryable", message: "otlp.example.com:4317 gave no answer: weird (EWEIRD)" });
  });
});

test("an attempt that we ended ourselves is retryable and says why", () => {
  const reason = new Error("timeout of 5 s");
  const error = errorFromAbort(AbortSignal.abort(reason), GRPC);
  expect(error.kind).toBe("retryable");
  expect(error.message).toBe("otlp.example.com:4317 gave no answer before the attempt was ended: timeout of 5 s");
});

test("an answer without end is final, since the data may have been taken", () => {
  expect(errorFromLargeAnswer(HTTP)).toMatchObject({ kind: "permanent" });
});

describe("a partial success", () => {
  test.each([
    [0, 0],
    [3, 3],
    [-1, 0],
    [999, 10],
    [Number.NaN, 0],
  ])("of %d rejected among 10 counts %d", (rejectedItems, expected) => {
    expect(resultFromPartialSuccess({ rejectedItems, message: "m" }, 10, GRPC).rejectedItems).toBe(expected);
  });
});
