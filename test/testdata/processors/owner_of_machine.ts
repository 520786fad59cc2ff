import { AttributeMemo, defineProcessor, z } from "signalbox/sdk";

/** Writes on every record who looks after its machine. */
export const ownerOfMachine = defineProcessor({
  type: "owner_of_machine",
  signals: ["logs"],
  config: z.object({
    owners: z.record(z.string(), z.string()).default({}).describe("Who looks after the machines of this prefix."),
  }),

  create(ctx) {
    const owners = Object.entries(ctx.config.owners);
    const ownerOf = (machine: string) => owners.find(([prefix]) => machine.startsWith(prefix))?.[1] ?? "nobody";
    const memo = new AttributeMemo({ values: ["machine.id"] }, ([found]) => {
      const machine = found?.value;
      return typeof machine === "string" ? ownerOf(machine) : "nobody";
    });
    return {
      logs(batch) {
        for (const record of batch) record.attributes.set("owner", record.resource.attributes.recall(memo) ?? "nobody");
      },
    };
  },
});
