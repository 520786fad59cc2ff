import { afterEach, describe, expect, it } from "vitest";
import type { Component, Host } from "../../../src/core/component.ts";
import type { Health } from "../../../src/core/health.ts";
import type { Logger } from "../../../src/core/logger.ts";
import { healthCheckExtensionFactory } from "../../../src/extensions/health_check/factory.ts";
import { isHealthWatcher } from "../../../src/core/health.ts";
import { loadGateway } from "../../../src/service/load.ts";
import { MetricsRegistry } from "../../../src/service/metrics-registry.ts";
import { Service } from "../../../src/service/service.ts";
import { OpenBudget } from "../../net/open-budget.ts";
import { TestClock } from "../../support/test-clock.ts";

const quiet: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, with: () => quiet };
const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

const clock = new TestClock();

interface Opened {
  readonly url: string;
  readonly extension: Component;
}

async function open(config: object, health?: Health): Promise<Opened> {
  const settings = { id: { type: "health_check" }, logger: quiet, meter: new MetricsRegistry(), clock };
  const parsed = healthCheckExtensionFactory.config.parse({ endpoint: "127.0.0.1:0", ...config });
  const extension = healthCheckExtensionFactory.create(settings, parsed);
  if (health !== undefined && isHealthWatcher(extension)) extension.watchHealth(health);
  let url = "";
  const host: Host = {
    admit: () => {
      throw new Error("a health check admits nothing");
    },
    doors: new OpenBudget(),
    stateOf: () => new Map(),
    reportPressure: () => {},
    reportListening: ({ address }) => void (url = address),
    refusedUnread: () => undefined,
    reportFatal: (_id, error) => {
      throw error;
    },
    reportPermanent: (_id, error) => {
      throw error;
    },
  };
  await extension.start(host);
  closers.push(() => extension.shutdown(AbortSignal.abort()));
  return { url, extension };
}

async function ask(url: string, method = "GET"): Promise<[number, string]> {
  const response = await fetch(url, { method });
  return [response.status, await response.text()];
}

const well: Health = { isReady: true, readySinceMs: Date.UTC(2025, 11, 31, 23, 58, 30), components: () => [] };

describe("an answer", () => {
  it("is 200 with what the Collector says while the gateway is well", async () => {
    const { url } = await open({}, well);
    expect(await ask(url)).toEqual([
      200,
      '{"status":"Server available","upSince":"2025-12-31T23:58:30.000Z","uptime":"1m30s"}',
    ]);
  });

  it("is 503 and names what is not well, also where nobody has said how it is", async () => {
    const components = () => [
      { path: "exporters.a", state: "permanent_error", message: "gone" } as const,
      { path: "receivers.otlp", state: "ok" } as const,
    ];
    const { url } = await open({}, { isReady: false, readySinceMs: undefined, components });
    expect(await ask(url)).toEqual([
      503,
      '{"status":"Server not available","components":[{"path":"exporters.a","state":"permanent_error","message":"gone"}]}',
    ]);
    const { url: unknown } = await open({});
    expect(await ask(unknown)).toEqual([503, '{"status":"Server not available","components":[]}']);
  });

  it("has the texts that are configured", async () => {
    const response_body = { healthy: "fine", unhealthy: "ill" };
    const { url } = await open({ response_body }, well);
    expect(await ask(url)).toEqual([200, "fine"]);
    const { url: ill } = await open({ response_body });
    expect(await ask(ill)).toEqual([503, "ill"]);
  });

  it("stands under every path by default, and under one alone where it is set", async () => {
    const { url } = await open({}, well);
    expect((await ask(`${url}/healthz?full`))[0]).toBe(200);
    const { url: one } = await open({ path: "/healthz" }, well);
    expect([(await ask(one))[0], (await ask(`${one}/healthz`))[0]]).toEqual([404, 200]);
  });

  it("is for GET and HEAD", async () => {
    const { url } = await open({}, well);
    expect(await ask(url, "HEAD")).toEqual([200, ""]);
    expect((await ask(url, "POST"))[0]).toBe(405);
  });
});

describe("the configuration", () => {
  it("refuses a check of pipelines that is on, and a path that is none", () => {
    const problemsOf = (config: object): string[] =>
      healthCheckExtensionFactory.config.safeParse(config).error?.issues.map(({ message }) => message) ?? [];
    expect(problemsOf({ check_collector_pipeline: { enabled: true } })).toEqual([
      "does not work in the Collector either, and is not here",
    ]);
    expect(problemsOf({ check_collector_pipeline: { enabled: false, interval: "5m" } })).toEqual([]);
    expect(problemsOf({ path: "healthz" })).toHaveLength(1);
  });
});

/** The extension and one more component, whose start and end a test holds in its hand. */
async function startService(
  receiver: Partial<Component>,
): Promise<{ service: Service; start: Promise<void>; fatal: Error[] }> {
  const text = `
extensions: { health_check: { endpoint: "127.0.0.1:0" } }
receivers: { otlp: { protocols: { http: { endpoint: "127.0.0.1:0" } } } }
exporters: { debug: { output_paths: [stderr] } }
service:
  extensions: [health_check]
  telemetry: { metrics: { level: none } }
  pipelines: { logs: { receivers: [otlp], exporters: [debug] } }
`;
  const loaded = await loadGateway({ files: [{ name: "health.yaml", text }], env: {}, processorFolders: [] });
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  const configured = loaded.configuration.receivers.get("otlp")!;
  const factory = {
    ...configured.factory,
    create: (...given: Parameters<typeof configured.factory.create>) => ({
      ...asPlain(configured.factory.create(...given)),
      ...receiver,
    }),
  };
  const receivers = new Map([["otlp", { ...configured, factory }]]);
  const fatal: Error[] = [];
  const configuration = { ...loaded.configuration, receivers };
  const service = new Service({ configuration, logger: quiet, onFatal: (error) => void fatal.push(error) });
  closers.push(() => service.shutdown());
  return { service, start: service.start(), fatal };
}

function asPlain(component: Component): Component {
  return { start: (host) => component.start(host), shutdown: (signal) => component.shutdown(signal) };
}

async function healthOf(service: Service): Promise<number> {
  while (service.listening.length === 0) await new Promise((resolve) => setImmediate(resolve));
  return (await ask(service.listening.find(({ what }) => what === "health")!.address))[0];
}

describe("a gateway with health_check", () => {
  it("is unwell until its last component has started, and again from when it is told to stop", async () => {
    const started = Promise.withResolvers<void>();
    const stopped = Promise.withResolvers<void>();
    const { service, start } = await startService({ start: () => started.promise, shutdown: () => stopped.promise });
    expect(await healthOf(service)).toBe(503);
    started.resolve();
    await start;
    expect(await healthOf(service)).toBe(200);
    const shutdown = service.shutdown();
    expect(await healthOf(service)).toBe(503);
    stopped.resolve();
    await shutdown;
    await expect(healthOf(service)).rejects.toThrow("fetch failed");
  });

  it.for(["reportFatal", "reportPermanent"] as const)("is unwell once a component has called %s", async (report) => {
    let host: Host | undefined;
    const { service, start, fatal } = await startService({
      start: async (given) => void (host = given),
    });
    await start;
    expect(await healthOf(service)).toBe(200);
    host![report]({ type: "otlp" }, new Error("its disk is gone"));
    expect(await healthOf(service)).toBe(503);
    expect(fatal).toHaveLength(report === "reportFatal" ? 1 : 0);
  });
});
