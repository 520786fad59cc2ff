import { createServer } from "node:net";
import type { Server as TcpServer, Socket } from "node:net";
import type { Endpoint } from "../config/endpoint.ts";
import type { Timer } from "../core/clock.ts";
import type { GrpcDoor, GrpcDoorSettings } from "./grpc-door.ts";
import { waitOrCut } from "./graceful-stop.ts";
import { HTTP2_BOUNDS, UnleasedBytes } from "./http2-bounds.ts";
import type { Http2Bounds } from "./http2-bounds.ts";
import { Http2Connection } from "./http2-connection.ts";
import type { Http2ConnectionHost } from "./http2-connection.ts";
import { Http2Greeting } from "./http2-greeting.ts";
import { closeListening, listen } from "./listener.ts";

/**
 * The gRPC door on node:http2. It takes a lease for a message when its declared length is there, and reads on only with
 * it: while the doors' budget is spent, senders' flow-control windows are not given back. Sockets are accepted by a
 * TCP (or TLS) server of ours, for the sake of its errors and bounds, and become HTTP/2 when they have said so.
 */
export class Http2Door implements GrpcDoor, Http2ConnectionHost {
  readonly settings: GrpcDoorSettings;
  readonly bounds: Http2Bounds;
  readonly unleased: UnleasedBytes;
  readonly #listener: TcpServer;
  readonly #greetings = new Set<Http2Greeting>();
  readonly #connections = new Set<Http2Connection>();
  /** Those without a request in flight, longest idle first. */
  readonly #idle = new Set<Http2Connection>();
  #ticker: Timer | undefined;
  #isRetiring = false;
  #closed: Promise<void> | undefined;

  constructor(settings: GrpcDoorSettings, bounds: Partial<Http2Bounds> = {}) {
    this.settings = settings;
    this.bounds = { ...HTTP2_BOUNDS, ...bounds };
    this.unleased = new UnleasedBytes(this.bounds.unleasedBytesMax);
    const createListener = settings.createListener ?? createServer;
    this.#listener = createListener((socket) => this.#onSocket(socket));
  }

  start(): Promise<Endpoint> {
    return listen(this.#listener, this.settings);
  }

  stop(signal: AbortSignal): Promise<void> {
    this.#closed ??= this.#close();
    return waitOrCut(this.#closed, signal, () => {
      for (const connection of this.#connections) connection.destroy();
    });
  }

  /**
   * Another door has the socket now. Connections are asked to go, as at a stop; who has only just connected, and has not said
   * a word yet, is let in first: a client takes a reset there for a server that is not up.
   */
  async retire(signal: AbortSignal): Promise<void> {
    this.#isRetiring = true;
    const gone = this.settings.sockets?.detach(this.#listener) ?? Promise.resolve();
    for (const connection of this.#connections) connection.drain();
    await waitOrCut(gone, signal, () => void this.stop(signal));
    await this.stop(signal);
  }

  async #close(): Promise<void> {
    const closed = closeListening(this.#listener, this.settings);
    for (const greeting of this.#greetings) greeting.destroy();
    for (const connection of this.#connections) connection.drain();
    await closed;
    this.#ticker?.cancel();
  }

  onBusyChange(connection: Http2Connection, isBusy: boolean): void {
    if (isBusy) this.#idle.delete(connection);
    else if (this.#connections.has(connection)) this.#idle.add(connection);
  }

  #onSocket(socket: Socket): void {
    if (this.#closed !== undefined || !this.#makeRoom()) return void socket.destroy();
    const greeting = new Http2Greeting(socket, this.settings, {
      onHttp2: () => this.#onHttp2(socket),
      onEnd: () => this.#greetings.delete(greeting),
    });
    this.#greetings.add(greeting);
    this.#tickSoon();
  }

  /** At the bound, a connection goes that does nothing: one that never said a word, or the one that is idle longest. */
  #makeRoom(): boolean {
    if (this.#greetings.size + this.#connections.size < this.bounds.connectionsMax) return true;
    const [greeting] = this.#greetings;
    const [idle] = this.#idle;
    if (greeting !== undefined) greeting.destroy();
    else idle?.destroy();
    return greeting !== undefined || idle !== undefined;
  }

  #onHttp2(socket: Socket): void {
    const connection = new Http2Connection(socket, this);
    this.#connections.add(connection);
    this.#idle.add(connection);
    if (this.#isRetiring) connection.drain();
    socket.once("close", () => {
      this.#connections.delete(connection);
      this.#idle.delete(connection);
    });
  }

  #tickSoon(): void {
    this.#ticker ??= this.settings.clock.after(this.bounds.tickMs, () => this.#tick());
  }

  #tick(): void {
    this.#ticker = undefined;
    const { clock } = this.settings;
    const nowMs = clock.nowMs();
    const monotonicMs = clock.monotonicMs();
    for (const greeting of this.#greetings) greeting.tick(monotonicMs, this.bounds.greetingMs);
    for (const connection of this.#connections) connection.tick(nowMs, monotonicMs);
    if (this.#greetings.size + this.#connections.size > 0) this.#tickSoon();
  }
}
