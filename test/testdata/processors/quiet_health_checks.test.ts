import { runProcessor } from "signalbox/sdk/testing";
import { expect, test } from "vitest";
import { quietHealthChecks } from "./quiet_health_checks.ts";

const span = (path: string) => ({ name: "GET", attributes: [{ key: "url.path", value: { stringValue: path } }] });

test("drops the spans of health checks only", async () => {
  const output = await runProcessor(quietHealthChecks, {
    traces: { resourceSpans: [{ scopeSpans: [{ spans: [span("/healthz"), span("/jobs")] }] }] },
  });
  expect(output.resourceSpans?.[0]?.scopeSpans?.[0]?.spans).toEqual([span("/jobs")]);
});

test("cuts a long message to the configured length, and marks it", async () => {
  const output = await runProcessor(quietHealthChecks, {
    config: { message_length_max: 5 },
    logs: { resourceLogs: [{ scopeLogs: [{ logRecords: [{ body: { stringValue: "too long" } }] }] }] },
  });
  expect(output.resourceLogs?.[0]?.scopeLogs?.[0]?.logRecords).toEqual([
    { body: { stringValue: "too l" }, attributes: [{ key: "message.cut", value: { boolValue: true } }] },
  ]);
});
