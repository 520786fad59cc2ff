import { ConsumeError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import type { Signal } from "../core/signal.ts";
import { mergePayloads } from "../wire/otlp/payload.ts";
import { splitPayload } from "../wire/otlp/split-payload.ts";
import type { EncodedPayload } from "../wire/otlp/types.ts";
import type { BatchConfig } from "./config.ts";
import type { Journal } from "./journal.ts";
import type { QueueEntry } from "./queue-entry.ts";

interface ReadSettings {
  readonly destination: string;
  readonly journal: Journal;
  readonly logger: Logger;
}

/** The payloads that can be read. Mostly they are in memory, and nothing is awaited. */
export async function readPayloads(
  entries: readonly QueueEntry[],
  { destination, journal, logger }: ReadSettings,
): Promise<EncodedPayload[]> {
  const payloads: EncodedPayload[] = [];
  for (const { ref, itemCount } of entries) {
    try {
      const payload = journal.read(ref);
      payloads.push(payload instanceof Promise ? await payload : payload);
    } catch (thrown) {
      const reason = ConsumeError.from(thrown).message;
      logger.error(`destination ${destination}: ${itemCount} items cannot be read back: ${reason}`);
    }
  }
  return payloads;
}

/** One request of all of them, or several where a single entry is larger than max_size. */
export function requestsOf(
  signal: Signal,
  payloads: readonly EncodedPayload[],
  batch: BatchConfig | undefined,
): readonly EncodedPayload[] {
  if (payloads.length === 0) return [];
  const payload = mergePayloads(payloads);
  if (batch === undefined || batch.max_size === 0) return [payload];
  const size = batch.sizer === "bytes" ? payload.size : payload.itemCount;
  if (size <= batch.max_size) return [payload];
  const bounds = batch.sizer === "bytes" ? { bytesMax: batch.max_size } : { itemsMax: batch.max_size };
  return splitPayload(signal, payload, bounds);
}
