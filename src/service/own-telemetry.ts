import { randomUUID } from "node:crypto";
import { parseEndpoint } from "../config/endpoint.ts";
import type { TelemetryConfig } from "../config/telemetry.ts";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import type { MetricLevel } from "../core/meter.ts";
import { VERSION } from "../core/version.ts";
import { revealHeaders } from "../net/client-config.ts";
import { MetricsPush } from "./metrics-push.ts";
import type { MetricsRegistry } from "./metrics-registry.ts";
import { createPushTarget } from "./otlp-push-target.ts";
import { registerProcessMetrics } from "./process-metrics.ts";
import { formatPrometheus } from "./prometheus-text.ts";
import { startTelemetryServer } from "./telemetry-server.ts";
import type { TelemetryServer } from "./telemetry-server.ts";

export interface OwnTelemetrySettings {
  readonly config: TelemetryConfig;
  readonly registry: MetricsRegistry;
  readonly clock: Clock;
  readonly logger: Logger;
}

type Reader = NonNullable<TelemetryConfig["metrics"]["readers"]>[number];
type PrometheusReader = NonNullable<NonNullable<Reader["pull"]>["exporter"]["prometheus"]>;
type PeriodicReader = NonNullable<Reader["periodic"]>;

/** What the page has where `readers` does not say: the Collector's own. */
const PAGE_DEFAULT: PrometheusReader = {
  host: "localhost",
  port: 8888,
  without_type_suffix: true,
  without_units: true,
  without_scope_info: true,
};

/** Shows the gateway's own metrics to those whom `service.telemetry.metrics` names: pages to read, backends to push to. */
export class OwnTelemetry {
  readonly #settings: OwnTelemetrySettings;
  readonly #resource: Readonly<Record<string, string>>;
  readonly #pages: TelemetryServer[] = [];
  readonly #pushes: MetricsPush[] = [];

  constructor(settings: OwnTelemetrySettings) {
    this.#settings = settings;
    this.#resource = resourceOf(settings.config.resource);
    registerProcessMetrics(settings.registry, settings.clock);
  }

  /** Where the pages are, with the real port where 0 was asked for. */
  get addresses(): readonly string[] {
    return this.#pages.map(({ address }) => address);
  }

  async start(): Promise<void> {
    const { level } = this.#settings.config.metrics;
    if (level === "none") return;
    for (const page of pagesOf(this.#settings.config)) await this.#startPage(page, level);
    for (const { periodic } of this.#settings.config.metrics.readers ?? []) {
      if (periodic !== undefined) await this.#startPush(periodic, level);
    }
  }

  /** Idempotent, never rejects. */
  async stop(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#pushes.map((push) => push.stop(signal)));
    await Promise.all(this.#pages.splice(0).map((page) => page.close()));
  }

  async #startPage(page: PrometheusReader, level: MetricLevel): Promise<void> {
    const { registry, logger } = this.#settings;
    const names = {
      hasSuffixes: !page.without_type_suffix || !page.without_units,
      hasScope: !page.without_scope_info,
    };
    const write = (): string => formatPrometheus(registry.collect(level), this.#resource, names);
    const server = await startTelemetryServer(write, page.host, page.port, logger);
    if (server !== undefined) this.#pages.push(server);
  }

  async #startPush({ exporter, interval, timeout }: PeriodicReader, level: MetricLevel): Promise<void> {
    const { registry, clock, logger } = this.#settings;
    const { otlp } = exporter;
    if (otlp === undefined) return;
    const headers = revealHeaders(otlp.headers);
    const target = await createPushTarget({ ...otlp, headers, tls: otlp }).catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`service.telemetry.metrics.readers: periodic.exporter.otlp.${reason}`, { cause: error });
    });
    const times = { intervalMs: interval, timeoutMs: timeout };
    const push = new MetricsPush({ registry, level, resource: this.#resource, target, ...times, clock, logger });
    push.start();
    this.#pushes.push(push);
  }
}

function pagesOf({ metrics }: TelemetryConfig): PrometheusReader[] {
  const { address, readers } = metrics;
  const pages = (readers ?? []).flatMap((reader) => reader.pull?.exporter.prometheus ?? []);
  if (address !== undefined) {
    const endpoint = parseEndpoint(address);
    if (!("problem" in endpoint)) pages.push({ ...PAGE_DEFAULT, ...endpoint });
  }
  return address === undefined && readers === undefined ? [PAGE_DEFAULT] : pages;
}

/** null leaves out what the gateway would set. */
function resourceOf(written: TelemetryConfig["resource"]): Record<string, string> {
  const standard = { "service.name": "signalbox", "service.version": VERSION, "service.instance.id": randomUUID() };
  const all = Object.entries({ ...standard, ...written });
  return Object.fromEntries(all.filter((entry): entry is [string, string] => entry[1] !== null));
}
