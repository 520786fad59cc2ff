import { describe, expect, test } from "vitest";
import { createBatch } from "../../../src/core/batch.ts";
import { ClientMetadata } from "../../../src/core/client-metadata.ts";
import { ConsumeError } from "../../../src/core/errors.ts";
import { type Signal, SIGNALS } from "../../../src/core/signal.ts";
import { resourceConfig } from "../../../src/processors/resource/config.ts";
import { resourceProcessorFactory } from "../../../src/processors/resource/factory.ts";
import { testSettings } from "../../exporters/test-exporter.ts";
import { keyValues, logRequest } from "../../rules/otlp.ts";
import { NO_ADMISSION, openProcessor } from "../../rules/run-processor.ts";
import { decodeReference, encodeReference } from "../../wire/otlp/reference.ts";

const NAMES: Readonly<Record<Signal, readonly [string, string]>> = {
  logs: ["resourceLogs", "scopeLogs"],
  traces: ["resourceSpans", "scopeSpans"],
  metrics: ["resourceMetrics", "scopeMetrics"],
};

describe("resource", () => {
  test.for(SIGNALS)("edits every resource of %s, also one that is not written", async (signal) => {
    const [groups, scopes] = NAMES[signal];
    const yaml = "{ attributes: [{ key: env, value: prod, action: insert }, { key: host, action: delete }] }";
    const run = await openProcessor(signal, "resource", yaml);
    const request = {
      [groups]: [{ resource: { attributes: keyValues({ host: "h", a: "1" }) }, [scopes]: [] }, { [scopes]: [{}] }],
    };
    expect(decodeReference(signal, await run(encodeReference(signal, request)))).toEqual({
      [groups]: [
        { resource: { attributes: keyValues({ a: "1", env: "prod" }) } },
        { resource: { attributes: keyValues({ env: "prod" }) }, [scopes]: [{}] },
      ],
    });
  });

  test("leaves the attributes of records alone", async () => {
    const run = await openProcessor("logs", "resource", "{ attributes: [{ pattern: '.', action: delete }] }");
    const bytes = logRequest({ a: "1" });
    expect(await run(bytes)).toEqual(bytes);
  });

  test("declares that it edits, and turns what goes wrong into a ConsumeError that names it", async () => {
    const config = resourceConfig.parse({ attributes: [{ key: "a", action: "delete" }] });
    const next = { mutatesData: false, consume: async () => {} };
    const processor = resourceProcessorFactory.create("logs", testSettings("resource"), config, next);
    expect(processor.mutatesData).toBe(true);
    const batch = createBatch("logs", logRequest({}), { client: ClientMetadata.internal, arrivalUnixNano: 0n });
    batch.release();
    const failed = processor.consume(batch, NO_ADMISSION);
    await expect(failed).rejects.toBeInstanceOf(ConsumeError);
    await expect(failed).rejects.toThrow(/^processors\.resource: /);
  });
});
