import type { PayloadPlace } from "./live-records.ts";
import type { EncodedPayload } from "../../wire/otlp/types.ts";

/**
 * Payloads that were just admitted, so that a healthy destination reads nothing back from the disk. First in, first out
 * by bytes: what is old here is waiting for a destination that is away, and the disk has it.
 */
export class PayloadCache {
  readonly #bytesMax: number;
  readonly #held = new Map<number, { readonly payload: EncodedPayload; users: number }>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** `key` names the payload's place; `users`: entries that share it. */
  add(key: number, payload: EncodedPayload, users: number): void {
    this.#held.set(key, { payload, users });
    this.#bytes += payload.size;
    if (this.#bytes > this.#bytesMax) this.#dropOldest();
  }

  #dropOldest(): void {
    for (const [oldest, { payload: old }] of this.#held) {
      if (this.#bytes <= this.#bytesMax) break;
      this.#held.delete(oldest);
      this.#bytes -= old.size;
    }
  }

  get(key: number): EncodedPayload | undefined {
    return this.#held.get(key)?.payload;
  }

  /** One of its entries is completed; the last one frees it. */
  release(key: number): void {
    const held = this.#held.get(key);
    if (held === undefined) return;
    held.users -= 1;
    if (held.users > 0) return;
    this.#held.delete(key);
    this.#bytes -= held.payload.size;
  }
}

/** A segment has fewer than 2^32 bytes, and their numbers stay far below 2^20. */
export function cacheKey({ segment, offset }: Pick<PayloadPlace, "segment" | "offset">): number {
  return segment * 2 ** 32 + offset;
}
