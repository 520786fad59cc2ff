import { z } from "zod";
import { annotate, block, byteSize, duration, optionalBlock, refuse, withFix, withoutEffect } from "../config/types.ts";
import { parseByteSize } from "../config/byte-size.ts";

/**
 * The keys that every exporter shares: `timeout`, `retry_on_failure`, `sending_queue`. Names, defaults and the sentences
 * of validation are the Collector's (exporterhelper, v0.165); `required` and `overflow` are ours.
 */

export const SIZERS = ["requests", "items", "bytes"] as const;
export type Sizer = (typeof SIZERS)[number];

export const BATCH_SIZERS = ["items", "bytes"] as const;
export type BatchSizer = (typeof BATCH_SIZERS)[number];

/** What a full queue does to what comes next. See README.md, "When the queue is full". */
export const OVERFLOWS = ["refuse", "block", "drop_oldest", "dead_letter"] as const;
export type Overflow = (typeof OVERFLOWS)[number];

/** What happens to dead letters when they reach their bound: the oldest leave, or the newest are not kept. Counted both ways. */
export const DEAD_LETTERS_FULL = ["drop_oldest", "drop_newest"] as const;

// Far above any queue that fits a machine; it keeps sums of sizes exact.
const AMOUNT_MAX = 2 ** 50;

/** As it is written: whether a unit of bytes fits is looked at where the sizer is known. */
type Amount = { readonly value: number; readonly isInBytes: boolean };

/**
 * A whole number, or a size such as "64MiB" where the sizer is bytes. `atLeast` is for the hint: whether it is kept is
 * looked at in a queue that is on, so that `{ enabled: false, queue_size: 0 }` is read as the Collector reads it.
 */
function amount(atLeast: 0 | 1): z.ZodType<Amount, number | string> {
  const schema = z.union([z.number(), z.string()]).transform((written, context): Amount => {
    const value = typeof written === "number" ? written : parseByteSize(written);
    const isInBytes = typeof written === "string" && /[A-Za-z]/.test(written);
    if (value !== undefined && Number.isInteger(value) && value <= AMOUNT_MAX) return { value, isInBytes };
    refuse(context, { expected: 'a whole number or a size such as "64MiB"' });
    return z.NEVER;
  });
  return annotate(schema, {
    type: "number or size",
    expected: "a whole number or a size",
    example: "1000",
    fix: `write a whole number, at least ${atLeast}, or with sizer: bytes a size such as "64MiB"`,
  });
}

/** A block whose keys all have defaults, there even where the YAML leaves it out. */
function withDefaults<S extends z.ZodType>(schema: S): z.ZodPrefault<S> {
  return schema.prefault(() => ({}) as z.core.util.NoUndefined<z.input<S>>);
}

const PARTITIONS_ARE_FREE = "a partition lives only while it holds something";

const partitionSchema = block({
  metadata_keys: z
    .array(z.string().min(1))
    .default([])
    .describe("Request headers whose values keep batches apart; the door must have include_metadata on."),
  cache_size: withoutEffect(z.int().positive().default(10_000), PARTITIONS_ARE_FREE).describe("Read, no effect."),
  idle_timeout: withoutEffect(duration({ default: "90s" }), PARTITIONS_ARE_FREE).describe("Read, no effect."),
}).superRefine(({ metadata_keys }, context) => {
  const seen = new Set<string>();
  for (const [index, key] of metadata_keys.entries()) {
    if (seen.has(key.toLowerCase())) {
      const message = `duplicate entry in metadata_keys: "${key.toLowerCase()}" (case-insensitive)`;
      refuse(context, { path: ["metadata_keys", index], message, fix: "leave one of them out" });
    }
    seen.add(key.toLowerCase());
  }
});

const batchSchema = block({
  flush_timeout: duration({ positive: true, default: "200ms" }).describe("Send what is there after this time."),
  min_size: amount(0).prefault(8192).describe("Wait until a batch is this large."),
  max_size: amount(0).prefault(0).describe("Split what is larger; 0 for no bound."),
  sizer: z
    .enum(SIZERS)
    .optional()
    .describe("What the sizes count: items or bytes. Default: the queue's sizer where it is one of these, else items."),
  partition: withDefaults(partitionSchema).describe("Which requests may share a batch."),
});

type BatchBlock = z.output<typeof batchSchema>;

function checkBatch(batch: BatchBlock, context: z.core.$RefinementCtx): void {
  const [min, max] = [batch.min_size.value, batch.max_size.value];
  if (batch.sizer === "requests") {
    const fix = 'write "items" or "bytes"';
    refuse(context, { path: ["batch", "sizer"], message: "`batch` supports only `items` or `bytes` sizer", fix });
  }
  for (const key of ["min_size", "max_size"] as const) {
    if (batch[key].value < 0) refuse(context, { path: ["batch", key], message: `\`${key}\` must be non-negative` });
  }
  if (max > 0 && max < min) {
    const message = `\`max_size\` (${max}) must be greater or equal to \`min_size\` (${min})`;
    const fix = `write at least ${min}, or 0 for no upper bound`;
    refuse(context, { path: ["batch", "max_size"], message, fix });
  }
}

/** A `batch:` without keys counts items, whatever the queue counts: in the Collector only one with keys takes the queue's sizer. */
function countItemsWhereEmpty(batch: unknown): unknown {
  const isEmpty = batch === null || (typeof batch === "object" && Object.keys(batch).length === 0);
  return isEmpty ? { sizer: "items" } : batch;
}

// Each costs some 500 bytes of memory and a line of `signalbox deadletters list`; their bytes are in the storage.
const DEAD_LETTERS_MAX = 1_000_000;

const deadLettersSchema = block({
  enabled: z
    .boolean()
    .optional()
    .describe(
      "Keep what this destination will not get. Default: true where the queues are on disk or overflow asks for it.",
    ),
  max_size: byteSize({ default: "64MiB", min: "1KiB" }).describe("Bytes of the destination's dead letters."),
  max_count: z.int().positive().max(DEAD_LETTERS_MAX).default(10_000).describe("How many there may be."),
  when_full: z
    .enum(DEAD_LETTERS_FULL)
    .default("drop_oldest")
    .describe("drop_oldest: the oldest leave; drop_newest: what comes is not kept. Counted."),
  rejected: z.boolean().default(true).describe("Keep what the backend will never take."),
  expired: z.boolean().default(true).describe("Keep what was given up: `max_age`, `max_elapsed_time`, retries off."),
  partial_success: z
    .boolean()
    .default(false)
    .describe("Keep the whole request of which the backend took a part; a replay leaves it out unless it is named."),
});

export type DeadLettersConfig = z.output<typeof deadLettersSchema>;

// More requests at once than any backend takes from one client; each costs memory here.
const CONSUMERS_MAX = 10_000;

const consumers = z.int().max(CONSUMERS_MAX);

const queueBlock = block({
  enabled: z.boolean().default(true).describe("false: send while the sender waits; its copy is at-least-once."),
  num_consumers: withFix(consumers, `write a whole number from 1 to ${CONSUMERS_MAX}`)
    .default(10)
    .describe("Requests to the backend at the same time, for each signal."),
  queue_size: amount(1).prefault(1000).describe("What the queue of each signal holds, in the sizer's unit."),
  sizer: z.enum(SIZERS).default("requests").describe("What queue_size counts."),
  block_on_overflow: z.boolean().optional().describe("The Collector's spelling of overflow: block. Default: false."),
  wait_for_result: z.boolean().default(false).describe("Answer the sender only when the backend has answered."),
  storage: z
    .string()
    .min(1)
    .nullable()
    .default(null)
    .describe("The id of a storage extension that keeps the queue; none keeps it in memory."),
  batch: z
    .preprocess(countItemsWhereEmpty, optionalBlock(batchSchema))
    .describe("Join requests from the queue before they are sent."),
  required: z
    .boolean()
    .optional()
    .describe("true: a sender is answered only when this queue has its data. false: best effort. Default: by type."),
  overflow: z
    .enum(OVERFLOWS)
    .optional()
    .describe("When the queue is full: refuse after waiting, block, drop_oldest, or dead_letter. Default: refuse."),
  max_age: duration()
    .prefault("0s")
    .describe("What was admitted longer ago is not sent any more: what the backend would refuse anyway. 0s: any age."),
  dead_letters: withDefaults(deadLettersSchema).describe("What is kept of what this destination will not get."),
});

type QueueBlock = z.output<typeof queueBlock>;

function checkQueue(queue: QueueBlock, context: z.core.$RefinementCtx): void {
  if (!queue.enabled) return;
  const positive = { num_consumers: queue.num_consumers, queue_size: queue.queue_size.value };
  for (const [key, value] of Object.entries(positive)) {
    if (value <= 0) refuse(context, { path: [key], message: `\`${key}\` must be positive` });
  }
  if (queue.batch !== undefined) checkBatch(queue.batch, context);
  if (queue.wait_for_result && queue.storage !== null) {
    const message = "`wait_for_result` is not supported with a persistent queue configured with `storage`";
    refuse(context, { path: ["wait_for_result"], message, fix: "leave one of the two out" });
  }
  checkUnits(queue, context);
  checkMinSize(queue, context);
  checkOverflow(queue, context);
  checkDeadLetters(queue, context);
}

/** "5MiB" in a queue that counts requests would be five million of them. */
function checkUnits(queue: QueueBlock, context: z.core.$RefinementCtx): void {
  if (queue.queue_size.isInBytes && queue.sizer !== "bytes") {
    const message = `\`queue_size\` has a unit of bytes, but the queue counts ${queue.sizer}`;
    const fix = `write sizer: bytes beside it, or a number of ${queue.sizer} without a unit`;
    refuse(context, { path: ["queue_size"], message, fix });
  }
  if (queue.batch === undefined || batchSizer(queue) === "bytes") return;
  for (const key of ["min_size", "max_size"] as const) {
    if (!queue.batch[key].isInBytes) continue;
    const message = `\`${key}\` has a unit of bytes, but the batch counts items`;
    const fix = "write sizer: bytes beside it, or a number of items without a unit";
    refuse(context, { path: ["batch", key], message, fix });
  }
}

function checkMinSize(queue: QueueBlock, context: z.core.$RefinementCtx): void {
  const { batch, queue_size: size } = queue;
  if (batch === undefined || batchSizer(queue) !== queue.sizer || batch.min_size.value <= size.value) return;
  const message = "`min_size` must be less than or equal to `queue_size`";
  const fix = `write at most ${size.value}, or a larger queue_size`;
  refuse(context, { path: ["batch", "min_size"], message, fix });
}

function checkOverflow(queue: QueueBlock, context: z.core.$RefinementCtx): void {
  if (queue.block_on_overflow === false && queue.overflow === "block") {
    const message = "`overflow: block` contradicts `block_on_overflow: false`";
    refuse(context, { path: ["overflow"], message, fix: "leave block_on_overflow out" });
  }
  if (queue.block_on_overflow === true && queue.overflow !== undefined && queue.overflow !== "block") {
    const message = `\`overflow: ${queue.overflow}\` contradicts \`block_on_overflow: true\``;
    refuse(context, { path: ["overflow"], message, fix: "leave block_on_overflow out" });
  }
  if (
    queue.required === false &&
    (queue.overflow ?? (queue.block_on_overflow === true ? "block" : "refuse")) === "block"
  ) {
    const message = "a best-effort destination (`required: false`) makes nobody wait, so it cannot block on overflow";
    const fix = 'write overflow: "drop_oldest", or leave it out: what comes when the queue is full is dropped, counted';
    refuse(context, { path: ["required"], message, fix });
  }
}

function checkDeadLetters(queue: QueueBlock, context: z.core.$RefinementCtx): void {
  if (queue.overflow !== "dead_letter") return;
  if (queue.dead_letters.enabled === false) {
    const message = "`overflow: dead_letter` contradicts `dead_letters.enabled: false`";
    refuse(context, { path: ["dead_letters", "enabled"], message, fix: 'write true, or overflow: "refuse"' });
  }
  if (queue.wait_for_result) {
    const message = "`overflow: dead_letter` has no queue to overflow with `wait_for_result: true`";
    refuse(context, { path: ["overflow"], message, fix: "leave one of the two out" });
  }
}

function batchSizer(queue: Pick<QueueBlock, "sizer" | "batch">): BatchSizer {
  const sizer = queue.batch?.sizer ?? queue.sizer;
  return sizer === "bytes" ? "bytes" : "items";
}

/** `sending_queue`. An exporter whose queue is off by default puts `.prefault({ enabled: false })` behind it. */
export const sendingQueueSchema = withDefaults(queueBlock.superRefine(checkQueue).transform(resolveQueue));

/** What the sending queue is built from: no key is left open except `required`, which the exporter's type decides. */
export interface SendingQueueConfig {
  readonly enabled: boolean;
  readonly num_consumers: number;
  readonly queue_size: number;
  readonly sizer: Sizer;
  readonly wait_for_result: boolean;
  readonly storage: string | null;
  readonly batch: BatchConfig | undefined;
  readonly required: boolean | undefined;
  readonly overflow: Overflow;
  /** Milliseconds; 0 for none. */
  readonly max_age: number;
  readonly dead_letters: DeadLettersConfig;
}

export interface BatchConfig {
  /** Milliseconds. */
  readonly flush_timeout: number;
  readonly min_size: number;
  /** 0: no upper bound. */
  readonly max_size: number;
  readonly sizer: BatchSizer;
  readonly metadata_keys: readonly string[];
}

function resolveQueue(queue: QueueBlock): SendingQueueConfig {
  const { enabled, num_consumers, queue_size, sizer, wait_for_result, storage, required, max_age, dead_letters } =
    queue;
  return {
    enabled,
    num_consumers,
    queue_size: queue_size.value,
    sizer,
    wait_for_result,
    storage,
    required,
    max_age,
    dead_letters,
    batch: queue.batch && resolveBatch(queue.batch, batchSizer(queue)),
    overflow: queue.overflow ?? (queue.block_on_overflow === true ? "block" : "refuse"),
  };
}

function resolveBatch(batch: BatchBlock, sizer: BatchSizer): BatchConfig {
  const { flush_timeout, min_size, max_size } = batch;
  return {
    flush_timeout,
    min_size: min_size.value,
    max_size: max_size.value,
    sizer,
    metadata_keys: batch.partition.metadata_keys,
  };
}

const retryBlock = block({
  enabled: z.boolean().default(true).describe("Try again what failed in a way that passes."),
  initial_interval: duration({ default: "5s" }).describe("Wait before the second attempt."),
  randomization_factor: z.number().min(0).max(1).default(0.5).describe("Jitter: 0.5 spreads a wait over 50 to 150 %."),
  multiplier: z.number().min(1).default(1.5).describe("Each wait is this many times the one before."),
  max_interval: duration({ default: "30s" }).describe("The longest wait."),
  max_elapsed_time: duration({ default: "5m" }).describe(
    "After this time a batch expires, counted; 0s never gives up.",
  ),
}).superRefine((retry, context) => {
  if (!retry.enabled || retry.max_elapsed_time === 0) return;
  const key = (["initial_interval", "max_interval"] as const).find((name) => retry[name] > retry.max_elapsed_time);
  if (key === undefined) return;
  const message = `'max_elapsed_time' must not be less than '${key}'`;
  refuse(context, { path: ["max_elapsed_time"], message, fix: 'write "0s" to retry for as long as it takes' });
});

/** `retry_on_failure`. */
export const retrySchema = withDefaults(retryBlock);

export type RetryConfig = z.output<typeof retrySchema>;

/** `timeout`: milliseconds for one attempt; "0s" means none. The exporter describes the key. */
export function timeoutSchema(defaultTimeout: string): z.ZodType<number, string | undefined> {
  return duration({ default: defaultTimeout });
}
