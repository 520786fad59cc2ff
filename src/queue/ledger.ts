import type { AdmissionSettings } from "../core/admission.ts";
import type { Counter, Meter } from "../core/meter.ts";
import { ITEM_NAMES, ITEM_WORDS } from "../core/signal.ts";
import type { Signal } from "../core/signal.ts";
import { DestinationAccount, LabelledCounters, LedgerCounter, ReceiverAccount } from "./ledger-accounts.ts";
import type { CounterMaker, DestinationLine, ReceiverLine } from "./ledger-accounts.ts";
import { PipelineAccount } from "./pipeline-account.ts";
import type { PipelineLine, PipelineStage } from "./pipeline-account.ts";
import type { LedgerDelta } from "./storage.ts";

export interface LedgerSnapshot {
  readonly destinations: readonly DestinationLine[];
  readonly pipelines: readonly PipelineLine[];
  readonly receivers: readonly ReceiverLine[];
}

/** Between the parts of a counter's id. No id of a component holds this character. */
const SEPARATOR = "\u001f";

/**
 * Where every item went. Each account has an equation (see its class); balance() checks all of them.
 * The counters that the Collector also has are its metrics at the same time, so the two cannot disagree.
 */
export class Ledger {
  readonly #meter: Meter;
  readonly #counters = new Map<string, LedgerCounter>();
  readonly #labelled = new Map<string, LabelledCounters>();
  /** Totals from the storage for counters that this process has not asked for yet. */
  readonly #restored = new Map<string, number>();
  readonly #destinations = new Map<string, DestinationAccount>();
  readonly #pipelines = new Map<string, PipelineAccount>();
  readonly #receivers = new Map<string, ReceiverAccount>();

  constructor(meter: Meter) {
    this.#meter = meter;
  }

  destination(destination: string, signal: Signal): DestinationAccount {
    return getOrMake(this.#destinations, `${destination} ${signal}`, () => {
      const metrics = this.#exporterMetrics(destination, signal);
      return new DestinationAccount(destination, signal, this.#maker(["destination", destination, signal], metrics));
    });
  }

  /** `pipeline` is the pipeline's id as in the YAML. A second call, by a new generation of the graph, has the same stages or new ones. */
  pipeline(pipeline: string, signal: Signal, stages: readonly PipelineStage[]): PipelineAccount {
    const former = this.#pipelines.get(pipeline);
    if (former !== undefined && isSame(former.stages, stages)) return former;
    const account = new PipelineAccount({ pipeline, signal, stages }, this.#maker(["pipeline", pipeline]));
    this.#pipelines.set(pipeline, account);
    return account;
  }

  /** undefined where no sender's items are to be counted: a component's own admission. */
  receiver({ opener, client, received }: AdmissionSettings): ReceiverAccount | undefined {
    if (received === undefined) return undefined;
    const { signal } = received;
    const { transport } = client;
    const receiver = opener.replace(/^receiver /, "");
    const key = `${receiver} ${transport} ${signal}`;
    return getOrMake(this.#receivers, key, () => {
      const metrics = this.#receiverMetrics(receiver, transport, signal);
      return new ReceiverAccount(
        { receiver, transport, signal },
        this.#maker(["receiver", receiver, transport, signal], metrics),
      );
    });
  }

  /** Metric of what did not even get into a queue; the sender was refused, or a best-effort queue was full. */
  enqueueFailed(exporter: string, signal: Signal): Counter {
    const name = `otelcol_exporter_enqueue_failed_${ITEM_NAMES[signal]}`;
    const description = `Number of ${ITEM_WORDS[signal]} failed to be added to the sending queue.`;
    return this.#meter.counter(name, { exporter }, { description });
  }

  /** Metric of what was not sent. A destination without a queue counts here what it refused, which was never admitted. */
  sendFailed(exporter: string, signal: Signal): Counter {
    const name = `otelcol_exporter_send_failed_${ITEM_NAMES[signal]}`;
    const description = `Number of ${ITEM_WORDS[signal]} in failed attempts to send to destination.`;
    return this.#meter.counter(name, { exporter }, { description });
  }

  apply(deltas: readonly LedgerDelta[]): void {
    for (const { counter, items } of deltas) if (counter instanceof LedgerCounter) counter.add(items);
  }

  /** A total that earlier processes left in the storage. Asked for before, later, or never in this process. */
  restore(counterId: string, items: number): void {
    const end = counterId.lastIndexOf(SEPARATOR);
    const labelled = this.#labelled.get(counterId.slice(0, end));
    const counter = labelled?.for(counterId.slice(end + 1)) ?? this.#counters.get(counterId);
    if (counter === undefined) this.#restored.set(counterId, items);
    else counter.before = items;
  }

  snapshot(): LedgerSnapshot {
    return {
      destinations: [...this.#destinations.values()].map((account) => account.snapshot()),
      pipelines: [...this.#pipelines.values()].map((account) => account.snapshot()),
      receivers: [...this.#receivers.values()].map((account) => account.snapshot()),
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

  #maker(account: readonly string[], metrics: Readonly<Record<string, Counter>> = {}): CounterMaker {
    const idOf = (name: string): string => [...account, name].join(SEPARATOR);
    return {
      one: (name) => this.#counter(idOf(name), metrics[name]),
      labelled: (name) =>
        getOrMake(this.#labelled, idOf(name), () => {
          return new LabelledCounters((label) => this.#counter(`${idOf(name)}${SEPARATOR}${label}`, metrics[name]));
        }),
    };
  }

  #counter(id: string, metric: Counter | undefined): LedgerCounter {
    return getOrMake(this.#counters, id, () => {
      const counter = new LedgerCounter(id, metric);
      counter.before = this.#restored.get(id) ?? 0;
      this.#restored.delete(id);
      return counter;
    });
  }

  #exporterMetrics(exporter: string, signal: Signal): Record<string, Counter> {
    const description = `Number of ${ITEM_WORDS[signal]} successfully sent to destination.`;
    const sent = this.#meter.counter(`otelcol_exporter_sent_${ITEM_NAMES[signal]}`, { exporter }, { description });
    const failed = this.sendFailed(exporter, signal);
    return { sent, rejected: failed, expired: failed, dropped: failed };
  }

  #receiverMetrics(receiver: string, transport: string, signal: Signal): Record<string, Counter> {
    const items = ITEM_NAMES[signal];
    const words = ITEM_WORDS[signal];
    const counter = (outcome: string, description: string): Counter =>
      this.#meter.counter(`otelcol_receiver_${outcome}_${items}`, { receiver, transport }, { description });
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
