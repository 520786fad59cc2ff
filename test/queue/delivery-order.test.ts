import { describe, expect, it } from "vitest";
import { ClientMetadata } from "../../src/core/client-metadata.ts";
import { ConsumeError } from "../../src/core/errors.ts";
import { SENT_WHOLE } from "../../src/core/sender.ts";
import { settle } from "../support/test-clock.ts";
import { LogStorage } from "./log-storage.ts";
import { admit, bodiesIn, logsPayload, openQueues, TestSender } from "./support.ts";

const BODIES = ["r1", "r2", "r3", "r4", "r5", "r6"];

/** What the backend took, in its order. */
function arrived(sender: TestSender): string[] {
  return sender.taken.flatMap((payload) => bodiesIn(payload, BODIES));
}

describe("the requests for one destination", () => {
  it("leave in the order in which they were admitted, also when the first has to be tried again", async () => {
    let failures = 2;
    const sender = new TestSender().answer(() => (failures-- > 0 ? new ConsumeError("retryable", "503") : SENT_WHOLE));
    const { queues, clock } = openQueues([{ id: "a", sender, queue: { num_consumers: 1 } }]);
    await queues.start();
    for (const body of BODIES) await admit(queues, ["a"], logsPayload([body]));
    expect(arrived(sender)).toEqual([]);
    await clock.advance(60_000);
    expect(arrived(sender)).toEqual(BODIES);
  });

  it("leave in that order after a kill, those first that were in flight", async () => {
    const storage = new LogStorage();
    const before = openQueues([{ id: "a", sender: new TestSender().hang(), queue: { num_consumers: 3 } }], { storage });
    await before.queues.start();
    for (const body of BODIES) await admit(before.queues, ["a"], logsPayload([body]));

    const sender = new TestSender();
    const after = openQueues([{ id: "a", sender, queue: { num_consumers: 1 } }], { storage });
    await after.queues.start();
    await settle();
    expect(arrived(sender)).toEqual(BODIES);
  });

  it("leave in that order after a shutdown that broke off what was in flight", async () => {
    const storage = new LogStorage();
    const hanging = new TestSender().hang();
    const before = openQueues([{ id: "a", sender: hanging, queue: { num_consumers: 2 } }], { storage });
    await before.queues.start();
    for (const body of BODIES) await admit(before.queues, ["a"], logsPayload([body]));
    await before.queues.shutdown(AbortSignal.abort());

    const sender = new TestSender();
    const after = openQueues([{ id: "a", sender, queue: { num_consumers: 1 } }], { storage });
    await after.queues.start();
    await settle();
    expect(arrived(sender)).toEqual(BODIES);
  });

  it("stay in that order in a partition, whatever other partitions do", async () => {
    const sender = new TestSender();
    const batch = { min_size: 2, flush_timeout: "1s", partition: { metadata_keys: ["tenant"] } };
    const { queues, clock } = openQueues([{ id: "a", sender, queue: { num_consumers: 1, batch } }]);
    await queues.start();
    const tenants = ["red", "blue", "red", "red", "blue", "red"];
    for (const [index, body] of BODIES.entries()) {
      const client = new ClientMetadata("grpc", "10.0.0.1", new Map([["tenant", [tenants[index]!]]]));
      await admit(queues, ["a"], logsPayload([body]), { client });
    }
    await clock.advance(1000);
    const order = arrived(sender);
    const of = (tenant: string): string[] => order.filter((body) => tenants[BODIES.indexOf(body)] === tenant);
    expect(of("red")).toEqual(["r1", "r3", "r4", "r6"]);
    expect(of("blue")).toEqual(["r2", "r5"]);
  });
});
