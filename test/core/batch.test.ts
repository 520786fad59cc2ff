import { describe, expect, it } from "vitest";
import { createBatch, type BatchContext } from "../../src/core/batch.ts";
import { ClientMetadata } from "../../src/core/client-metadata.ts";
import { joinSlices } from "../../src/wire/otlp/payload.ts";
import { decodeReference, encodeReference } from "../wire/otlp/reference.ts";

const context: BatchContext = { client: ClientMetadata.internal, arrivalUnixNano: 1n };

const attribute = (key: string, stringValue: string): object => ({ key, value: { stringValue } });

const logs = {
  resourceLogs: [
    {
      resource: { attributes: [attribute("service.name", "api"), attribute("host.name", "h1")] },
      scopeLogs: [
        {
          scope: { name: "lib", version: "1.0" },
          logRecords: [
            {
              timeUnixNano: "1700000000000000001",
              severityNumber: 9,
              body: { stringValue: "Hello" },
              attributes: [attribute("job_id", "job-1")],
            },
            { timeUnixNano: "1700000000000000002", body: { stringValue: "naïve ☃" }, traceId: Buffer.alloc(16, 0xab) },
          ],
        },
      ],
      schemaUrl: "https://opentelemetry.io/schemas/1.30.0",
    },
  ],
};

describe("createBatch", () => {
  it("reads fields and attributes of records, scopes and resources", () => {
    const batch = createBatch("logs", encodeReference("logs", logs), context);
    expect(batch.itemCount).toBe(2);
    const [first, second] = [...batch.view];
    expect(first?.timeUnixNano).toBe(1700000000000000001n);
    expect(first?.severityNumber).toBe(9);
    expect(first?.body).toBe("Hello");
    expect(first?.attributes.get("job_id")).toBe("job-1");
    expect(second?.body).toBe("naïve ☃");
    expect(second?.traceId).toBe("ab".repeat(16));
    expect(second?.resource.attributes.getMany(["host.name", "none", "service.name"])).toEqual([
      "h1",
      undefined,
      "api",
    ]);
    expect(second?.scope.name).toBe("lib");
  });

  it("gives the bytes as they came where nothing was edited", () => {
    const bytes = encodeReference("logs", logs);
    const batch = createBatch("logs", bytes, context);
    const payload = batch.encode();
    expect(payload.slices).toEqual([bytes]);
    expect(payload.slices[0]).toBe(bytes);
    expect(batch.encode()).toBe(payload);
  });

  it("writes edits of resource and record and keeps the rest", () => {
    const batch = createBatch("logs", encodeReference("logs", logs), context);
    for (const record of batch.view) {
      record.resource.attributes.set("machine.id", "m1");
      record.resource.attributes.set("host.name", "h2");
      record.attributes.insert("job_id", "other");
      record.body = "edited";
    }
    const decoded = decodeReference("logs", joinSlices(batch.encode()));
    const expected = structuredClone(decodeReference("logs", encodeReference("logs", logs))) as typeof logs;
    const [group] = expected.resourceLogs;
    group!.resource.attributes = [
      attribute("service.name", "api"),
      attribute("host.name", "h2"),
      attribute("machine.id", "m1"),
    ];
    const [a, b] = group!.scopeLogs[0]!.logRecords;
    a!.body.stringValue = b!.body.stringValue = "edited";
    b!.attributes = [attribute("job_id", "other")];
    expect(decoded).toEqual(expected);
  });

  it("moves records to a resource of their own and leaves no empty group", () => {
    const batch = createBatch("logs", encodeReference("logs", logs), context);
    for (const record of batch.view) expect(record.moveToResource({ set: { "worker.id": "w1" } })).toBe(true);
    const decoded = decodeReference("logs", joinSlices(batch.encode())) as typeof logs;
    expect(decoded.resourceLogs).toHaveLength(1);
    expect(decoded.resourceLogs[0]?.resource.attributes).toContainEqual(attribute("worker.id", "w1"));
    expect(decoded.resourceLogs[0]?.scopeLogs[0]?.logRecords).toHaveLength(2);
  });

  it("removes groups whose records were all dropped", () => {
    const batch = createBatch("logs", encodeReference("logs", logs), context);
    for (const record of batch.view) record.drop();
    expect(batch.itemCount).toBe(0);
    expect(batch.encode().size).toBe(0);
  });

  it("gives a clone that does not share edits", () => {
    const batch = createBatch("logs", encodeReference("logs", logs), context);
    const clone = batch.clone();
    for (const record of batch.view) record.body = "edited";
    expect([...clone.view].map(({ body }) => body)).toEqual(["Hello", "naïve ☃"]);
    expect([...batch.clone().view].map(({ body }) => body)).toEqual(["edited", "edited"]);
  });

  it("refuses every use of a view after release", () => {
    const batch = createBatch("logs", encodeReference("logs", logs), context);
    const [record] = [...batch.view];
    const { attributes } = record!;
    const payload = batch.encode();
    batch.release();
    batch.release();
    expect(() => record?.body).toThrow("handed on or answered");
    expect(() => attributes.get("job_id")).toThrow("handed on or answered");
    expect(() => attributes.set("job_id", "x")).toThrow("handed on or answered");
    expect(() => [...batch.view]).toThrow("handed on or answered");
    expect(() => batch.encode()).toThrow("handed on or answered");
    expect(joinSlices(payload)).toEqual(encodeReference("logs", logs));
  });
});
