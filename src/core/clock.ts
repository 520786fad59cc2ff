/**
 * The only way to time in the gateway: tests replace it, and nothing else calls Date.now or setTimeout.
 */
export interface Clock {
  /** Milliseconds since the Unix epoch. Use it for deadlines and for what a person reads. */
  nowMs(): number;
  /** Nanoseconds since the Unix epoch, for OTLP time fields. Its precision is the system clock's, about a microsecond. */
  nowUnixNano(): bigint;
  /** Milliseconds on a clock that never goes back. Use it for durations. */
  monotonicMs(): number;
  /** Calls back once, after at least `delayMs`. The timer does not keep the process alive. */
  after(delayMs: number, callback: () => void): Timer;
}

export interface Timer {
  /** Idempotent, legal after the timer has fired. */
  cancel(): void;
}

// setTimeout counts in a signed 32-bit integer and fires at once beyond it; a longer wait is walked in steps.
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

class SystemClock implements Clock {
  nowMs(): number {
    return Date.now();
  }

  nowUnixNano(): bigint {
    // timeOrigin + now() has sub-millisecond digits; Date.now() alone would stamp a burst with one equal time.
    return BigInt(Math.round((performance.timeOrigin + performance.now()) * 1e3)) * 1000n;
  }

  monotonicMs(): number {
    return performance.now();
  }

  after(delayMs: number, callback: () => void): Timer {
    let handle: NodeJS.Timeout;
    const step = (leftMs: number): void => {
      const waitMs = Math.min(Math.max(leftMs, 0), TIMEOUT_MS_MAX);
      handle = setTimeout(() => (leftMs > waitMs ? step(leftMs - waitMs) : callback()), waitMs);
      handle.unref();
    };
    step(delayMs);
    return { cancel: () => clearTimeout(handle) };
  }
}

export const systemClock: Clock = new SystemClock();

/** Resolves after `delayMs`, or at once when `signal` aborts. Never rejects: the caller looks at the signal. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted === true) return Promise.resolve();
  return new Promise((resolve) => {
    const finish = (): void => {
      timer.cancel();
      signal?.removeEventListener("abort", finish);
      resolve();
    };
    const timer = clock.after(delayMs, finish);
    signal?.addEventListener("abort", finish, { once: true });
  });
}
