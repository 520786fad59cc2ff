import { z } from "zod";
import { block, byteSize, defaultBlock, duration, refuse, withoutEffect } from "../../config/types.ts";

const SEGMENTS_GO_WHOLE = "segments are removed whole when nothing in them waits, so there is nothing to compact";

/** The Collector's keys (extension/storage/filestorage). `max_size` takes units here too. */
export const fileStorageConfig = block({
  directory: z
    .string()
    .min(1)
    .default("/var/lib/otelcol/file_storage")
    .describe("The folder; one gateway has it at a time."),
  create_directory: z.boolean().default(false).describe("Create the folder where it is missing."),
  directory_permissions: z.string().default("0750").describe("Of a folder that is created, in octal."),
  max_size: byteSize({ default: 0 }).describe(
    "Bytes of all files; beyond it requests wait, then are refused with a hint. 0: as much as the disk has.",
  ),
  timeout: withoutEffect(duration({ default: "1s" }), "another gateway on the folder is an error at once").describe(
    "Read for compatibility.",
  ),
  fsync: withoutEffect(z.boolean().optional(), "an answer leaves after fdatasync, always").describe(
    "Read for compatibility.",
  ),
  recreate: withoutEffect(z.boolean().default(false), "damage costs what it hits, and is set aside").describe(
    "Read for compatibility.",
  ),
  compaction: withoutEffect(
    defaultBlock({
      on_start: z.boolean().default(false).describe("Read for compatibility."),
      on_rebound: z.boolean().default(false).describe("Read for compatibility."),
      directory: z.string().optional().describe("Read for compatibility."),
      max_transaction_size: z.int().default(65_536).describe("Read for compatibility."),
      rebound_needed_threshold_mib: z.int().default(100).describe("Read for compatibility."),
      rebound_trigger_threshold_mib: z.int().default(10).describe("Read for compatibility."),
      check_interval: duration({ default: "5s" }).describe("Read for compatibility."),
      cleanup_on_start: z.boolean().default(false).describe("Read for compatibility."),
    }),
    SEGMENTS_GO_WHOLE,
  ).describe("Read for compatibility."),
}).superRefine(({ directory_permissions: permissions }, context) => {
  if (/^0?[0-7]{3}$/.test(permissions)) return;
  refuse(context, {
    path: ["directory_permissions"],
    expected: 'permissions in octal, such as "0750"',
    fix: 'write "0750"',
  });
});

export type FileStorageConfig = z.output<typeof fileStorageConfig>;
