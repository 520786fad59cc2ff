import type { Labels } from "../core/meter.ts";
import { VERSION } from "../core/version.ts";
import type { HistogramValue, MetricFamily } from "./metrics-registry.ts";

/**
 * The Prometheus text format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/):
 *
 *   # HELP name text
 *   # TYPE name counter | gauge | histogram                   a sum that may fall is a gauge
 *   name{label="value"} number            a histogram: name_bucket{le="..."} cumulative, name_sum, name_count
 */
export interface PrometheusNames {
  /**
   * Units and `_total` in the names. The Collector's page has neither, and both as soon as one of its two keys asks for
   * one (measured with v0.165.0); people's dashboards expect its names.
   */
  readonly hasSuffixes: boolean;
  /** Labels that say which library counted. */
  readonly hasScope: boolean;
}

export function formatPrometheus(
  families: readonly MetricFamily[],
  resource: Readonly<Record<string, string>>,
  names: PrometheusNames,
): string {
  const lines: string[] = [];
  for (const family of families) {
    const name = promName(names.hasSuffixes ? withSuffixes(family) : family.name);
    const type = family.kind === "upDownCounter" ? "gauge" : family.kind;
    lines.push(`# HELP ${name} ${escapeHelp(family.description.description)}`, `# TYPE ${name} ${type}`);
    for (const { labels, value } of family.series) {
      const all = named(names.hasScope ? { ...labels, ...SCOPE } : labels);
      if (typeof value === "number") lines.push(sample(name, all, value));
      else lines.push(...histogramSamples(name, all, value));
    }
  }
  lines.push(
    "# HELP target_info Target metadata",
    "# TYPE target_info gauge",
    sample("target_info", named(resource), 1),
  );
  return `${lines.join("\n")}\n`;
}

const SCOPE = { otel_scope_name: "signalbox", otel_scope_schema_url: "", otel_scope_version: VERSION };

/** As OpenTelemetry's Prometheus exporter spells UCUM. Annotations such as {items} are no units. */
const UNIT_WORDS: Readonly<Record<string, string>> = { s: "seconds", ms: "milliseconds", By: "bytes", "1": "ratio" };

function withSuffixes({ name, kind, description }: MetricFamily): string {
  const unit = UNIT_WORDS[description.unit ?? ""];
  const withUnit = unit === undefined || name.split(/[._]/).at(-1) === unit ? name : `${name}_${unit}`;
  return kind === "counter" && !withUnit.endsWith("_total") ? `${withUnit}_total` : withUnit;
}

function* histogramSamples(name: string, labels: Labels, histogram: HistogramValue): Iterable<string> {
  let cumulative = 0;
  for (const [index, count] of histogram.counts.entries()) {
    cumulative += count;
    const bound = histogram.bounds[index];
    yield sample(`${name}_bucket`, { ...labels, le: bound === undefined ? "+Inf" : formatNumber(bound) }, cumulative);
  }
  yield sample(`${name}_sum`, labels, histogram.sum);
  yield sample(`${name}_count`, labels, histogram.count);
}

function sample(name: string, labels: Labels, value: number): string {
  const written = Object.entries(labels).map(([key, text]) => `${key}="${escapeLabel(text)}"`);
  return `${name}${written.length === 0 ? "" : `{${written.join(",")}}`} ${formatNumber(value)}`;
}

/** `service.name` as `service_name`. Two keys that become one are one label, of the later. */
function named(attributes: Readonly<Record<string, string>>): Record<string, string> {
  const entries = Object.entries(attributes).map(([key, value]) => [promName(key), value] as const);
  return Object.fromEntries(entries);
}

function promName(key: string): string {
  const name = key.replaceAll(/[^A-Za-z0-9_]/g, "_");
  return /^[0-9]/.test(name) ? `_${name}` : name;
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
