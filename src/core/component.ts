import type { z } from "zod";
import type { Admission, AdmissionSettings } from "./admission.ts";
import type { Clock } from "./clock.ts";
import type { ComponentId } from "./component-id.ts";
import type { Consumer, SignalConsumers } from "./consumer.ts";
import type { ConsumeError } from "./errors.ts";
import type { ListeningSockets } from "./listening.ts";
import type { Logger } from "./logger.ts";
import type { Meter } from "./meter.ts";
import type { ProxyEnvironment } from "./proxy-environment.ts";
import type { Sender } from "./sender.ts";
import type { Signal } from "./signal.ts";
import type { UnreadRefusal } from "./unread-request.ts";

/** Handed to every component when it is created; has no side effects. */
export interface Settings {
  readonly id: ComponentId;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly clock: Clock;
  /** What the environment says of proxies. Absent: nothing. */
  readonly proxy?: ProxyEnvironment;
}

export type Pressure = "none" | "soft" | "hard";

/**
 * The bytes and the memory that all doors share.
 * Waiting requests count here too: this is what bounds memory, and why a door may wait for room instead of refusing.
 */
export interface DoorBudget {
  /**
   * Takes `bytes` for a request that is about to be read. Resolves with the lease once there is room; rejects with a
   * `refused` ConsumeError at hard memory pressure, when `deadline` passes first, or when others need what it holds, and
   * `too_large` where `bytes` exceed the whole budget. Give the lease back when the request has been answered.
   */
  acquire(bytes: number, deadline: number, signal: AbortSignal, claim?: DoorClaim): Promise<DoorLease>;
  /**
   * How much a door may ask for ahead of what has come of a request, whatever that declares: a sender that declares much
   * and sends nothing is to hold little. Less while room is short.
   */
  readonly stepBytes: number;
  readonly pressure: Pressure;
}

/** What a door knows of the one who asks. */
export interface DoorClaim {
  /** The request's smaller lease, which the door keeps until it has the larger one, or is refused. */
  readonly holding?: DoorLease | undefined;
  /** The connection, where it may have many requests at a time: others are served before one that holds much. */
  readonly sender?: DoorSender;
}

export interface DoorSender {
  /** The budget's own count. Starts at 0. */
  leasedBytes: number;
}

export interface DoorLease {
  /** The size turned out different (decompressed, chunked): adjusts the lease without waiting. */
  resize(bytes: number): void;
  /** From now on a body comes under this lease; undefined: it is whole. Where others wait, one that does not come has to give way. */
  watch(arrival: DoorArrival | undefined): void;
  /** Idempotent. */
  release(): void;
}

/** A body on its way. */
export interface DoorArrival {
  /** In bytes, so far. */
  readonly receivedSize: number;
  /** Called once at most: refuse the request with this, and give the lease back. */
  giveWay(error: ConsumeError): void;
}

/** What the service offers to a component that runs. */
export interface Host {
  /** Opens an admission; the opener must commit or discard it. */
  admit(settings: AdmissionSettings): Admission;
  readonly doors: DoorBudget;
  /**
   * What the component `owner` attached to admissions (Admission.attach), latest values, as a copy: by this process, and
   * where the queues have a storage by those before it. Whole in the start() of processors, connectors and receivers:
   * the storage is read before, behind extensions and exporters.
   */
  stateOf(owner: string): ReadonlyMap<string, Uint8Array>;
  /** For net/listener.ts. Absent: whoever listens has a socket of its own, which a reload closes and opens again. */
  readonly sockets?: ListeningSockets;
  /** Reported by memory_limiter; a condition of room for all doors, not an error thrown at a batch. */
  reportPressure(reporter: string, pressure: Pressure): void;
  /** For the ledger: a request that a door refused before anybody knew how many items were in it. */
  refusedUnread(refusal: UnreadRefusal): void;
  /** Tells people what a component listens on; the start-up banner shows it. `address` is "127.0.0.1:4317" or a URL. */
  reportListening(listening: Listening): void;
  /**
   * Something that a component cannot go on without has broken after start (its socket died, its store is gone).
   * The service logs it, and shuts down with exit code 1.
   */
  reportFatal(id: ComponentId, error: Error): void;
  /**
   * Part of what the component is for does not work and will not without a person, and the component goes on with the
   * rest. The service logs it; health_check answers 503 from then on.
   */
  reportPermanent(id: ComponentId, error: Error): void;
}

export interface Listening {
  readonly id: ComponentId;
  /** "OTLP/gRPC", "OTLP/HTTP", "store API". */
  readonly what: string;
  readonly address: string;
  /** More that a person wants to know of it, in a few words: "data in /var/lib/signalbox". */
  readonly detail?: string;
}

/** Lifecycle of everything in the graph. */
export interface Component {
  /** Opens sockets and files. Called once. A rejection stops the gateway's start; its message must say how to mend it. */
  start(host: Host): Promise<void>;
  /**
   * Idempotent, legal before start. A receiver stops accepting and waits for its requests in flight; a processor
   * flushes downstream. `signal` aborts when patience ends: return soon after.
   */
  shutdown(signal: AbortSignal): Promise<void>;
  /**
   * A reload has put another in its place, which has its listening socket: ends what connections it has so that no request
   * fails because of it. Called once, instead of shutdown(), and like it. Default: shutdown().
   */
  retire?(signal: AbortSignal): Promise<void>;
}

/** A processor that has no resources needs only this. */
export type Receiver = Component;
export type Processor<S extends Signal = Signal> = Component & Consumer<S>;
export type Extension = Component;

/**
 * One destination. The sending queue in front of it is built by the service from the keys `sending_queue`,
 * `retry_on_failure` and `timeout` of its configuration (queue/config.ts has their schemas).
 */
export interface Exporter extends Component, Sender {}

/** Validation, defaults, documentation and editor completion from one value: a zod schema. */
export type Schema<C> = z.ZodType<C>;

/** What of a configuration cannot stand in a pipeline of one signal; `path` leads there from the component's block. */
export interface SignalProblem {
  readonly path: readonly (string | number)[];
  readonly message: string;
  readonly fix?: string;
}

interface FactoryBase<C> {
  /** As in the YAML. */
  readonly type: string;
  /** Old names that are still read, with a warning: `otlp` for `otlp_grpc`. */
  readonly deprecatedTypes?: readonly string[];
  readonly config: Schema<C>;
  readonly signals: readonly Signal[];
  /** Called by the validator for each signal whose pipelines name the component; create() is called only where it gave nothing. */
  signalProblems?(signal: Signal, config: C): readonly SignalProblem[];
  /**
   * It holds what only one can hold at a time, such as the lock of a folder: two cannot run beside each other, so a reload
   * that changes its settings is refused.
   */
  readonly isExclusive?: true;
  /** Of one that isExclusive: keys that may change while it runs, since the service reads them, or it does at its start alone. */
  readonly changeableKeys?: Readonly<Record<string, "at once" | "at the next start">>;
}

export interface ReceiverFactory<C = unknown> extends FactoryBase<C> {
  readonly kind: "receiver";
  /** Bytes of the largest request that its doors take, for advice about queues that could never keep it. Absent: no such bound. */
  requestBytesMax?(config: C): number;
  create(settings: Settings, config: C, next: SignalConsumers): Receiver;
}

export interface ProcessorFactory<C = unknown> extends FactoryBase<C> {
  readonly kind: "processor";
  create<S extends Signal>(signal: S, settings: Settings, config: C, next: Consumer<S>): Processor<S>;
}

/**
 * What a destination is where the YAML does not say (`sending_queue.required`).
 * required: an admission needs it. best_effort: when it cannot take a batch it drops it, counted.
 * secondary: best_effort beside a required destination, required where it is a pipeline's only one.
 */
export type DefaultDelivery = "required" | "best_effort" | "secondary";

export interface ExporterFactory<C = unknown> extends FactoryBase<C> {
  readonly kind: "exporter";
  readonly delivery: DefaultDelivery;
  /**
   * Bytes of a request, uncompressed, that backends of this type take as a rule. A larger one is split before its first
   * attempt, unless `sending_queue.batch` has a max_size in bytes, which counts instead. Default: no bound.
   */
  readonly requestBytesMax?: number;
  create(settings: Settings, config: C): Exporter;
}

export interface ExtensionFactory<C = unknown> extends FactoryBase<C> {
  readonly kind: "extension";
  create(settings: Settings, config: C): Extension;
}

export type ComponentFactory = ReceiverFactory | ProcessorFactory | ExporterFactory | ExtensionFactory;
