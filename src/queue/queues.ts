import type { Admission, AdmissionSettings } from "../core/admission.ts";
import type { Clock } from "../core/clock.ts";
import type { DoorBudget, Pressure } from "../core/component.ts";
import type { Consumer } from "../core/consumer.ts";
import { DOOR_BYTES_MAX } from "../core/limits.ts";
import type { Logger } from "../core/logger.ts";
import type { Meter } from "../core/meter.ts";
import type { Sender } from "../core/sender.ts";
import { ITEM_WORDS, SIGNALS } from "../core/signal.ts";
import type { Signal } from "../core/signal.ts";
import { QueueAdmission } from "./admission.ts";
import type { AdmissionOffice, Target } from "./admission.ts";
import type { RetryConfig, SendingQueueConfig } from "./config.ts";
import { Delivery } from "./delivery.ts";
import { DestinationHealth } from "./destination-health.ts";
import { DirectDestination } from "./direct-destination.ts";
import { SharedDoorBudget } from "./door-budget.ts";
import { Journal } from "./journal.ts";
import { Ledger } from "./ledger.ts";
import { MemoryStorage } from "./memory-storage.ts";
import { PressureBoard } from "./pressure.ts";
import { RoomList, RoomQueue } from "./room.ts";
import { SeenKeys } from "./seen-keys.ts";
import { SendingQueue } from "./sending-queue.ts";
import type { QueueStorage, ReplayedEntry } from "./storage.ts";

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

export interface QueuesSettings {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly destinations: readonly DestinationSettings[];
  /** Default: in memory. */
  readonly storage?: QueueStorage;
  readonly doorBytesMax?: number;
  /** Numbers in [0, 1), for the jitter of retries. */
  readonly random?: () => number;
}

/** What shutdown could not deliver. */
export interface LeftOver {
  readonly destination: string;
  readonly signal: Signal;
  readonly items: number;
}

/** What the storage holds for a destination that has no queue. */
type ParkedItems = LeftOver;

/** Admission, the queues of all destinations, the ledger and the doors' budget: what the service's Host is made of. */
export interface Queues {
  admit(settings: AdmissionSettings): Admission;
  has(destination: string): boolean;
  /** After the exporters have started: takes over what the storage holds, and begins to send. */
  start(): Promise<void>;
  /**
   * The first step of a shutdown: from now on nobody waits for room or at a door, so that the receivers' own shutdown
   * ends soon. What fits is still admitted: processors flush.
   */
  refuseWaiting(): void;
  /** The last step but the exporters': sends what is queued until it is empty or `signal` aborts; says what is left. */
  shutdown(signal: AbortSignal): Promise<readonly LeftOver[]>;
  reportPressure(reporter: string, pressure: Pressure): void;
  readonly doors: DoorBudget;
  readonly ledger: Ledger;
}

export function createQueues(settings: QueuesSettings): Queues {
  return new GatewayQueues(settings);
}

/** The end of a pipeline: enlists the batch as it stands. An empty one is nothing to send. */
export function exporterEntry<S extends Signal>(queues: Pick<Queues, "has">, destination: string): Consumer<S> {
  if (!queues.has(destination)) throw new Error(`no queue was made for the destination ${destination}`);
  return {
    mutatesData: false,
    // Async, so that what enlist() throws is a rejection like any other.
    consume: async (batch, admission): Promise<void> => {
      const payload = batch.encode();
      if (payload.itemCount > 0) admission.enlist({ destination, signal: batch.signal, payload });
    },
  };
}

const UNBOUNDED = Number.POSITIVE_INFINITY;

class GatewayQueues implements Queues, AdmissionOffice {
  readonly clock: Clock;
  readonly rooms: RoomList;
  readonly journal: Journal;
  readonly seenKeys: SeenKeys;
  readonly ledger: Ledger;
  readonly doors: SharedDoorBudget;
  readonly #settings: QueuesSettings;
  readonly #storage: QueueStorage;
  readonly #pressure = new PressureBoard();
  readonly #targets = new Map<string, Target>();
  readonly #queues: SendingQueue[] = [];
  readonly #health = new Map<string, DestinationHealth>();
  readonly #directs: DirectDestination[] = [];
  #shutdown: Promise<readonly LeftOver[]> | undefined;

  constructor(settings: QueuesSettings) {
    const { clock, logger, meter, storage = new MemoryStorage(), doorBytesMax = DOOR_BYTES_MAX } = settings;
    this.#settings = settings;
    this.#storage = storage;
    this.clock = clock;
    this.journal = new Journal({ storage, clock, logger });
    this.seenKeys = new SeenKeys(clock);
    this.ledger = new Ledger(meter);
    const pressure = this.#pressure;
    this.rooms = new RoomList({ clock, pressure, syncP99Ms: () => this.journal.syncP99Ms() });
    this.doors = new SharedDoorBudget({ clock, pressure, bytesMax: doorBytesMax });
    for (const destination of settings.destinations) this.#addDestination(destination);
  }

  admit(settings: AdmissionSettings): Admission {
    return new QueueAdmission(this, settings);
  }

  has(destination: string): boolean {
    return this.#settings.destinations.some(({ id }) => id === destination);
  }

  target(destination: string, signal: Signal): Target | undefined {
    return this.#targets.get(targetKey(destination, signal));
  }

  async start(): Promise<void> {
    const parked = new Map<string, ParkedItems>();
    await this.#storage.replay({
      entry: (entry) => this.#takeOver(entry, parked),
      seen: (key) => this.seenKeys.add(key),
      state: () => undefined,
      total: (counterId, items) => this.ledger.restore(counterId, items),
    });
    this.#settleLedger(parked);
    for (const queue of this.#queues) queue.start();
  }

  refuseWaiting(): void {
    this.rooms.refuseWaiting();
    this.doors.refuseWaiting();
  }

  shutdown(signal: AbortSignal): Promise<readonly LeftOver[]> {
    this.#shutdown ??= this.#drain(signal);
    return this.#shutdown;
  }

  reportPressure(reporter: string, pressure: Pressure): void {
    this.#pressure.report(reporter, pressure);
  }

  async #drain(signal: AbortSignal): Promise<readonly LeftOver[]> {
    this.refuseWaiting();
    const drains = this.#queues.map((queue) => queue.drain(this.#patienceWith(queue, signal)));
    await Promise.all([...drains, ...this.#directs.map((direct) => direct.drain(signal))]);
    await this.journal.close();
    const left = this.#queues.map(({ destination, signal: of, queuedItems, inFlightItems }) => {
      return { destination, signal: of, items: queuedItems + inFlightItems };
    });
    const leftOvers = left.filter(({ items }) => items > 0);
    for (const leftOver of leftOvers) this.#reportLeft(leftOver);
    return leftOvers;
  }

  /** What is safe on disk does not wait for a backend that is away: the next process is up sooner, and sends it. */
  #patienceWith({ destination }: SendingQueue, signal: AbortSignal): AbortSignal {
    if (!this.#storage.isDurable) return signal;
    const trouble = new AbortController();
    this.#health.get(destination)?.whenInTrouble(() => trouble.abort());
    return AbortSignal.any([signal, trouble.signal]);
  }

  #reportLeft({ destination, signal, items }: LeftOver): void {
    const what = `destination ${destination}: ${items} ${ITEM_WORDS[signal]} not sent before the end of shutdown`;
    if (this.#storage.isDurable) this.#settings.logger.info(`${what}; kept in the queue's storage`);
    else this.#settings.logger.error(`${what}; lost, as the queue is in memory (sending_queue.storage keeps it)`);
  }

  #addDestination(settings: DestinationSettings): void {
    const { clock, logger, random = Math.random } = this.#settings;
    const { sender, retry, timeoutMs, requestBytesMax = Infinity } = settings;
    const meanwhile = (): string => this.#meanwhile(settings.id);
    const health = new DestinationHealth({ destination: settings.id, clock, logger, meanwhile });
    this.#health.set(settings.id, health);
    for (const signal of settings.signals ?? SIGNALS) {
      const delivery = new Delivery({ sender, retry, timeoutMs, requestBytesMax, clock, random, health });
      this.#addTarget(settings, signal, delivery, () => troubleOf(health));
    }
  }

  #addTarget(settings: DestinationSettings, signal: Signal, delivery: Delivery, hint: () => string): void {
    const { id, queue: config } = settings;
    const isRequired = settings.delivery === "required";
    const enqueueFailed = this.ledger.enqueueFailed(id, signal);
    if (isRequired && (!config.enabled || config.wait_for_result)) {
      const room = config.enabled ? this.#addRoom(id, signal, config, hint) : undefined;
      const requestsMax = config.enabled ? config.num_consumers : UNBOUNDED;
      const { clock, ledger, journal } = this;
      const of = { destination: id, signal, delivery, room, requestsMax };
      const direct = new DirectDestination({ ...of, clock, ledger, journal });
      this.#directs.push(direct);
      this.#targets.set(targetKey(id, signal), { kind: "direct", direct, enqueueFailed });
      this.#measure(id, signal, { room, inFlightRequests: () => direct.inFlightRequests });
      return;
    }
    // Nobody may wait for a best-effort destination, so one without a queue gets a plain one. One consumer keeps its order.
    const queueConfig = config.enabled ? config : { ...config, num_consumers: 1 };
    const queue = this.#addQueue(id, signal, queueConfig, delivery, hint);
    this.#targets.set(targetKey(id, signal), { kind: "queue", queue, isRequired, enqueueFailed });
  }

  #addQueue(
    id: string,
    signal: Signal,
    config: SendingQueueConfig,
    delivery: Delivery,
    hint: () => string,
  ): SendingQueue {
    const { clock, journal, ledger, rooms } = this;
    const { logger } = this.#settings;
    const room = this.#addRoom(id, signal, config, hint);
    const settings = { destination: id, signal, config, delivery, room, rooms, journal, ledger, clock, logger };
    const queue = new SendingQueue(settings);
    this.#queues.push(queue);
    this.#measure(id, signal, { room, inFlightRequests: () => queue.inFlightRequests });
    return queue;
  }

  #addRoom(id: string, signal: Signal, config: SendingQueueConfig, hint: () => string): RoomQueue {
    const { queue_size: limit, sizer: unit, overflow } = config;
    const room = new RoomQueue({ name: `${id} (${signal})`, limit, unit, waitsForever: overflow === "block", hint });
    this.rooms.addQueue(room);
    return room;
  }

  #measure(
    exporter: string,
    signal: Signal,
    of: { room: RoomQueue | undefined; inFlightRequests: () => number },
  ): void {
    const { meter } = this.#settings;
    const labels = { exporter, data_type: signal };
    const { room, inFlightRequests } = of;
    const gauge = (name: string, description: string, read: () => number): void =>
      meter.observableGauge(`otelcol_exporter_${name}`, labels, { description }, read);
    gauge("in_flight_requests", "Number of requests to the destination right now.", inFlightRequests);
    if (room === undefined) return;
    gauge("queue_size", "What the sending queue holds, in its sizer's unit.", () => room.used);
    gauge("queue_capacity", "What the sending queue can hold, in its sizer's unit.", () => room.limit);
  }

  /** For the log line of a destination that went away. */
  #meanwhile(destination: string): string {
    const queues = this.#queues.filter((queue) => queue.destination === destination);
    if (queues.length === 0) return "its senders are refused until it is back";
    const counts = queues
      .map(({ signal, queuedItems, inFlightItems }) => ({
        items: queuedItems + inFlightItems,
        words: ITEM_WORDS[signal],
      }))
      .filter(({ items }) => items > 0)
      .map(({ items, words }) => `${items} ${words}`);
    return `${counts.join(", ")} kept in the queue`;
  }

  /** Everything that the storage holds is in its place: what is in none is said, and what damage took is booked. */
  #settleLedger(parked: ReadonlyMap<string, ParkedItems>): void {
    const { logger } = this.#settings;
    for (const { destination, signal, items } of parked.values()) {
      this.ledger.park(destination, signal, items);
      const message = `the storage holds ${items} ${ITEM_WORDS[signal]} for ${destination}, which is not configured`;
      logger.warn(`${message}; they stay there until it is configured again`);
    }
    for (const { delta, sentence } of this.ledger.bookDamage()) {
      this.journal.note([delta]);
      logger.error(`the ledger and the queue's storage differ, as damage leaves them: ${sentence}`);
    }
  }

  #takeOver(entry: ReplayedEntry, parked: Map<string, ParkedItems>): void {
    const { destination, signal, itemCount, size: bytes, client, ref } = entry;
    const target = this.target(destination, signal);
    if (target?.kind !== "queue") {
      const key = targetKey(destination, signal);
      parked.set(key, { destination, signal, items: (parked.get(key)?.items ?? 0) + itemCount });
      return;
    }
    const { queue } = target;
    const { unit } = queue.room;
    const room = unit === "requests" ? 1 : unit === "items" ? itemCount : bytes;
    // The queue may have been made smaller since: what was accepted is kept, and new room waits until it has drained.
    queue.room.used += room;
    queue.account.carriedOver.add(itemCount);
    queue.accept({ ref, itemCount, bytes, room, client });
  }
}

function targetKey(destination: string, signal: Signal): string {
  return `${destination} ${signal}`;
}

function troubleOf(health: DestinationHealth): string {
  return health.trouble === undefined ? "" : `; the destination is unreachable: ${health.trouble}`;
}
