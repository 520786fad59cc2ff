/** The three OTLP signals, named as in the Collector's pipelines. */
export type Signal = "traces" | "metrics" | "logs";

export const SIGNALS = ["traces", "metrics", "logs"] as const satisfies readonly Signal[];

/** The item of each signal as the Collector's metric names spell it (`otelcol_receiver_accepted_<items>`). */
export const ITEM_NAMES = {
  traces: "spans",
  metrics: "metric_points",
  logs: "log_records",
} as const satisfies Record<Signal, string>;

/** The item of each signal as the unit of a metric, in the Collector's words. */
export const ITEM_UNITS = {
  traces: "{span}",
  metrics: "{datapoint}",
  logs: "{record}",
} as const satisfies Record<Signal, string>;

/** The item of each signal in sentences for people: "512 spans not sent". */
export const ITEM_WORDS = {
  traces: "spans",
  metrics: "data points",
  logs: "log records",
} as const satisfies Record<Signal, string>;

export function isSignal(text: string): text is Signal {
  return (SIGNALS as readonly string[]).includes(text);
}
