import type { Remembered, SeenKey } from "../core/admission.ts";
import type { Clock } from "../core/clock.ts";
import type { ConsumeError } from "../core/errors.ts";
import type { StoredKey } from "./storage.ts";

/**
 * Keys that are remembered after their admission, over all sources. The bet: resends come within minutes, and 100,000
 * chunks are minutes at any rate we take; about 20 MiB when full. Lost, a chunk that is resent later is kept twice.
 */
export const SEEN_KEYS_MAX = 100_000;

interface InFlight {
  readonly outcome: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: ConsumeError) => void;
}

/** Which requests were admitted lately, and which are on their way in. */
export class SeenKeys {
  readonly #clock: Clock;
  readonly #keysMax: number;
  /** The time each expires, by key, in the order of admission. */
  readonly #done = new Map<string, number>();
  readonly #inFlight = new Map<string, InFlight>();

  constructor(clock: Clock, keysMax: number = SEEN_KEYS_MAX) {
    this.#clock = clock;
    this.#keysMax = keysMax;
  }

  get size(): number {
    return this.#done.size;
  }

  /** new: the caller owns the key and must call done() or failed(). */
  ask(key: SeenKey): Remembered {
    const name = nameOf(key);
    const expiresMs = this.#done.get(name);
    if (expiresMs !== undefined && expiresMs > this.#clock.nowMs()) return { state: "done" };
    const other = this.#inFlight.get(name);
    if (other !== undefined) return { state: "joined", outcome: other.outcome };
    this.#inFlight.set(name, inFlight());
    return { state: "new" };
  }

  done(key: StoredKey): void {
    const name = nameOf(key);
    this.add(key);
    this.#inFlight.get(name)?.resolve();
    this.#inFlight.delete(name);
  }

  failed(key: SeenKey, error: ConsumeError): void {
    const name = nameOf(key);
    this.#inFlight.get(name)?.reject(error);
    this.#inFlight.delete(name);
  }

  /** A key that a former process left. */
  add(key: StoredKey): void {
    const name = nameOf(key);
    this.#done.delete(name);
    this.#done.set(name, key.expiresUnixMs);
    this.#makeRoom();
  }

  /** Drops the oldest while they have expired, or are too many. */
  #makeRoom(): void {
    const nowMs = this.#clock.nowMs();
    for (const [name, expiresMs] of this.#done) {
      if (expiresMs > nowMs && this.#done.size <= this.#keysMax) return;
      this.#done.delete(name);
    }
  }
}

function inFlight(): InFlight {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  // Nobody may have joined: a failure without listeners must not count as an unhandled rejection.
  promise.catch(() => undefined);
  return { outcome: promise, resolve, reject };
}

// No source (a component id) holds a zero character, so two different keys cannot have one name.
function nameOf(key: SeenKey): string {
  return `${key.source}\0${key.key}`;
}
