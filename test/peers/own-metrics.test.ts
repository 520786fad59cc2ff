import { expect, it } from "vitest";
import { startGateway, TestFolder } from "../e2e/peers.ts";
import { readPage } from "../service/prometheus-reader.ts";
import type { Page } from "../service/prometheus-reader.ts";
import { eventually, freePort, TestProcess } from "../support/processes.ts";
import { findCollector, PEER_HINT } from "./find.ts";
import { JSON_TYPE, sendHttp } from "./protocol-senders.ts";

/** What the Collector's page has and ours has not, and why. */
const ABSENT: Readonly<Record<string, string>> = {
  otelcol_process_runtime_total_alloc_bytes: "V8 does not count what it has ever allocated",
  otelcol_processor_batch_batch_send_size: "processors/batch passes through: batching happens in the sending queue",
  otelcol_processor_batch_timeout_trigger_send: "the same",
  otelcol_processor_batch_metadata_cardinality: "the same",
};

const collector = findCollector();

interface Ports {
  readonly http: number;
  readonly page: number;
}

function configOf({ http, page }: Ports): string {
  return `
receivers: { otlp: { protocols: { http: { endpoint: "127.0.0.1:${http}" } } } }
processors: { memory_limiter: { check_interval: 1s, limit_mib: 4000 }, batch: {} }
exporters:
  otlp_http: { endpoint: "http://127.0.0.1:1", sending_queue: {} }
  debug: {}
service:
  telemetry: { metrics: { readers: [{ pull: { exporter: { prometheus: { host: 127.0.0.1, port: ${page} } } } }] } }
  pipelines:
    logs: { receivers: [otlp], processors: [memory_limiter, batch], exporters: [otlp_http, debug] }
`;
}

const ONE_RECORD = `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"a"}}]}]}]}`;

async function measure({ http, page }: Ports, marker: string): Promise<Page> {
  expect(await sendHttp(http, { headers: JSON_TYPE, body: ONE_RECORD })).toMatch(/^200/);
  return eventually(async () => {
    const text = await (await fetch(`http://127.0.0.1:${page}/metrics`)).text();
    return text.includes(marker) ? readPage(text) : undefined;
  }, "the exporter has sent");
}

/** `name{labels} type` of what belongs to the Collector's own names. */
function shapesOf({ types, samples }: Page): Set<string> {
  const own = samples.filter(({ name }) => name.startsWith("otelcol_"));
  return new Set(
    own.map(({ name, labels }) => {
      const family = types.has(name) ? name : name.replace(/_(?:bucket|sum|count)$/, "");
      const keys = Object.keys(labels).filter((key) => key !== "le");
      return `${family}{${keys.toSorted().join(",")}} ${types.get(family)}`;
    }),
  );
}

it("our page has every metric of the Collector's, of the same type and with the same labels", async (context) => {
  if (collector === undefined) context.skip(PEER_HINT);
  await using folder = await TestFolder.create();
  const ports = async (): Promise<Ports> => ({ http: await freePort(), page: await freePort() });
  const [own, other] = [await ports(), await ports()];
  await using processes = new AsyncDisposableStack();
  processes.use((await startGateway(await folder.write("ours.yaml", configOf(own)))).gateway);
  const peer = processes.use(
    new TestProcess(collector!, ["--config", await folder.write("collector.yaml", configOf(other))]),
  );
  await peer.until((_stdout, stderr) => stderr.includes("Everything is ready"));
  const marker = 'otelcol_exporter_sent_log_records{exporter="debug"';
  const ours = shapesOf(await measure(own, marker));
  const theirs = shapesOf(await measure(other, marker));
  expect(theirs.size).toBeGreaterThan(15);
  const missing = [...theirs].filter((shape) => !ours.has(shape));
  expect(missing.map((shape) => shape.split("{")[0]!).toSorted()).toEqual(Object.keys(ABSENT).toSorted());
});
