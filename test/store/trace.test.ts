import { expect, test } from "vitest";
import { encodeJsonRequest } from "../../src/wire/otlp/json-encode.ts";
import { FAILED_LOGS, FAILED_SPANS } from "./job-fixtures.ts";
import {
  ask,
  logsRequest,
  NOON_MS,
  openReader,
  openWriter,
  spansRequest,
  testLimits,
  TRACE_A,
} from "./store-fixtures.ts";

test("a trace comes back as the OTLP it was sent as, under its resources, from several segments", () => {
  const spans = FAILED_SPANS.filter((span) => span.traceId === TRACE_A);
  const limits = testLimits();
  const writer = openWriter(limits);
  for (const [index, span] of spans.entries())
    writer.append("traces", spansRequest([span]), NOON_MS + index * 36_000_000);
  writer.append("logs", logsRequest(FAILED_LOGS), NOON_MS);
  const { status, json } = ask<OtlpTrace>(openReader(limits.directory), `/api/traces/${TRACE_A.toUpperCase()}`);
  expect(status).toBe(200);
  const sent = spans.map((span) => JSON.parse(encodeJsonRequest("traces", spansRequest([span]))) as OtlpTrace);
  const flat = (trace: OtlpTrace): unknown[] =>
    trace.resourceSpans.flatMap(({ resource, scopeSpans }) =>
      scopeSpans.flatMap(({ scope, spans: inner }) => inner.map((span) => ({ resource, scope, span }))),
    );
  expect(flat(json)).toEqual(sent.flatMap(flat));
  // Three of the four spans are one worker's: they stand under one resource.
  expect(json.resourceSpans).toHaveLength(2);
  expect(json.resourceLogs.flatMap((group) => group.scopeLogs.flatMap((scope) => scope.logRecords))).toHaveLength(2);
});

interface OtlpTrace {
  readonly resourceSpans: readonly {
    readonly resource: unknown;
    readonly scopeSpans: readonly { readonly scope: unknown; readonly spans: readonly unknown[] }[];
  }[];
  readonly resourceLogs: readonly { readonly scopeLogs: readonly { readonly logRecords: readonly unknown[] }[] }[];
}

test("a trace without log records has none, and an unknown one is a 404", () => {
  const limits = testLimits();
  openWriter(limits).append("traces", spansRequest(FAILED_SPANS), NOON_MS);
  const reader = openReader(limits.directory);
  expect(Object.keys(ask<object>(reader, `/api/traces/${TRACE_A}`).json)).toEqual(["resourceSpans"]);
  expect(ask(reader, `/api/traces/${"d".repeat(32)}`).status).toBe(404);
  expect(ask(reader, "/api/traces/xyz").json).toEqual({
    error: { message: '"xyz" is no trace id', fix: "a trace id is 32 hex digits" },
  });
});
