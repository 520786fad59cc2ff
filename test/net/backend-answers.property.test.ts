import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Backend,
  errorFromConnection,
  errorFromGrpcAnswer,
  errorFromHttpAnswer,
  parseRetryAfter,
  resultFromPartialSuccess,
  secretsOf,
} from "../../src/net/backend-answers.ts";
import { fuzz } from "../support/fuzz.ts";

const KINDS = ["retryable", "permanent", "too_large", "unauthenticated", "forbidden", "unimplemented"];
// Two quotes at most (words and advice), the backend's name and our own sentence.
const MESSAGE_LENGTH_MAX = 1200;

const SECRET = "auth_s3cret_0123456789";
const backend: Backend = {
  name: "otlp.example.com:4317",
  protocol: "grpc",
  secrets: secretsOf([`Bearer ${SECRET}`, "default"]),
};

/** Text with the secret in any place and number, as a backend would echo a request. */
const words = fc
  .array(
    fc.oneof(fc.string({ unit: "binary", maxLength: 400 }), fc.constant(SECRET), fc.constant(`Bearer ${SECRET}`)),
    {
      maxLength: 200,
    },
  )
  .map((parts) => parts.join(""));

function faultsOf(error: { kind: string; message: string; retryAfterMs: number | undefined }): string[] {
  const { kind, message, retryAfterMs = 0 } = error;
  return [
    ...(KINDS.includes(kind) ? [] : [`kind ${kind}`]),
    ...(message.length <= MESSAGE_LENGTH_MAX ? [] : [`${message.length} characters`]),
    ...(message.includes("s3cret") ? ["the secret"] : []),
    ...(/\p{Cc}/u.test(message) ? ["a control character"] : []),
    ...(retryAfterMs >= 0 && retryAfterMs <= 3_600_000 ? [] : [`a delay of ${retryAfterMs} ms`]),
  ];
}

describe("whatever a backend answers", () => {
  test("over gRPC is a bounded, printable error without secrets", () => {
    const answer = fc.record(
      { code: fc.integer({ min: -5, max: 30 }), details: words, statusBytes: fc.uint8Array({ maxLength: 200 }) },
      { requiredKeys: ["code", "details"] },
    );
    fc.assert(
      fc.property(answer, (given) => {
        expect(faultsOf(errorFromGrpcAnswer(given, backend))).toEqual([]);
      }),
      fuzz(),
    );
  });

  test("over HTTP is a bounded, printable error without secrets", () => {
    const types = ["application/x-protobuf", "application/json", "text/plain", "text/html", "", "\u0000"];
    const body = fc.oneof(
      words.map((text) => Buffer.from(text)),
      words.map((message) => Buffer.from(JSON.stringify({ code: 14, message }))),
      fc.uint8Array({ maxLength: 300 }),
    );
    const headers = fc.record(
      { "content-type": fc.constantFrom(...types), "retry-after": fc.string(), location: words },
      { requiredKeys: [] },
    );
    const answer = fc.record({ status: fc.integer({ min: 300, max: 999 }), headers, body });
    fc.assert(
      fc.property(answer, (given) => {
        expect(faultsOf(errorFromHttpAnswer(given, backend, 0))).toEqual([]);
      }),
      fuzz(),
    );
  });

  test("with a broken connection is a bounded, printable, retryable error without secrets", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          words,
          words.map((text) => new Error(text)),
          fc.anything(),
        ),
        (thrown) => {
          const error = errorFromConnection(thrown, backend);
          expect(faultsOf(error)).toEqual([]);
          expect(error.kind).toBe("retryable");
        },
      ),
      fuzz(),
    );
  });

  test("as a partial success counts no more items than were sent, and no fewer than none", () => {
    fc.assert(
      fc.property(fc.double(), words, fc.nat(), (rejectedItems, message, itemCount) => {
        const result = resultFromPartialSuccess({ rejectedItems, message }, itemCount, backend);
        expect(Number.isInteger(result.rejectedItems)).toBe(true);
        expect(result.rejectedItems).toBeGreaterThanOrEqual(0);
        expect(result.rejectedItems).toBeLessThanOrEqual(itemCount);
        expect(result.message).not.toContain("s3cret");
      }),
      fuzz(),
    );
  });

  test("as Retry-After is a number of milliseconds or nothing", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.nat().map(String), fc.date().map(String)), (text) => {
        const delayMs = parseRetryAfter(text, 0);
        expect(delayMs === undefined || delayMs >= 0).toBe(true);
      }),
      fuzz(),
    );
  });
});
