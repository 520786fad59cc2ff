import type { Admission, AdmissionSettings } from "../../../src/core/admission.ts";
import type { Batch } from "../../../src/core/batch.ts";
import { systemClock } from "../../../src/core/clock.ts";
import type { Clock } from "../../../src/core/clock.ts";
import type { Host, Listening, Receiver } from "../../../src/core/component.ts";
import type { Consumer, SignalConsumers } from "../../../src/core/consumer.ts";
import type { ConsumeError } from "../../../src/core/errors.ts";
import type { LogFields, Logger } from "../../../src/core/logger.ts";
import { SIGNALS } from "../../../src/core/signal.ts";
import type { Signal } from "../../../src/core/signal.ts";
import type { UnreadRefusal } from "../../../src/core/unread-request.ts";
import { otlpReceiverFactory } from "../../../src/receivers/otlp/factory.ts";
import { MetricsRegistry } from "../../../src/service/metrics-registry.ts";
import { OpenBudget } from "../../net/open-budget.ts";

/** One batch as a pipeline got it, and how its admission ended. */
export interface Arrival {
  readonly signal: Signal;
  readonly itemCount: number;
  readonly bytes: Buffer;
  readonly context: Batch["context"];
  readonly settings: AdmissionSettings;
  outcome: "open" | "committed" | "discarded";
  reason?: ConsumeError;
}

export interface GatewaySettings {
  readonly protocols?: object;
  readonly signals?: readonly Signal[];
  readonly clock?: Clock;
}

const BOTH = { grpc: { endpoint: "127.0.0.1:0" }, http: { endpoint: "127.0.0.1:0" } };

/**
 * The receiver with everything behind it under a test's hand: what the pipelines say to a batch (`onConsume`) and what
 * the queues say to its admission (`onCommit`).
 */
export class TestGateway {
  /** Where a test does not choose one; grpc-js-engine.test.ts runs the same tests over the other. */
  static engine: "http2" | "grpc_js" = "http2";
  readonly arrivals: Arrival[] = [];
  readonly listening: Listening[] = [];
  readonly warnings: string[] = [];
  readonly infos: string[] = [];
  readonly unread: UnreadRefusal[] = [];
  readonly budget = new OpenBudget();
  readonly registry = new MetricsRegistry();
  onConsume: (arrival: Arrival) => Promise<void> = async () => undefined;
  onCommit: (arrival: Arrival) => Promise<void> = async () => undefined;
  readonly #receiver: Receiver;

  private constructor({ protocols, signals = SIGNALS, clock = systemClock }: GatewaySettings) {
    const { grpc, ...others }: { grpc?: object } = protocols ?? BOTH;
    const config = otlpReceiverFactory.config.parse({
      protocols: { ...others, ...(grpc !== undefined && { grpc: { engine: TestGateway.engine, ...grpc } }) },
    });
    const settings = {
      id: { type: "otlp" },
      logger: new ListLogger(this.warnings, this.infos),
      meter: this.registry,
      clock,
    };
    this.#receiver = otlpReceiverFactory.create(settings, config, this.#consumers(signals));
  }

  static async start(settings: GatewaySettings = {}): Promise<TestGateway> {
    const gateway = new TestGateway(settings);
    await gateway.#receiver.start(gateway.#host());
    return gateway;
  }

  get receiver(): Receiver {
    return this.#receiver;
  }

  portOf(what: "OTLP/gRPC" | "OTLP/HTTP"): number {
    const { address } = this.listening.find((listening) => listening.what.startsWith(what))!;
    return Number(address.slice(address.lastIndexOf(":") + 1));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#receiver.shutdown(AbortSignal.abort());
  }

  #consumers(signals: readonly Signal[]): SignalConsumers {
    return {
      ...(signals.includes("traces") && { traces: this.#consumer<"traces">() }),
      ...(signals.includes("metrics") && { metrics: this.#consumer<"metrics">() }),
      ...(signals.includes("logs") && { logs: this.#consumer<"logs">() }),
    };
  }

  #consumer<S extends Signal>(): Consumer<S> {
    const consume = (batch: Batch<S>, admission: Admission): Promise<void> => {
      const arrival = (admission as TestAdmission).arrival(batch);
      this.arrivals.push(arrival);
      return this.onConsume(arrival);
    };
    return { mutatesData: false, consume };
  }

  #host(): Host {
    return {
      admit: (settings) => new TestAdmission(settings, (arrival) => this.onCommit(arrival)),
      doors: this.budget,
      stateOf: () => new Map(),
      refusedUnread: (refusal) => this.unread.push(refusal),
      reportPressure: () => undefined,
      reportListening: (listening) => this.listening.push(listening),
      reportFatal: (_id, error) => {
        throw error;
      },
      reportPermanent: (_id, error) => {
        throw error;
      },
    };
  }
}

class TestAdmission implements Admission {
  readonly deadline: number;
  readonly signal: AbortSignal;
  readonly client: Admission["client"];
  readonly #settings: AdmissionSettings;
  readonly #onCommit: (arrival: Arrival) => Promise<void>;
  #arrival: Arrival | undefined;

  constructor(settings: AdmissionSettings, onCommit: (arrival: Arrival) => Promise<void>) {
    this.#settings = settings;
    this.#onCommit = onCommit;
    this.client = settings.client;
    this.deadline = settings.deadline ?? Number.POSITIVE_INFINITY;
    this.signal = settings.signal ?? new AbortController().signal;
  }

  arrival(batch: Batch): Arrival {
    const { signal, itemCount, context } = batch;
    const bytes = Buffer.concat(batch.encode().slices);
    this.#arrival = { signal, itemCount, bytes, context, settings: this.#settings, outcome: "open" };
    return this.#arrival;
  }

  enlist(): void {
    throw new Error("the test's consumers enlist nothing");
  }

  remember(): { readonly state: "new" } {
    return { state: "new" };
  }

  attach(): void {
    throw new Error("the test's consumers attach nothing");
  }

  async commit(): Promise<void> {
    await this.#onCommit(this.#arrival!);
    this.#arrival!.outcome = "committed";
  }

  discard(reason?: ConsumeError): void {
    if (this.#arrival?.outcome !== "open") return;
    this.#arrival.outcome = "discarded";
    if (reason !== undefined) this.#arrival.reason = reason;
  }
}

class ListLogger implements Logger {
  readonly #warnings: string[];
  readonly #infos: string[];

  constructor(warnings: string[], infos: string[]) {
    this.#warnings = warnings;
    this.#infos = infos;
  }

  debug(): void {}

  info(message: string): void {
    this.#infos.push(message);
  }

  warn(message: string, _fields?: LogFields): void {
    this.#warnings.push(message);
  }

  error(message: string): void {
    this.#warnings.push(message);
  }

  with(): Logger {
    return this;
  }
}
