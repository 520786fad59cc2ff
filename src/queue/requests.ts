import type { ClientMetadata } from "../core/client-metadata.ts";
import { ConsumeError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import type { OutgoingRequest } from "../core/sender.ts";
import type { Signal } from "../core/signal.ts";
import { mergePayloads } from "../wire/otlp/payload.ts";
import { splitPayload } from "../wire/otlp/split-payload.ts";
import type { EncodedPayload } from "../wire/otlp/types.ts";
import type { BatchConfig } from "./config.ts";
import type { Journal } from "./journal.ts";
import type { QueueEntry } from "./queue-entry.ts";
import { StoredRequest } from "./stored-request.ts";

interface ReadSettings {
  readonly destination: string;
  readonly signal: Signal;
  /** Whom the requests are from. */
  readonly client: ClientMetadata;
  readonly batch: BatchConfig | undefined;
  readonly journal: Journal;
  /** Whether the journal's storage outlives the process: then its bytes need not stay in memory. */
  readonly isDurable: boolean;
  readonly logger: Logger;
}

/**
 * One request of all that can be read, or several where a single entry is larger than max_size. Nobody but the requests
 * holds the bytes afterwards, so that one that waits can let go of them.
 */
export async function readRequests(
  entries: readonly QueueEntry[],
  settings: ReadSettings,
): Promise<readonly OutgoingRequest[]> {
  const { destination, journal, logger } = settings;
  const payloads: EncodedPayload[] = [];
  for (const { ref, itemCount } of entries) {
    try {
      // Mostly they are in memory, and nothing is awaited.
      const payload = journal.read(ref);
      payloads.push(payload instanceof Promise ? await payload : payload);
    } catch (thrown) {
      // What the end of the process keeps from being read is no loss: the settler leaves it in the storage.
      if (journal.isEnded) continue;
      const reason = ConsumeError.from(thrown).message;
      logger.error(`destination ${destination}: ${itemCount} items cannot be read back: ${reason}`);
    }
  }
  return toRequests(payloads, entries, settings);
}

function toRequests(
  payloads: readonly EncodedPayload[],
  entries: readonly QueueEntry[],
  { signal, client, batch, journal, isDurable }: ReadSettings,
): OutgoingRequest[] {
  const requests = requestsOf(signal, payloads, batch);
  const isWhole = requests.length === 1 && payloads.length === entries.length;
  return requests.map((payload) => {
    const mayRest = isDurable && isWhole && StoredRequest.isWorthIt(payload, entries);
    return mayRest ? new StoredRequest({ signal, client, entries, payload, journal }) : { signal, payload, client };
  });
}

function requestsOf(
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

/**
 * Entries of one record. More parts than that stand together in one, which is cut again when its turn comes: a million of
 * them cost three writes of each byte, and no record has a million entries.
 */
const PARTS_MAX = 256;

/** What is left of a request, as the payloads of so many entries as a record may have. */
export function groupParts(rest: readonly OutgoingRequest[]): EncodedPayload[] {
  const groupSize = Math.ceil(rest.length / PARTS_MAX);
  if (groupSize === 1) return rest.map(({ payload }) => payload);
  const groups: EncodedPayload[] = [];
  for (let start = 0; start < rest.length; start += groupSize) {
    groups.push(mergePayloads(rest.slice(start, start + groupSize).map(({ payload }) => payload)));
  }
  return groups;
}
