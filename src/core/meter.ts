/**
 * Attributes of one series, named as OpenTelemetry names them (`server.address`); the page for Prometheus spells them in
 * its own way.
 * Keep the number of different values small and bounded.
 */
export type Labels = Readonly<Record<string, string>>;

export interface Counter {
  add(value: number): void;
}

export interface Gauge {
  set(value: number): void;
}

/** Bounds are upper limits in ascending order, in the metric's unit. */
export interface Histogram {
  record(value: number): void;
}

/** `service.telemetry.metrics.level`: what is marked with a higher one than is set is not shown. */
export type MetricLevel = "basic" | "normal" | "detailed";

export interface MetricDescription {
  readonly description: string;
  /** UCUM unit, such as "By", "s", "{record}". */
  readonly unit?: string;
  /** Default: basic, shown at every level but none. */
  readonly level?: MetricLevel;
}

/**
 * The gateway's own metrics, named as the Collector names its own where they leave it by OTLP
 * (`otelcol_receiver_accepted_log_records`, `http.server.request.duration`).
 * Asking twice for the same name and labels gives the same series, so a component asks once, at creation, and keeps it.
 */
export interface Meter {
  /** False: what is marked with this level goes nowhere, and what it would cost to measure need not be spent. Fixed for the meter's life. */
  shows(level: MetricLevel): boolean;
  counter(name: string, labels: Labels, description: MetricDescription): Counter;
  gauge(name: string, labels: Labels, description: MetricDescription): Gauge;
  /** `read` is called when the metrics are scraped. */
  observableGauge(name: string, labels: Labels, description: MetricDescription, read: () => number): void;
  /** As observableGauge, of what adds up over its series: a sum that may fall. */
  observableUpDownCounter(name: string, labels: Labels, description: MetricDescription, read: () => number): void;
  histogram(name: string, labels: Labels, description: MetricDescription, bounds: readonly number[]): Histogram;
}
