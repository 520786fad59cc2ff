import { spawnSync } from "node:child_process";
import { findPromtool, PEER_HINT } from "../peers/find.ts";
import { describe, expect, it } from "vitest";
import { MetricsRegistry } from "../../src/service/metrics-registry.ts";
import { formatPrometheus } from "../../src/service/prometheus-text.ts";
import { readPage } from "./prometheus-reader.ts";

const PLAIN = { hasSuffixes: false, hasScope: false };
const resource = { "service.name": "signalbox", "2nd": 'a "quoted"\nvalue \\' };

function filled(): MetricsRegistry {
  const registry = new MetricsRegistry("detailed");
  const items = { description: "Items that\nwere taken.", unit: "{items}" };
  registry.counter("taken", { receiver: 'otlp/"odd"', transport: "grpc" }, items).add(3);
  registry.counter("taken", { receiver: "otlp", transport: "http" }, items).add(2 ** 53);
  registry.observableCounter("cpu_seconds", {}, { description: "CPU.", unit: "s" }, () => 1.5);
  registry.observableGauge("memory", {}, { description: "Memory.", unit: "By" }, () => Number.NaN);
  const detailed = { description: "Sizes.", unit: "By", level: "detailed" } as const;
  const sizes = registry.histogram("sizes", { exporter: "debug" }, detailed, [10, 100]);
  for (const size of [5, 10, 50, 1000]) sizes.record(size);
  return registry;
}

describe("the metrics page", () => {
  it("is valid, whatever stands in labels and texts", () => {
    const page = readPage(formatPrometheus(filled().collect(), resource, PLAIN));
    expect([...page.types]).toEqual([
      ["cpu_seconds", "counter"],
      ["memory", "gauge"],
      ["sizes", "histogram"],
      ["taken", "counter"],
      ["target_info", "gauge"],
    ]);
    const taken = page.samples.filter(({ name }) => name === "taken");
    expect(taken[0]).toEqual({ name: "taken", labels: { receiver: 'otlp/"odd"', transport: "grpc" }, value: 3 });
    const info = page.samples.find(({ name }) => name === "target_info");
    expect(info?.labels).toEqual({ service_name: "signalbox", _2nd: 'a "quoted"\nvalue \\' });
  });

  it("counts a histogram's buckets up to the last, which holds all", () => {
    const { samples } = readPage(formatPrometheus(filled().collect(), {}, PLAIN));
    const sizes = samples.filter(({ name }) => name.startsWith("sizes"));
    expect(sizes.map(({ name, labels, value }) => [name, labels["le"], value])).toEqual([
      ["sizes_bucket", "10", 2],
      ["sizes_bucket", "100", 3],
      ["sizes_bucket", "+Inf", 4],
      ["sizes_sum", undefined, 1065],
      ["sizes_count", undefined, 4],
    ]);
  });

  it("has units and _total in the names where they are wanted, each once", () => {
    const { types } = readPage(formatPrometheus(filled().collect(), {}, { hasSuffixes: true, hasScope: true }));
    expect([...types.keys()]).toEqual([
      "cpu_seconds_total",
      "memory_bytes",
      "sizes_bytes",
      "taken_total",
      "target_info",
    ]);
  });

  it("spells OpenTelemetry's names and kinds in Prometheus' way", () => {
    const registry = new MetricsRegistry("detailed");
    const labels = { "server.address": "a", "http.response.status_code": "200" };
    registry.histogram("http.server.duration", labels, { description: "", unit: "s" }, [1]).record(0.5);
    registry.observableUpDownCounter("in_flight", {}, { description: "", unit: "{request}" }, () => 2);
    const [plain, full] = [false, true].map((hasSuffixes) =>
      readPage(formatPrometheus(registry.collect(), {}, { hasSuffixes, hasScope: false })),
    );
    expect([...plain!.types]).toEqual([
      ["http_server_duration", "histogram"],
      ["in_flight", "gauge"],
      ["target_info", "gauge"],
    ]);
    expect([...full!.types.keys()]).toEqual(["http_server_duration_seconds", "in_flight", "target_info"]);
    const count = plain!.samples.find(({ name }) => name === "http_server_duration_count");
    expect(count).toEqual({
      name: "http_server_duration_count",
      labels: { server_address: "a", http_response_status_code: "200" },
      value: 1,
    });
  });

  it("leaves out what is above its level", () => {
    expect(
      filled()
        .collect("normal")
        .map(({ name }) => name),
    ).toEqual(["cpu_seconds", "memory", "taken"]);
  });

  it("is taken by promtool", (context) => {
    const promtool = findPromtool();
    if (promtool === undefined) {
      context.skip(`promtool is not here: ${PEER_HINT}`);
      return;
    }
    for (const hasSuffixes of [true, false]) {
      const input = formatPrometheus(filled().collect(), resource, { hasSuffixes, hasScope: true });
      const check = spawnSync(promtool, ["check", "metrics"], { input, encoding: "utf8" });
      // 1: not valid. 3: valid, with advice on names, which are the Collector's.
      expect(check.status === 0 || (check.status === 3 && !hasSuffixes), check.stderr).toBe(true);
    }
  });
});
