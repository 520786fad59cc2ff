import { describe, expect, it } from "vitest";
import type { Admission } from "../../src/core/admission.ts";
import type { Batch } from "../../src/core/batch.ts";
import type { Consumer } from "../../src/core/consumer.ts";
import { ConsumeError } from "../../src/core/errors.ts";
import { fanOut } from "../../src/core/fan-out.ts";
import { logsBatch } from "../contract/admission-contract.ts";
import { openAdmission, openQueues, watch } from "../queue/support.ts";
import { settle } from "../support/test-clock.ts";

function anAdmission(): Admission {
  return openAdmission(openQueues([{ id: "a" }]).queues);
}

function bodies(batch: Batch<"logs">): unknown[] {
  return [...batch.view].map((record) => record.body);
}

/** Notes the batch that it gets; an editor changes every body first. */
function consumer(seen: Batch<"logs">[], mutatesData: boolean, edit = ""): Consumer<"logs"> {
  return {
    mutatesData,
    consume: async (batch) => {
      seen.push(batch);
      await settle();
      if (mutatesData) for (const record of batch.view) record.body = [record.body ?? null, edit];
      await settle();
    },
  };
}

function rejecting(error: unknown): Consumer<"logs"> {
  return {
    mutatesData: false,
    consume: async () => {
      throw error;
    },
  };
}

describe("fan-out", () => {
  it("gives editors private copies, so that readers and other editors see the original", async () => {
    const batches: Batch<"logs">[] = [];
    const texts: unknown[][] = [];
    const reader: Consumer<"logs"> = {
      mutatesData: false,
      consume: async (batch) => {
        for (let turn = 0; turn < 5; turn++) await settle();
        texts.push(bodies(batch));
      },
    };
    const editors = ["left", "right"].map((edit): Consumer<"logs"> => {
      const inner = consumer(batches, true, edit);
      return {
        mutatesData: true,
        consume: async (batch, admission) => {
          await inner.consume(batch, admission);
          texts.push(bodies(batch));
        },
      };
    });
    const all = fanOut([editors[0]!, reader, editors[1]!]);
    expect(all.mutatesData).toBe(false);
    await all.consume(logsBatch(["one"]), anAdmission());
    expect(texts).toEqual([[["one", "left"]], [["one", "right"]], ["one"]]);
  });

  it("copies for all editors but one where there are no readers, and says that it edits", async () => {
    const batches: Batch<"logs">[] = [];
    const all = fanOut([consumer(batches, true, "x"), consumer(batches, true, "y")]);
    expect(all.mutatesData).toBe(true);
    const batch = logsBatch(["one"]);
    await all.consume(batch, anAdmission());
    // Compared outside of expect(), which would look into the views of the released copy.
    expect(batches.map((one) => one === batch)).toEqual([false, true]);
    expect(bodies(batch)).toEqual([["one", "y"]]);
  });

  it("is the consumer itself where there is one", () => {
    const only = consumer([], true);
    expect(fanOut([only])).toBe(only);
  });

  it("settles after all branches have, and rejects with the worst of their errors", async () => {
    const gate = Promise.withResolvers<void>();
    const throwing: Consumer<"logs"> = {
      mutatesData: false,
      consume: () => {
        throw new ConsumeError("permanent", "threw before it awaited");
      },
    };
    const late: Consumer<"logs"> = { mutatesData: false, consume: () => gate.promise };
    const all = fanOut([rejecting(new ConsumeError("refused", "full")), throwing, late]);
    const outcome = watch(all.consume(logsBatch(), anAdmission()));
    await settle();
    expect(outcome.state).toBe("pending");
    gate.resolve();
    await settle();
    expect(outcome.state).toBe("permanent");
  });

  it("makes what is no ConsumeError an internal one, with its words", async () => {
    const broken = rejecting(new TypeError("oops"));
    const outcome = fanOut([broken, broken]).consume(logsBatch(), anAdmission());
    await expect(outcome).rejects.toMatchObject({ kind: "internal", message: "oops" });
  });

  it("releases the copies that it made", async () => {
    const batches: Batch<"logs">[] = [];
    await fanOut([consumer(batches, true, "x"), consumer(batches, false)]).consume(logsBatch(["one"]), anAdmission());
    expect(() => bodies(batches[0]!)).toThrow();
    expect(bodies(batches[1]!)).toEqual(["one"]);
  });
});
