import { getHeapStatistics } from "node:v8";
import type { Clock } from "../core/clock.ts";
import type { MetricsRegistry } from "./metrics-registry.ts";

/**
 * The process under the Collector's names, with what is nearest to them in Node. V8 does not count what it has ever
 * allocated, so `otelcol_process_runtime_total_alloc_bytes` is left out: a wrong number would be worse than none.
 */
export function registerProcessMetrics(registry: MetricsRegistry, clock: Clock): void {
  const startMs = clock.monotonicMs();
  const seconds = { unit: "s" };
  const bytes = { unit: "By" };
  registry.observableCounter(
    "otelcol_process_uptime",
    {},
    { description: "Uptime of the process", ...seconds },
    () => (clock.monotonicMs() - startMs) / 1000,
  );
  registry.observableCounter(
    "otelcol_process_cpu_seconds",
    {},
    { description: "Total CPU user and system time in seconds", ...seconds },
    () => cpuSeconds(),
  );
  registry.observableGauge(
    "otelcol_process_memory_rss",
    {},
    { description: "Total physical memory (resident set size)", ...bytes },
    () => process.memoryUsage.rss(),
  );
  registry.observableGauge(
    "otelcol_process_runtime_heap_alloc_bytes",
    {},
    { description: "Bytes of objects on the V8 heap of the main thread", ...bytes },
    () => getHeapStatistics().used_heap_size,
  );
  registry.observableGauge(
    "otelcol_process_runtime_total_sys_memory_bytes",
    {},
    { description: "Bytes that the V8 heap of the main thread and its buffers have from the system", ...bytes },
    () => {
      const { total_heap_size: heap, external_memory: external } = getHeapStatistics();
      return heap + external;
    },
  );
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
