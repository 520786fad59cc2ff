import type { Admission } from "./admission.ts";
import type { Batch } from "./batch.ts";
import type { Consumer } from "./consumer.ts";
import { ConsumeError, worstError } from "./errors.ts";
import type { Signal } from "./signal.ts";

/**
 * One consumer that hands every batch to all of `consumers`.
 *
 * All branches are started, and all have settled before it settles: a branch that rejects early must not let the opener
 * discard, or answer, while another still enlists. Then the worst error of all is the answer.
 */
export function fanOut<S extends Signal>(consumers: readonly Consumer<S>[]): Consumer<S> {
  const [only] = consumers;
  if (consumers.length === 1 && only !== undefined) return only;
  return new FanOut(consumers);
}

class FanOut<S extends Signal> implements Consumer<S> {
  readonly mutatesData: boolean;
  readonly #consumers: readonly Consumer<S>[];

  constructor(consumers: readonly Consumer<S>[]) {
    this.#consumers = consumers;
    // Readers share the original, so every editor gets a copy. Where all are editors, the last may have the original.
    this.mutatesData = consumers.length > 0 && consumers.every((consumer) => consumer.mutatesData);
  }

  async consume(batch: Batch<S>, admission: Admission): Promise<void> {
    const batches = this.#copies(batch);
    // All copies are made before any branch starts: one that edits would otherwise be seen by those behind it.
    const branches = this.#consumers.map((consumer, index) => start(consumer, batches[index]!, admission));
    const outcomes = await Promise.all(branches);
    for (const copy of batches) if (copy !== batch) copy.release();
    const error = worstError(outcomes.filter((outcome) => outcome !== undefined));
    if (error !== undefined) throw error;
  }

  #copies(batch: Batch<S>): Batch<S>[] {
    const lastIndex = this.#consumers.length - 1;
    return this.#consumers.map((consumer, index) => {
      const takesOriginal = !consumer.mutatesData || (this.mutatesData && index === lastIndex);
      return takesOriginal ? batch : batch.clone();
    });
  }
}

/** Never rejects: what the branch throws, at once or later, is its outcome. */
async function start<S extends Signal>(
  consumer: Consumer<S>,
  batch: Batch<S>,
  admission: Admission,
): Promise<ConsumeError | undefined> {
  try {
    await consumer.consume(batch, admission);
    return undefined;
  } catch (thrown) {
    return ConsumeError.from(thrown);
  }
}
