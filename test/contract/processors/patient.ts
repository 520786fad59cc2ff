import { defineProcessor, z } from "signalbox/sdk";

/** A user's processor that waits before it edits: nothing of ours does, and the rules about waiting need one that does. */
export const patient = defineProcessor({
  type: "patient",
  config: z.object({
    wait: z.enum(["a_moment", "for_ever"]).default("a_moment").describe("How long a batch is held."),
    start: z.enum(["works", "throws"]).default("works").describe("What its start does."),
  }),
  signals: ["traces", "metrics", "logs"],
  create({ config }) {
    const wait = (): Promise<void> => (config.wait === "a_moment" ? Promise.resolve() : new Promise(() => {}));
    return {
      start() {
        if (config.start === "throws") throw new Error("the table of names is missing; write it beside the processor");
      },
      traces: wait,
      metrics: wait,
      async logs(batch) {
        await wait();
        for (const record of batch) if (record.body === "drop me") record.drop();
      },
    };
  },
});
