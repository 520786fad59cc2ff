/** The promises of every processor, over ours: copy it for yours, with a request that yours is made for. */
import { contractOf } from "signalbox/sdk/testing";
import { describe, expect, test } from "vitest";
import { workerIdentity } from "../../../processors/worker_identity/processor.ts";

const requests = [
  {
    logs: {
      resourceLogs: [
        {
          resource: { attributes: [{ key: "machine.id", value: { stringValue: "railway-abc123" } }] },
          scopeLogs: [{ logRecords: [{ attributes: [{ key: "worker_id", value: { stringValue: "worker-001" } }] }] }],
        },
      ],
    },
  },
];

describe("worker_identity", () => {
  test.for(contractOf(workerIdentity, { requests, idempotent: true }))("$name", async ({ check }) => {
    await expect(check()).resolves.toBeUndefined();
  });
});
