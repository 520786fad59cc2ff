import { z } from "zod";
import { block, refuse } from "../../config/types.ts";
import { actionConfig } from "../../rules/action-config.ts";

export const resourceConfig = block({
  attributes: z
    .array(actionConfig)
    .default([])
    .describe("What is done to the attributes of each resource, in this order."),
}).superRefine((config, context) => {
  if (config.attributes.length > 0) return;
  refuse(context, {
    path: ["attributes"],
    message: 'missing required field "attributes"',
    fix: "write attributes: [{ key: deployment.environment.name, value: production, action: insert }]",
  });
});

export type ResourceConfig = z.infer<typeof resourceConfig>;
