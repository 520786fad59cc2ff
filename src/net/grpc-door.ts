import type { Server as TcpServer, Socket } from "node:net";
import type { Endpoint } from "../config/endpoint.ts";
import type { ClientMetadata } from "../core/client-metadata.ts";
import type { Clock } from "../core/clock.ts";
import type { DoorBudget } from "../core/component.ts";
import type { UnreadRequest } from "../core/unread-request.ts";
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

/**
 * `keepalive` and `enforcement_policy` of gRPC servers, in milliseconds; Infinity is "never". Only the engine on
 * node:http2 takes them.
 */
export interface GrpcKeepalive {
  /** A connection without a request for this long is asked to go. */
  readonly maxConnectionIdleMs: number;
  /** So is one of this age (a tenth more or less, so that not all go at once), which has the grace for its requests. */
  readonly maxConnectionAgeMs: number;
  readonly maxConnectionAgeGraceMs: number;
  /** A connection that has been silent for this long is pinged, and closed where no answer comes in `timeoutMs`. */
  readonly timeMs: number;
  readonly timeoutMs: number;
  /** A client that pings more often than this, several times, is cut off; without a request in flight only where it is permitted. */
  readonly minTimeMs: number;
  readonly permitWithoutStream: boolean;
}

const MINUTE_MS = 60_000;

/** As in Go's gRPC, and with it in the Collector. */
export const GRPC_KEEPALIVE_DEFAULT: GrpcKeepalive = {
  maxConnectionIdleMs: Number.POSITIVE_INFINITY,
  maxConnectionAgeMs: Number.POSITIVE_INFINITY,
  maxConnectionAgeGraceMs: Number.POSITIVE_INFINITY,
  timeMs: 120 * MINUTE_MS,
  timeoutMs: 20_000,
  minTimeMs: 5 * MINUTE_MS,
  permitWithoutStream: false,
};

/** Takes a call's status, once; CANCELLED where the client went before it had one. */
export type GrpcCallEnd = (code: number) => void;

/** What a door tells of what nobody else sees. Called often under attack: count, and log at most now and then. */
export interface GrpcDoorObserver {
  /** A call of one of the methods has come. What it gives is called when the call has its status; undefined: nobody asks. */
  onCall?(path: string): GrpcCallEnd | undefined;
  /** A request broke off before its message was whole. */
  onAbortedRequest(): void;
  /** A request for one of the methods was refused before its handler had the message. */
  onRefusedUnread(request: UnreadRequest): void;
  /** A client was cut off for what it did to us; `reason` is a sentence without anything the client wrote. */
  onEndedConnection(address: string, reason: string): void;
}

export interface GrpcDoorSettings extends ListenSettings {
  /** By path, `/opentelemetry.proto.collector.logs.v1.LogsService/Export`. Any other path is answered UNIMPLEMENTED. */
  readonly methods: ReadonlyMap<string, GrpcHandler>;
  /** Of one request message, after decompression. A larger one is answered RESOURCE_EXHAUSTED. */
  readonly messageBytesMax: number;
  /** Streams that one connection may have open at a time; clients queue beyond it. */
  readonly streamsMax: number;
  /** Default: false. See ClientMetadata.isForwardable. */
  readonly includeMetadata?: boolean;
  /** Default: GRPC_KEEPALIVE_DEFAULT. */
  readonly keepalive?: GrpcKeepalive;
  /** Where those belong who do not speak gRPC: "OTLP/HTTP is at localhost:4318". Part of a sentence. */
  readonly elsewhere?: string;
  readonly observer?: GrpcDoorObserver;
  /**
   * Default: plain TCP. A TLS server (which offers ALPN "h2" and hands over its sockets once they are secure) is made here;
   * the door listens on it and closes it.
   */
  readonly createListener?: (onSocket: (socket: Socket) => void) => TcpServer;
  /** The door holds a lease on each request from before its body is read until it is answered. */
  readonly budget: DoorBudget;
  readonly clock: Clock;
}

/** A gRPC server for unary methods over raw bytes. Engines fill it: http2-door.ts, grpc-js-door.ts. */
export interface GrpcDoor {
  /** Binds; resolves with where it listens. Called once. */
  start(): Promise<Endpoint>;
  /**
   * Stops accepting, lets requests in flight end, closes. When `signal` aborts, what is left is cut off.
   * Idempotent, and legal before start.
   */
  stop(signal: AbortSignal): Promise<void>;
  /** As stop(), where another door has the listening socket. Absent: stop() does. */
  retire?(signal: AbortSignal): Promise<void>;
}
