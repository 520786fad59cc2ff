import { isDeepStrictEqual } from "node:util";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import type { Labels, Meter } from "../core/meter.ts";
import type { Sender } from "../core/sender.ts";
import { ITEM_WORDS, SIGNALS } from "../core/signal.ts";
import type { Signal } from "../core/signal.ts";
import type { Target } from "./admission.ts";
import type { RetryConfig, SendingQueueConfig } from "./config.ts";
import type { DeadLetterBox } from "./dead-letter-box.ts";
import type { DeadLetters } from "./dead-letters.ts";
import { Delivery, TOO_OLD } from "./delivery.ts";
import { DestinationHealth } from "./destination-health.ts";
import type { LossKind } from "./destination-health.ts";
import { DirectDestination } from "./direct-destination.ts";
import type { Journal } from "./journal.ts";
import type { Ledger } from "./ledger.ts";
import type { QueuePlace } from "./queue-desk.ts";
import { QueueSizes } from "./queue-sizes.ts";
import { RoomQueue } from "./room.ts";
import type { RoomList } from "./room.ts";
import { SendingQueue } from "./sending-queue.ts";

export interface DestinationSettings {
  /** The exporter's id as in the YAML; what `Enlisted.destination` names. */
  readonly id: string;
  readonly sender: Sender;
  readonly queue: SendingQueueConfig;
  readonly retry: RetryConfig;
  /** For one attempt, in milliseconds; 0 for none. */
  readonly timeoutMs: number;
  readonly delivery: "required" | "best_effort";
  /** A larger request is split before its first attempt. Default: no bound. */
  readonly requestBytesMax?: number;
  /** Of the pipelines that use it. Default: all three. */
  readonly signals?: readonly Signal[];
}

/** What all destinations share. */
export interface DestinationOffice {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly rooms: RoomList;
  readonly journal: Journal;
  readonly ledger: Ledger;
  readonly random: () => number;
  readonly deadLetters: DeadLetters;
  /** Whether what is queued outlives the process: then dead letters are kept by default. */
  readonly isDurable: boolean;
}

const KEPT_REASONS = { rejected: "rejected", expired: "too_old", overflowed: "overflow" } as const;

const UNBOUNDED = Number.POSITIVE_INFINITY;

/**
 * One destination as one configuration has it: its exporter and the queue, or the direct sends, of each signal. A reload
 * that changes anything of it makes another one, which inherits what is queued.
 */
export class Destination {
  readonly settings: DestinationSettings;
  readonly health: DestinationHealth;
  readonly targets = new Map<Signal, Target>();
  readonly queues: SendingQueue[] = [];
  readonly rooms: RoomQueue[] = [];
  readonly #office: DestinationOffice;
  readonly #box: DeadLetterBox;
  readonly #deliveries = new Map<Signal, Delivery>();
  readonly #directs: DirectDestination[] = [];

  constructor(settings: DestinationSettings, office: DestinationOffice) {
    this.settings = settings;
    this.#office = office;
    const { sender, retry, timeoutMs, requestBytesMax = Infinity } = settings;
    const { clock, logger, random } = office;
    const meanwhile = (): string => this.#meanwhile();
    this.#box = this.#configureDeadLetters();
    // A partial success is rejected too, and mostly not kept.
    const isKept = (kind: LossKind): boolean => kind === "overflowed" || this.#box.keeps(KEPT_REASONS[kind]);
    this.health = new DestinationHealth({ destination: settings.id, clock, logger, meanwhile, isKept });
    const of = { sender, retry, timeoutMs, requestBytesMax, clock, random, health: this.health };
    for (const signal of settings.signals ?? SIGNALS) {
      this.#deliveries.set(signal, new Delivery(of));
      this.targets.set(signal, this.#createTarget(signal));
    }
  }

  /** The same exporter, and every setting as it is here: it can stay as it is. */
  isLike(settings: DestinationSettings): boolean {
    const { sender, ...own } = this.settings;
    const { sender: otherSender, ...others } = settings;
    return sender === otherSender && isDeepStrictEqual(own, others);
  }

  start(): void {
    for (const queue of this.queues) queue.start();
  }

  /** The queue that goes on with entries of this signal which are there already; undefined where no pipeline has it. */
  heirOf(signal: Signal): SendingQueue | undefined {
    const target = this.targets.get(signal);
    if (target?.kind !== "direct") return target?.queue;
    return this.queues.find((queue) => queue.signal === signal) ?? this.#createRemainder(signal);
  }

  /** Each signal with its queue, or with what is left of the one it had. */
  places(): QueuePlace[] {
    return [...this.targets].map(([signal, target]) => {
      const queue = target.kind === "queue" ? target.queue : this.queues.find((one) => one.signal === signal);
      return { destination: this.settings.id, signal, queue, state: "in_use" };
    });
  }

  /** Sends what there is until nothing is left or `end` aborts. What is safe on disk does not wait for a backend that is away. */
  async drain(end: AbortSignal, isDurable: boolean): Promise<void> {
    const drains = this.queues.map((queue) => queue.drain(end, isDurable ? this.#trouble() : end));
    await Promise.all([...drains, ...this.#directs.map((direct) => direct.drain(end))]);
  }

  /** Begins no more attempts; resolves when the exporter is not used any more. Direct sends end by themselves, or at `end`. */
  async retire(end: AbortSignal): Promise<void> {
    const parks = this.queues.map((queue) => queue.park(end));
    await Promise.all([...parks, ...this.#directs.map((direct) => direct.drain(end))]);
  }

  #trouble(): AbortSignal {
    const trouble = new AbortController();
    this.health.whenInTrouble(() => trouble.abort());
    return trouble.signal;
  }

  #createTarget(signal: Signal): Target {
    const { id, queue: config, delivery } = this.settings;
    const isRequired = delivery === "required";
    const enqueueFailed = this.#office.ledger.enqueueFailed(id, signal);
    this.#office.ledger.address(id, signal, this.#addressLabels(signal));
    if (isRequired && (!config.enabled || config.wait_for_result)) {
      return { kind: "direct", direct: this.#createDirect(signal), enqueueFailed };
    }
    // Nobody may wait for a best-effort destination, so one without a queue gets a plain one. One consumer keeps its order.
    const queue = this.#createQueue(signal, config.enabled ? config : { ...config, num_consumers: 1 });
    this.#measure(signal, queue.room, () => queue.inFlightRequests);
    return { kind: "queue", queue, isRequired, enqueueFailed };
  }

  #createDirect(signal: Signal): DirectDestination {
    const { id, queue: config } = this.settings;
    const { clock, ledger, journal } = this.#office;
    const delivery = this.#deliveries.get(signal)!;
    const room = config.enabled ? this.#createRoom(signal, config) : undefined;
    const requestsMax = config.enabled ? config.num_consumers : UNBOUNDED;
    const of = { destination: id, signal, delivery, room, requestsMax };
    const direct = new DirectDestination({ ...of, clock, ledger, journal });
    this.#directs.push(direct);
    this.#measure(signal, room, () => direct.inFlightRequests);
    return direct;
  }

  /** What was queued before the destination lost its queue is sent all the same, by one consumer. */
  #createRemainder(signal: Signal): SendingQueue {
    return this.#createQueue(signal, { ...this.settings.queue, num_consumers: 1 });
  }

  #createQueue(signal: Signal, config: SendingQueueConfig): SendingQueue {
    const delivery = this.#deliveries.get(signal)!;
    const room = this.#createRoom(signal, config);
    const queue = new SendingQueue({
      ...this.#office,
      destination: this.settings.id,
      signal,
      config,
      delivery,
      room,
      deadLetters: this.#box,
      onLost: (kind, items) => this.health.lost(kind, items, kind === "expired" ? TOO_OLD.message : "no room"),
      sizes: QueueSizes.of(this.#office.meter, this.settings.id, this.#addressLabels(signal)),
    });
    this.queues.push(queue);
    this.#measurePartitions(queue);
    return queue;
  }

  #configureDeadLetters(): DeadLetterBox {
    const { id, queue } = this.settings;
    const { enabled = this.#office.isDurable || queue.overflow === "dead_letter" } = queue.dead_letters;
    const box = this.#office.deadLetters.box(id);
    box.configure(enabled ? queue.dead_letters : undefined);
    return box;
  }

  #createRoom(signal: Signal, config: SendingQueueConfig): RoomQueue {
    const { queue_size: limit, sizer: unit, overflow } = config;
    const name = `${this.settings.id} (${signal})`;
    const hint = (): string => troubleOf(this.health);
    const room = new RoomQueue({ name, limit, unit, waitsForever: overflow === "block", hint });
    this.#office.rooms.addQueue(room);
    this.rooms.push(room);
    return room;
  }

  #measure(signal: Signal, room: RoomQueue | undefined, inFlightRequests: () => number): void {
    const { meter } = this.#office;
    const labels = { exporter: this.settings.id, data_type: signal };
    const inFlight = { description: "Number of requests to the destination right now.", unit: "{request}" };
    meter.observableUpDownCounter("otelcol_exporter_in_flight_requests", labels, inFlight, inFlightRequests);
    if (room === undefined) return;
    const gauge = (name: string, description: string, read: () => number): void =>
      meter.observableGauge(`otelcol_exporter_${name}`, labels, { description, unit: "{batch}" }, read);
    gauge("queue_size", "What the sending queue holds, in its sizer's unit.", () => room.used);
    gauge("queue_capacity", "What the sending queue can hold, in its sizer's unit.", () => room.limit);
  }

  /** Only where senders are batched apart, as in the Collector; a partition that stands empty is gone, so it has no capacity. */
  #measurePartitions({ signal, config }: SendingQueue): void {
    if ((config.batch?.metadata_keys ?? []).length === 0) return;
    const labels = { exporter: this.settings.id, data_type: signal };
    const description = "Senders that are batched apart right now.";
    const read = (): number => this.queues.findLast((queue) => queue.signal === signal)?.partitionCount ?? 0;
    this.#office.meter.observableGauge(
      "otelcol_exporter_queue_batch_partition_cache_size",
      labels,
      { description, unit: "{partition}" },
      read,
    );
  }

  #addressLabels(signal: Signal): Labels {
    return this.settings.sender.addressLabels?.(signal) ?? {};
  }

  /** For the log line of a destination that went away. */
  #meanwhile(): string {
    if (this.queues.length === 0) return "its senders are refused until it is back";
    const counts = this.queues
      .map(({ signal, queuedItems, inFlightItems }) => ({
        items: queuedItems + inFlightItems,
        words: ITEM_WORDS[signal],
      }))
      .filter(({ items }) => items > 0)
      .map(({ items, words }) => `${items} ${words}`);
    return `${counts.join(", ")} kept in the queue`;
  }
}

function troubleOf(health: DestinationHealth): string {
  return health.trouble === undefined ? "" : `; the destination is unreachable: ${health.trouble}`;
}
