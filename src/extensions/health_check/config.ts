import { z } from "zod";
import { block, endpoint, optionalBlock, refuse } from "../../config/types.ts";
import { responseHeadersSchema, serverTlsSchema } from "../../net/server-config.ts";

const pipelineCheck = block({
  enabled: z.boolean().default(false).describe("Only false."),
  interval: z.string().optional().describe("Read for compatibility."),
  exporter_failure_threshold: z.number().optional().describe("Read for compatibility."),
}).superRefine(({ enabled }, context) => {
  if (!enabled) return;
  const message = "does not work in the Collector either, and is not here";
  const fix = "leave it out; alert on otelcol_exporter_queue_size and otelcol_exporter_send_failed_... instead";
  refuse(context, { path: ["enabled"], message, fix });
});

/** The Collector's keys (extension/healthcheckextension). */
export const healthCheckConfig = block({
  endpoint: endpoint({ default: "localhost:13133" }).describe("Where it answers; port 0 lets the system choose."),
  path: z
    .string()
    .regex(/^\/[^?#\s]*$/, "expected a path that begins with a slash, without query")
    .default("/")
    .describe("The path that is answered; `/` is every path."),
  response_body: optionalBlock(
    block({
      healthy: z.string().default("").describe("The body of a 200."),
      unhealthy: z.string().default("").describe("The body of a 503."),
    }),
  ).describe("What is answered instead of the JSON below."),
  tls: optionalBlock(serverTlsSchema).describe("TLS, and with client_ca_file mutual TLS. Absent: plain text."),
  response_headers: responseHeadersSchema.describe("Headers of every answer."),
  check_collector_pipeline: optionalBlock(pipelineCheck).describe("Refused where it is on."),
});

export type HealthCheckConfig = z.output<typeof healthCheckConfig>;
