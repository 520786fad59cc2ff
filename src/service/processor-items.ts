import { formatComponentId } from "../core/component-id.ts";
import type { Settings } from "../core/component.ts";
import type { Consumer } from "../core/consumer.ts";
import type { Counter } from "../core/meter.ts";
import type { Signal } from "../core/signal.ts";

/**
 * `otelcol_processor_incoming_items` and `otelcol_processor_outgoing_items` of one processor in one pipeline: counted at
 * its two ends, so that every type counts alike and none by itself.
 */
export class ProcessorItems {
  readonly #incoming: Counter;
  readonly #outgoing: Counter;

  constructor({ id, meter }: Settings, signal: Signal) {
    const labels = { processor: formatComponentId(id), otel_signal: signal };
    this.#incoming = meter.counter("otelcol_processor_incoming_items", labels, {
      description: "Number of items passed to the processor.",
      unit: "{items}",
    });
    this.#outgoing = meter.counter("otelcol_processor_outgoing_items", labels, {
      description: "Number of items emitted from the processor.",
      unit: "{items}",
    });
  }

  before<S extends Signal>(processor: Consumer<S>): Consumer<S> {
    return counting(processor, this.#incoming);
  }

  behind<S extends Signal>(next: Consumer<S>): Consumer<S> {
    return counting(next, this.#outgoing);
  }
}

function counting<S extends Signal>(next: Consumer<S>, counter: Counter): Consumer<S> {
  return {
    mutatesData: next.mutatesData,
    consume: (batch, admission) => {
      counter.add(batch.itemCount);
      return next.consume(batch, admission);
    },
  };
}
