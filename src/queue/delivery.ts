import type { Clock } from "../core/clock.ts";
import { sleep } from "../core/clock.ts";
import { ConsumeError } from "../core/errors.ts";
import type { OutgoingRequest, Sender, SendResult } from "../core/sender.ts";
import { mergePayloads } from "../wire/otlp/payload.ts";
import { splitPayload } from "../wire/otlp/split-payload.ts";
import type { EncodedPayload } from "../wire/otlp/types.ts";
import type { RetryConfig } from "./config.ts";
import type { DestinationHealth } from "./destination-health.ts";
import type { DeadLetterReason } from "./storage.ts";
import { Backoff, DRAIN_BACKOFF_MS_MAX, RETRY_AFTER_MS_MAX } from "./retry.ts";

export interface DeliverySettings {
  readonly sender: Sender;
  readonly retry: RetryConfig;
  /** For one attempt; 0 for none. */
  readonly timeoutMs: number;
  /** Infinity for no bound. */
  readonly requestBytesMax: number;
  readonly clock: Clock;
  /** Numbers in [0, 1), for jitter. */
  readonly random: () => number;
  readonly health: DestinationHealth;
}

/**
 * A request whose bytes lie in a storage: a backend that is away must not fill the memory with what waits for its next
 * attempt. Between rest() and wake() its payload has a size and no bytes.
 */
export interface RestingRequest extends OutgoingRequest {
  rest(): void;
  /** The same bytes again; false where they cannot be read. */
  wake(): Promise<boolean>;
}

/** How long to go on. */
export interface Patience {
  /** Aborts when it is over: the attempt under way is broken off, and what is left stays undelivered. */
  readonly end: AbortSignal;
  /** Aborts when the gateway begins to shut down: waits between attempts become short. */
  readonly hurry: AbortSignal;
  /** Aborts when another will go on with the request: the attempt under way ends by itself, and none follows it. */
  readonly leave?: AbortSignal;
  /** Milliseconds since the epoch; from then on the backend would refuse it for its age. Default: never. */
  readonly expiresUnixMs?: number;
}

/** A payload, or a part of one, that will not arrive. */
export interface Loss {
  readonly reason: Exclude<DeadLetterReason, "overflow">;
  readonly payload: EncodedPayload;
  readonly attempts: number;
  /** Why, in the backend's words. */
  readonly message: string;
}

/** What `deliver` has done: all of the requests, or as much as was needed until something arrived. */
export interface Progress {
  readonly outcome: DeliveryOutcome;
  /** Not begun, in their order; parts stand in the place of what was too large. */
  readonly rest: readonly OutgoingRequest[];
}

/** What became of a request's items. `undelivered` ones were neither taken nor given up: patience ended before. */
export interface DeliveryOutcome {
  readonly sent: number;
  readonly rejected: number;
  readonly expired: number;
  readonly undelivered: number;
  /** Why not all were sent. */
  readonly error: ConsumeError | undefined;
  /** What of it was rejected, expired, or taken in part. */
  readonly losses: readonly Loss[];
}

/** What a request is to be sent as instead. */
type Parts = readonly EncodedPayload[];

const NO_LOSSES: readonly Loss[] = [];

/** What waited longer than `max_age` before it was tried. */
export const TOO_OLD = new ConsumeError("permanent", "older than max_age");

const BROKEN_OFF = new ConsumeError("refused", "the time to deliver it is over");

export const NOTHING_DELIVERED: DeliveryOutcome = {
  sent: 0,
  rejected: 0,
  expired: 0,
  undelivered: 0,
  error: undefined,
  losses: NO_LOSSES,
};

/** Hands requests over to one destination: attempts, waits, splits what is too large, and says what became of the items. */
export class Delivery {
  readonly #sender: Sender;
  readonly #retry: RetryConfig;
  readonly #timeoutMs: number;
  readonly #requestBytesMax: number;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #health: DestinationHealth;
  /** The backend asked everyone to stay away until then (monotonic). */
  #throttledUntilMs = 0;

  constructor(settings: DeliverySettings) {
    this.#sender = settings.sender;
    this.#retry = settings.retry;
    this.#timeoutMs = settings.timeoutMs;
    this.#requestBytesMax = settings.requestBytesMax;
    this.#clock = settings.clock;
    this.#random = settings.random;
    this.#health = settings.health;
  }

  /** Never rejects. The bytes of one attempt are the bytes of all its attempts. */
  async deliver(request: OutgoingRequest | RestingRequest, patience: Patience): Promise<DeliveryOutcome> {
    let progress: Progress = { outcome: NOTHING_DELIVERED, rest: [request] };
    while (progress.rest.length > 0) progress = await this.deliverUntilArrival(progress, patience);
    return progress.outcome;
  }

  /**
   * One after the other, until one has arrived or none is left. What is too large for the backend is cut in parts, which
   * come next: whoever asked can note what has arrived before it goes on with the rest. Never rejects.
   */
  async deliverUntilArrival(progress: Progress, patience: Patience): Promise<Progress> {
    let { outcome, rest } = progress;
    for (let request = rest[0]; request !== undefined; request = rest[0]) {
      rest = rest.slice(1);
      // Settled and not noted: nobody else can go on with the rest.
      const ownPatience = hasSettled(outcome) ? withoutLeave(patience) : patience;
      const result = this.#partsOf(request) ?? (await this.#deliverWhole(request, ownPatience));
      if (isParts(result)) {
        const { signal, client } = request;
        rest = [...result.map((payload) => ({ signal, client, payload })), ...rest];
        continue;
      }
      outcome = sumOutcomes(outcome, result);
      if (result.sent > 0) break;
    }
    return { outcome, rest };
  }

  /** Known before the first attempt. undefined where it is within the bound, or cannot be cut. */
  #partsOf({ signal, payload }: OutgoingRequest): Parts | undefined {
    const bytesMax = this.#requestBytesMax;
    if (payload.size <= bytesMax || payload.itemCount < 2) return undefined;
    const parts = splitPayload(signal, payload, { bytesMax });
    return parts.length < 2 ? undefined : parts;
  }

  async #deliverWhole(request: OutgoingRequest | RestingRequest, patience: Patience): Promise<DeliveryOutcome | Parts> {
    const startedMs = this.#clock.monotonicMs();
    const backoff = new Backoff(this.#retry, this.#random);
    let lastError: ConsumeError | undefined;
    for (let attempts = 0; ; attempts += 1) {
      if (this.#throttledUntilMs > 0) await this.#waitOutThrottle(patience);
      if (this.#isTooOld(patience, 0)) return this.#tooOld(request, lastError, attempts);
      const result = isOver(patience) ? BROKEN_OFF : await this.#attempt(request, patience.end);
      if (!(result instanceof ConsumeError)) return this.#arrived(request, result, attempts);
      if (patience.end.aborted || result === BROKEN_OFF) return this.#brokenOff(request, lastError);
      if (!result.isRetryable) {
        if (lastError !== undefined) this.#health.gaveUp();
        return this.#refused(request, result, attempts + 1);
      }
      if (isOver(patience)) return this.#brokenOff(request, lastError);
      if (lastError === undefined) this.#health.failing(result);
      lastError = result;
      const delayMs = backoff.nextDelayMs(this.#clock.monotonicMs() - startedMs, result.retryAfterMs);
      if (delayMs === undefined) return this.#expired(request, result, "retries_ended", attempts + 1);
      if (this.#isTooOld(patience, delayMs)) return this.#tooOld(request, result, attempts + 1);
      this.#throttle(result.retryAfterMs);
      if (!(await this.#rest(request, delayMs, patience))) return this.#brokenOff(request, result);
    }
  }

  /** Waits for the next attempt, without the bytes where they can be had again. False where they could not. */
  async #rest(request: OutgoingRequest | RestingRequest, delayMs: number, patience: Patience): Promise<boolean> {
    if (!("rest" in request)) {
      await this.#wait(delayMs, patience);
      return true;
    }
    request.rest();
    await this.#wait(delayMs, patience);
    return request.wake();
  }

  #arrived({ payload }: OutgoingRequest, result: SendResult, failedAttempts: number): DeliveryOutcome {
    if (failedAttempts > 0) this.#health.recovered();
    else this.#health.succeeded();
    const rejected = Math.min(result.rejectedItems, payload.itemCount);
    if (rejected === 0) return { ...NOTHING_DELIVERED, sent: payload.itemCount };
    const { message } = result;
    this.#health.lost("rejected", rejected, message);
    const losses = [{ reason: "partial_success" as const, payload, attempts: failedAttempts + 1, message }];
    return { ...NOTHING_DELIVERED, sent: payload.itemCount - rejected, rejected, losses };
  }

  #brokenOff({ payload }: OutgoingRequest, lastError: ConsumeError | undefined): DeliveryOutcome {
    if (lastError !== undefined) this.#health.gaveUp();
    return { ...NOTHING_DELIVERED, undelivered: payload.itemCount, error: lastError ?? BROKEN_OFF };
  }

  /** After an attempt that failed. */
  #expired(
    { payload }: OutgoingRequest,
    error: ConsumeError,
    reason: Loss["reason"],
    attempts: number,
  ): DeliveryOutcome {
    const { message } = error;
    this.#health.gaveUp();
    this.#health.lost("expired", payload.itemCount, message);
    return {
      ...NOTHING_DELIVERED,
      expired: payload.itemCount,
      error,
      losses: [{ reason, payload, attempts, message }],
    };
  }

  #isTooOld({ expiresUnixMs = Infinity }: Patience, delayMs: number): boolean {
    return expiresUnixMs !== Infinity && this.#clock.nowMs() + delayMs >= expiresUnixMs;
  }

  #tooOld(request: OutgoingRequest, lastError: ConsumeError | undefined, attempts: number): DeliveryOutcome {
    if (lastError !== undefined) return this.#expired(request, lastError, "too_old", attempts);
    const { payload } = request;
    this.#health.lost("expired", payload.itemCount, TOO_OLD.message);
    const losses = [{ reason: "too_old" as const, payload, attempts, message: TOO_OLD.message }];
    return { ...NOTHING_DELIVERED, expired: payload.itemCount, error: TOO_OLD, losses };
  }

  /** These bytes will never be taken. Too many of them is the one refusal that can be mended: halves, down to single items. */
  #refused(request: OutgoingRequest, error: ConsumeError, attempts: number): DeliveryOutcome | Parts {
    const { signal, payload } = request;
    if (error.kind === "too_large" && payload.itemCount > 1) {
      const halves = splitPayload(signal, payload, { itemsMax: Math.ceil(payload.itemCount / 2) });
      if (halves.length > 1) return halves;
    }
    return this.#rejected(request, error, attempts);
  }

  #rejected({ payload }: OutgoingRequest, error: ConsumeError, attempts: number): DeliveryOutcome {
    const { message } = error;
    this.#health.lost("rejected", payload.itemCount, message);
    const losses = [{ reason: "rejected" as const, payload, attempts, message }];
    return { ...NOTHING_DELIVERED, rejected: payload.itemCount, error, losses };
  }

  /** One attempt, within the timeout. Gives the error back instead of throwing it. */
  async #attempt(request: OutgoingRequest, end: AbortSignal): Promise<SendResult | ConsumeError> {
    const controller = new AbortController();
    const breakOff = (): void => controller.abort();
    const timer = this.#timeoutMs > 0 ? this.#clock.after(this.#timeoutMs, breakOff) : undefined;
    end.addEventListener("abort", breakOff, { once: true });
    try {
      return await this.#sender.send(request, controller.signal);
    } catch (thrown) {
      // Whatever the exporter calls a broken-off attempt: the backend was too slow, which passes.
      if (controller.signal.aborted) return timedOut(this.#timeoutMs, thrown);
      return ConsumeError.from(thrown);
    } finally {
      timer?.cancel();
      end.removeEventListener("abort", breakOff);
    }
  }

  #throttle(retryAfterMs: number | undefined): void {
    if (retryAfterMs === undefined) return;
    const untilMs = this.#clock.monotonicMs() + Math.min(retryAfterMs, RETRY_AFTER_MS_MAX);
    this.#throttledUntilMs = Math.max(this.#throttledUntilMs, untilMs);
  }

  /** Requests that have not failed themselves obey the hint too: the protocol asks the client to throttle. */
  async #waitOutThrottle(patience: Patience): Promise<void> {
    const leftMs = this.#throttledUntilMs - this.#clock.monotonicMs();
    if (leftMs > 0) await this.#wait(leftMs, patience);
  }

  /** A wait that has begun ends when the hurry begins; one that begins in a hurry is short. */
  #wait(delayMs: number, { end, hurry, leave = end }: Patience): Promise<void> {
    if (hurry.aborted) {
      return sleep(this.#clock, Math.min(delayMs, DRAIN_BACKOFF_MS_MAX), AbortSignal.any([end, leave]));
    }
    return sleep(this.#clock, delayMs, hurry);
  }
}

/** So many items were too old before they were read, let alone tried. */
export function expireUntried(items: number): DeliveryOutcome {
  const payload: EncodedPayload = { slices: [], size: 0, itemCount: items };
  const losses = [{ reason: "too_old" as const, payload, attempts: 0, message: TOO_OLD.message }];
  return { ...NOTHING_DELIVERED, expired: items, error: TOO_OLD, losses };
}

/** What `deliver` threw is a bug of ours: no part of these items that has not arrived ever will. */
export function rejectRest({ outcome, rest }: Progress, items: number, error: ConsumeError): Progress {
  const rejected = items - outcome.sent - outcome.expired;
  const payload = mergePayloads(rest.map((request) => request.payload));
  const losses = [{ reason: "rejected" as const, payload, attempts: 0, message: error.message }];
  return { outcome: { ...outcome, rejected, error, losses: outcome.sent === 0 ? losses : outcome.losses }, rest: [] };
}

function sumOutcomes(left: DeliveryOutcome, right: DeliveryOutcome): DeliveryOutcome {
  return {
    sent: left.sent + right.sent,
    rejected: left.rejected + right.rejected,
    expired: left.expired + right.expired,
    undelivered: left.undelivered + right.undelivered,
    error: left.error ?? right.error,
    losses: right.losses.length === 0 ? left.losses : [...left.losses, ...right.losses],
  };
}

/** Part of the request is done with: handed to another now, that part would be sent twice. */
function hasSettled({ sent, rejected, expired }: DeliveryOutcome): boolean {
  return sent + rejected + expired > 0;
}

function withoutLeave({ leave: _leave, ...patience }: Patience): Patience {
  return patience;
}

function isParts(result: DeliveryOutcome | Parts): result is Parts {
  return Array.isArray(result);
}

function isOver({ end, leave }: Patience): boolean {
  return end.aborted || leave?.aborted === true;
}

function timedOut(timeoutMs: number, cause: unknown): ConsumeError {
  return new ConsumeError("retryable", `no answer within ${timeoutMs} ms`, { cause });
}
