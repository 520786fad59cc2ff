import { z } from "zod";
import { block, duration, refuse } from "../../config/types.ts";

/** The Collector's keys and defaults. They become the `sending_queue.batch` of the exporters behind this processor. */
export const batchConfig = block({
  timeout: duration({ default: "200ms" }).describe("The oldest item waits at most this long for a batch to fill."),
  send_batch_size: z.int().min(0).default(8192).describe("Items after which a batch leaves at once."),
  send_batch_max_size: z.int().min(0).default(0).describe("Items that one request holds at most; 0: no limit."),
  metadata_keys: z
    .array(z.string().min(1))
    .default([])
    .describe("Batches are kept apart by these headers of the sender."),
  metadata_cardinality_limit: z
    .int()
    .min(0)
    .default(1000)
    .describe("Read for compatibility: partitions that stand empty are dropped, so there is no such limit."),
}).superRefine((config, context) => {
  const { send_batch_max_size: max, send_batch_size: size } = config;
  if (max > 0 && max < size) {
    refuse(context, {
      path: ["send_batch_max_size"],
      message: "send_batch_max_size must be greater or equal to send_batch_size",
      fix: `write at least ${size}, or 0 for no limit`,
    });
  }
  const lower = config.metadata_keys.map((key) => key.toLowerCase());
  const doubled = lower.find((key, index) => lower.indexOf(key) !== index);
  if (doubled !== undefined) {
    refuse(context, {
      path: ["metadata_keys"],
      message: `duplicate entry in metadata_keys: "${doubled}" (case-insensitive)`,
      fix: "name it once",
    });
  }
});

export type BatchConfig = z.infer<typeof batchConfig>;
