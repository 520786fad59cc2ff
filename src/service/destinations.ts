import type { ConfiguredComponent, Configuration } from "../config/configuration.ts";
import type { ExporterFactory } from "../core/component.ts";
import type { Logger } from "../core/logger.ts";
import type { BatchConfig } from "../processors/batch/config.ts";
import {
  type BatchConfig as QueueBatchConfig,
  type RetryConfig,
  retrySchema,
  type SendingQueueConfig,
} from "../queue/config.ts";
import { toQueueBatch } from "./batch-defaults.ts";

/** The keys that the service reads from an exporter's configuration; queue/config.ts has their schemas. */
interface ExporterKeys {
  readonly sending_queue: SendingQueueConfig;
  readonly retry_on_failure: RetryConfig;
  /** Milliseconds. */
  readonly timeout: number;
}

/** An exporter that cannot fail in a way that passes (debug) has no such keys: one attempt, however long it takes. */
const ONE_ATTEMPT: Pick<ExporterKeys, "retry_on_failure" | "timeout"> = {
  retry_on_failure: retrySchema.parse({ enabled: false }),
  timeout: 0,
};

export type Delivery = "required" | "best_effort";

type ExporterEntry = ConfiguredComponent<"exporter">;

export function keysOf(exporter: ExporterEntry): ExporterKeys {
  return { ...ONE_ATTEMPT, ...(exporter.config as Pick<ExporterKeys, "sending_queue">) };
}

/**
 * Whether an admission needs this destination. A secondary one (the local store) is best effort beside a required one,
 * and required where some pipeline has no other: accepted must mean kept somewhere.
 */
export function deliveryOf(id: string, configuration: Configuration): Delivery {
  const exporter = configuration.exporters.get(id)!;
  const written = keysOf(exporter).sending_queue.required;
  if (written !== undefined) return written ? "required" : "best_effort";
  if (exporter.factory.delivery !== "secondary") return exporter.factory.delivery;
  const isAlone = [...configuration.pipelines.values()].some(
    ({ exporters }) =>
      exporters.includes(id) && !exporters.some((other) => other !== id && isRequired(other, configuration)),
  );
  return isAlone ? "required" : "best_effort";
}

/** Without looking at secondary ones, which look at this. */
function isRequired(id: string, configuration: Configuration): boolean {
  const exporter = configuration.exporters.get(id);
  if (exporter === undefined) return false;
  return keysOf(exporter).sending_queue.required ?? exporter.factory.delivery === "required";
}

/**
 * `sending_queue` as the queue gets it: the keys of a `batch` processor in front of the exporter become its batching,
 * where it has none of its own.
 */
export function queueOf(id: string, configuration: Configuration, logger: Pick<Logger, "info">): SendingQueueConfig {
  const queue = keysOf(configuration.exporters.get(id)!).sending_queue;
  const inherited = inheritedBatch(id, configuration);
  if (!queue.enabled || inherited === undefined) return queue;
  if (queue.batch !== undefined) {
    logger.info(`exporters.${id}: its own sending_queue.batch counts; processors.${inherited.from} passes through`);
    return queue;
  }
  logger.info(
    `exporters.${id}: processors.${inherited.from} became its sending_queue.batch, so that batching happens after the answer`,
  );
  return { ...queue, batch: inherited.batch };
}

/** What a request may have in bytes where the YAML does not say: a batch that is bounded in bytes says so itself. */
export function requestBytesMaxOf(factory: ExporterFactory, { batch }: SendingQueueConfig): number {
  if (batch !== undefined && batch.sizer === "bytes" && batch.max_size > 0) return Infinity;
  return factory.requestBytesMax ?? Infinity;
}

function inheritedBatch(
  id: string,
  configuration: Configuration,
): { from: string; batch: QueueBatchConfig } | undefined {
  for (const pipeline of configuration.pipelines.values()) {
    if (!pipeline.exporters.includes(id)) continue;
    const from = pipeline.processors.find((name) => configuration.processors.get(name)?.factory.type === "batch");
    const processor = from === undefined ? undefined : configuration.processors.get(from);
    if (from !== undefined && processor !== undefined)
      return { from, batch: toQueueBatch(processor.config as BatchConfig) };
  }
  return undefined;
}
