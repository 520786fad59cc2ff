import type { Counter } from "../core/meter.ts";
import type { Signal } from "../core/signal.ts";
import type { LedgerDelta } from "./storage.ts";

/** One line of the ledger, in items. Values are of this process; `before` is what earlier ones counted, from the storage. */
export class LedgerCounter {
  readonly id: string;
  value = 0;
  before = 0;
  /** The gateway's own metric that counts the same, where there is one. */
  readonly #metric: Counter | undefined;

  constructor(id: string, metric?: Counter) {
    this.id = id;
    this.#metric = metric;
  }

  add(items: number): void {
    this.value += items;
    this.#metric?.add(items);
  }

  get total(): number {
    return this.before + this.value;
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

  sum(read: (counter: LedgerCounter) => number): number {
    let sum = 0;
    for (const counter of this.#counters.values()) sum += read(counter);
    return sum;
  }

  values(): Record<string, number> {
    return Object.fromEntries([...this.#counters].map(([label, counter]) => [label, counter.value]));
  }
}

/** What the queue itself counts of its entries, so that the ledger is compared with something it did not write. */
export interface QueueLevels {
  readonly queuedItems: number;
  readonly inFlightItems: number;
}

/** carried_over + admitted + replayed = sent + dropped + rejected + expired + dead_lettered + evicted + queued + in_flight */
export class DestinationAccount {
  readonly destination: string;
  readonly signal: Signal;
  /** Found in the storage when this process started. */
  readonly carriedOver: LedgerCounter;
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
    this.carriedOver = make.one("carried_over");
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

  snapshot(): DestinationLine {
    const { queuedItems, inFlightItems } = this.#levels();
    return {
      destination: this.destination,
      signal: this.signal,
      carried_over: this.carriedOver.value,
      admitted: this.admitted.value,
      replayed: this.replayed.value,
      sent: this.sent.value,
      dropped: this.dropped.values(),
      rejected: this.rejected.value,
      expired: this.expired.value,
      dead_lettered: this.deadLettered.value,
      evicted: this.evicted.values(),
      queued: queuedItems,
      in_flight: inFlightItems,
    };
  }

  /** The sentence that says what does not add up; undefined where it does. */
  imbalance(): string | undefined {
    const name = `destination ${this.destination}, ${this.signal}`;
    const now = this.#difference((counter) => counter.value);
    if (now !== 0) return `${name}: ${now} items more came in than are accounted for`;
    const ever = this.#difference((counter) => counter.total) - this.carriedOver.value;
    const hasHistory = this.admitted.before > 0;
    return hasHistory && ever !== 0
      ? `${name}: over all runs, ${ever} items more came in than are accounted for`
      : undefined;
  }

  #difference(read: (counter: LedgerCounter) => number): number {
    const { queuedItems, inFlightItems } = this.#levels();
    const came = read(this.carriedOver) + read(this.admitted) + read(this.replayed);
    const ended = read(this.sent) + read(this.rejected) + read(this.expired) + read(this.deadLettered);
    return came - ended - this.dropped.sum(read) - this.evicted.sum(read) - queuedItems - inFlightItems;
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

  snapshot(): ReceiverLine {
    return {
      receiver: this.receiver,
      transport: this.transport,
      signal: this.signal,
      received: this.received.value,
      accepted: this.accepted.value,
      refused: this.refused.value,
      failed: this.failed.value,
      pending: this.pendingItems,
    };
  }

  imbalance(): string | undefined {
    const answered = this.accepted.value + this.refused.value + this.failed.value;
    const open = this.received.value - answered - this.pendingItems;
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
