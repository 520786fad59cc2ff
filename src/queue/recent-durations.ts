/** Enough for a 99th percentile that means something, few enough to sort in microseconds. */
const SAMPLE_COUNT_MAX = 128;

/** Sorting again for each new sample would cost more than what is measured; a quarter of new ones may move the result. */
const STALE_SHARE = 4;

/** The latest durations of one thing, for a percentile that follows it within seconds. */
export class RecentDurations {
  readonly #samplesMs: number[] = [];
  #next = 0;
  #newCount = 0;
  #p99Ms = 0;

  add(durationMs: number): void {
    this.#samplesMs[this.#next] = durationMs;
    this.#next = (this.#next + 1) % SAMPLE_COUNT_MAX;
    this.#newCount += 1;
  }

  /** 0 before the first sample. */
  p99(): number {
    if (this.#newCount > 0 && this.#newCount * STALE_SHARE >= this.#samplesMs.length) {
      this.#p99Ms = percentile(this.#samplesMs, 0.99);
      this.#newCount = 0;
    }
    return this.#p99Ms;
  }
}

function percentile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((left, right) => left - right);
  return sorted[Math.max(Math.ceil(sorted.length * share) - 1, 0)] ?? 0;
}
