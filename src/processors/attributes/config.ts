import { z } from "zod";
import { block, refuse } from "../../config/types.ts";
import { actionConfig } from "../../rules/action-config.ts";
import { matchConfig } from "../../rules/match-config.ts";

export const attributesConfig = block({
  include: matchConfig.optional().describe("Only these records are edited. Left out: all."),
  exclude: matchConfig.optional().describe("Of those, these are left as they are."),
  actions: z
    .array(actionConfig)
    .default([])
    .describe("What is done to the attributes of each span, log record or data point, in this order."),
}).superRefine((config, context) => {
  if (config.actions.length > 0) return;
  refuse(context, {
    path: ["actions"],
    message: 'missing required field "actions"',
    fix: "write actions: [{ key: environment, value: production, action: insert }]",
  });
});

export type AttributesConfig = z.infer<typeof attributesConfig>;
