import { expect, it } from "vitest";
import { ConsumeError } from "../../src/core/errors.ts";
import { ExporterMetrics } from "../../src/queue/exporter-metrics.ts";
import { QueueSizes } from "../../src/queue/queue-sizes.ts";
import { MetricsRegistry } from "../../src/service/metrics-registry.ts";

it("sizes what is enqueued and what batching makes of it at level detailed, and nothing below", () => {
  const registry = new MetricsRegistry("detailed");
  const sizes = QueueSizes.of(registry, "otlp_http", { "server.address": "backend" })!;
  sizes.enqueued({ itemCount: 3, size: 300 });
  sizes.enqueued({ itemCount: 4, size: 400 });
  sizes.batched({ itemCount: 7, size: 700 });
  const sums = registry
    .collect()
    .map(({ name, series }) => [name, series[0]!.labels, (series[0]!.value as { sum: number }).sum]);
  const sent = { exporter: "otlp_http", "server.address": "backend" };
  expect(sums).toEqual([
    ["otelcol_exporter_enqueue_size", { exporter: "otlp_http" }, 7],
    ["otelcol_exporter_enqueue_size_bytes", { exporter: "otlp_http" }, 700],
    ["otelcol_exporter_queue_batch_send_size", sent, 7],
    ["otelcol_exporter_queue_batch_send_size_bytes", sent, 700],
  ]);
  expect(QueueSizes.of(new MetricsRegistry("normal"), "otlp_http", {})).toBeUndefined();
});

const REFUSED = new ConsumeError("permanent", "no");

it("says at level detailed of what kind failures were, and below only how many", () => {
  const detailed = new MetricsRegistry("detailed");
  const metrics = new ExporterMetrics(detailed, "otlp_http", "logs");
  metrics.failed.add(2, REFUSED);
  metrics.failed.add(3, new ConsumeError("retryable", "later"));
  const name = "otelcol_exporter_send_failed_log_records";
  const of = (kind: string, permanent: string) => ({
    "error.type": kind,
    "error.permanent": permanent,
    exporter: "otlp_http",
  });
  expect(detailed.value(name, of("permanent", "true"))).toBe(2);
  expect(detailed.value(name, of("retryable", "false"))).toBe(3);
  const normal = new MetricsRegistry("normal");
  new ExporterMetrics(normal, "otlp_http", "logs").failed.add(2, REFUSED);
  expect(normal.value(name, { exporter: "otlp_http" })).toBe(2);
});

it("counts under the address that an exporter sends to now", () => {
  const registry = new MetricsRegistry();
  const metrics = new ExporterMetrics(registry, "otlp_http", "logs");
  metrics.address({ "server.address": "old" });
  metrics.sent.add(1);
  metrics.address({ "server.address": "new" });
  metrics.sent.add(5);
  const sent = (address: string): number | undefined =>
    registry.value("otelcol_exporter_sent_log_records", { exporter: "otlp_http", "server.address": address });
  expect([sent("old"), sent("new")]).toEqual([1, 5]);
});
