import { describe, expect, it } from "vitest";
import { ConsumeError } from "../../src/core/errors.ts";
import type { ConsumeErrorKind } from "../../src/core/errors.ts";
import { decodeStatus, statusFromJson } from "../../src/net/rpc-status.ts";
import { toHttpAnswer, toRpcStatus } from "../../src/net/sender-answers.ts";

const KINDS: readonly (readonly [ConsumeErrorKind, number, number])[] = [
  ["refused", 14, 503],
  ["retryable", 14, 503],
  ["permanent", 3, 400],
  ["too_large", 8, 413],
  ["unauthenticated", 16, 401],
  ["forbidden", 7, 403],
  ["unimplemented", 12, 404],
  ["internal", 13, 500],
];

describe("the answer to a sender", () => {
  it.each(KINDS)("says %s as code %i and HTTP %i, with one Status in both encodings", (kind, code, httpStatus) => {
    const error = new ConsumeError(kind, "because");
    const status = toRpcStatus(error);
    expect([status.code, status.message]).toEqual([code, "because"]);
    const protobuf = toHttpAnswer(error, "protobuf");
    const json = toHttpAnswer(error, "json");
    expect([protobuf.status, protobuf.headers["content-type"]]).toEqual([httpStatus, "application/x-protobuf"]);
    expect([json.status, json.headers["content-type"]]).toEqual([httpStatus, "application/json"]);
    const { isBadRequest, ...read } = status;
    expect(isBadRequest === true).toBe(kind === "permanent");
    expect(decodeStatus(protobuf.body as Uint8Array)).toEqual(read);
    expect(statusFromJson(json.body as string)).toEqual(read);
  });

  it.each(KINDS)("to %s tells when to try again only where that makes sense", (kind) => {
    const error = new ConsumeError(kind, "because", { retryAfterMs: 7000 });
    const isRetryable = kind === "refused" || kind === "retryable";
    expect(toRpcStatus(error).retryDelayMs).toBe(isRetryable ? 7000 : undefined);
    expect(toHttpAnswer(error, "json").headers["retry-after"]).toBe(isRetryable ? "7" : undefined);
  });

  it("asks for a second where nobody knows better, and never for zero", () => {
    expect(toHttpAnswer(new ConsumeError("refused", ""), "json").headers["retry-after"]).toBe("1");
    for (const [retryAfterMs, seconds] of [
      [0, "1"],
      [-5, "1"],
      [1, "1"],
      [1001, "2"],
    ] as const) {
      const error = new ConsumeError("refused", "", { retryAfterMs });
      expect(toHttpAnswer(error, "json").headers["retry-after"]).toBe(seconds);
      expect(toRpcStatus(error).retryDelayMs).toBe(Math.max(0, retryAfterMs));
    }
  });
});
