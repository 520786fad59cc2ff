import type { Signal } from "../core/signal.ts";
import type { LedgerCounter, LedgerScope } from "./ledger-accounts.ts";

/**
 * What became of a destination's dead letters, in items: carried_over + added = replayed + evicted + dropped + kept.
 * `added` is what the destination's own line calls dead_lettered, and where `partial_success` is kept those items too.
 * Evicted is what left because the box was full, dropped what a command took away. No check of ours: the box is bounded,
 * and letters older than these counts are in none of them.
 */
export class LettersAccount {
  readonly destination: string;
  readonly signal: Signal;
  /** Found in the storage when this process started: of this run only. */
  carriedOverItems = 0;
  readonly added: LedgerCounter;
  readonly replayed: LedgerCounter;
  readonly evicted: LedgerCounter;
  readonly dropped: LedgerCounter;
  #keptItems: () => number = () => 0;

  constructor(destination: string, signal: Signal, make: (name: string) => LedgerCounter) {
    this.destination = destination;
    this.signal = signal;
    this.added = make("added");
    this.replayed = make("replayed");
    this.evicted = make("evicted");
    this.dropped = make("dropped");
  }

  observe(keptItems: () => number): void {
    this.#keptItems = keptItems;
  }

  snapshot(scope: LedgerScope): LettersLine {
    return {
      destination: this.destination,
      signal: this.signal,
      carried_over: scope === "run" ? this.carriedOverItems : 0,
      added: this.added.of(scope),
      replayed: this.replayed.of(scope),
      evicted: this.evicted.of(scope),
      dropped: this.dropped.of(scope),
      kept: this.#keptItems(),
    };
  }
}

export interface LettersLine {
  readonly destination: string;
  readonly signal: Signal;
  readonly carried_over: number;
  readonly added: number;
  readonly replayed: number;
  readonly evicted: number;
  readonly dropped: number;
  readonly kept: number;
}
