/** Enough for a 99th percentile that means something, few enough to sort in microseconds. */
const SAMPLE_COUNT_MAX = 128;

/** The latest durations of one thing, for a percentile that follows it within seconds. */
export class RecentDurations {
  readonly #samplesMs: number[] = [];
  #next = 0;
  #p99Ms: number | undefined;

  add(durationMs: number): void {
    this.#samplesMs[this.#next] = durationMs;
    this.#next = (this.#next + 1) % SAMPLE_COUNT_MAX;
    this.#p99Ms = undefined;
  }

  /** 0 before the first sample. Sorts only when asked after a change. */
  p99(): number {
    this.#p99Ms ??= percentile(this.#samplesMs, 0.99);
    return this.#p99Ms;
  }
}

function percentile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((left, right) => left - right);
  return sorted[Math.max(Math.ceil(sorted.length * share) - 1, 0)] ?? 0;
}
