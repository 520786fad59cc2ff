import { formatComponentId } from "../../core/component-id.ts";
import type { Host, Settings } from "../../core/component.ts";
import type { Counter } from "../../core/meter.ts";
import type { UnreadRequest } from "../../core/unread-request.ts";
import { GrpcServerCalls } from "../../net/call-metrics.ts";
import { GRPC_KEEPALIVE_DEFAULT } from "../../net/grpc-door.ts";
import type { GrpcCallEnd, GrpcDoor, GrpcDoorObserver, GrpcDoorSettings, GrpcKeepalive } from "../../net/grpc-door.ts";
import { GrpcJsDoor } from "../../net/grpc-js-door.ts";
import { Http2Door } from "../../net/http2-door.ts";
import type { OtlpGrpcConfig } from "./config.ts";

/** The door that the key `engine` chooses. */
export function createGrpcDoor(config: OtlpGrpcConfig, settings: Settings, door: GrpcDoorSettings): GrpcDoor {
  if (config.engine === "http2") return new Http2Door(door);
  if (config.keepalive?.enforcement_policy !== undefined) {
    const key = "protocols.grpc.keepalive.enforcement_policy";
    settings.logger.warn(`${key} has no effect with engine: grpc_js, which takes any pings; engine: http2 keeps to it`);
  }
  return new GrpcJsDoor(door);
}

/** The YAML's 0 is "not set", as in Go's gRPC. */
export function grpcKeepalive(config: OtlpGrpcConfig): GrpcKeepalive {
  const { server_parameters: server, enforcement_policy: policy } = config.keepalive ?? {};
  const standard = GRPC_KEEPALIVE_DEFAULT;
  return {
    maxConnectionIdleMs: server?.max_connection_idle || standard.maxConnectionIdleMs,
    maxConnectionAgeMs: server?.max_connection_age || standard.maxConnectionAgeMs,
    maxConnectionAgeGraceMs: server?.max_connection_age_grace || standard.maxConnectionAgeGraceMs,
    timeMs: server?.time || standard.timeMs,
    timeoutMs: server?.timeout || standard.timeoutMs,
    minTimeMs: policy?.min_time || standard.minTimeMs,
    permitWithoutStream: policy?.permit_without_stream ?? standard.permitWithoutStream,
  };
}

/** A client that is cut off comes back and is cut off again: this is how often the log says it. */
const WARNING_INTERVAL_MS = 60_000;

/** Counts what never becomes a request, so that no pipeline hears of it. */
export class GrpcDoorWatch implements GrpcDoorObserver {
  readonly #settings: Settings;
  readonly #host: Host;
  readonly #calls: GrpcServerCalls | undefined;
  readonly #aborted: Counter;
  readonly #ended: Counter;
  #warnedAtMs = Number.NEGATIVE_INFINITY;

  constructor(settings: Settings, host: Host) {
    const { id, meter } = settings;
    const labels = { receiver: formatComponentId(id), transport: "grpc" };
    this.#settings = settings;
    this.#host = host;
    this.#calls = GrpcServerCalls.of(meter, settings.clock);
    this.#aborted = meter.counter("signalbox_receiver_aborted_requests", labels, {
      description: "Requests that broke off before their message was whole.",
      unit: "{requests}",
    });
    this.#ended = meter.counter("signalbox_receiver_ended_connections", labels, {
      description: "Connections that were ended because the client reset streams or pinged without measure.",
      unit: "{connections}",
    });
  }

  onCall(path: string): GrpcCallEnd | undefined {
    return this.#calls?.begin(path);
  }

  onAbortedRequest(): void {
    this.#aborted.add(1);
  }

  onRefusedUnread(request: UnreadRequest): void {
    this.#host.refusedUnread({ receiver: formatComponentId(this.#settings.id), transport: "grpc", ...request });
  }

  onEndedConnection(address: string, reason: string): void {
    this.#ended.add(1);
    const { clock, logger } = this.#settings;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#warnedAtMs < WARNING_INTERVAL_MS) return;
    this.#warnedAtMs = nowMs;
    logger.warn(`a client's connection was ended: ${reason}`, { address, transport: "grpc" });
  }
}
