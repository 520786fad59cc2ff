import { createServer } from "node:net";
import type { Server as TcpServer, Socket } from "node:net";
import { Metadata, Server, ServerCredentials } from "@grpc/grpc-js";
import type { sendUnaryData, ServerOptions, ServerReadableStream } from "@grpc/grpc-js";
import type { Endpoint } from "../config/endpoint.ts";
import { ClientMetadata } from "../core/client-metadata.ts";
import type { DoorArrival, DoorLease } from "../core/component.ts";
import { ConsumeError } from "../core/errors.ts";
import { DOOR_WAIT_MS_DEFAULT } from "../core/limits.ts";
import type { UnreadReason } from "../core/unread-request.ts";
import { boundedHeaders, plainAddress } from "./client-headers.ts";
import { GRPC_KEEPALIVE_DEFAULT } from "./grpc-door.ts";
import type { GrpcDoor, GrpcDoorSettings, GrpcHandler, GrpcKeepalive } from "./grpc-door.ts";
import { waitOrCut } from "./graceful-stop.ts";
import { canTakeNotice, writeNotice } from "./http2-farewell.ts";
import { closeListening, listen } from "./listener.ts";
import { encodeStatus, GRPC_CODES } from "./rpc-status.ts";
import { toRpcStatus } from "./sender-answers.ts";
import { unreadReason } from "./unread-reason.ts";

/**
 * Taken before the body is read, whose size gRPC does not declare; corrected when the message is there. The bet: most
 * requests are smaller. Lost: grpc-js has buffered up to the receive limit for a call that holds this much, so bytes in
 * flight are bounded loosely here (streams times limit); the engine on node:http2 will count them as they come.
 */
const FIRST_LEASE_BYTES = 64 * 1024;

/**
 * From the notice that a connection is to end to its end: grpc-js keeps PING to itself, so time stands in for the round trip.
 * The bet: it takes less. Lost: what is just on its way is refused, unprocessed, and sent again.
 */
const NOTICE_MS = 200;

/** Of a status' message: clients bound their trailers, some at 8 KiB, and it travels in them twice. */
const MESSAGE_CHARS_MAX = 1024;

type Call = ServerReadableStream<Buffer, Buffer>;

/**
 * The gRPC door on @grpc/grpc-js. Methods are registered as client-streaming ones, which look the same on the wire as
 * unary ones: such a handler runs when the headers are there, before the body is read, so that the door can wait for
 * its lease first. The TCP server is ours, for the sake of its errors and bounds; grpc-js is handed the connections.
 */
export class GrpcJsDoor implements GrpcDoor {
  readonly #settings: GrpcDoorSettings;
  readonly #server: Server;
  readonly #listener: TcpServer;
  readonly #sockets = new Set<Socket>();
  /** By how grpc-js calls the peer: address and port, which those of a Unix socket have not. */
  readonly #socketsByPeer = new Map<string, Socket>();
  #closed: Promise<void> | undefined;

  constructor(settings: GrpcDoorSettings) {
    this.#settings = settings;
    this.#server = new Server({
      "grpc.max_receive_message_length": settings.messageBytesMax,
      "grpc.max_concurrent_streams": settings.streamsMax,
      "grpc.enable_channelz": 0,
      ...keepaliveOptions(settings.keepalive),
    });
    for (const [path, handler] of settings.methods) this.#register(path, handler);
    const injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
    const createListener = settings.createListener ?? createServer;
    this.#listener = createListener((socket) => {
      const peer = `${socket.remoteAddress}:${socket.remotePort}`;
      this.#sockets.add(socket);
      if (socket.remotePort !== undefined) this.#socketsByPeer.set(peer, socket);
      socket.once("close", () => {
        this.#sockets.delete(socket);
        this.#socketsByPeer.delete(peer);
      });
      injector.injectConnection(socket);
    });
  }

  start(): Promise<Endpoint> {
    return listen(this.#listener, this.#settings);
  }

  stop(signal: AbortSignal): Promise<void> {
    this.#closed ??= this.#close();
    return waitOrCut(this.#closed, signal, () => {
      this.#server.forceShutdown();
      for (const socket of this.#sockets) socket.destroy();
    });
  }

  async #close(): Promise<void> {
    const listening = closeListening(this.#listener, this.#settings);
    await this.#giveNotice();
    await Promise.all([listening, new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()))]);
  }

  /** Resolves when clients have had their time to read it, or are gone. */
  async #giveNotice(): Promise<void> {
    // Before HTTP/2's SETTINGS a client must not hear anything else.
    const told = [...this.#sockets].filter((socket) => canTakeNotice(socket) && socket.bytesWritten > 0);
    for (const socket of told) writeNotice(socket);
    const over = Promise.withResolvers<void>();
    const timer = this.#settings.clock.after(NOTICE_MS, over.resolve);
    await Promise.race([over.promise, Promise.all(told.map((socket) => closed(socket)))]);
    timer.cancel();
  }

  #register(path: string, handler: GrpcHandler): void {
    const serve = (call: Call, answer: sendUnaryData<Buffer>): void => {
      const tellEnd = this.#settings.observer?.onCall?.(path);
      this.#serve(call, handler).then(
        (response) => {
          answer(null, response);
          return tellEnd?.(GRPC_CODES.OK);
        },
        (thrown: unknown) => {
          const status = thrown instanceof DeadlineError ? LATE : toServiceError(ConsumeError.from(thrown));
          answer(status);
          // Also what grpc-js has refused by itself, which it does not tell.
          tellEnd?.(call.cancelled ? GRPC_CODES.CANCELLED : status.code);
        },
      );
    };
    this.#server.register<Buffer, Buffer>(path, serve, unchanged, unchanged, "clientStream");
  }

  async #serve(call: Call, handler: GrpcHandler): Promise<Buffer> {
    const { budget, clock, observer } = this.#settings;
    const abort = new AbortController();
    let isAnswered = false;
    // grpc-js emits it after an answered call too, where an abort would only cost time.
    call.once("cancelled", () => {
      if (!isAnswered) abort.abort();
    });
    const timeoutAt = Number(call.getDeadline());
    const deadline = Number.isFinite(timeoutAt) ? timeoutAt : clock.nowMs() + DOOR_WAIT_MS_DEFAULT;
    // How large the message is to be, gRPC says in front of it, where grpc-js alone reads.
    const tell = (reason: UnreadReason): void => {
      if (!abort.signal.aborted) observer?.onRefusedUnread({ reason, bytes: 0 });
    };
    const bytes = Math.min(FIRST_LEASE_BYTES, budget.stepBytes);
    const lease = await budget.acquire(bytes, deadline, abort.signal).catch((error: unknown) => {
      tell(unreadReason(ConsumeError.from(error)));
      throw error;
    });
    try {
      const request = await readMessage(call, lease, this.#socketsByPeer.get(call.getPeer())).catch(
        (error: unknown) => {
          if (!(error instanceof ConsumeError)) tell("protocol");
          else if (error.reason !== undefined) tell(error.reason);
          else if (error.isRetryable) observer?.onAbortedRequest();
          else tell("protocol");
          throw error;
        },
      );
      // A client that has given up sends it again: taken now, it would be there twice.
      if (clock.nowMs() >= timeoutAt) {
        tell("deadline");
        throw new DeadlineError();
      }
      const client = clientOf(call, this.#settings.includeMetadata);
      const response = await handler(request, { client, deadline, signal: abort.signal });
      return Buffer.from(response.buffer, response.byteOffset, response.byteLength);
    } finally {
      isAnswered = true;
      lease.release();
    }
  }
}

/** The client's time was over before its message was whole. */
class DeadlineError extends Error {
  override readonly name = "DeadlineError";
}

const LATE = { code: GRPC_CODES.DEADLINE_EXCEEDED, details: "the client's deadline has passed" };

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once("close", () => resolve()));
}

/** Those that grpc-js knows: what clients may ping is no business of its server's. */
function keepaliveOptions(keepalive: GrpcKeepalive = GRPC_KEEPALIVE_DEFAULT): ServerOptions {
  const options: ServerOptions = {};
  const { maxConnectionIdleMs, maxConnectionAgeMs, maxConnectionAgeGraceMs, timeMs, timeoutMs } = keepalive;
  if (Number.isFinite(maxConnectionIdleMs)) options["grpc.max_connection_idle_ms"] = maxConnectionIdleMs;
  if (Number.isFinite(maxConnectionAgeMs)) options["grpc.max_connection_age_ms"] = maxConnectionAgeMs;
  if (Number.isFinite(maxConnectionAgeGraceMs)) options["grpc.max_connection_age_grace_ms"] = maxConnectionAgeGraceMs;
  options["grpc.keepalive_time_ms"] = timeMs;
  options["grpc.keepalive_timeout_ms"] = timeoutMs;
  return options;
}

/** Serializes and deserializes: bytes in, bytes out. */
function unchanged(bytes: Buffer): Buffer {
  return bytes;
}

/** Exactly one message, then the end. Rejects too when grpc-js has answered by itself (size, compression, deadline). */
function readMessage(call: Call, lease: DoorLease, socket: Socket | undefined): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let message: Buffer | undefined;
    if (socket !== undefined) lease.watch(new ArrivalOnSocket(socket, reject));
    call.on("data", (bytes: Buffer) => {
      if (message !== undefined) {
        reject(new ConsumeError("permanent", "a unary call takes one message, found a second one"));
      }
      message = bytes;
      lease.watch(undefined);
      lease.resize(bytes.length);
    });
    call.once("end", () => {
      if (message === undefined)
        reject(new ConsumeError("retryable", "the request ended before its message was whole"));
      else resolve(message);
    });
    // grpc-js emits it for every call at its end, and an error costs more than the rest of this.
    let isWhole = false;
    call.once("end", () => (isWhole = true));
    const leave = (): void => {
      if (!isWhole) reject(new ConsumeError("retryable", "the client has gone"));
    };
    call.once("cancelled", leave);
    if (call.cancelled) leave();
  });
}

/** What grpc-js has of a message it does not say; so a call comes as its connection does. */
class ArrivalOnSocket implements DoorArrival {
  readonly giveWay: (error: ConsumeError) => void;
  readonly #socket: Socket;

  constructor(socket: Socket, giveWay: (error: ConsumeError) => void) {
    this.#socket = socket;
    this.giveWay = giveWay;
  }

  get receivedSize(): number {
    return this.#socket.bytesRead;
  }
}

function clientOf(call: Call, includeMetadata?: boolean): ClientMetadata {
  const { metadata } = call;
  const names = Object.keys(metadata.getMap());
  const headers = names.map((name) => [name, metadata.get(name).map(toText)] as const);
  return new ClientMetadata("grpc", plainAddress(hostOf(call.getPeer())), boundedHeaders(headers), includeMetadata);
}

/** Binary headers (`name-bin`) as base64, as they travel. */
function toText(value: string | Buffer): string {
  return typeof value === "string" ? value : value.toString("base64");
}

/** `127.0.0.1:52100` and `::1:52100`, as grpc-js writes them. */
function hostOf(peer: string): string {
  return peer.slice(0, Math.max(0, peer.lastIndexOf(":")));
}

function toServiceError(error: ConsumeError): { code: number; details: string; metadata: Metadata } {
  const status = toRpcStatus(error);
  // grpc-js percent-encodes the message, which throws on half a surrogate pair.
  const message = status.message.slice(0, MESSAGE_CHARS_MAX).toWellFormed();
  const metadata = new Metadata();
  metadata.set("grpc-status-details-bin", Buffer.from(encodeStatus({ ...status, message })));
  return { code: status.code, details: message, metadata };
}
