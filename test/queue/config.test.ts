import { describe, expect, it } from "vitest";
import { retrySchema, sendingQueueSchema, timeoutSchema } from "../../src/queue/config.ts";

/** `path: message` of each problem. */
function problems(schema: typeof sendingQueueSchema | typeof retrySchema, written: unknown): string[] {
  const result = schema.safeParse(written);
  return result.success ? [] : result.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
}

describe("sending_queue", () => {
  it("has the Collector's defaults", () => {
    expect(sendingQueueSchema.parse(undefined)).toEqual({
      enabled: true,
      num_consumers: 10,
      queue_size: 1000,
      sizer: "requests",
      wait_for_result: false,
      storage: null,
      batch: undefined,
      required: undefined,
      overflow: "refuse",
      max_age: 0,
      dead_letters: {
        enabled: undefined,
        max_size: 64 * 1024 * 1024,
        max_count: 10_000,
        when_full: "drop_oldest",
        rejected: true,
        expired: true,
        partial_success: false,
      },
    });
    expect(sendingQueueSchema.parse({ batch: {} }).batch).toEqual({
      flush_timeout: 200,
      min_size: 8192,
      max_size: 0,
      sizer: "items",
      metadata_keys: [],
    });
  });

  it("lets the batch inherit the queue's sizer where that is bytes or items", () => {
    expect(sendingQueueSchema.parse({ sizer: "bytes", queue_size: "1MiB", batch: { min_size: 100 } })).toMatchObject({
      queue_size: 1024 * 1024,
      batch: { sizer: "bytes" },
    });
  });

  it("lets a batch without keys count items, as the Collector does", () => {
    for (const batch of [{}, null])
      expect(sendingQueueSchema.parse({ sizer: "bytes", batch })).toMatchObject({ batch: { sizer: "items" } });
  });

  it("takes enabled: false in a batch for no batch", () => {
    expect(sendingQueueSchema.parse({ batch: { enabled: false } }).batch).toBeUndefined();
  });

  it("reads block_on_overflow as overflow: block", () => {
    expect(sendingQueueSchema.parse({ block_on_overflow: true }).overflow).toBe("block");
    expect(sendingQueueSchema.parse({ overflow: "drop_oldest" }).overflow).toBe("drop_oldest");
  });

  it("refuses in the Collector's words", () => {
    const expected: readonly (readonly [unknown, string])[] = [
      [{ num_consumers: 0 }, "num_consumers: `num_consumers` must be positive"],
      [{ queue_size: 0 }, "queue_size: `queue_size` must be positive"],
      [{ queue_size: -1 }, "queue_size: `queue_size` must be positive"],
      [
        { wait_for_result: true, storage: "file_storage" },
        "wait_for_result: `wait_for_result` is not supported with a persistent queue configured with `storage`",
      ],
      [
        { sizer: "items", queue_size: 100, batch: { min_size: 101 } },
        "batch.min_size: `min_size` must be less than or equal to `queue_size`",
      ],
      [{ batch: { sizer: "requests" } }, "batch.sizer: `batch` supports only `items` or `bytes` sizer"],
      [
        { batch: { min_size: 10, max_size: 5 } },
        "batch.max_size: `max_size` (5) must be greater or equal to `min_size` (10)",
      ],
      [
        { batch: { partition: { metadata_keys: ["X-Tenant", "x-tenant"] } } },
        'batch.partition.metadata_keys.1: duplicate entry in metadata_keys: "x-tenant" (case-insensitive)',
      ],
    ];
    for (const [written, problem] of expected) expect(problems(sendingQueueSchema, written)).toEqual([problem]);
  });

  it("refuses keys that contradict each other", () => {
    expect(problems(sendingQueueSchema, { block_on_overflow: true, overflow: "refuse" })).toEqual([
      "overflow: `overflow: refuse` contradicts `block_on_overflow: true`",
    ]);
    expect(problems(sendingQueueSchema, { overflow: "dead_letter", dead_letters: { enabled: false } })).toEqual([
      "dead_letters.enabled: `overflow: dead_letter` contradicts `dead_letters.enabled: false`",
    ]);
    expect(problems(sendingQueueSchema, { overflow: "dead_letter", wait_for_result: true })).toEqual([
      "overflow: `overflow: dead_letter` has no queue to overflow with `wait_for_result: true`",
    ]);
    expect(problems(sendingQueueSchema, { block_on_overflow: true, overflow: "dead_letter" })).toHaveLength(1);
    expect(problems(sendingQueueSchema, { required: false, overflow: "block" })[0]).toMatch(/^required: a best-effort/);
  });

  it("does not judge the keys of a queue that is off", () => {
    expect(problems(sendingQueueSchema, { enabled: false, wait_for_result: true, storage: "x" })).toEqual([]);
  });
});

describe("retry_on_failure", () => {
  it("has the Collector's defaults", () => {
    expect(retrySchema.parse(undefined)).toEqual({
      enabled: true,
      initial_interval: 5000,
      randomization_factor: 0.5,
      multiplier: 1.5,
      max_interval: 30_000,
      max_elapsed_time: 300_000,
    });
  });

  it("refuses a max_elapsed_time that is over before the second attempt, but takes 0s", () => {
    expect(problems(retrySchema, { max_elapsed_time: "1s" })).toEqual([
      "max_elapsed_time: 'max_elapsed_time' must not be less than 'initial_interval'",
    ]);
    expect(problems(retrySchema, { max_elapsed_time: "0s" })).toEqual([]);
  });
});

it("gives timeout the exporter's own default, in milliseconds", () => {
  expect(timeoutSchema("5s").parse(undefined)).toBe(5000);
  expect(timeoutSchema("5s").parse("0s")).toBe(0);
});
