import type { BatchConfig as QueueBatchConfig } from "../queue/config.ts";
import type { BatchConfig } from "../processors/batch/config.ts";

/** The keys of `processors/batch` as the `sending_queue.batch` that they become behind it. */
export function toQueueBatch(config: BatchConfig): QueueBatchConfig {
  return {
    flush_timeout: config.timeout,
    min_size: config.send_batch_size,
    max_size: config.send_batch_max_size,
    sizer: "items",
    metadata_keys: config.metadata_keys,
  };
}
