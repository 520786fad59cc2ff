import { randomUUID } from "node:crypto";
import { parseEndpoint } from "../config/endpoint.ts";
import type { TelemetryConfig } from "../config/telemetry.ts";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import { VERSION } from "../core/version.ts";
import { revealHeaders } from "../net/client-config.ts";
import { MetricsPush, type MetricsPushSettings } from "./metrics-push.ts";
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

/** What one configuration asks for: made and reachable beside what is in force, and not yet in its place. */
interface Outlets {
  readonly config: TelemetryConfig;
  /** By host and port as they are written; what is unchanged is the former's. */
  readonly pages: ReadonlyMap<string, TelemetryServer>;
  readonly pushes: ReadonlyMap<string, MetricsPush>;
}

const NONE: Pick<Outlets, "pages" | "pushes"> = { pages: new Map(), pushes: new Map() };

/**
 * Shows the gateway's own metrics to those whom `service.telemetry.metrics` names: pages to read, backends to push to.
 * A reload prepares what is new, and then has it or not: a page that stays where it is keeps its socket, and a push that
 * is the same goes on.
 */
export class OwnTelemetry {
  readonly #settings: OwnTelemetrySettings;
  readonly #instanceId = randomUUID();
  readonly #sinceStart: Pick<MetricsPushSettings, "startUnixNano">;
  #closing: Promise<void> = Promise.resolve();
  #inForce: Outlets;

  constructor(settings: OwnTelemetrySettings) {
    this.#settings = settings;
    this.#inForce = { config: settings.config, ...NONE };
    this.#sinceStart = { startUnixNano: settings.clock.nowUnixNano() };
    registerProcessMetrics(settings.registry, settings.clock);
  }

  /** Where the pages are, with the real port where 0 was asked for. */
  get addresses(): readonly string[] {
    return [...this.#inForce.pages.values()].map(({ address }) => address);
  }

  async start(): Promise<void> {
    this.apply(await this.prepare(this.#settings.config), new AbortController().signal);
  }

  /** Rejects with what is wrong with a push's certificates; nothing has changed then. */
  async prepare(config: TelemetryConfig): Promise<Outlets> {
    const pages = new Map<string, TelemetryServer>();
    const pushes = new Map<string, MetricsPush>();
    const next: Outlets = { config, pages, pushes };
    const { level, readers = [] } = config.metrics;
    if (level === "none") return next;
    try {
      for (const { periodic } of readers) if (periodic !== undefined) await this.#preparePush(next, pushes, periodic);
      for (const page of pagesOf(config)) await this.#preparePage(config, pages, page);
    } catch (error) {
      await this.abandon(next);
      throw error;
    }
    return next;
  }

  /** After prepare(), instead of apply(). */
  async abandon(next: Outlets): Promise<void> {
    await this.#close(next, this.#inForce, AbortSignal.abort());
  }

  /** What is left over ends in its own time, a last push at the latest when `signal` aborts. */
  apply(next: Outlets, signal: AbortSignal): void {
    const former = this.#inForce;
    this.#inForce = next;
    for (const page of pagesOf(next.config)) next.pages.get(keyOf(page))?.show(this.#writer(next.config, page));
    for (const [key, push] of next.pushes) if (former.pushes.get(key) !== push) push.start();
    this.#closing = Promise.all([this.#closing, this.#close(former, next, signal)]).then(() => undefined);
  }

  /** Idempotent, never rejects. */
  async stop(signal: AbortSignal): Promise<void> {
    const former = this.#inForce;
    this.#inForce = { config: former.config, ...NONE };
    await Promise.all([this.#closing, this.#close(former, this.#inForce, signal)]);
  }

  /** Never rejects. */
  async #close(leaving: Outlets, staying: Outlets, signal: AbortSignal): Promise<void> {
    const pushes = [...leaving.pushes].filter(([key, push]) => staying.pushes.get(key) !== push);
    const pages = [...leaving.pages].filter(([key, page]) => staying.pages.get(key) !== page);
    await Promise.all(pushes.map(([, push]) => push.stop(signal)));
    await Promise.all(pages.map(([, page]) => page.close()));
  }

  async #preparePage(
    config: TelemetryConfig,
    pages: Map<string, TelemetryServer>,
    page: PrometheusReader,
  ): Promise<void> {
    const key = keyOf(page);
    const known = pages.get(key) ?? this.#inForce.pages.get(key);
    const server =
      known ?? (await startTelemetryServer(this.#writer(config, page), page.host, page.port, this.#settings.logger));
    if (server !== undefined) pages.set(key, server);
  }

  #writer(config: TelemetryConfig, page: PrometheusReader): () => string {
    const { registry } = this.#settings;
    const names = {
      hasSuffixes: !page.without_type_suffix || !page.without_units,
      hasScope: !page.without_scope_info,
    };
    const { level } = config.metrics;
    const resource = this.#resourceOf(config);
    return () => (level === "none" ? "" : formatPrometheus(registry.collect(level), resource, names));
  }

  async #preparePush(
    { config }: Outlets,
    pushes: Map<string, MetricsPush>,
    { exporter, interval, timeout }: PeriodicReader,
  ): Promise<void> {
    const { registry, clock, logger } = this.#settings;
    const { otlp } = exporter;
    const { level } = config.metrics;
    if (otlp === undefined || level === "none") return;
    const resource = this.#resourceOf(config);
    const headers = revealHeaders(otlp.headers);
    const key = JSON.stringify([otlp, headers, interval, timeout, level, resource]);
    const known = pushes.get(key) ?? this.#inForce.pushes.get(key);
    if (known !== undefined) return void pushes.set(key, known);
    const target = await createPushTarget({ ...otlp, headers, tls: otlp }).catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`service.telemetry.metrics.readers: periodic.exporter.otlp.${reason}`, { cause: error });
    });
    const times = { intervalMs: interval, timeoutMs: timeout };
    pushes.set(
      key,
      new MetricsPush({ registry, level, resource, target, ...times, ...this.#sinceStart, clock, logger }),
    );
  }

  /** null leaves out what the gateway would set. */
  #resourceOf({ resource: written }: TelemetryConfig): Record<string, string> {
    const standard = {
      "service.name": "signalbox",
      "service.version": VERSION,
      "service.instance.id": this.#instanceId,
    };
    const all = Object.entries({ ...standard, ...written });
    return Object.fromEntries(all.filter((entry): entry is [string, string] => entry[1] !== null));
  }
}

function keyOf({ host, port }: PrometheusReader): string {
  return `${host}:${port}`;
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
