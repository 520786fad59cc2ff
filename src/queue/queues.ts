import type { Admission, AdmissionSettings } from "../core/admission.ts";
import type { Clock } from "../core/clock.ts";
import type { DoorBudget, Pressure } from "../core/component.ts";
import type { Consumer } from "../core/consumer.ts";
import { ConsumeError } from "../core/errors.ts";
import { DOOR_BYTES_MAX } from "../core/limits.ts";
import type { Logger } from "../core/logger.ts";
import type { Meter } from "../core/meter.ts";
import type { Sender } from "../core/sender.ts";
import { ITEM_WORDS } from "../core/signal.ts";
import type { Signal } from "../core/signal.ts";
import type { UnreadRefusal } from "../core/unread-request.ts";
import { ComponentStates } from "./component-states.ts";
import { retrySchema, sendingQueueSchema } from "./config.ts";
import { DeadLetters } from "./dead-letters.ts";
import type { ReplayTarget, ReplayTargets } from "./dead-letters.ts";
import { Destination } from "./destination.ts";
import type { DestinationOffice, DestinationSettings } from "./destination.ts";
import { SharedDoorBudget } from "./door-budget.ts";
import { Journal } from "./journal.ts";
import { Ledger } from "./ledger.ts";
import { MemoryStorage } from "./memory-storage.ts";
import { PressureBoard } from "./pressure.ts";
import { QueueDesk } from "./queue-desk.ts";
import type { QueuePlace } from "./queue-desk.ts";
import { QueueGeneration } from "./queue-generation.ts";
import { queueTarget } from "./replay-target.ts";
import { RoomList } from "./room.ts";
import { SeenKeys } from "./seen-keys.ts";
import { sizeIn, wholeSeconds } from "./queue-entry.ts";
import type { SendingQueue } from "./sending-queue.ts";
import type { QueueStorage, ReplayedEntry } from "./storage.ts";

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

/** Admission, the queues of all destinations, the ledger and the doors' budget: what the service's Host is made of. */
export interface Queues {
  admit(settings: AdmissionSettings): Admission;
  has(destination: string): boolean;
  /** The destinations that new admissions have. */
  readonly current: QueueGeneration;
  /** What a new configuration would have. Nothing happens before replace(), and no admission of it can end before. */
  prepare(destinations: readonly DestinationSettings[]): QueueGeneration;
  /**
   * From now on admissions are opened on `next`. A destination that is unchanged, exporter and all, goes on as it is. One
   * that is changed gets new queues, with all that is queued; one that is gone parks what it has until it is there again.
   * Attempts under way end with the former exporter, or are broken off when `patience` aborts.
   */
  replace(next: QueueGeneration, patience: AbortSignal): Replaced;
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
  /** What a component attached to admissions that were kept; whole once start() has resolved. */
  stateOf(owner: string): ReadonlyMap<string, Uint8Array>;
  /** Host.refusedUnread(). */
  refusedUnread(refusal: UnreadRefusal): void;
  readonly doors: DoorBudget;
  readonly ledger: Ledger;
  readonly deadLetters: DeadLetters;
  /** Where a dead letter goes that is replayed, or why it cannot. */
  replayTarget(destination: string, signal: Signal): ReplayTarget | string;
  /** Looks at queues, and empties parked ones. `targets`: of a gateway that does not run, what its configuration names. */
  desk(targets?: ReplayTargets): QueueDesk;
}

export type { DestinationSettings } from "./destination.ts";

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

/** A configuration was replaced: what of it goes on for a while. */
export interface Replaced {
  /** Resolves when every admission of the former generation is settled. */
  readonly settled: Promise<void>;
  /** By destination that was changed or removed: resolves when its former exporter is not used any more. */
  readonly released: ReadonlyMap<string, Promise<void>>;
}

class GatewayQueues implements Queues {
  readonly ledger: Ledger;
  readonly doors: SharedDoorBudget;
  readonly deadLetters: DeadLetters;
  readonly #settings: QueuesSettings;
  readonly #storage: QueueStorage;
  readonly #pressure = new PressureBoard();
  readonly #office: DestinationOffice & { readonly seenKeys: SeenKeys; readonly states: ComponentStates };
  readonly #destinations = new Map<string, Destination>();
  /** Of destinations that no configuration has at present. */
  readonly #parked = new Map<string, SendingQueue>();
  /** Destinations that were replaced, until the last of their attempts has ended. */
  readonly #retiring = new Set<Promise<void>>();
  /** Aborts when a shutdown's patience ends. */
  readonly #end = new AbortController();
  #current: QueueGeneration;
  #shutdown: Promise<readonly LeftOver[]> | undefined;

  constructor(settings: QueuesSettings) {
    const { clock, logger, meter, storage = new MemoryStorage(), doorBytesMax = DOOR_BYTES_MAX } = settings;
    const { random = Math.random } = settings;
    this.#settings = settings;
    this.#storage = storage;
    const journal = new Journal({ storage, clock, logger });
    const ledger = new Ledger(meter);
    const pressure = this.#pressure;
    const rooms = new RoomList({ clock, pressure, syncP99Ms: () => journal.syncP99Ms() });
    this.ledger = ledger;
    this.deadLetters = new DeadLetters({ clock, logger, meter, journal, ledger });
    this.doors = new SharedDoorBudget({ clock, pressure, bytesMax: doorBytesMax });
    this.#office = {
      clock,
      logger,
      meter,
      rooms,
      journal,
      ledger,
      random,
      seenKeys: new SeenKeys(clock),
      states: new ComponentStates(),
      deadLetters: this.deadLetters,
      isDurable: storage.isDurable,
    };
    this.#current = this.prepare(settings.destinations);
    for (const each of settings.destinations) this.#destinations.set(each.id, new Destination(each, this.#office));
    this.#current.use(this.#destinations.values());
  }

  admit(settings: AdmissionSettings): Admission {
    return this.#current.admit(settings);
  }

  has(destination: string): boolean {
    return this.#current.has(destination);
  }

  replayTarget(destination: string, signal: Signal): ReplayTarget | string {
    const target = this.#destinations.get(destination)?.targets.get(signal);
    if (target === undefined) return `${destination} is not configured for ${signal}`;
    if (target.kind === "direct") return `${destination} has no queue (sending_queue.enabled, wait_for_result)`;
    return queueTarget(target.queue, this.#office.rooms, this.#office.clock);
  }

  desk(targets?: ReplayTargets): QueueDesk {
    const { journal, ledger, clock } = this.#office;
    const stateOf = (destination: string, signal: Signal): QueuePlace["state"] =>
      typeof (targets?.(destination, signal) ?? "") === "string" ? "parked" : "stored";
    const places = (): QueuePlace[] => [
      ...[...this.#destinations.values()].flatMap((destination) => destination.places()),
      ...[...this.#parked.values()].map((queue) => {
        const { destination, signal } = queue;
        return { destination, signal, queue, state: stateOf(destination, signal) };
      }),
    ];
    return new QueueDesk({
      clock,
      journal,
      ledger,
      places,
      targets: targets ?? ((destination, signal) => this.replayTarget(destination, signal)),
    });
  }

  prepare(destinations: readonly DestinationSettings[]): QueueGeneration {
    return new QueueGeneration(this.#office, destinations);
  }

  get current(): QueueGeneration {
    return this.#current;
  }

  replace(next: QueueGeneration, patience: AbortSignal): Replaced {
    const settled = this.#current.settled();
    const formers = [...this.#destinations.values()];
    this.#destinations.clear();
    for (const settings of next.destinations) {
      const known = formers.find((former) => former.isLike(settings));
      this.#destinations.set(settings.id, known ?? new Destination(settings, this.#office));
    }
    const retired = formers.filter((former) => this.#destinations.get(former.settings.id) !== former);
    const end = AbortSignal.any([patience, this.#end.signal]);
    const released = new Map(retired.map((former) => [former.settings.id, this.#retire(former, end)]));
    for (const former of retired) for (const queue of former.queues) this.#park(queue);
    this.#unpark();
    next.use(this.#destinations.values());
    this.#current = next;
    for (const destination of this.#destinations.values()) if (!formers.includes(destination)) destination.start();
    void settled.then(() => this.#office.rooms.removeQueues(retired.flatMap(({ rooms }) => rooms)));
    return { settled, released };
  }

  async start(): Promise<void> {
    await this.#storage.replay({
      entry: (entry) => this.#takeOver(entry),
      letter: (letter) => this.deadLetters.adopt(letter),
      seen: (key) => this.#office.seenKeys.add(key),
      state: (change) => this.#office.states.apply(change),
      total: (counterId, items) => this.ledger.restore(counterId, items),
    });
    this.#settleLedger();
    for (const destination of this.#destinations.values()) destination.start();
  }

  refuseWaiting(): void {
    this.#office.rooms.refuseWaiting();
    this.doors.refuseWaiting();
  }

  shutdown(signal: AbortSignal): Promise<readonly LeftOver[]> {
    this.#shutdown ??= this.#drain(signal);
    return this.#shutdown;
  }

  reportPressure(reporter: string, pressure: Pressure): void {
    this.#pressure.report(reporter, pressure);
  }

  refusedUnread({ bytes, ...identity }: UnreadRefusal): void {
    const deltas = this.ledger.unread(identity).deltas(bytes);
    this.ledger.apply(deltas);
    this.#office.journal.note(deltas);
  }

  stateOf(owner: string): ReadonlyMap<string, Uint8Array> {
    return this.#office.states.of(owner);
  }

  /** Never rejects. */
  #retire(destination: Destination, end: AbortSignal): Promise<void> {
    const retired = destination.retire(end).finally(() => this.#retiring.delete(retired));
    this.#retiring.add(retired);
    return retired;
  }

  /** To whom it is to go now; where there is none, it waits, parked. */
  #park(queue: SendingQueue): void {
    const { destination, signal } = queue;
    const heir = this.#destinations.get(destination)?.heirOf(signal);
    if (heir !== undefined) return queue.bequeathTo(heir);
    this.#parked.set(parkedKey(destination, signal), queue);
    const items = queue.queuedItems + queue.inFlightItems;
    if (items === 0) return;
    const { isDurable } = this.#storage;
    const where = isDurable ? "in the queue's storage" : "in memory (lost if the gateway ends before)";
    const what = `destination ${destination} was removed: ${items} ${ITEM_WORDS[signal]} stay parked ${where}`;
    this.#settings.logger.warn(`${what}; they are sent when it is configured again`);
  }

  #unpark(): void {
    for (const [key, queue] of this.#parked) {
      const { destination, signal } = queue;
      const heir = this.#destinations.get(destination)?.heirOf(signal);
      if (heir === undefined) continue;
      this.#parked.delete(key);
      const items = queue.queuedItems + queue.inFlightItems;
      queue.bequeathTo(heir);
      if (items === 0) continue;
      const what = `destination ${destination} is configured again: ${items} ${ITEM_WORDS[signal]}`;
      this.#settings.logger.info(`${what} that were parked are sent now`);
    }
  }

  async #drain(signal: AbortSignal): Promise<readonly LeftOver[]> {
    this.refuseWaiting();
    if (signal.aborted) this.#end.abort();
    signal.addEventListener("abort", () => this.#end.abort(), { once: true });
    const { isDurable } = this.#storage;
    const drains = [...this.#destinations.values()].map((destination) => destination.drain(signal, isDurable));
    await Promise.all([...drains, ...this.#retiring]);
    await this.#office.journal.close();
    const queues = [...[...this.#destinations.values()].flatMap((each) => each.queues), ...this.#parked.values()];
    const left = queues.map(({ destination, signal: of, queuedItems, inFlightItems }) => {
      return { destination, signal: of, items: queuedItems + inFlightItems };
    });
    const leftOvers = left.filter(({ items }) => items > 0);
    for (const leftOver of leftOvers) this.#reportLeft(leftOver);
    return leftOvers;
  }

  #reportLeft({ destination, signal, items }: LeftOver): void {
    const what = `destination ${destination}: ${items} ${ITEM_WORDS[signal]} not sent before the end of shutdown`;
    if (this.#storage.isDurable) this.#settings.logger.info(`${what}; kept in the queue's storage`);
    else this.#settings.logger.error(`${what}; lost, as the queue is in memory (sending_queue.storage keeps it)`);
  }

  /** Everything that the storage holds is in its place: what is for nobody is said, and what damage took is booked. */
  #settleLedger(): void {
    const { logger } = this.#settings;
    for (const { destination, signal, queuedItems } of this.#parked.values()) {
      const message = `the storage holds ${queuedItems} ${ITEM_WORDS[signal]} for ${destination}, which is not configured`;
      logger.warn(`${message}; they stay there until it is configured again`);
    }
    for (const { delta, sentence } of this.ledger.bookDamage()) {
      this.#office.journal.note([delta]);
      logger.error(`the ledger and the queue's storage differ, as damage leaves them: ${sentence}`);
    }
  }

  #takeOver(entry: ReplayedEntry): void {
    const { destination, signal, itemCount, size: bytes, client, ref, admittedUnixMs, replay } = entry;
    const queue = this.#destinations.get(destination)?.heirOf(signal) ?? this.#parkedQueue(destination, signal);
    const room = sizeIn(queue.room.unit, { itemCount, bytes });
    // The queue may have been made smaller since: what was accepted is kept, and new room waits until it has drained.
    queue.room.used += room;
    queue.account.carriedOver.add(itemCount);
    const admittedUnixSeconds = wholeSeconds(admittedUnixMs);
    const of = { ref, itemCount, bytes, room, client, admittedUnixSeconds };
    queue.accept(replay === undefined ? of : { ...of, replay });
  }

  /** For entries of a destination that is not configured: never started, so nobody sends. */
  #parkedQueue(destination: string, signal: Signal): SendingQueue {
    const key = parkedKey(destination, signal);
    const known = this.#parked.get(key);
    if (known !== undefined) return known;
    const queue = sendingQueueSchema.parse(undefined);
    const nobody = new Destination(
      {
        id: destination,
        sender: NOBODY,
        queue,
        retry: NO_RETRY,
        timeoutMs: 0,
        delivery: "best_effort",
        signals: [signal],
      },
      this.#office,
    );
    const parked = nobody.heirOf(signal)!;
    this.#parked.set(key, parked);
    return parked;
  }
}

const NOBODY: Sender = {
  send: () => Promise.reject(new ConsumeError("internal", "a destination that is not configured was sent to")),
};

const NO_RETRY = retrySchema.parse({ enabled: false });

function parkedKey(destination: string, signal: Signal): string {
  return `${destination} ${signal}`;
}
