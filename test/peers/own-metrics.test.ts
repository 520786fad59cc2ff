import { expect, it } from "vitest";
import { startGateway, TestFolder } from "../e2e/peers.ts";
import { readPage } from "../service/prometheus-reader.ts";
import type { Page } from "../service/prometheus-reader.ts";
import { eventually, freePort, TestProcess } from "../support/processes.ts";
import { findCollector, PEER_HINT } from "./find.ts";
import { JSON_TYPE, sendHttp } from "./protocol-senders.ts";

const BATCHES = "processors/batch passes through: batching happens in the sending queue";

/** What the Collector's page has and ours has not, and why. docs/own-telemetry.md tells the same. */
const ABSENT: Readonly<Record<string, string>> = {
  otelcol_process_runtime_total_alloc_bytes: "V8 does not count what it has ever allocated",
  otelcol_processor_batch_batch_send_size: BATCHES,
  otelcol_processor_batch_timeout_trigger_send: BATCHES,
  otelcol_processor_batch_metadata_cardinality: BATCHES,
  otelcol_exporter_queue_batch_partition_cache_capacity: "a partition that stands empty is gone, so nothing is evicted",
  promhttp_metric_handler_errors_total: "of Go's library that writes the page",
};

/** At level detailed beside those. */
const ABSENT_DETAILED: Readonly<Record<string, string>> = {
  ...ABSENT,
  otelcol_processor_batch_batch_send_size_bytes: BATCHES,
};

const collector = findCollector();

interface Ports {
  readonly http: number;
  readonly page: number;
  readonly sinkHttp: number;
  readonly sinkGrpc: number;
}

function configOf({ http, page, sinkHttp, sinkGrpc }: Ports, level: string): string {
  return `
receivers:
  otlp: { protocols: { http: { endpoint: "127.0.0.1:${http}" } } }
  otlp/sink:
    protocols: { http: { endpoint: "127.0.0.1:${sinkHttp}" }, grpc: { endpoint: "127.0.0.1:${sinkGrpc}" } }
processors: { memory_limiter: { check_interval: 1s, limit_mib: 4000 }, batch: {} }
exporters:
  otlp_http: { endpoint: "http://127.0.0.1:${sinkHttp}", sending_queue: { batch: { flush_timeout: 10ms } } }
  otlp_grpc:
    endpoint: "127.0.0.1:${sinkGrpc}"
    tls: { insecure: true }
    wait_for_ready: true
    sending_queue: { batch: { flush_timeout: 10ms, partition: { metadata_keys: [x-tenant] } } }
  otlp_http/dead: { endpoint: "http://127.0.0.1:1", retry_on_failure: { enabled: false } }
  debug: {}
service:
  telemetry:
    metrics: { level: ${level}, readers: [{ pull: { exporter: { prometheus: { host: 127.0.0.1, port: ${page} } } } }] }
  pipelines:
    logs: { receivers: [otlp], processors: [memory_limiter, batch], exporters: [otlp_http, otlp_grpc, otlp_http/dead] }
    logs/sink: { receivers: [otlp/sink], exporters: [debug] }
`;
}

const ONE_RECORD = `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"a"}}]}]}]}`;

/** In both pages once every exporter has sent, or failed to. */
const MARKERS = [
  /^otelcol_exporter_sent_log_records\{.*exporter="otlp_http",/m,
  /^otelcol_exporter_sent_log_records\{.*exporter="otlp_grpc",/m,
  /^otelcol_exporter_send_failed_log_records\{.*exporter="otlp_http\/dead".*\} [1-9]/m,
];

async function measure({ http, page }: Ports): Promise<Page> {
  expect(await sendHttp(http, { headers: JSON_TYPE, body: ONE_RECORD })).toMatch(/^200/);
  return eventually(async () => {
    const text = await (await fetch(`http://127.0.0.1:${page}/metrics`)).text();
    return MARKERS.every((marker) => marker.test(text)) ? readPage(text) : undefined;
  }, "the exporters have sent");
}

/** `name{labels} type` of each series, but of `target_info`, which says who it is. */
function shapesOf({ types, samples }: Page): Set<string> {
  return new Set(
    samples.flatMap(({ name, labels }) => {
      if (name === "target_info") return [];
      const family = types.has(name) ? name : name.replace(/_(?:bucket|sum|count)$/, "");
      const keys = Object.keys(labels).filter((key) => key !== "le");
      return [`${family}{${keys.toSorted().join(",")}} ${types.get(family)}`];
    }),
  );
}

it.for([
  ["normal", ABSENT],
  ["detailed", ABSENT_DETAILED],
] as const)(
  "our page at level %s has every metric of the Collector's, of the same type and with the same labels",
  async ([level, absent], context) => {
    if (collector === undefined) context.skip(PEER_HINT);
    await using folder = await TestFolder.create();
    const ports = async (): Promise<Ports> => {
      const [http, page, sinkHttp, sinkGrpc] = [await freePort(), await freePort(), await freePort(), await freePort()];
      return { http, page, sinkHttp, sinkGrpc };
    };
    const [own, other] = [await ports(), await ports()];
    await using processes = new AsyncDisposableStack();
    processes.use((await startGateway(await folder.write("ours.yaml", configOf(own, level)))).gateway);
    const peer = processes.use(
      new TestProcess(collector!, ["--config", await folder.write("collector.yaml", configOf(other, level))]),
    );
    await peer.until((_stdout, stderr) => stderr.includes("Everything is ready"));
    const ours = shapesOf(await measure(own));
    const theirs = shapesOf(await measure(other));
    expect(theirs.size).toBeGreaterThan(20);
    const missing = [...theirs].filter((shape) => !ours.has(shape));
    const names = [...new Set(missing.map((shape) => shape.split("{")[0]!))];
    const unexplained = missing.filter((shape) => !Object.hasOwn(absent, shape.split("{")[0]!));
    expect(unexplained).toEqual([]);
    expect(names.toSorted()).toEqual(Object.keys(absent).toSorted());
  },
);
