import type { Counter, Gauge, Histogram, Labels, Meter, MetricDescription } from "../core/meter.ts";

/**
 * The gateway's own metrics in memory, written in the Prometheus text format 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/). Counters carry no `_total`, since the Collector's
 * built-in reader leaves it away and people's dashboards expect its names.
 */

type Kind = "counter" | "gauge" | "histogram";

/** One series: reads itself when scraped, as sample lines without the family's name in front of the suffix. */
interface Series {
  readonly labels: Labels;
  readonly instrument: Counter | Gauge | Histogram | undefined;
  samples(): Iterable<Sample>;
}

interface Sample {
  readonly suffix: string;
  readonly labels: Labels;
  readonly value: number;
}

interface Family {
  readonly kind: Kind;
  readonly description: MetricDescription;
  readonly series: Map<string, Series>;
}

/** A label whose values come from outside could grow without end; beyond this many series a family takes no new one. */
const SERIES_PER_FAMILY_MAX = 2000;

export class MetricsRegistry implements Meter {
  readonly #families = new Map<string, Family>();

  counter(name: string, labels: Labels, description: MetricDescription): Counter {
    return this.#series(name, "counter", labels, description, createSum) as Counter;
  }

  gauge(name: string, labels: Labels, description: MetricDescription): Gauge {
    return this.#series(name, "gauge", labels, description, createLast) as Gauge;
  }

  observableGauge(name: string, labels: Labels, description: MetricDescription, read: () => number): void {
    // Asked again, the newer reader wins: the component that registered the older one has been shut down.
    this.#families.get(name)?.series.delete(labelsKey(labels));
    this.#series(name, "gauge", labels, description, (own) => ({
      labels: own,
      instrument: undefined,
      samples: () => [{ suffix: "", labels: own, value: read() }],
    }));
  }

  histogram(name: string, labels: Labels, description: MetricDescription, bounds: readonly number[]): Histogram {
    return this.#series(name, "histogram", labels, description, (own) => createHistogram(own, bounds)) as Histogram;
  }

  /** The value of one counter or gauge series, for tests and the ledger's print; undefined where there is none. */
  value(name: string, labels: Labels): number | undefined {
    const series = this.#families.get(name)?.series.get(labelsKey(labels));
    return series === undefined ? undefined : [...series.samples()][0]?.value;
  }

  toPrometheusText(): string {
    const lines: string[] = [];
    for (const [name, family] of [...this.#families].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
      lines.push(`# HELP ${name} ${escapeHelp(family.description.description)}`, `# TYPE ${name} ${family.kind}`);
      for (const series of family.series.values()) {
        for (const sample of series.samples()) lines.push(formatSample(name, sample));
      }
    }
    return `${lines.join("\n")}\n`;
  }

  #series(
    name: string,
    kind: Kind,
    labels: Labels,
    description: MetricDescription,
    create: (labels: Labels) => Series,
  ): Series["instrument"] {
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

function createSum(labels: Labels): Series {
  let sum = 0;
  return {
    labels,
    instrument: { add: (value: number) => void (sum += value) },
    samples: () => [{ suffix: "", labels, value: sum }],
  };
}

function createLast(labels: Labels): Series {
  let last = 0;
  return {
    labels,
    instrument: { set: (value: number) => void (last = value) },
    samples: () => [{ suffix: "", labels, value: last }],
  };
}

function createHistogram(labels: Labels, bounds: readonly number[]): Series {
  const counts = Array.from({ length: bounds.length + 1 }, () => 0);
  let sum = 0;
  const record = (value: number): void => {
    const found = bounds.findIndex((bound) => value <= bound);
    const bucketIndex = found < 0 ? bounds.length : found;
    counts[bucketIndex]! += 1;
    sum += value;
  };
  return { labels, instrument: { record }, samples: () => histogramSamples(labels, bounds, counts, sum) };
}

function* histogramSamples(
  labels: Labels,
  bounds: readonly number[],
  counts: readonly number[],
  sum: number,
): Iterable<Sample> {
  let cumulative = 0;
  for (const [index, count] of counts.entries()) {
    cumulative += count;
    const le = index < bounds.length ? String(bounds[index]) : "+Inf";
    yield { suffix: "_bucket", labels: { ...labels, le }, value: cumulative };
  }
  yield { suffix: "_sum", labels, value: sum };
  yield { suffix: "_count", labels, value: cumulative };
}

function labelsKey(labels: Labels): string {
  return JSON.stringify(Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function formatSample(name: string, sample: Sample): string {
  const labels = Object.entries(sample.labels)
    .map(([key, value]) => `${key}="${escapeLabel(value)}"`)
    .join(",");
  return `${name}${sample.suffix}${labels === "" ? "" : `{${labels}}`} ${formatNumber(sample.value)}`;
}

function formatNumber(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  return String(value);
}

function escapeLabel(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
}

function escapeHelp(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}
