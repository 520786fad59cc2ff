import { parseEndpoint } from "../../config/endpoint.ts";
import { formatEndpoint } from "../../config/types.ts";
import { formatComponentId } from "../../core/component-id.ts";
import type { ExtensionFactory, Host, Settings } from "../../core/component.ts";
import type { Health, HealthWatcher } from "../../core/health.ts";
import { SIGNALS } from "../../core/signal.ts";
import { revealHeaders } from "../../net/client-config.ts";
import { ANY_PATH, HttpDoor, textAnswer } from "../../net/http-door.ts";
import type { HttpAnswer, HttpRoute } from "../../net/http-door.ts";
import { ServerTls } from "../../net/server-tls.ts";
import type { ServerTlsConfig } from "../../net/server-config.ts";
import { formatHealth } from "./answer.ts";
import { healthCheckConfig } from "./config.ts";
import type { HealthCheckConfig } from "./config.ts";

export const healthCheckExtensionFactory: ExtensionFactory<HealthCheckConfig> = {
  kind: "extension",
  type: "health_check",
  config: healthCheckConfig,
  signals: SIGNALS,
  create: (settings, config) => new HealthCheck(settings, config),
};

/** Being unwell is an answer, not a rejection: one of those would be our bug. */
function refuse(): HttpAnswer {
  return textAnswer(500, "500 internal error");
}

/** Before the service has said how it is. */
const UNKNOWN: Health = { isReady: false, readySinceMs: undefined, components: () => [] };

/** Answers 200 while the gateway is ready, 503 else: from before the first exporter starts to after the last has closed. */
class HealthCheck implements HealthWatcher {
  readonly #settings: Settings;
  readonly #config: HealthCheckConfig;
  readonly #path: string;
  #health: Health = UNKNOWN;
  #door: HttpDoor | undefined;
  #tls: ServerTls | undefined;

  constructor(settings: Settings, config: HealthCheckConfig) {
    this.#settings = settings;
    this.#config = config;
    this.#path = `extensions.${formatComponentId(settings.id)}`;
  }

  watchHealth(health: Health): void {
    this.#health = health;
  }

  async start(host: Host): Promise<void> {
    const { clock, id } = this.#settings;
    const { tls } = this.#config;
    if (tls !== undefined) this.#tls = await this.#loadTls(tls);
    this.#door = new HttpDoor({
      endpoint: this.#endpoint(),
      owner: this.#path,
      endpointKey: "endpoint",
      routes: this.#routes(),
      sockets: host.sockets,
      budget: host.doors,
      clock,
      responseHeaders: revealHeaders(this.#config.response_headers),
      ...(this.#tls !== undefined && { tls: this.#tls }),
    });
    const address = formatEndpoint(await this.#door.start());
    host.reportListening({ id, what: "health", address: `${tls === undefined ? "http" : "https"}://${address}` });
  }

  async shutdown(signal: AbortSignal): Promise<void> {
    const stopped = this.#door?.stop(signal);
    this.#tls?.stop();
    await stopped;
  }

  async retire(signal: AbortSignal): Promise<void> {
    await this.#door?.retire(signal);
    this.#tls?.stop();
  }

  #endpoint(): { readonly host: string; readonly port: number } {
    const endpoint = parseEndpoint(this.#config.endpoint);
    if ("problem" in endpoint) throw new Error(`${this.#path}.endpoint: ${endpoint.problem}`);
    return endpoint;
  }

  async #loadTls(config: ServerTlsConfig): Promise<ServerTls> {
    const { clock, logger } = this.#settings;
    const observer = {
      onReload: () => logger.info("tls: the files were read again; new connections use them"),
      onReloadFailure: ({ message }: Error) => logger.error(`${message}\n  what was read before stays in use`),
      onHandshakeFailure: () => undefined,
    };
    return ServerTls.load({ config, clock, observer });
  }

  #routes(): HttpRoute[] {
    const path = this.#config.path === "/" ? ANY_PATH : this.#config.path;
    const handle = async (): Promise<HttpAnswer> => this.#answer();
    return ["GET", "HEAD"].map((method) => ({ method, path, handle, refuse }));
  }

  #answer(): HttpAnswer {
    const { response_body: body } = this.#config;
    const { isReady } = this.#health;
    const status = isReady ? 200 : 503;
    if (body !== undefined) return textAnswer(status, isReady ? body.healthy : body.unhealthy);
    const json = formatHealth(this.#health, this.#settings.clock.nowMs());
    return { status, headers: { "content-type": "application/json" }, body: json };
  }
}
