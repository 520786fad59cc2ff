import { admitBatch } from "../../core/admit-batch.ts";
import { type Batch, createBatch } from "../../core/batch.ts";
import type { ClientMetadata, Transport } from "../../core/client-metadata.ts";
import { formatComponentId } from "../../core/component-id.ts";
import type { Host, Settings } from "../../core/component.ts";
import type { Consumer } from "../../core/consumer.ts";
import { ConsumeError } from "../../core/errors.ts";
import type { Counter } from "../../core/meter.ts";
import type { Signal } from "../../core/signal.ts";
import { DecodeError } from "../../wire/decode-error.ts";
import { LARGE_REQUESTS } from "./large-requests.ts";
import { TextWatch } from "./text-watch.ts";

type SignalCounters = Readonly<Record<Signal, Counter>>;

/** What a door knows of a request. */
export interface Sender {
  readonly client: ClientMetadata;
  readonly deadline: number;
  readonly signal: AbortSignal;
}

/** A sender that sends garbage does so with every request: this is how often the log says it. */
const WARNING_INTERVAL_MS = 60_000;

/** The way of a request from its bytes to the moment when the sender may be told that it is kept; one for each door. */
export class OtlpIntake {
  readonly #settings: Settings;
  readonly #host: Host;
  readonly #transport: Transport;
  readonly #undecodable: SignalCounters;
  readonly #merged: SignalCounters;
  readonly #invalidText: SignalCounters;
  readonly #texts: Readonly<Record<Signal, TextWatch>>;
  #warnedAtMs = Number.NEGATIVE_INFINITY;

  constructor(settings: Settings, host: Host, transport: Transport) {
    this.#settings = settings;
    this.#host = host;
    this.#transport = transport;
    const countersOf = (name: string, description: string): SignalCounters =>
      signalCounters(settings, transport, name, description);
    this.#undecodable = countersOf("undecodable", "Requests that were refused because they are not OTLP.");
    this.#merged = countersOf("merged", "Requests in which a singular message stood twice, and was merged.");
    this.#invalidText = countersOf("invalid_text", "Requests seen with text that is not UTF-8; protobuf is sampled.");
    const { clock } = settings;
    this.#texts = { traces: new TextWatch(clock), metrics: new TextWatch(clock), logs: new TextWatch(clock) };
  }

  /**
   * Resolves once the request is kept everywhere it must be; a request without items is, at once. Rejects with
   * ConsumeError, and then nothing of it is left anywhere. The bytes must not change afterwards.
   */
  async take<S extends Signal>(signal: S, consumer: Consumer<S>, bytes: Uint8Array, sender: Sender): Promise<void> {
    const batch = this.#open(signal, bytes, sender);
    if (batch.isLarge) {
      // What the scan noted is large too, and is made again when it is needed: it costs less than to keep it.
      batch.release();
      return this.#takeLarge(signal, consumer, bytes, sender);
    }
    return this.#admit(consumer, batch, bytes, sender);
  }

  /** The turn ends where the batch does, before the wait for room. */
  async #takeLarge<S extends Signal>(
    signal: S,
    consumer: Consumer<S>,
    bytes: Uint8Array,
    sender: Sender,
  ): Promise<void> {
    const { clock } = this.#settings;
    const turn = LARGE_REQUESTS.take({ clock, deadline: sender.deadline, signal: sender.signal });
    const endTurn = await turn.catch((error: unknown) => {
      if (!sender.signal.aborted) this.#tellUnread(bytes.length);
      throw error;
    });
    const inTurn: Consumer<S> = {
      mutatesData: consumer.mutatesData,
      consume: (batch, admission) => consumer.consume(batch, admission).finally(endTurn),
    };
    try {
      await this.#admit(inTurn, this.#open(signal, bytes, sender), bytes, sender);
    } finally {
      endTurn();
    }
  }

  #tellUnread(bytes: number): void {
    const receiver = formatComponentId(this.#settings.id);
    this.#host.refusedUnread({ receiver, transport: this.#transport, reason: "large_requests", bytes });
  }

  #open<S extends Signal>(signal: S, bytes: Uint8Array, { client }: Sender): Batch<S> {
    return this.decode(signal, () => {
      const arrivalUnixNano = this.#settings.clock.nowUnixNano();
      return createBatch(signal, bytes, { client, arrivalUnixNano });
    });
  }

  async #admit<S extends Signal>(
    consumer: Consumer<S>,
    batch: Batch<S>,
    bytes: Uint8Array,
    sender: Sender,
  ): Promise<void> {
    const { signal } = batch;
    const { client, deadline, signal: abort } = sender;
    if (batch.merged) this.#merged[signal].add(1);
    if (this.#texts[signal].finds(signal, bytes)) this.countInvalidText(signal);
    if (batch.itemCount === 0) return batch.release();
    const opener = `receiver ${formatComponentId(this.#settings.id)}`;
    await admitBatch(this.#host, consumer, batch, { client, deadline, signal: abort, opener });
  }

  /** For a door that has mended text while it decoded. */
  countInvalidText(signal: Signal): void {
    this.#invalidText[signal].add(1);
  }

  /** Runs what turns a sender's bytes into something else; garbage is the sender's fault, counted in requests. */
  decode<T>(signal: Signal, decode: () => T): T {
    try {
      return decode();
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.#undecodable[signal].add(1);
      this.#warn(signal, error);
      throw new ConsumeError("permanent", error.message, { cause: error });
    }
  }

  #warn(signal: Signal, error: DecodeError): void {
    const nowMs = this.#settings.clock.monotonicMs();
    if (nowMs - this.#warnedAtMs < WARNING_INTERVAL_MS) return;
    this.#warnedAtMs = nowMs;
    const message = `a request was refused as it is no OTLP: ${error.message}`;
    this.#settings.logger.warn(message, { signal, transport: this.#transport });
  }
}

/**
 * The ledger counts what was accepted, refused and failed of an admission, in items. A request that cannot be read never
 * becomes one, and nobody knows how many items were in it; what was odd about one is told in requests too.
 */
function signalCounters(
  { id, meter }: Settings,
  transport: Transport,
  name: string,
  description: string,
): SignalCounters {
  const counterOf = (signal: Signal): Counter => {
    const labels = { receiver: formatComponentId(id), transport, "otel.signal": signal };
    return meter.counter(`signalbox_receiver_${name}_requests`, labels, { description, unit: "{requests}" });
  };
  return { traces: counterOf("traces"), metrics: counterOf("metrics"), logs: counterOf("logs") };
}
