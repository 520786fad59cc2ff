import type { Counter, Gauge, Histogram, Labels, Meter, MetricDescription, MetricLevel } from "../core/meter.ts";

/**
 * The gateway's own metrics in memory, with OpenTelemetry's names, units and kinds. They are shown by others:
 * otlp-metrics.ts as they are, prometheus-text.ts in the spelling of Prometheus.
 */

export type MetricKind = "counter" | "upDownCounter" | "gauge" | "histogram";

/** A histogram as it stands: one more count than bounds, each of its own bucket alone. */
export interface HistogramValue {
  readonly bounds: readonly number[];
  readonly counts: readonly number[];
  readonly sum: number;
  readonly count: number;
  /** Of all that was recorded; what they are where nothing was says nothing. */
  readonly min: number;
  readonly max: number;
}

export interface MetricSeries {
  readonly labels: Labels;
  readonly value: number | HistogramValue;
}

/** One metric with all its series, read at this moment. */
export interface MetricFamily {
  readonly name: string;
  readonly kind: MetricKind;
  readonly description: MetricDescription;
  readonly series: readonly MetricSeries[];
}

interface Series {
  readonly labels: Labels;
  readonly instrument: Counter | Gauge | Histogram | undefined;
  read(): number | HistogramValue;
}

interface Family {
  readonly kind: MetricKind;
  readonly description: MetricDescription;
  readonly series: Map<string, Series>;
}

/** A label whose values come from outside could grow without end; beyond this many series a family takes no new one. */
const SERIES_PER_FAMILY_MAX = 2000;

const LEVEL_RANKS: Readonly<Record<MetricLevel, number>> = { basic: 0, normal: 1, detailed: 2 };

/** Takes what is recorded for metrics that the level leaves out. */
const UNSHOWN = { add: ignore, set: ignore, record: ignore };

export class MetricsRegistry implements Meter {
  readonly #families = new Map<string, Family>();
  #level: MetricLevel;

  /** What is marked with a higher level is not kept. */
  constructor(level: MetricLevel = "normal") {
    this.#level = level;
  }

  /** What is made from now on is kept up to this level. Never lower: what is not to be shown is left out by collect(). */
  raise(level: MetricLevel): void {
    if (!this.shows(level)) this.#level = level;
  }

  shows(level: MetricLevel): boolean {
    return LEVEL_RANKS[level] <= LEVEL_RANKS[this.#level];
  }

  counter(name: string, labels: Labels, description: MetricDescription): Counter {
    return this.#series(name, "counter", labels, description, createSum) as Counter;
  }

  gauge(name: string, labels: Labels, description: MetricDescription): Gauge {
    return this.#series(name, "gauge", labels, description, createLast) as Gauge;
  }

  observableGauge(name: string, labels: Labels, description: MetricDescription, read: () => number): void {
    this.#observe(name, "gauge", labels, description, read);
  }

  observableUpDownCounter(name: string, labels: Labels, description: MetricDescription, read: () => number): void {
    this.#observe(name, "upDownCounter", labels, description, read);
  }

  /** `read` gives a sum that never goes back. */
  observableCounter(name: string, labels: Labels, description: MetricDescription, read: () => number): void {
    this.#observe(name, "counter", labels, description, read);
  }

  histogram(name: string, labels: Labels, description: MetricDescription, bounds: readonly number[]): Histogram {
    return this.#series(name, "histogram", labels, description, (own) => createHistogram(own, bounds)) as Histogram;
  }

  /** The value of one counter or gauge series, for tests and the ledger's print; undefined where there is none. */
  value(name: string, labels: Labels): number | undefined {
    const value = this.#families.get(name)?.series.get(labelsKey(labels))?.read();
    return typeof value === "number" ? value : undefined;
  }

  /** Every metric of this level and below, by name. */
  collect(level: MetricLevel = "detailed"): MetricFamily[] {
    const shown = [...this.#families].filter(
      ([, { description }]) => LEVEL_RANKS[description.level ?? "basic"] <= LEVEL_RANKS[level],
    );
    return shown
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, { kind, description, series }]) => ({
        name,
        kind,
        description,
        series: [...series.values()].map((each) => ({ labels: each.labels, value: each.read() })),
      }));
  }

  #observe(name: string, kind: MetricKind, labels: Labels, description: MetricDescription, read: () => number): void {
    // Asked again, the newer reader wins: the component that registered the older one has been shut down.
    this.#families.get(name)?.series.delete(labelsKey(labels));
    this.#series(name, kind, labels, description, (own) => ({ labels: own, instrument: undefined, read }));
  }

  #series(
    name: string,
    kind: MetricKind,
    labels: Labels,
    description: MetricDescription,
    create: (labels: Labels) => Series,
  ): Series["instrument"] {
    if (!this.shows(description.level ?? "basic")) return UNSHOWN;
    let family = this.#families.get(name);
    if (family === undefined) {
      family = { kind, description, series: new Map() };
      this.#families.set(name, family);
    }
    if (family.kind !== kind) throw new TypeError(`metric ${name} is a ${family.kind}, asked for as a ${kind}`);
    const key = labelsKey(labels);
    const known = family.series.get(key);
    if (known !== undefined) return known.instrument;
    const series = create(labels);
    if (family.series.size < SERIES_PER_FAMILY_MAX) family.series.set(key, series);
    return series.instrument;
  }
}

function ignore(): void {}

function createSum(labels: Labels): Series {
  let sum = 0;
  return { labels, instrument: { add: (value: number) => void (sum += value) }, read: () => sum };
}

function createLast(labels: Labels): Series {
  let last = 0;
  return { labels, instrument: { set: (value: number) => void (last = value) }, read: () => last };
}

function createHistogram(labels: Labels, bounds: readonly number[]): Series {
  const counts = Array.from({ length: bounds.length + 1 }, () => 0);
  let sum = 0;
  let count = 0;
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  const record = (value: number): void => {
    const found = bounds.findIndex((bound) => value <= bound);
    const bucketIndex = found < 0 ? bounds.length : found;
    counts[bucketIndex]! += 1;
    sum += value;
    count += 1;
    min = Math.min(min, value);
    max = Math.max(max, value);
  };
  return { labels, instrument: { record }, read: () => ({ bounds, counts: [...counts], sum, count, min, max }) };
}

function labelsKey(labels: Labels): string {
  return JSON.stringify(Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
