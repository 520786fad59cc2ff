import type { Batch } from "../core/batch.ts";
import type { Clock } from "../core/clock.ts";

/** How long the gateway does nothing else: short beside the second in which a sender expects its answer. */
const SLICE_MS = 20;

/** Visits all that stands in a batch, at once or, where the batch is large, in slices. */
export function visitAll<T>(
  batch: Batch,
  items: Iterable<T>,
  clock: Clock,
  visit: (item: T) => void,
): void | Promise<void> {
  if (batch.isLarge) return visitInSlices(items, clock, visit);
  for (const item of items) visit(item);
}

/**
 * Visits every item, and lets everything else that waits have its turn in between: for batches that are large. While it
 * pauses, others run; whatever `items` walks over must be its caller's alone until the promise is settled.
 */
export async function visitInSlices<T>(items: Iterable<T>, clock: Clock, visit: (item: T) => void): Promise<void> {
  let endMs = clock.monotonicMs() + SLICE_MS;
  for (const item of items) {
    visit(item);
    if (clock.monotonicMs() < endMs) continue;
    await new Promise((resolve) => setImmediate(resolve));
    endMs = clock.monotonicMs() + SLICE_MS;
  }
}
