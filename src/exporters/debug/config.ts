import { z } from "zod";
import { annotate, block, refuse, word } from "../../config/types.ts";
import { sendingQueueSchema } from "../../queue/config.ts";

const outputPath = annotate(z.enum(["stdout", "stderr"]), { fix: "write stdout or stderr; files are not supported" });

export const debugConfig = block({
  verbosity: word(["basic", "normal", "detailed"])
    .prefault("basic")
    .describe("basic: a line per batch. normal: a line per record. detailed: every field."),
  sampling_initial: z.int().min(0).default(2).describe("Batches of a signal that are shown in each second at first."),
  sampling_thereafter: z
    .int()
    .min(0)
    .default(1)
    .describe("After these, every how many-th is shown in that second; 0: none."),
  use_internal_logger: z
    .boolean()
    .default(false)
    .describe("Write into the gateway's own log, which makes one line of each batch."),
  output_paths: z.array(outputPath).min(1).optional().describe("Where to write instead: stdout (default), stderr."),
  sending_queue: sendingQueueSchema.prefault({ enabled: false }).describe("The queue before it; off by default."),
}).superRefine((config, context) => {
  if (!config.use_internal_logger || config.output_paths === undefined) return;
  const message = "output_paths is not supported when use_internal_logger is true";
  refuse(context, { path: ["output_paths"], message, fix: "leave one of them out" });
});

export type DebugConfig = z.output<typeof debugConfig>;
