import { z } from "zod";
import { annotate, block, defaultBlock, duration, optionalBlock, refuse } from "../../config/types.ts";
import { notYet } from "../../net/client-config.ts";
import { retrySchema, sendingQueueSchema, timeoutSchema } from "../../queue/config.ts";

/** Keys, defaults and sentences are those of the Collector's file exporter, v0.165. */

export const DIRECTORY_PERMISSIONS_DEFAULT = 0o755;

const permissions = annotate(
  z
    .string()
    .superRefine((text, context) => {
      const mode = /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : Number.NaN;
      if (Number.isNaN(mode)) {
        refuse(context, { message: "directory_permissions value must be a valid octal representation" });
      } else if (mode > 0o777) {
        refuse(context, { message: "directory_permissions contain invalid bits for file access" });
      }
    })
    .transform((text) => Number.parseInt(text, 8)),
  { type: "octal string", expected: "an octal string", example: '"0755"', fix: 'write "0755", in quotes' },
);

const rotation = block({
  max_megabytes: z
    .int()
    .min(0)
    .default(100)
    .describe("The file is put aside before it grows beyond this (MiB); 0: 100."),
  max_days: z.int().min(0).default(0).describe("Files put aside are deleted after this many days; 0: never."),
  max_backups: z.int().min(0).default(100).describe("Files put aside that are kept at most; 0: all."),
  localtime: z.boolean().default(false).describe("Local time in their names instead of UTC."),
});

const groupBy = defaultBlock({
  enabled: z.boolean().default(false).describe("A file for each value of a resource attribute."),
  resource_attribute: z
    .string()
    .default("fileexporter.path_segment")
    .describe("The attribute whose value stands for the * in path."),
  max_open_files: z.int().default(100).describe("Files that are open at a time."),
});

const fileBlock = block({
  path: annotate(z.string().min(1, { error: "path must be non-empty" }), {
    type: "path",
    expected: "a path",
    example: '"./telemetry.jsonl"',
  }).describe("The file that is written; with group_by exactly one * in it."),
  format: z
    .enum(["json", "proto"], { error: "format type is not supported" })
    .default("json")
    .describe("json: OTLP JSON, one line per batch. proto: OTLP protobuf, each batch behind its length."),
  append: z
    .boolean()
    .default(false)
    .describe("Go on behind what the file holds. Otherwise it is emptied at the start, unless rotation is on."),
  rotation: optionalBlock(rotation).describe("Puts the file aside when it is full, and begins a new one."),
  compression: z
    .enum(["zstd", "none"], { error: "compression is not supported" })
    .default("none")
    .describe("zstd: each batch compressed on its own, behind its length."),
  compression_params: defaultBlock({
    level: z.int().min(0).max(22).default(0).describe("From fast to small, 1 to 22; 0: zstd's own default, 3."),
  }).describe("Details of the compression."),
  flush_interval: duration({ default: "1s" }).describe(
    "How often what was written is forced to the disk (fdatasync); 0s: 1s. Every batch is with the system before it counts as sent.",
  ),
  create_directory: z.boolean().default(false).describe("Make the folder of path where there is none."),
  directory_permissions: permissions.optional().describe("Of folders that are made, less the umask; default 0755."),
  group_by: groupBy.describe("Writes to several files."),
  encoding: notYet("leave it out, and write format: json or proto", "encoding").describe("Not supported yet."),
  timeout: timeoutSchema("30s").describe("Time for one attempt."),
  retry_on_failure: retrySchema.describe("When a failed write is tried again."),
  sending_queue: sendingQueueSchema.describe("The queue before this destination."),
});

export type FileConfig = z.output<typeof fileBlock>;

export const fileConfig = fileBlock.superRefine((config, context) => {
  if (config.append && config.rotation !== undefined) {
    const message = "append and rotation enabled at the same time is not supported";
    refuse(context, { path: ["append"], message, fix: "leave append out: with rotation the file is kept anyway" });
  }
  if (!config.create_directory && config.directory_permissions !== undefined) {
    const message = "directory_permissions requires create_directory to be true";
    refuse(context, { path: ["directory_permissions"], message, fix: "add create_directory: true" });
  }
  if (config.group_by.enabled) checkGroups(config, context);
});

function checkGroups({ path, group_by }: FileConfig, context: z.core.$RefinementCtx): void {
  const fix = 'write a path such as "./data/*.jsonl"';
  const parts = path.split("*");
  if (parts.length !== 2) {
    refuse(context, { path: ["path"], message: "path must contain exactly one * when group_by is enabled", fix });
  } else if (parts[0] === "") {
    refuse(context, { path: ["path"], message: "path must not start with * when group_by is enabled", fix });
  }
  if (group_by.resource_attribute === "") {
    const message = "resource_attribute must not be empty when group_by is enabled";
    refuse(context, { path: ["group_by", "resource_attribute"], message, fix: 'write "service.name" or its like' });
  }
  if (group_by.max_open_files <= 0) {
    const message = "max_open_files must be positive when group_by is enabled";
    refuse(context, { path: ["group_by", "max_open_files"], message, fix: "write at least 1, or leave it out" });
  }
}
