import { z } from "zod";
import { block, byteSize, defaultBlock, duration, refuse, withoutEffect } from "../../config/types.ts";

const SEGMENTS_GO_WHOLE = "segments are removed whole when nothing in them waits, and moved where little does";

/** Below it the storage would be full with some requests: a sixteenth is kept back, and segments are as large. */
const MAX_SIZE_LEAST = 1024 * 1024;

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
    "Bytes of all files; beyond it requests are refused with a hint. 0: as much as the disk has.",
  ),
  timeout: duration({ default: "1s" }).describe("How long to wait for a gateway that still has the folder."),
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
      max_transaction_size: z.int().min(0).default(65_536).describe("Read for compatibility."),
      rebound_needed_threshold_mib: z.int().default(100).describe("Read for compatibility."),
      rebound_trigger_threshold_mib: z.int().default(10).describe("Read for compatibility."),
      check_interval: duration({ default: "5s" }).describe("Read for compatibility."),
      cleanup_on_start: z.boolean().default(false).describe("Read for compatibility."),
    }),
    SEGMENTS_GO_WHOLE,
  ).describe("Read for compatibility."),
}).superRefine(({ directory_permissions: permissions, max_size: maxSize }, context) => {
  if (!/^[0-7]+$/.test(permissions) || Number.parseInt(permissions, 8) > 0o777) {
    const expected = 'permissions in octal, such as "0750"';
    refuse(context, { path: ["directory_permissions"], expected, fix: 'write "0750"' });
  }
  if (maxSize > 0 && maxSize < MAX_SIZE_LEAST) {
    const expected = "at least 1MiB, or 0 for no bound";
    refuse(context, { path: ["max_size"], expected, fix: 'write "1GiB", or what the disk has to spare' });
  }
});

export type FileStorageConfig = z.output<typeof fileStorageConfig>;
