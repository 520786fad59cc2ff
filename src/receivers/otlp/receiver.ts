import { formatEndpoint } from "../../config/endpoint.ts";
import type { Endpoint } from "../../config/endpoint.ts";
import { formatComponentId } from "../../core/component-id.ts";
import type { Host, Receiver, Settings } from "../../core/component.ts";
import type { SignalConsumers } from "../../core/consumer.ts";
import { HttpServerCalls } from "../../net/call-metrics.ts";
import { revealHeaders } from "../../net/client-config.ts";
import { Cors } from "../../net/cors.ts";
import { HttpDoor } from "../../net/http-door.ts";
import type { HttpTimeouts } from "../../net/http-door.ts";
import type { ListenSettings } from "../../net/listener.ts";
import type { ServerTlsConfig } from "../../net/server-config.ts";
import { ServerTls } from "../../net/server-tls.ts";
import { listeningEndpoint, messageBytesMax, streamsMax } from "./config.ts";
import type { OtlpGrpcConfig, OtlpHttpConfig, OtlpReceiverConfig } from "./config.ts";
import { createGrpcDoor, GrpcDoorWatch, grpcKeepalive } from "./grpc-engines.ts";
import { otlpMethods } from "./grpc-methods.ts";
import { httpFault, otlpRoutes } from "./http-routes.ts";
import { OtlpIntake } from "./intake.ts";
import { TlsWatch } from "./tls-watch.ts";

/** What both doors have in common for their owner. */
interface Door {
  start(): Promise<Endpoint>;
  stop(signal: AbortSignal): Promise<void>;
  /** Absent: what stop() does is what a reload needs. */
  retire?(signal: AbortSignal): Promise<void>;
}

interface NamedDoor {
  /** In the banner. */
  readonly what: string;
  readonly door: Door;
  readonly addressOf: (endpoint: Endpoint) => string;
  readonly tls: ServerTls | undefined;
}

/** OTLP over gRPC and HTTP. A success is answered when the admission of a request is committed, never before. */
export class OtlpReceiver implements Receiver {
  readonly #settings: Settings;
  readonly #config: OtlpReceiverConfig;
  readonly #next: SignalConsumers;
  #doors: readonly NamedDoor[] = [];

  constructor(settings: Settings, config: OtlpReceiverConfig, next: SignalConsumers) {
    this.#settings = settings;
    this.#config = config;
    this.#next = next;
  }

  async start(host: Host): Promise<void> {
    const { grpc, http } = this.#config.protocols;
    // Certificates are read before the first port is open: a receiver that does not start takes nothing.
    const grpcTls = await this.#loadTls("grpc", grpc?.tls);
    const httpTls = await this.#loadTls("http", http?.tls);
    this.#doors = [
      ...(grpc === undefined ? [] : [this.#grpcDoor(host, grpc, grpcTls)]),
      ...(http === undefined ? [] : [this.#httpDoor(host, http, httpTls)]),
    ];
    for (const { what, door, addressOf } of this.#doors) {
      const endpoint = await this.#startDoor(door);
      host.reportListening({ id: this.#settings.id, what, address: addressOf(endpoint) });
    }
  }

  async shutdown(signal: AbortSignal): Promise<void> {
    await Promise.all(
      this.#doors.map(({ door, tls }) => {
        const stopped = door.stop(signal);
        // After the door accepts no more, and before it has closed: it waits for connections in their handshake, too.
        tls?.stop();
        return stopped;
      }),
    );
  }

  async retire(signal: AbortSignal): Promise<void> {
    await Promise.all(
      this.#doors.map(async ({ door, tls }) => {
        await (door.retire === undefined ? door.stop(signal) : door.retire(signal));
        tls?.stop();
      }),
    );
  }

  async #loadTls(protocol: "grpc" | "http", config: ServerTlsConfig | undefined): Promise<ServerTls | undefined> {
    if (config === undefined) return undefined;
    const { clock, id } = this.#settings;
    try {
      return await ServerTls.load({ config, clock, observer: new TlsWatch(this.#settings, protocol) });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const where = `receivers.${formatComponentId(id)}: protocols.${protocol}`;
      throw new Error(`${where}.${reason}`, { cause: error });
    }
  }

  /** A receiver that does not start leaves no port open. */
  async #startDoor(door: Door): Promise<Endpoint> {
    try {
      return await door.start();
    } catch (error) {
      await this.shutdown(AbortSignal.abort());
      throw error;
    }
  }

  #grpcDoor(host: Host, config: OtlpGrpcConfig, tls: ServerTls | undefined): NamedDoor {
    const intake = new OtlpIntake(this.#settings, host, "grpc");
    const { http } = this.#config.protocols;
    const door = createGrpcDoor(config, this.#settings, {
      ...this.#listenSettings(config, "grpc", host),
      methods: otlpMethods(intake, this.#next),
      messageBytesMax: messageBytesMax(config),
      streamsMax: streamsMax(config),
      includeMetadata: config.include_metadata,
      keepalive: grpcKeepalive(config),
      ...(http !== undefined && { elsewhere: `OTLP/HTTP is at ${http.endpoint}` }),
      ...(tls !== undefined && { createListener: (onSocket) => tls.createTcpServer(onSocket) }),
      observer: new GrpcDoorWatch(this.#settings, host),
      budget: host.doors,
      clock: this.#settings.clock,
    });
    return { what: tls === undefined ? "OTLP/gRPC" : "OTLP/gRPC (TLS)", door, addressOf: formatEndpoint, tls };
  }

  #httpDoor(host: Host, config: OtlpHttpConfig, tls: ServerTls | undefined): NamedDoor {
    const intake = new OtlpIntake(this.#settings, host, "http");
    const { allowed_origins: origins = [] } = config.cors ?? {};
    const calls = HttpServerCalls.of(this.#settings.meter, this.#settings.clock);
    const door = new HttpDoor({
      ...this.#listenSettings(config, "http", host),
      routes: otlpRoutes(intake, config, this.#next, this.#settings),
      includeMetadata: config.include_metadata,
      budget: host.doors,
      clock: this.#settings.clock,
      timeouts: httpTimeouts(config),
      responseHeaders: lowerCaseNames(revealHeaders(config.response_headers)),
      fault: httpFault,
      onRefusedUnread: (request) =>
        host.refusedUnread({ receiver: formatComponentId(this.#settings.id), transport: "http", ...request }),
      ...(calls !== undefined && { observe: (exchange) => calls.record(exchange) }),
      ...(tls !== undefined && { tls }),
      ...(config.cors !== undefined && origins.length > 0 && { cors: new Cors(config.cors) }),
    });
    const scheme = tls === undefined ? "http" : "https";
    return { what: "OTLP/HTTP", door, addressOf: (endpoint) => urlOf(scheme, endpoint), tls };
  }

  #listenSettings(config: OtlpGrpcConfig | OtlpHttpConfig, protocol: string, { sockets }: Host): ListenSettings {
    const { id, logger } = this.#settings;
    const owner = `receivers.${formatComponentId(id)}`;
    const warn = (message: string): void => logger.warn(message);
    const endpointKey = `protocols.${protocol}.endpoint`;
    return { endpoint: listeningEndpoint(config), owner, endpointKey, warn, sockets };
  }
}

function urlOf(scheme: string, endpoint: Endpoint): string {
  return endpoint.path === undefined ? `${scheme}://${formatEndpoint(endpoint)}` : formatEndpoint(endpoint);
}

/** The YAML's 0 is the door's own default. */
function httpTimeouts(config: OtlpHttpConfig): Partial<HttpTimeouts> {
  const idleMs = config.keepalive?.idle_timeout ?? 0;
  return {
    ...(config.read_header_timeout > 0 && { headersMs: config.read_header_timeout }),
    ...(config.read_timeout > 0 && { bodyMs: config.read_timeout }),
    ...(config.write_timeout > 0 && { writeMs: config.write_timeout }),
    ...(idleMs > 0 && { idleMs }),
  };
}

function lowerCaseNames(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}
