import type { AdmissionSettings } from "../core/admission.ts";
import type { Counter, Labels, Meter } from "../core/meter.ts";
import { isSignal, ITEM_NAMES, ITEM_UNITS, ITEM_WORDS } from "../core/signal.ts";
import type { Signal } from "../core/signal.ts";
import { ExporterMetrics } from "./exporter-metrics.ts";
import { DestinationAccount, LabelledCounters, LedgerCounter, ReceiverAccount } from "./ledger-accounts.ts";
import type { CounterMaker, DestinationLine, LedgerMetric, LedgerScope, ReceiverLine } from "./ledger-accounts.ts";
import { type AccountKind, LedgerMetrics } from "./ledger-metrics.ts";
import { LettersAccount, type LettersLine } from "./letters-account.ts";
import { PipelineAccount } from "./pipeline-account.ts";
import type { PipelineLine, PipelineStage } from "./pipeline-account.ts";
import type { LedgerDelta } from "./storage.ts";
import { UnreadAccount } from "./unread-account.ts";
import type { UnreadIdentity, UnreadLine } from "./unread-account.ts";

export interface LedgerSnapshot {
  readonly destinations: readonly DestinationLine[];
  readonly pipelines: readonly PipelineLine[];
  readonly receivers: readonly ReceiverLine[];
  /** In requests: no equation has them. */
  readonly unread: readonly UnreadLine[];
  readonly dead_letters: readonly LettersLine[];
}

interface AccountIdentity {
  readonly kind: AccountKind;
  readonly identity: readonly string[];
  /** Of its metrics. */
  readonly labels: Labels;
  /** The Collector's metrics that count the same, by the counter's name. */
  readonly metrics?: Readonly<Record<string, LedgerMetric>>;
}

/** Between the parts of a counter's id. No id of a component holds this character. */
const SEPARATOR = "\u001f";

/** The kind of account in an id of what was refused unread. */
const UNREAD = "unread";

/** Of what became of dead letters. */
const LETTERS = "letters";

/**
 * Where every item went. Each account has an equation (see its class); balance() checks all of them.
 * The counters that the Collector also has are its metrics at the same time, so the two cannot disagree.
 */
export class Ledger {
  readonly #meter: Meter;
  readonly #metrics: LedgerMetrics;
  readonly #counters = new Map<string, LedgerCounter>();
  readonly #labelled = new Map<string, LabelledCounters>();
  readonly #destinations = new Map<string, DestinationAccount>();
  readonly #pipelines = new Map<string, PipelineAccount>();
  readonly #receivers = new Map<string, ReceiverAccount>();
  readonly #unread = new Map<string, UnreadAccount>();
  readonly #letters = new Map<string, LettersAccount>();
  readonly #exporters = new Map<string, ExporterMetrics>();

  constructor(meter: Meter) {
    this.#meter = meter;
    this.#metrics = new LedgerMetrics(meter, () => this.imbalances().length);
  }

  destination(destination: string, signal: Signal): DestinationAccount {
    return getOrMake(this.#destinations, `${destination} ${signal}`, () => {
      const { sent, failed } = this.#exporterMetrics(destination, signal);
      // What overflowed was never tried, and has no error: it counts as not enqueued.
      const deadLettered: LedgerMetric = {
        add: (items, error) => {
          if (error !== undefined) failed.add(items, error);
        },
      };
      const metrics = { sent, rejected: failed, expired: failed, dropped: failed, dead_lettered: deadLettered };
      const labels = { exporter: destination, data_type: signal };
      const maker = this.#maker({ kind: "destination", identity: [destination, signal], labels, metrics });
      const account = new DestinationAccount(destination, signal, maker);
      this.#metrics.watch("destination", labels, "queued", () => account.levels.queuedItems);
      this.#metrics.watch("destination", labels, "in_flight", () => account.levels.inFlightItems);
      return account;
    });
  }

  /** `pipeline` is the pipeline's id as in the YAML. A second call, by a new generation of the graph, has the same stages or new ones. */
  pipeline(pipeline: string, signal: Signal, stages: readonly PipelineStage[]): PipelineAccount {
    const former = this.#pipelines.get(pipeline);
    if (former !== undefined && isSame(former.stages, stages)) return former;
    const maker = this.#maker({ kind: "pipeline", identity: [pipeline], labels: { pipeline } });
    const account = new PipelineAccount({ pipeline, signal, stages }, maker);
    this.#pipelines.set(pipeline, account);
    return account;
  }

  /** undefined where no sender's items are to be counted: a component's own admission. */
  receiver({ opener, client, received }: AdmissionSettings): ReceiverAccount | undefined {
    if (received === undefined) return undefined;
    return this.#receiver(opener.replace(/^receiver /, ""), client.transport, received.signal);
  }

  #receiver(receiver: string, transport: string, signal: Signal): ReceiverAccount {
    return getOrMake(this.#receivers, `${receiver} ${transport} ${signal}`, () => {
      const metrics = this.#receiverMetrics(receiver, transport, signal);
      const labels = { receiver, transport, data_type: signal };
      const maker = this.#maker({ kind: "receiver", identity: [receiver, transport, signal], labels, metrics });
      const account = new ReceiverAccount({ receiver, transport, signal }, maker);
      this.#metrics.watch("receiver", labels, "pending", () => account.pendingItems);
      return account;
    });
  }

  /** Few: receivers, doors and reasons are known before the first request. */
  unread(identity: UnreadIdentity): UnreadAccount {
    const { receiver, transport, reason } = identity;
    return getOrMake(this.#unread, `${receiver} ${transport} ${reason}`, () => {
      const metrics = this.#unreadMetrics({ receiver, transport, reason });
      return new UnreadAccount(identity, (name) => {
        const id = [UNREAD, receiver, transport, reason, name].join(SEPARATOR);
        return getOrMake(this.#counters, id, () => new LedgerCounter(id, metrics[name]));
      });
    });
  }

  /** Its metrics are the box's own (dead-letter-box.ts). */
  letters(destination: string, signal: Signal): LettersAccount {
    return getOrMake(this.#letters, `${destination} ${signal}`, () => {
      return new LettersAccount(destination, signal, (name) => {
        const id = [LETTERS, destination, signal, name].join(SEPARATOR);
        return getOrMake(this.#counters, id, () => new LedgerCounter(id));
      });
    });
  }

  /** Metric of what did not even get into a queue; the sender was refused, or a best-effort queue was full. */
  enqueueFailed(exporter: string, signal: Signal): Counter {
    const name = `otelcol_exporter_enqueue_failed_${ITEM_NAMES[signal]}`;
    const description = `Number of ${ITEM_WORDS[signal]} failed to be added to the sending queue.`;
    return this.#meter.counter(name, { exporter }, { description, unit: ITEM_UNITS[signal] });
  }

  /** Metric of what was not sent. A destination without a queue counts here what it refused, which was never admitted. */
  sendFailed(exporter: string, signal: Signal): LedgerMetric {
    return this.#exporterMetrics(exporter, signal).failed;
  }

  /** Where the exporter sends to from now on, as labels of its metrics. */
  address(exporter: string, signal: Signal, labels: Labels): void {
    this.#exporterMetrics(exporter, signal).address(labels);
  }

  apply(deltas: readonly LedgerDelta[]): void {
    for (const { counter, items, error } of deltas) if (counter instanceof LedgerCounter) counter.add(items, error);
  }

  /**
   * A total that earlier processes left in the storage. Its account is opened, so that the ledger shows all of them at
   * once, also those of what is configured no more. A kind of account that a later version has is passed over.
   */
  restore(counterId: string, items: number): void {
    const parts = counterId.split(SEPARATOR);
    if (!this.#open(parts)) return;
    const label = parts.at(-1)!;
    const labelled = this.#labelled.get(parts.slice(0, -1).join(SEPARATOR));
    const counter = labelled?.for(label) ?? this.#counters.get(counterId);
    if (counter !== undefined) counter.before = items;
  }

  /** The storage has been read. Returns what damage took, as deltas that the storage must keep, and in words. */
  bookDamage(): { readonly delta: LedgerDelta; readonly sentence: string }[] {
    return [...this.#destinations.values()].flatMap((account) => account.bookDamage() ?? []);
  }

  snapshot(scope: LedgerScope = "run"): LedgerSnapshot {
    return {
      destinations: [...this.#destinations.values()].map((account) => account.snapshot(scope)),
      pipelines: [...this.#pipelines.values()].map((account) => account.snapshot(scope)),
      receivers: [...this.#receivers.values()].map((account) => account.snapshot(scope)),
      unread: [...this.#unread.values()].map((account) => account.snapshot(scope)),
      dead_letters: [...this.#letters.values()].map((account) => account.snapshot(scope)),
    };
  }

  /** One sentence for each equation that does not hold. */
  imbalances(): string[] {
    const accounts = [...this.#destinations.values(), ...this.#pipelines.values(), ...this.#receivers.values()];
    return accounts.map((account) => account.imbalance()).filter((sentence) => sentence !== undefined);
  }

  /** An equation that does not hold is our bug. */
  balance(): void {
    const sentences = this.imbalances();
    if (sentences.length > 0) throw new Error(`the ledger does not balance: ${sentences.join("; ")}`);
  }

  /** False where the id is not of an account that this version knows. */
  #open([kind, ...rest]: readonly string[]): boolean {
    const [name = "", second = "", third = ""] = rest;
    if (kind === "destination" && isSignal(second)) this.destination(name, second);
    else if (kind === "receiver" && isSignal(third)) this.#receiver(name, second, third);
    else if (kind === "pipeline") this.#openPipeline(name);
    else if (kind === LETTERS && isSignal(second)) this.letters(name, second);
    else if (kind === UNREAD) this.unread({ receiver: name, transport: second, reason: third });
    else return false;
    return true;
  }

  /** One that is configured has its account already; of another only the totals are known. */
  #openPipeline(pipeline: string): void {
    const signal = pipeline.split("/")[0]!;
    if (!this.#pipelines.has(pipeline) && isSignal(signal)) this.pipeline(pipeline, signal, []);
  }

  #maker({ kind, identity, labels, metrics = {} }: AccountIdentity): CounterMaker {
    const idOf = (name: string): string => [kind, ...identity, name].join(SEPARATOR);
    const counter = (id: string, name: string, rule?: string): LedgerCounter =>
      getOrMake(this.#counters, id, () => {
        const made = new LedgerCounter(id, metrics[name]);
        this.#metrics.watch(kind, rule === undefined ? labels : { ...labels, rule }, name, () => made.of("ever"));
        return made;
      });
    return {
      one: (name) => counter(idOf(name), name),
      labelled: (name) =>
        getOrMake(this.#labelled, idOf(name), () => {
          return new LabelledCounters((rule) => counter(`${idOf(name)}${SEPARATOR}${rule}`, name, rule));
        }),
    };
  }

  #unreadMetrics(labels: Labels): Record<"requests" | "bytes", Counter> {
    const counter = (what: string, described: { readonly description: string; readonly unit: string }): Counter =>
      this.#meter.counter(`signalbox_receiver_refused_unread_${what}`, labels, described);
    return {
      requests: counter("requests", {
        description: "Requests that were refused before their items could be counted.",
        unit: "{requests}",
      }),
      bytes: counter("bytes", {
        description: "What requests that were refused unread declared as their size.",
        unit: "By",
      }),
    };
  }

  #exporterMetrics(exporter: string, signal: Signal): ExporterMetrics {
    const key = `${exporter} ${signal}`;
    return getOrMake(this.#exporters, key, () => new ExporterMetrics(this.#meter, exporter, signal));
  }

  #receiverMetrics(receiver: string, transport: string, signal: Signal): Record<string, Counter> {
    const items = ITEM_NAMES[signal];
    const words = ITEM_WORDS[signal];
    const unit = ITEM_UNITS[signal];
    const counter = (outcome: string, description: string): Counter =>
      this.#meter.counter(`otelcol_receiver_${outcome}_${items}`, { receiver, transport }, { description, unit });
    return {
      accepted: counter("accepted", `Number of ${words} successfully pushed into the pipeline.`),
      refused: counter("refused", `Number of ${words} that could not be pushed into the pipeline.`),
      failed: counter("failed", `Number of ${words} that failed because of an error inside the gateway.`),
    };
  }
}

function getOrMake<V>(map: Map<string, V>, key: string, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}

function isSame(left: readonly PipelineStage[], right: readonly PipelineStage[]): boolean {
  return (
    left.length === right.length &&
    left.every(({ processor, shortfall }, index) => {
      const other = right[index]!;
      return other.processor === processor && other.shortfall === shortfall;
    })
  );
}
