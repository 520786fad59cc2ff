import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import type { Clock } from "../../src/core/clock.ts";
import type { Configuration } from "../../src/config/configuration.ts";
import type { Logger } from "../../src/core/logger.ts";
import { loadGateway } from "../../src/service/load.ts";
import { createConsoleLogger, logSettingsOf } from "../../src/service/console-logger.ts";
import type { TelemetryConfig } from "../../src/config/telemetry.ts";
import { Service } from "../../src/service/service.ts";
import { freePort } from "../support/processes.ts";
import { NO_OPENSSL, TestCa } from "../support/test-ca.ts";
import { settle, TestClock } from "../support/test-clock.ts";
import { postHttp } from "../receivers/otlp/otlp-clients.ts";
import { TestGateway } from "../receivers/otlp/test-gateway.ts";
import { decodeReference } from "../wire/otlp/reference.ts";
import { readPage } from "./prometheus-reader.ts";
import type { Page } from "./prometheus-reader.ts";

const running: Service[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((service) => service.shutdown()));
});

interface Started {
  readonly service: Service;
  readonly lines: string[];
  readonly post: (json: string) => Promise<number>;
}

async function configurationWith(telemetry: string): Promise<Configuration> {
  const text = `
receivers: { otlp: { protocols: { http: { endpoint: "127.0.0.1:0" } } } }
processors: { memory_limiter: { check_interval: 1s, limit_mib: 4000 }, worker_identity: , batch: }
exporters: { debug: { output_paths: [stderr] } }
service:
  telemetry: ${telemetry}
  pipelines:
    logs: { receivers: [otlp], processors: [memory_limiter, worker_identity, batch], exporters: [debug] }
`;
  const loaded = await loadGateway({ files: [{ name: "own.yaml", text }], env: {}, processorFolders: [] });
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  return loaded.configuration;
}

async function startService(telemetry: string, clock: Clock = systemClock): Promise<Started> {
  const lines: string[] = [];
  const keep = (line: string): void => void lines.push(line);
  const logger: Logger = { debug: keep, info: keep, warn: keep, error: keep, with: () => logger };
  const configuration = await configurationWith(telemetry);
  const service = new Service({ configuration, logger, clock, onFatal: () => {} });
  await service.start();
  running.push(service);
  const port = Number(new URL(service.listening[0]!.address).port);
  const post = async (json: string): Promise<number> =>
    (await postHttp(port, "/v1/logs", "application/json", json)).status;
  return { service, lines, post };
}

const page = (keys: string): string =>
  `{ metrics: { readers: [{ pull: { exporter: { prometheus: { host: 127.0.0.1, port: 0, ${keys} } } } }] } }`;

async function readMetrics(service: Service): Promise<Page> {
  const response = await fetch(`http://${service.metricsAddresses[0]}/metrics`);
  expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  return readPage(await response.text());
}

const TWO_RECORDS = JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords: [{}, {}] }] }] });

describe("the page of own metrics", () => {
  it("counts what passes the receiver, every processor and the exporter, under the Collector's names", async () => {
    const { service, post } = await startService(page(""));
    expect(await post(TWO_RECORDS)).toBe(200);
    const { samples } = await readMetrics(service);
    const valueOf = (name: string, labels: Record<string, string>): number | undefined =>
      samples.find(
        (sample) =>
          sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
      )?.value;
    expect(valueOf("otelcol_receiver_accepted_log_records", { receiver: "otlp", transport: "http" })).toBe(2);
    for (const processor of ["memory_limiter", "worker_identity", "batch"]) {
      const labels = { processor, otel_signal: "logs" };
      expect(valueOf("otelcol_processor_incoming_items", labels)).toBe(2);
      expect(valueOf("otelcol_processor_outgoing_items", labels)).toBe(2);
    }
    expect(valueOf("otelcol_exporter_sent_log_records", { exporter: "debug" })).toBe(2);
  });

  it("times each processor without what stands behind it at level detailed, and not below", async () => {
    const { service, post } = await startService(page("").replace("metrics: {", "metrics: { level: detailed,"));
    expect(await post(TWO_RECORDS)).toBe(200);
    const { types, samples } = await readMetrics(service);
    expect(types.get("otelcol_processor_internal_duration")).toBe("histogram");
    const timed = samples.filter(({ name }) => name === "otelcol_processor_internal_duration_count");
    expect(timed.map(({ labels, value }) => [labels["processor"], labels["otel_signal"], value])).toEqual([
      ["batch", "logs", 1],
      ["worker_identity", "logs", 1],
      ["memory_limiter", "logs", 1],
    ]);
    const { service: normal, post: postNormal } = await startService(page(""));
    expect(await postNormal(TWO_RECORDS)).toBe(200);
    expect((await readMetrics(normal)).types.has("otelcol_processor_internal_duration")).toBe(false);
  });

  it("tells of the process", async () => {
    const { service } = await startService(page(""));
    const { types, samples } = await readMetrics(service);
    const ofProcess = samples.filter(({ name }) => name.startsWith("otelcol_process_"));
    expect(Object.fromEntries(ofProcess.map(({ name }) => [name, types.get(name)]))).toEqual({
      otelcol_process_uptime: "counter",
      otelcol_process_cpu_seconds: "counter",
      otelcol_process_memory_rss: "gauge",
      otelcol_process_runtime_heap_alloc_bytes: "gauge",
      otelcol_process_runtime_total_sys_memory_bytes: "gauge",
    });
    for (const { name, value } of ofProcess) expect(value, name).toBeGreaterThan(0);
  });

  it("names units and _total where either key asks for them, as the Collector does", async () => {
    for (const key of ["without_units: false", "without_type_suffix: false"]) {
      const { service } = await startService(page(key));
      const { types } = await readMetrics(service);
      expect(types.has("otelcol_process_uptime_seconds_total")).toBe(true);
      expect(types.has("otelcol_process_memory_rss_bytes")).toBe(true);
    }
  });

  it("says who it is with service.telemetry.resource, where null takes away what the gateway would say", async () => {
    const resource = "{ service.name: edge, team: blue, service.instance.id: null }";
    const { service } = await startService(page("").replace(/ }$/, `, resource: ${resource} }`));
    const { samples } = await readMetrics(service);
    const { labels } = samples.find(({ name }) => name === "target_info")!;
    expect(labels).toEqual({ service_name: "edge", team: "blue", service_version: expect.any(String) as string });
  });

  it("is not there at level none, and there on address", async () => {
    const { service: silent } = await startService("{ metrics: { level: none } }");
    expect(silent.metricsAddresses).toEqual([]);
    const { service } = await startService(`{ metrics: { address: "127.0.0.1:${await freePort()}" } }`);
    expect((await readMetrics(service)).types.has("otelcol_process_uptime")).toBe(true);
  });

  it("is missed with a warning, and no more, where its port is taken", async () => {
    const { service: first } = await startService(page(""));
    const port = Number(first.metricsAddresses[0]!.split(":")[1]);
    const { service, lines, post } = await startService(page("").replace("port: 0", `port: ${port}`));
    expect(service.metricsAddresses).toEqual([]);
    expect(lines.filter((line) => line.startsWith("own metrics are not served"))).toHaveLength(1);
    expect(await post(TWO_RECORDS)).toBe(200);
  });
});

const push = (protocol: string, endpoint: string, keys = ""): string => {
  const otlp = `{ protocol: ${protocol}, endpoint: "${endpoint}", headers: [{ name: X-Tenant, value: blue }], ${keys} }`;
  return `{ metrics: { readers: [{ periodic: { interval: 30s, exporter: { otlp: ${otlp} } } }] }, resource: { team: blue } }`;
};

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await settle();
}

interface MetricsJson {
  readonly resourceMetrics: readonly {
    readonly resource: {
      readonly attributes: readonly { readonly key: string; readonly value: { stringValue: string } }[];
    };
    readonly scopeMetrics: readonly {
      readonly metrics: readonly { readonly name: string; readonly unit?: string }[];
    }[];
  }[];
}

describe("own metrics by OTLP", () => {
  it.for([
    ["http/protobuf", "OTLP/HTTP"],
    ["http/json", "OTLP/HTTP"],
    ["grpc", "OTLP/gRPC"],
  ] as const)("are pushed at their interval and once more at the end, over %s", async ([protocol, door]) => {
    await using backend = await TestGateway.start();
    const clock = new TestClock(Date.now());
    const endpoint = `http://127.0.0.1:${backend.portOf(door)}`;
    const { service, post } = await startService(push(protocol, endpoint), clock);
    expect(service.metricsAddresses).toEqual([]);
    await post(TWO_RECORDS);
    await clock.advance(30_000);
    await until(() => backend.arrivals.length === 1);
    const [arrival] = backend.arrivals;
    const { resource, scopeMetrics } = (decodeReference("metrics", arrival!.bytes) as MetricsJson).resourceMetrics[0]!;
    expect(resource.attributes).toContainEqual({ key: "team", value: { stringValue: "blue" } });
    const { metrics } = scopeMetrics[0]!;
    expect(metrics.find(({ name }) => name === "otelcol_process_uptime")).toMatchObject({
      unit: "s",
      sum: { aggregationTemporality: 2, isMonotonic: true, dataPoints: [{ asDouble: 30 }] },
    });
    expect(metrics.find(({ name }) => name === "otelcol_receiver_accepted_log_records")).toMatchObject({
      unit: "{record}",
      sum: { isMonotonic: true, dataPoints: [{ asInt: "2", attributes: expect.any(Array) as unknown[] }] },
    });
    expect(arrival!.context.client.get("x-tenant")).toEqual(["blue"]);
    await service.shutdown();
    expect(backend.arrivals).toHaveLength(2);
  });

  describe.skipIf(NO_OPENSSL !== undefined)("over TLS", () => {
    let folder: string;
    let ca: TestCa;
    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), "signalbox-push-"));
      ca = new TestCa(folder);
    });
    afterEach(() => rmSync(folder, { recursive: true }));

    it.for([
      ["http/protobuf", "OTLP/HTTP"],
      ["grpc", "OTLP/gRPC"],
    ] as const)(
      "are pushed with an authority and a certificate of our own, in gzip, over %s",
      async ([protocol, door]) => {
        const server = ca.issue("server", "DNS:localhost");
        const own = ca.issue("own", "DNS:own");
        const tls = { cert_file: server.certFile, key_file: server.keyFile, client_ca_file: ca.pair.certFile };
        const endpoint = "127.0.0.1:0";
        await using backend = await TestGateway.start({
          protocols: { http: { endpoint, tls }, grpc: { endpoint, tls } },
        });
        const clock = new TestClock(Date.now());
        const keys = `certificate: ${ca.pair.certFile}, client_certificate: ${own.certFile}, client_key: ${own.keyFile}`;
        await startService(
          push(protocol, `https://localhost:${backend.portOf(door)}`, `${keys}, compression: gzip`),
          clock,
        );
        await clock.advance(30_000);
        await until(() => backend.arrivals.length === 1);
        expect(backend.arrivals[0]!.context.client.get("x-tenant")).toEqual(["blue"]);
      },
    );

    it("whose authority cannot be read stop the start, with key and file", async () => {
      const file = join(folder, "nothing.pem");
      await expect(startService(push("grpc", "https://localhost:1", `certificate: ${file}`))).rejects.toThrow(
        /^service\.telemetry\.metrics\.readers: periodic\.exporter\.otlp\.certificate .*nothing\.pem: cannot be read/,
      );
    });
  });

  it("are said to be lost once, and to be back once, without a header", async () => {
    const clock = new TestClock(Date.now());
    const port = await freePort();
    const { lines } = await startService(push("http/protobuf", `127.0.0.1:${port}`), clock);
    const told = (): string[] => lines.filter((line) => line.startsWith("own metrics"));
    for (let round = 0; round < 3; round++) {
      await clock.advance(30_000);
      await until(() => told().length > 0);
      await settle();
    }
    expect(told()).toEqual([
      expect.stringMatching(/^own metrics could not be sent to 127\.0\.0\.1:\d+: .*ECONNREFUSED/),
    ]);
    await using backend = await TestGateway.start({ protocols: { http: { endpoint: `127.0.0.1:${port}` } } });
    await clock.advance(60_000);
    await until(() => told().length === 2);
    expect(told()[1]).toBe("own metrics are sent again");
    expect(backend.arrivals).toHaveLength(1);
    expect(lines.join("\n")).not.toContain("blue");
  });
});

describe("a reload of service.telemetry", () => {
  it("shows the page as it says from then on: at the same place without a gap, and elsewhere beside nothing left behind", async () => {
    const [here, there] = [await freePort(), await freePort()];
    const at = (port: number, rest = ""): string =>
      `{ metrics: { readers: [{ pull: { exporter: { prometheus: { host: 127.0.0.1, port: ${port} } } } }] }${rest} }`;
    const { service, post } = await startService(at(here));
    await post(TWO_RECORDS);
    expect(await service.reload(await configurationWith(at(here, ", resource: { team: green }")))).toContain(
      "service.telemetry changed",
    );
    const same = await (await fetch(`http://127.0.0.1:${here}/metrics`)).text();
    expect(same).toContain('team="green"');
    expect(same).toMatch(/otelcol_receiver_accepted_log_records\{.*\} 2\n/);
    await service.reload(await configurationWith(at(there)));
    expect(service.metricsAddresses).toEqual([`127.0.0.1:${there}`]);
    expect(await (await fetch(`http://127.0.0.1:${there}/metrics`)).text()).toMatch(
      /otelcol_receiver_accepted_log_records\{.*\} 2\n/,
    );
    await expect(fetch(`http://127.0.0.1:${here}/metrics`)).rejects.toThrow();
    await service.reload(await configurationWith("{ metrics: { level: none } }"));
    expect(service.metricsAddresses).toEqual([]);
  });

  it("pushes to another backend, after the former has had the last figures", async () => {
    await using first = await TestGateway.start();
    await using second = await TestGateway.start();
    const to = (gateway: TestGateway): string =>
      push("http/protobuf", `http://127.0.0.1:${gateway.portOf("OTLP/HTTP")}`);
    const clock = new TestClock(Date.now());
    const { service } = await startService(to(first), clock);
    await service.reload(await configurationWith(to(second)));
    await until(() => first.arrivals.length === 1);
    await clock.advance(30_000);
    await until(() => second.arrivals.length === 1);
    const { scopeMetrics } = (decodeReference("metrics", second.arrivals[0]!.bytes) as MetricsJson).resourceMetrics[0]!;
    expect(scopeMetrics[0]!.metrics.find(({ name }) => name === "otelcol_process_uptime")).toMatchObject({
      sum: { dataPoints: [{ asDouble: 30 }] },
    });
    expect(first.arrivals).toHaveLength(1);
  });

  it("that cannot be had changes nothing", async () => {
    await using backend = await TestGateway.start();
    const clock = new TestClock(Date.now());
    const { service, lines } = await startService(
      push("http/protobuf", `http://127.0.0.1:${backend.portOf("OTLP/HTTP")}`),
      clock,
    );
    const broken = await configurationWith(push("grpc", "https://localhost:1", "certificate: /no/such.pem"));
    await expect(service.reload(broken)).rejects.toThrow(/certificate .*such\.pem: cannot be read/);
    await clock.advance(30_000);
    await until(() => backend.arrivals.length === 1);
    expect(lines.filter((line) => line.startsWith("own metrics"))).toEqual([]);
  });

  it("says with its line what a higher level is not in force for before a restart", async () => {
    const { service } = await startService("{ metrics: { level: basic } }");
    const changes = await service.reload(await configurationWith("{ metrics: { level: detailed } }"));
    expect(changes.slice(-2)).toEqual([
      "service.telemetry changed",
      expect.stringMatching(
        /^own\.yaml:6:3 {2}service\.telemetry\.metrics\.level\n {2}detailed is in force for what is new; what stays as it is .* after a restart$/,
      ),
    ]);
  });

  it("changes the level, the encoding and the fields of the log", async () => {
    const said: string[] = [];
    const log = { clock: systemClock, write: (line: string) => void said.push(line), ...LOGS_AT_START };
    const logger = createConsoleLogger(log);
    const component = logger.with({ component: "exporters.otlp" });
    const configuration = await configurationWith("{ metrics: { level: none } }");
    const onLogsChanged = (logs: TelemetryConfig["logs"]): void => void Object.assign(log, logSettingsOf(logs));
    const service = new Service({ configuration, logger, onFatal: () => {}, onLogsChanged });
    running.push(service);
    await service.start();
    await service.reload(
      await configurationWith(
        "{ metrics: { level: none }, logs: { level: warn, encoding: json, initial_fields: { region: eu } } }",
      ),
    );
    said.length = 0;
    component.info("not any more");
    component.warn("still");
    expect(said.map((line) => JSON.parse(line) as object)).toEqual([
      { ts: expect.any(String) as string, level: "warn", msg: "still", region: "eu", component: "exporters.otlp" },
    ]);
  });
});

const LOGS_AT_START = { level: "info", encoding: "console" } as const;
