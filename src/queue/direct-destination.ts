import type { Enlisted } from "../core/admission.ts";
import type { ClientMetadata } from "../core/client-metadata.ts";
import type { Clock, Timer } from "../core/clock.ts";
import { ConsumeError } from "../core/errors.ts";
import { RETRY_AFTER_MS_DEFAULT } from "../core/limits.ts";
import type { Signal } from "../core/signal.ts";
import type { Delivery, DeliveryOutcome } from "./delivery.ts";
import type { Journal } from "./journal.ts";
import type { DestinationAccount, LedgerMetric } from "./ledger-accounts.ts";
import type { Ledger } from "./ledger.ts";
import type { RoomQueue } from "./room.ts";
import { Turns } from "./turns.ts";

export interface DirectDestinationSettings {
  readonly destination: string;
  readonly signal: Signal;
  readonly delivery: Delivery;
  /** With wait_for_result the queue's room bounds who waits; without a queue the doors' budget does. */
  readonly room: RoomQueue | undefined;
  /** Requests at the same time. */
  readonly requestsMax: number;
  readonly ledger: Ledger;
  readonly journal: Journal;
  readonly clock: Clock;
}

/** An exporter that honours the abort of its attempt settles at once, and says more than "not in time". */
const ABORT_GRACE_MS = 100;

/**
 * A required destination that is sent to while the sender waits: one without a queue, or with wait_for_result.
 * It is at-least-once: what it took stays taken when another destination or the storage refuses the admission.
 */
export class DirectDestination {
  readonly destination: string;
  readonly signal: Signal;
  readonly room: RoomQueue | undefined;
  readonly #delivery: Delivery;
  readonly #turns: Turns;
  readonly #account: DestinationAccount;
  readonly #sendFailed: LedgerMetric;
  readonly #ledger: Ledger;
  readonly #journal: Journal;
  readonly #clock: Clock;
  readonly #shutdownEnd = new AbortController();
  #sendingCount = 0;
  #onIdle: (() => void) | undefined;

  constructor(settings: DirectDestinationSettings) {
    this.destination = settings.destination;
    this.signal = settings.signal;
    this.room = settings.room;
    this.#delivery = settings.delivery;
    this.#turns = new Turns(settings.requestsMax);
    this.#ledger = settings.ledger;
    this.#journal = settings.journal;
    this.#clock = settings.clock;
    this.#account = settings.ledger.destination(settings.destination, settings.signal);
    this.#sendFailed = settings.ledger.sendFailed(settings.destination, settings.signal);
  }

  get inFlightRequests(): number {
    return this.#turns.takenCount;
  }

  /**
   * Resolves with why the admission must be refused, or with undefined once the backend has the batch. Never rejects,
   * and settles soon after `patienceEnd` aborts even where the exporter ignores it.
   */
  async send(entry: Enlisted, client: ClientMetadata, patienceEnd: AbortSignal): Promise<ConsumeError | undefined> {
    this.#sendingCount += 1;
    try {
      return await this.#send(entry, client, AbortSignal.any([patienceEnd, this.#shutdownEnd.signal]));
    } finally {
      this.#sendingCount -= 1;
      if (this.#sendingCount === 0) this.#onIdle?.();
    }
  }

  /** Waits for what is being sent; what is still under way when `end` aborts is broken off, and its sender refused. */
  async drain(end: AbortSignal): Promise<void> {
    const idle = new Promise<void>((resolve) => {
      this.#onIdle = resolve;
      if (this.#sendingCount === 0) resolve();
    });
    const breakOff = (): void => this.#shutdownEnd.abort();
    if (end.aborted) breakOff();
    else end.addEventListener("abort", breakOff, { once: true });
    await idle;
    end.removeEventListener("abort", breakOff);
  }

  async #send({ payload }: Enlisted, client: ClientMetadata, end: AbortSignal): Promise<ConsumeError | undefined> {
    if (!(await this.#turns.take(end))) return this.#inTime(undefined);
    const delivery = this.#delivery.deliver({ signal: this.signal, payload, client }, { end, hurry: end });
    // The turn lasts as long as the attempt: an exporter that ignores the abort must not be called without bound.
    void delivery.then(() => this.#turns.giveBack());
    const outcome = await this.#orLater(delivery, end);
    return outcome === undefined ? this.#inTime(undefined) : this.#settle(outcome, payload.itemCount);
  }

  /** undefined where the exporter goes on although its attempt was broken off. */
  #orLater(delivery: Promise<DeliveryOutcome>, end: AbortSignal): Promise<DeliveryOutcome | undefined> {
    return new Promise((resolve) => {
      let timer: Timer | undefined;
      const onEnd = (): void => {
        timer = this.#clock.after(ABORT_GRACE_MS, () => resolve(undefined));
      };
      end.addEventListener("abort", onEnd, { once: true });
      const onDelivered = (outcome: DeliveryOutcome): void => {
        timer?.cancel();
        end.removeEventListener("abort", onEnd);
        resolve(outcome);
      };
      void delivery.then(onDelivered);
    });
  }

  #settle(outcome: DeliveryOutcome, items: number): ConsumeError | undefined {
    const error = this.#refusal(outcome);
    if (error !== undefined) {
      this.#sendFailed.add(items, error);
      return error;
    }
    const { admitted, sent, rejected } = this.#account;
    const deltas = [
      { counter: admitted, items },
      { counter: sent, items: outcome.sent },
      { counter: rejected, items: outcome.rejected, error: outcome.error },
    ];
    this.#ledger.apply(deltas);
    this.#journal.note(deltas);
    return undefined;
  }

  /** What the backend took in part, it took: the rest is counted as rejected. */
  #refusal({ sent, undelivered, expired, error }: DeliveryOutcome): ConsumeError | undefined {
    if (undelivered > 0) return this.#inTime(error);
    if (expired > 0) return this.#context("retryable", error);
    return sent === 0 && error !== undefined ? this.#context(error.kind, error) : undefined;
  }

  #inTime(error: ConsumeError | undefined): ConsumeError {
    const reason = error === undefined ? "" : `: ${error.message}`;
    const settings = { retryAfterMs: error?.retryAfterMs ?? RETRY_AFTER_MS_DEFAULT, cause: error };
    return new ConsumeError("retryable", `destination ${this.destination} did not take it in time${reason}`, settings);
  }

  #context(kind: ConsumeError["kind"], error: ConsumeError | undefined): ConsumeError {
    const message = `destination ${this.destination}: ${error?.message ?? "not sent"}`;
    const retryAfterMs = error?.retryAfterMs ?? (kind === "retryable" ? RETRY_AFTER_MS_DEFAULT : undefined);
    return new ConsumeError(kind, message, { cause: error, ...(retryAfterMs !== undefined && { retryAfterMs }) });
  }
}
