import type { Admission } from "../core/admission.ts";
import { formatComponentId } from "../core/component-id.ts";
import type { Settings } from "../core/component.ts";
import type { Clock } from "../core/clock.ts";
import type { Consumer } from "../core/consumer.ts";
import type { Counter, Histogram, Labels } from "../core/meter.ts";
import type { Signal } from "../core/signal.ts";

/**
 * Seconds. The Collector leaves OpenTelemetry's default bounds, of which the first above 0 is 5 s; a processor that
 * takes that long has long been noticed, so ours begin at 10 us.
 */
const DURATION_BOUNDS_S = [
  0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
  1, 2.5, 5, 10,
];

/**
 * `otelcol_processor_incoming_items` and `otelcol_processor_outgoing_items` of one processor in one pipeline: counted at
 * its two ends, so that every type counts alike and none by itself. At level detailed the time between the two is taken.
 */
export class ProcessorItems {
  readonly #incoming: Counter;
  readonly #outgoing: Counter;
  readonly #stopwatch: Stopwatch | undefined;

  constructor({ id, meter, clock }: Settings, signal: Signal) {
    const labels = { processor: formatComponentId(id), "otel.signal": signal };
    this.#incoming = meter.counter("otelcol_processor_incoming_items", labels, {
      description: "Number of items passed to the processor.",
      unit: "{item}",
    });
    this.#outgoing = meter.counter("otelcol_processor_outgoing_items", labels, {
      description: "Number of items emitted from the processor.",
      unit: "{item}",
    });
    if (meter.shows("detailed")) this.#stopwatch = new Stopwatch(createDurations(meter, labels), clock);
  }

  before<S extends Signal>(processor: Consumer<S>): Consumer<S> {
    const counted = counting(processor, this.#incoming);
    return this.#stopwatch === undefined ? counted : this.#stopwatch.before(counted);
  }

  behind<S extends Signal>(next: Consumer<S>): Consumer<S> {
    const counted = counting(next, this.#outgoing);
    return this.#stopwatch === undefined ? counted : this.#stopwatch.behind(counted);
  }
}

function createDurations(meter: Settings["meter"], labels: Labels): Histogram {
  const description = {
    description: "Time from a batch's arrival at the processor to its leaving, without what comes behind.",
    unit: "s",
    level: "detailed",
  } as const;
  return meter.histogram("otelcol_processor_internal_duration", labels, description, DURATION_BOUNDS_S);
}

/** Times a processor without what stands behind it: until it first hands on, or until it ends where it hands on nothing. */
class Stopwatch {
  readonly #durations: Histogram;
  readonly #clock: Clock;
  /** When each admission's batch came in. One that is in twice at once (a fan-in) is timed from the later. */
  readonly #sinceMs = new Map<Admission, number>();

  constructor(durations: Histogram, clock: Clock) {
    this.#durations = durations;
    this.#clock = clock;
  }

  before<S extends Signal>(processor: Consumer<S>): Consumer<S> {
    return {
      ...processor,
      consume: async (batch, admission) => {
        this.#sinceMs.set(admission, this.#clock.monotonicMs());
        try {
          await processor.consume(batch, admission);
        } finally {
          this.#take(admission);
        }
      },
    };
  }

  behind<S extends Signal>(next: Consumer<S>): Consumer<S> {
    return {
      ...next,
      consume: (batch, admission) => {
        this.#take(admission);
        return next.consume(batch, admission);
      },
    };
  }

  #take(admission: Admission): void {
    const sinceMs = this.#sinceMs.get(admission);
    if (sinceMs === undefined) return;
    this.#sinceMs.delete(admission);
    this.#durations.record((this.#clock.monotonicMs() - sinceMs) / 1000);
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
