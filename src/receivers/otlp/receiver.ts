import { formatEndpoint, parseEndpoint } from "../../config/endpoint.ts";
import type { Endpoint } from "../../config/endpoint.ts";
import { formatComponentId } from "../../core/component-id.ts";
import type { Host, Receiver, Settings } from "../../core/component.ts";
import type { SignalConsumers } from "../../core/consumer.ts";
import { HttpDoor } from "../../net/http-door.ts";
import type { ListenSettings } from "../../net/listener.ts";
import { messageBytesMax, streamsMax } from "./config.ts";
import type { OtlpGrpcConfig, OtlpHttpConfig, OtlpReceiverConfig } from "./config.ts";
import { createGrpcDoor, GrpcDoorWatch, grpcKeepalive } from "./grpc-engines.ts";
import { otlpMethods } from "./grpc-methods.ts";
import { otlpRoutes } from "./http-routes.ts";
import { OtlpIntake } from "./intake.ts";

/** What both doors have in common for their owner. */
interface Door {
  start(): Promise<Endpoint>;
  stop(signal: AbortSignal): Promise<void>;
}

interface NamedDoor {
  /** In the banner. */
  readonly what: string;
  readonly door: Door;
  readonly addressOf: (endpoint: Endpoint) => string;
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
    this.#doors = [
      ...(grpc === undefined ? [] : [this.#grpcDoor(host, grpc)]),
      ...(http === undefined ? [] : [this.#httpDoor(host, http)]),
    ];
    for (const { what, door, addressOf } of this.#doors) {
      const endpoint = await this.#startDoor(door);
      host.reportListening({ id: this.#settings.id, what, address: addressOf(endpoint) });
    }
  }

  async shutdown(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#doors.map(({ door }) => door.stop(signal)));
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

  #grpcDoor(host: Host, config: OtlpGrpcConfig): NamedDoor {
    const intake = new OtlpIntake(this.#settings, host, "grpc");
    const { http } = this.#config.protocols;
    const door = createGrpcDoor(config, this.#settings, {
      ...this.#listenSettings(config.endpoint, "grpc"),
      methods: otlpMethods(intake, this.#next),
      messageBytesMax: messageBytesMax(config),
      streamsMax: streamsMax(config),
      includeMetadata: config.include_metadata,
      keepalive: grpcKeepalive(config),
      ...(http !== undefined && { elsewhere: `OTLP/HTTP is at ${http.endpoint}` }),
      observer: new GrpcDoorWatch(this.#settings),
      budget: host.doors,
      clock: this.#settings.clock,
    });
    return { what: "OTLP/gRPC", door, addressOf: formatEndpoint };
  }

  #httpDoor(host: Host, config: OtlpHttpConfig): NamedDoor {
    const intake = new OtlpIntake(this.#settings, host, "http");
    const door = new HttpDoor({
      ...this.#listenSettings(config.endpoint, "http"),
      routes: otlpRoutes(intake, config, this.#next, this.#settings),
      includeMetadata: config.include_metadata,
      budget: host.doors,
      clock: this.#settings.clock,
    });
    return { what: "OTLP/HTTP", door, addressOf: (endpoint) => `http://${formatEndpoint(endpoint)}` };
  }

  #listenSettings(endpoint: string, protocol: string): ListenSettings {
    const parsed = parseEndpoint(endpoint);
    if ("problem" in parsed) throw new Error(`${endpoint}: ${parsed.problem}`);
    const owner = `receivers.${formatComponentId(this.#settings.id)}`;
    return { endpoint: parsed, owner, endpointKey: `protocols.${protocol}.endpoint` };
  }
}
