import type { Histogram, Labels, Meter } from "../core/meter.ts";

/** The Collector's own bounds, so that its dashboards read ours. */
const ITEM_BOUNDS = [
  10, 25, 50, 75, 100, 250, 500, 750, 1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000, 10_000, 20_000, 30_000,
  50_000, 100_000,
];
const BYTE_BOUNDS = Array.from({ length: 18 }, (_, power) => 128 * 2 ** power);

interface Sized {
  readonly itemCount: number;
  readonly size: number;
}

/** How large the pieces are that a sending queue is given, and the requests that it makes of them: level detailed. */
export class QueueSizes {
  readonly #enqueued: SizeHistograms;
  readonly #sent: SizeHistograms;

  /** undefined at lower levels: nothing is measured. */
  static of(meter: Meter, exporter: string, addressLabels: Labels): QueueSizes | undefined {
    return meter.shows("detailed") ? new QueueSizes(meter, exporter, addressLabels) : undefined;
  }

  private constructor(meter: Meter, exporter: string, addressLabels: Labels) {
    this.#enqueued = new SizeHistograms(meter, "enqueue_size", { exporter }, "what was added to the sending queue");
    const labels = { exporter, ...addressLabels };
    this.#sent = new SizeHistograms(meter, "queue_batch_send_size", labels, "the requests that batching made");
  }

  enqueued(sized: Sized): void {
    this.#enqueued.record(sized);
  }

  batched(sized: Sized): void {
    this.#sent.record(sized);
  }
}

class SizeHistograms {
  readonly #items: Histogram;
  readonly #bytes: Histogram;

  constructor(meter: Meter, name: string, labels: Labels, what: string) {
    const [items, bytes] = [`otelcol_exporter_${name}`, `otelcol_exporter_${name}_bytes`];
    const level = "detailed";
    this.#items = meter.histogram(
      items,
      labels,
      { description: `Items in ${what}.`, unit: "{unit}", level },
      ITEM_BOUNDS,
    );
    this.#bytes = meter.histogram(bytes, labels, { description: `Bytes in ${what}.`, unit: "By", level }, BYTE_BOUNDS);
  }

  record({ itemCount, size }: Sized): void {
    this.#items.record(itemCount);
    this.#bytes.record(size);
  }
}
