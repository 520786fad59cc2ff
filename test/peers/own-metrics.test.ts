import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it } from "vitest";
import { startGateway, TestFolder } from "../e2e/peers.ts";
import { readPage } from "../service/prometheus-reader.ts";
import type { Page } from "../service/prometheus-reader.ts";
import { encodeJsonRequest } from "../../src/wire/otlp/json-encode.ts";
import { eventually, freePort, TestProcess } from "../support/processes.ts";
import { findCollector, PEER_HINT } from "./find.ts";
import { framed, JSON_TYPE, sendGrpc, sendHttp } from "./protocol-senders.ts";

const BATCHES = "processors/batch passes through: batching happens in the sending queue";

/** What the Collector has and we have not, and why, from level basic on. docs/own-telemetry.md tells the same. */
const ABSENT_BASIC: Readonly<Record<string, string>> = {
  otelcol_process_runtime_total_alloc_bytes: "V8 does not count what it has ever allocated",
  otelcol_exporter_queue_batch_partition_cache_capacity: "a partition that stands empty is gone, so nothing is evicted",
  promhttp_metric_handler_errors_total: "of Go's library that writes the page",
};

const ABSENT_NORMAL: Readonly<Record<string, string>> = {
  ...ABSENT_BASIC,
  otelcol_processor_batch_batch_send_size: BATCHES,
  otelcol_processor_batch_timeout_trigger_send: BATCHES,
  otelcol_processor_batch_metadata_cardinality: BATCHES,
};

const ABSENT_DETAILED: Readonly<Record<string, string>> = {
  ...ABSENT_NORMAL,
  otelcol_processor_batch_batch_send_size_bytes: BATCHES,
};

const collector = findCollector();

interface Ports {
  readonly http: number;
  readonly page: number;
  readonly sinkHttp: number;
  readonly sinkGrpc: number;
  /** Where the own metrics are pushed to. */
  readonly push: number;
}

function configOf({ http, page, sinkHttp, sinkGrpc, push }: Ports, level: string): string {
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
    metrics:
      level: ${level}
      readers:
        - pull: { exporter: { prometheus: { host: 127.0.0.1, port: ${page} } } }
        - periodic:
            interval: 200
            exporter: { otlp: { protocol: http/protobuf, endpoint: "http://127.0.0.1:${push}/v1/metrics" } }
  pipelines:
    logs: { receivers: [otlp], processors: [memory_limiter, batch], exporters: [otlp_http, otlp_grpc, otlp_http/dead] }
    traces: { receivers: [otlp], processors: [memory_limiter, batch], exporters: [otlp_http, otlp_grpc, otlp_http/dead] }
    metrics: { receivers: [otlp], processors: [memory_limiter, batch], exporters: [otlp_http, otlp_grpc, otlp_http/dead] }
    logs/sink: { receivers: [otlp/sink], exporters: [debug] }
    traces/sink: { receivers: [otlp/sink], exporters: [debug] }
    metrics/sink: { receivers: [otlp/sink], exporters: [debug] }
`;
}

const ONE_EACH: readonly (readonly [string, string])[] = [
  ["/v1/logs", `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"a"}}]}]}]}`],
  [
    "/v1/traces",
    `{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"a"}]}]}]}`,
  ],
  [
    "/v1/metrics",
    `{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"a","gauge":{"dataPoints":[{"asInt":"1"}]}}]}]}]}`,
  ],
];

/** In both pages once every exporter has sent, or failed to. */
const MARKERS = ["log_records", "spans", "metric_points"].flatMap((items) => [
  new RegExp(`^otelcol_exporter_sent_${items}\\{.*exporter="otlp_http",`, "m"),
  new RegExp(`^otelcol_exporter_sent_${items}\\{.*exporter="otlp_grpc",`, "m"),
  new RegExp(`^otelcol_exporter_sent_${items}\\{.*exporter="debug".*\\} [1-9]`, "m"),
  new RegExp(`^otelcol_exporter_send_failed_${items}\\{.*exporter="otlp_http/dead".*\\} [1-9]`, "m"),
]);

async function measure({ http, page, sinkGrpc }: Ports): Promise<Page> {
  for (const [path, body] of ONE_EACH) expect(await sendHttp(http, { path, headers: JSON_TYPE, body })).toMatch(/^200/);
  const unknown = { headers: { "grpc-encoding": "nope" }, body: framed(new Uint8Array(1), 1) };
  expect(await sendGrpc(sinkGrpc, unknown)).toMatch(/UNIMPLEMENTED/);
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

interface PointJson {
  readonly attributes?: readonly { readonly key: string }[];
  readonly asInt?: string;
  readonly asDouble?: number;
  readonly min?: number;
}

interface PushJson {
  readonly resourceMetrics: readonly {
    readonly scopeMetrics: readonly {
      readonly metrics: readonly ({ readonly name: string; readonly unit?: string } & Readonly<
        Partial<
          Record<
            "sum" | "gauge" | "histogram",
            {
              readonly isMonotonic?: boolean;
              readonly aggregationTemporality?: number;
              readonly dataPoints?: readonly PointJson[];
            }
          >
        >
      >)[];
    }[];
  }[];
}

/** `name{attributes} kind unit` of each series of a push. */
function pushedShapesOf({ resourceMetrics }: PushJson): string[] {
  const metrics = resourceMetrics.flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics));
  return metrics.flatMap(({ name, unit, ...data }) =>
    (["sum", "gauge", "histogram"] as const).flatMap((kind) => {
      const { isMonotonic = false, aggregationTemporality = 0, dataPoints = [] } = data[kind] ?? {};
      return dataPoints.map((point) => {
        const keys = (point.attributes ?? []).map(({ key }) => key).toSorted();
        const value = point.asInt === undefined ? (point.asDouble === undefined ? "" : "double") : "int";
        const parts = [kind, isMonotonic ? "monotonic" : "", `temporality ${aggregationTemporality}`, value];
        if (point.min !== undefined) parts.push("with min");
        return `${name}{${keys.join(",")}} ${parts.filter((part) => part !== "").join(" ")} in ${unit ?? ""}`;
      });
    }),
  );
}

/** Takes pushes on the loopback and keeps the shapes of all that ever came. */
async function takePushes(): Promise<{ readonly port: number; readonly shapes: Set<string> } & AsyncDisposable> {
  const shapes = new Set<string>();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const push = JSON.parse(encodeJsonRequest("metrics", Buffer.concat(chunks))) as PushJson;
      for (const shape of pushedShapesOf(push)) shapes.add(shape);
      response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    shapes,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** What they have and we have not: the name of a metric that `absent` speaks of, else the whole shape. */
function missingOf(theirs: ReadonlySet<string>, ours: ReadonlySet<string>, absent: readonly string[]): string[] {
  const missing = [...theirs].filter((shape) => !ours.has(shape));
  const told = missing.map((shape) => {
    const name = shape.split("{")[0]!;
    return absent.includes(name) ? name : shape;
  });
  return [...new Set(told)].toSorted();
}

it.for([
  ["basic", ABSENT_BASIC],
  ["normal", ABSENT_NORMAL],
  ["detailed", ABSENT_DETAILED],
] as const)(
  "at level %s our page and our push have every metric of the Collector's, of the same kind and unit, with the same labels",
  async ([level, absent], context) => {
    if (collector === undefined) context.skip(PEER_HINT);
    await using folder = await TestFolder.create();
    await using ownPushes = await takePushes();
    await using otherPushes = await takePushes();
    const ports = async (push: number): Promise<Ports> => {
      const [http, page, sinkHttp, sinkGrpc] = [await freePort(), await freePort(), await freePort(), await freePort()];
      return { http, page, sinkHttp, sinkGrpc, push };
    };
    const [own, other] = [await ports(ownPushes.port), await ports(otherPushes.port)];
    await using processes = new AsyncDisposableStack();
    const { gateway } = await startGateway(await folder.write("ours.yaml", configOf(own, level)));
    processes.use(gateway);
    const peer = processes.use(
      new TestProcess(collector!, ["--config", await folder.write("collector.yaml", configOf(other, level))]),
    );
    await peer.until((_stdout, stderr) => stderr.includes("Everything is ready"));
    const ours = shapesOf(await measure(own));
    const theirs = shapesOf(await measure(other));
    const names = Object.keys(absent).toSorted();
    expect(theirs.size).toBeGreaterThan(20);
    expect(missingOf(theirs, ours, names)).toEqual(names);
    // Both push once more at their end, all that the pages have said.
    await Promise.all([gateway.stop(), peer.stop()]);
    expect(otherPushes.shapes.size).toBeGreaterThan(20);
    const pushed = names.filter((name) => !name.startsWith("promhttp_"));
    expect(missingOf(otherPushes.shapes, ownPushes.shapes, names)).toEqual(pushed);
  },
);
