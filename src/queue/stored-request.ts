import type { ClientMetadata } from "../core/client-metadata.ts";
import type { Signal } from "../core/signal.ts";
import { mergePayloads } from "../wire/otlp/payload.ts";
import type { EncodedPayload } from "../wire/otlp/types.ts";
import type { RestingRequest } from "./delivery.ts";
import type { Journal } from "./journal.ts";
import type { QueueEntry } from "./queue-entry.ts";

export interface StoredRequestSettings {
  readonly signal: Signal;
  readonly client: ClientMetadata;
  /** All that the request is made of, in their order. */
  readonly entries: readonly QueueEntry[];
  /** Theirs, merged. */
  readonly payload: EncodedPayload;
  readonly journal: Pick<Journal, "read">;
}

/** A read costs some 50 us whatever its size: below this, a batch of 8,192 would cost more CPU than the memory is worth. */
const BYTES_PER_READ_MIN = 4096;

/** A request to a backend that is fixed as a list of entries, and can be without their bytes while it waits. */
export class StoredRequest implements RestingRequest {
  readonly signal: Signal;
  readonly client: ClientMetadata;
  readonly #entries: readonly QueueEntry[];
  readonly #journal: Pick<Journal, "read">;
  #payload: EncodedPayload;

  constructor(settings: StoredRequestSettings) {
    this.signal = settings.signal;
    this.client = settings.client;
    this.#entries = settings.entries;
    this.#journal = settings.journal;
    this.#payload = settings.payload;
  }

  /** Not where it would be read back in many small pieces for every attempt. */
  static isWorthIt(payload: EncodedPayload, entries: readonly QueueEntry[]): boolean {
    return payload.size >= entries.length * BYTES_PER_READ_MIN;
  }

  get payload(): EncodedPayload {
    return this.#payload;
  }

  rest(): void {
    this.#payload = { ...this.#payload, slices: [] };
  }

  async wake(): Promise<boolean> {
    const payloads: EncodedPayload[] = [];
    try {
      for (const { ref } of this.#entries) payloads.push(await this.#journal.read(ref));
    } catch {
      // Whoever has the entries reads them again, one by one, and says which is lost.
      return false;
    }
    this.#payload = mergePayloads(payloads);
    return true;
  }
}
