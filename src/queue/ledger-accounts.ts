import type { ConsumeError } from "../core/errors.ts";
import { ITEM_WORDS } from "../core/signal.ts";
import type { Signal } from "../core/signal.ts";
import type { LedgerDelta } from "./storage.ts";

/** What a figure of the ledger is about: this process, or all whose totals the queue's storage has, this one included. */
export type LedgerScope = "run" | "ever";

/** The gateway's own metric that counts the same as a line of the ledger. `error` is why, where the line is of failures. */
export interface LedgerMetric {
  add(items: number, error?: ConsumeError): void;
}

/** One line of the ledger, in items. Values are of this process; `before` is what earlier ones counted, from the storage. */
export class LedgerCounter {
  readonly id: string;
  value = 0;
  before = 0;
  /** The gateway's own metric that counts the same, where there is one. */
  readonly #metric: LedgerMetric | undefined;

  constructor(id: string, metric?: LedgerMetric) {
    this.id = id;
    this.#metric = metric;
  }

  add(items: number, error?: ConsumeError): void {
    this.value += items;
    this.#metric?.add(items, error);
  }

  of(scope: LedgerScope): number {
    return scope === "run" ? this.value : this.before + this.value;
  }
}

/** Makes the counters of one account. The same name gives the same counter: a reload goes on counting. */
export interface CounterMaker {
  one(name: string): LedgerCounter;
  labelled(name: string): LabelledCounters;
}

/** Counters that differ in one label. The values are names of rules and policies, so they are few. */
export class LabelledCounters {
  readonly #make: (label: string) => LedgerCounter;
  readonly #counters = new Map<string, LedgerCounter>();

  constructor(make: (label: string) => LedgerCounter) {
    this.#make = make;
  }

  for(label: string): LedgerCounter {
    let counter = this.#counters.get(label);
    if (counter === undefined) {
      counter = this.#make(label);
      this.#counters.set(label, counter);
    }
    return counter;
  }

  sum(scope: LedgerScope): number {
    let sum = 0;
    for (const counter of this.#counters.values()) sum += counter.of(scope);
    return sum;
  }

  values(scope: LedgerScope): Record<string, number> {
    return Object.fromEntries([...this.#counters].map(([label, counter]) => [label, counter.of(scope)]));
  }
}

/** What the queue itself counts of its entries, so that the ledger is compared with something it did not write. */
export interface QueueLevels {
  readonly queuedItems: number;
  readonly inFlightItems: number;
}

/** Damage took the bytes of an entry: counted under this rule when the storage is read again. */
const DAMAGED = "damaged";

/** carried_over + admitted + replayed = sent + dropped + rejected + expired + dead_lettered + evicted + queued + in_flight */
export class DestinationAccount {
  readonly destination: string;
  readonly signal: Signal;
  /** Found in the storage when this process started: of this run only, since an earlier one admitted it. */
  readonly carriedOver = new LedgerCounter("");
  /** Found in the storage, whose admission the totals do not know (damage took it). Over all runs this is what carried_over is. */
  readonly unrecorded: LedgerCounter;
  readonly admitted: LedgerCounter;
  readonly replayed: LedgerCounter;
  readonly sent: LedgerCounter;
  readonly rejected: LedgerCounter;
  readonly expired: LedgerCounter;
  readonly deadLettered: LedgerCounter;
  readonly dropped: LabelledCounters;
  readonly evicted: LabelledCounters;
  #levels: () => QueueLevels = () => ({ queuedItems: 0, inFlightItems: 0 });

  constructor(destination: string, signal: Signal, make: CounterMaker) {
    this.destination = destination;
    this.signal = signal;
    this.unrecorded = make.one("carried_over");
    this.admitted = make.one("admitted");
    this.replayed = make.one("replayed");
    this.sent = make.one("sent");
    this.rejected = make.one("rejected");
    this.expired = make.one("expired");
    this.deadLettered = make.one("dead_lettered");
    this.dropped = make.labelled("dropped");
    this.evicted = make.labelled("evicted");
  }

  /** A destination without a queue holds nothing, and needs no levels. */
  observe(levels: () => QueueLevels): void {
    this.#levels = levels;
  }

  get levels(): QueueLevels {
    return this.#levels();
  }

  snapshot(scope: LedgerScope = "run"): DestinationLine {
    const { queuedItems, inFlightItems } = this.#levels();
    return {
      destination: this.destination,
      signal: this.signal,
      carried_over: scope === "run" ? this.carriedOver.value : this.unrecorded.of(scope),
      admitted: this.admitted.of(scope),
      replayed: this.replayed.of(scope),
      sent: this.sent.of(scope),
      dropped: this.dropped.values(scope),
      rejected: this.rejected.of(scope),
      expired: this.expired.of(scope),
      dead_lettered: this.deadLettered.of(scope),
      evicted: this.evicted.values(scope),
      queued: queuedItems,
      in_flight: inFlightItems,
    };
  }

  /** The sentence that says what does not add up; undefined where it does. */
  imbalance(): string | undefined {
    const name = `destination ${this.destination}, ${this.signal}`;
    const now = this.#difference("run");
    if (now !== 0) return `${name}: ${now} items more came in than are accounted for`;
    const ever = this.#difference("ever");
    return ever !== 0 ? `${name}: over all runs, ${ever} items more came in than are accounted for` : undefined;
  }

  /**
   * Called once, when the storage has been read: what the earlier totals and the entries that were found differ by is
   * what damage took, of either. It is booked, so that the equation holds from here on, and said.
   */
  bookDamage(): { readonly delta: LedgerDelta; readonly sentence: string } | undefined {
    const missing = this.#difference("ever");
    if (missing === 0) return undefined;
    const counter = missing > 0 ? this.dropped.for(DAMAGED) : this.unrecorded;
    const items = Math.abs(missing);
    counter.before += items;
    const what =
      missing > 0 ? "are not in the storage any more" : "are in the storage, which does not say who sent them";
    return {
      delta: { counter, items },
      sentence: `destination ${this.destination}: ${items} ${ITEM_WORDS[this.signal]} ${what}`,
    };
  }

  #difference(scope: LedgerScope): number {
    const { queuedItems, inFlightItems } = this.#levels();
    const carriedOver = scope === "run" ? this.carriedOver.value : this.unrecorded.of(scope);
    const came = carriedOver + this.admitted.of(scope) + this.replayed.of(scope);
    const ended = this.sent.of(scope) + this.rejected.of(scope) + this.expired.of(scope) + this.deadLettered.of(scope);
    return came - ended - this.dropped.sum(scope) - this.evicted.sum(scope) - queuedItems - inFlightItems;
  }
}

export interface DestinationLine {
  readonly destination: string;
  readonly signal: Signal;
  readonly carried_over: number;
  readonly admitted: number;
  readonly replayed: number;
  readonly sent: number;
  readonly dropped: Readonly<Record<string, number>>;
  readonly rejected: number;
  readonly expired: number;
  readonly dead_lettered: number;
  readonly evicted: Readonly<Record<string, number>>;
  readonly queued: number;
  readonly in_flight: number;
}

/** received = accepted + refused + failed + pending; pending are the requests that wait for their answer. */
export class ReceiverAccount {
  readonly receiver: string;
  readonly transport: string;
  readonly signal: Signal;
  readonly received: LedgerCounter;
  readonly accepted: LedgerCounter;
  readonly refused: LedgerCounter;
  readonly failed: LedgerCounter;
  pendingItems = 0;

  constructor(identity: Pick<ReceiverAccount, "receiver" | "transport" | "signal">, make: CounterMaker) {
    this.receiver = identity.receiver;
    this.transport = identity.transport;
    this.signal = identity.signal;
    this.received = make.one("received");
    this.accepted = make.one("accepted");
    this.refused = make.one("refused");
    this.failed = make.one("failed");
  }

  /** A request came in. Not stored before its outcome is: a process that dies answers nobody. */
  receive(items: number): void {
    this.received.add(items);
    this.pendingItems += items;
  }

  settle(outcome: "accepted" | "refused" | "failed", items: number): void {
    this.pendingItems -= items;
    this[outcome].add(items);
  }

  /** The same, for the storage. */
  deltas(outcome: "accepted" | "refused" | "failed", items: number): LedgerDelta[] {
    return [
      { counter: this.received, items },
      { counter: this[outcome], items },
    ];
  }

  snapshot(scope: LedgerScope = "run"): ReceiverLine {
    return {
      receiver: this.receiver,
      transport: this.transport,
      signal: this.signal,
      received: this.received.of(scope),
      accepted: this.accepted.of(scope),
      refused: this.refused.of(scope),
      failed: this.failed.of(scope),
      pending: this.pendingItems,
    };
  }

  imbalance(): string | undefined {
    const answered = this.accepted.of("ever") + this.refused.of("ever") + this.failed.of("ever");
    const open = this.received.of("ever") - answered - this.pendingItems;
    if (open === 0) return undefined;
    return `receiver ${this.receiver} (${this.transport}), ${this.signal}: ${open} items more came in than were answered`;
  }
}

export interface ReceiverLine {
  readonly receiver: string;
  readonly transport: string;
  readonly signal: Signal;
  readonly received: number;
  readonly accepted: number;
  readonly refused: number;
  readonly failed: number;
  readonly pending: number;
}
