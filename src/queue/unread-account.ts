import type { LedgerCounter, LedgerScope } from "./ledger-accounts.ts";
import type { LedgerDelta } from "./storage.ts";

/** Strings, since the storage may hold what another version counted. */
export interface UnreadIdentity {
  readonly receiver: string;
  readonly transport: string;
  readonly reason: string;
}

/**
 * Requests that were refused before their items could be counted, so that they have no place in an equation: what is known
 * of them is how many there were, and how large they said they were.
 */
export class UnreadAccount {
  readonly #identity: UnreadIdentity;
  readonly #requests: LedgerCounter;
  readonly #bytes: LedgerCounter;

  constructor(identity: UnreadIdentity, make: (name: "requests" | "bytes") => LedgerCounter) {
    this.#identity = identity;
    this.#requests = make("requests");
    this.#bytes = make("bytes");
  }

  /** One more; for the ledger and for the storage. */
  deltas(bytes: number): LedgerDelta[] {
    // A sender may declare what it likes, and sums are stored as whole numbers.
    const room = Number.MAX_SAFE_INTEGER - this.#bytes.of("ever");
    return [
      { counter: this.#requests, items: 1 },
      { counter: this.#bytes, items: Math.min(bytes, room) },
    ];
  }

  snapshot(scope: LedgerScope): UnreadLine {
    const { receiver, transport, reason } = this.#identity;
    return { receiver, transport, reason, requests: this.#requests.of(scope), bytes: this.#bytes.of(scope) };
  }
}

export interface UnreadLine extends UnreadIdentity {
  readonly requests: number;
  readonly bytes: number;
}
