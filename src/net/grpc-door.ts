import type { Endpoint } from "../config/endpoint.ts";
import type { ClientMetadata } from "../core/client-metadata.ts";
import type { Clock } from "../core/clock.ts";
import type { DoorBudget } from "../core/component.ts";
import type { ListenSettings } from "./listener.ts";

/** One unary call, as a handler sees it. */
export interface GrpcCall {
  readonly client: ClientMetadata;
  /** Milliseconds since the epoch: from `grpc-timeout`, or the door's own where the client set none. */
  readonly deadline: number;
  /** Aborts when the client cancels, disconnects or runs out of time before it was answered. */
  readonly signal: AbortSignal;
}

/**
 * Takes the bytes of the request message, decompressed, and resolves with those of the response message.
 * The bytes belong to the handler. A rejection becomes a status by the table in sender-answers.ts, with its details in
 * `grpc-status-details-bin`; what is not a ConsumeError is INTERNAL.
 */
export type GrpcHandler = (request: Uint8Array, call: GrpcCall) => Promise<Uint8Array>;

export interface GrpcDoorSettings extends ListenSettings {
  /** By path, `/opentelemetry.proto.collector.logs.v1.LogsService/Export`. Any other path is answered UNIMPLEMENTED. */
  readonly methods: ReadonlyMap<string, GrpcHandler>;
  /** Of one request message, after decompression. A larger one is answered RESOURCE_EXHAUSTED. */
  readonly messageBytesMax: number;
  /** Streams that one connection may have open at a time; clients queue beyond it. */
  readonly streamsMax: number;
  /** Default: false. See ClientMetadata.isForwardable. */
  readonly includeMetadata?: boolean;
  /** The door holds a lease on each request from before its body is read until it is answered. */
  readonly budget: DoorBudget;
  readonly clock: Clock;
}

/** A gRPC server for unary methods over raw bytes. Engines fill it: grpc-js-door.ts. */
export interface GrpcDoor {
  /** Binds; resolves with where it listens. Called once. */
  start(): Promise<Endpoint>;
  /**
   * Stops accepting, lets requests in flight end, closes. When `signal` aborts, what is left is cut off.
   * Idempotent, and legal before start.
   */
  stop(signal: AbortSignal): Promise<void>;
}
