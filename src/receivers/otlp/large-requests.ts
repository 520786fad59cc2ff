import type { Clock } from "../../core/clock.ts";
import { ConsumeError } from "../../core/errors.ts";
import { RETRY_AFTER_MS_DEFAULT } from "../../core/limits.ts";
import { waitEndMs } from "../../queue/patience.ts";

export interface TurnSettings {
  readonly clock: Clock;
  readonly deadline: number;
  readonly signal: AbortSignal;
}

/**
 * One at a time, in the order of their arrival. A batch in a pipeline takes several times its bytes, for the edits beside
 * them; processors pause in large ones, so that many at once would add up. Small ones pass by.
 */
export class TurnQueue {
  #isTaken = false;
  readonly #waiters = new Set<() => void>();

  /** Resolves with what ends the turn, idempotent; rejects with ConsumeError where the sender's time is over first. */
  async take(settings: TurnSettings): Promise<() => void> {
    if (this.#isTaken) await this.#wait(settings);
    this.#isTaken = true;
    let isOver = false;
    return () => {
      if (!isOver) this.#passOn();
      isOver = true;
    };
  }

  /** The next waiter gets the turn before anybody else can take it. */
  #passOn(): void {
    const [next] = this.#waiters;
    if (next === undefined) this.#isTaken = false;
    else next();
  }

  #wait({ clock, deadline, signal }: TurnSettings): Promise<void> {
    return new Promise((resolve, reject) => {
      const nowMs = clock.nowMs();
      const endMs = waitEndMs({ openedMs: nowMs, deadlineMs: deadline, syncP99Ms: 0 });
      const leave = (): void => {
        this.#waiters.delete(admit);
        timer.cancel();
        signal.removeEventListener("abort", refuse);
      };
      const admit = (): void => {
        leave();
        resolve();
      };
      const refuse = (): void => {
        leave();
        reject(refusal());
      };
      const timer = clock.after(endMs - nowMs, refuse);
      signal.addEventListener("abort", refuse, { once: true });
      this.#waiters.add(admit);
      if (signal.aborted) refuse();
    });
  }
}

function refusal(): ConsumeError {
  const message = "other large requests were before it until the sender's time was over";
  return new ConsumeError("refused", message, { retryAfterMs: RETRY_AFTER_MS_DEFAULT, reason: "large_requests" });
}

/** Of all doors of all receivers in this process, whose memory they share. */
export const LARGE_REQUESTS = new TurnQueue();
