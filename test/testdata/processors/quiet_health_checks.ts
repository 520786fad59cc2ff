import { defineProcessor, z } from "signalbox/sdk";

/** Drops the spans of health checks, and shortens long messages. */
export const quietHealthChecks = defineProcessor({
  type: "quiet_health_checks",
  config: z.object({
    paths: z.array(z.string()).default(["/healthz"]).describe("Spans with these values of `url.path` are dropped."),
    message_length_max: z.int().positive().default(1000).describe("Longer messages are cut, and marked."),
  }),

  traces(batch, ctx) {
    for (const span of batch) {
      const path = span.attributes.getString("url.path");
      if (path === undefined || !ctx.config.paths.includes(path)) continue;
      span.drop();
      ctx.count("health_check");
    }
  },

  logs(batch, ctx) {
    for (const record of batch) {
      const { body } = record;
      if (typeof body !== "string" || body.length <= ctx.config.message_length_max) continue;
      record.body = body.slice(0, ctx.config.message_length_max);
      record.attributes.set("message.cut", true);
    }
  },
});
