import { constants, performServerHandshake } from "node:http2";
import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { DoorSender } from "../core/component.ts";
import { plainAddress } from "./client-headers.ts";
import { GRPC_KEEPALIVE_DEFAULT } from "./grpc-door.ts";
import type { GrpcDoorSettings, GrpcKeepalive } from "./grpc-door.ts";
import type { Http2Bounds, UnleasedBytes } from "./http2-bounds.ts";
import { Http2Call } from "./http2-call.ts";
import type { Http2CallHost } from "./http2-call-host.ts";
import { bidFarewell, canTakeNotice } from "./http2-farewell.ts";

/** What a connection needs of its door. */
export interface Http2ConnectionHost {
  readonly settings: GrpcDoorSettings;
  readonly bounds: Http2Bounds;
  readonly unleased: UnleasedBytes;
  /** The first of its requests has come, or the last of them has gone. */
  onBusyChange(connection: Http2Connection, isBusy: boolean): void;
}

/** As Go's gRPC: two pings too early are forgiven, and all are once an answer has left. */
const PING_STRIKES_MAX = 2;
/** Go's gRPC too: pings of a connection without requests, where they are not permitted, may come this seldom. */
const IDLE_PING_MS = 2 * 60 * 60 * 1000;

/** node:http2 reads 64 KiB at once; opening and resetting a stream takes 28 bytes at least. */
const RESETS_PER_READ_MAX = Math.ceil((64 * 1024) / 28);

/** One HTTP/2 connection: its calls, its keepalive, its manners and its end. */
export class Http2Connection implements Http2CallHost {
  readonly settings: GrpcDoorSettings;
  readonly bounds: Http2Bounds;
  readonly unleased: UnleasedBytes;
  readonly address: string;
  readonly sender: DoorSender = { leasedBytes: 0 };
  readonly #host: Http2ConnectionHost;
  readonly #keepalive: GrpcKeepalive;
  readonly #session: ServerHttp2Session;
  readonly #socket: Socket;
  readonly #calls = new Set<Http2Call>();
  readonly #resets: ResetAllowance;
  readonly #ageEndMs: number;
  #idleSinceMs: number;
  /** When the connection was last known to live: bytes came, or an answer to our ping. */
  #aliveMs: number;
  #bytesRead = 0;
  #pingSentMs: number | undefined;
  #lastPingMs = Number.NEGATIVE_INFINITY;
  #pingStrikes = 0;
  /** When the client has had its time to answer our farewell; undefined before it. */
  #farewellEndMs: number | undefined;
  /** Calls that were under way at once. */
  #callsPeak = 0;
  /** It could not be told to go before its last stream is named. */
  #leavesWhenBusy = false;
  /** When what is left is cut off. */
  #cutMs = Number.POSITIVE_INFINITY;

  constructor(socket: Socket, host: Http2ConnectionHost) {
    const { settings, bounds, unleased } = host;
    this.settings = settings;
    this.bounds = bounds;
    this.unleased = unleased;
    this.address = plainAddress(socket.remoteAddress);
    this.#host = host;
    this.#socket = socket;
    this.#keepalive = settings.keepalive ?? GRPC_KEEPALIVE_DEFAULT;
    const nowMs = settings.clock.monotonicMs();
    this.#resets = new ResetAllowance(settings.streamsMax, bounds.resetsPerSecond, nowMs);
    this.#ageEndMs = nowMs + this.#keepalive.maxConnectionAgeMs * (0.9 + Math.random() * 0.2);
    this.#idleSinceMs = nowMs;
    this.#aliveMs = nowMs;
    this.#session = performServerHandshake(socket, sessionOptions(settings, bounds));
    this.#listen();
  }

  get isIdle(): boolean {
    return this.#calls.size === 0;
  }

  #listen(): void {
    const session = this.#session;
    session.setLocalWindowSize(this.bounds.connectionWindowBytes);
    session.on("stream", (stream, headers, _flags, rawHeaders) => this.#onStream(stream, headers, rawHeaders));
    session.on("ping", () => this.#onPing());
    session.on("error", (error) => this.#onError(error));
  }

  /** Called every bounds.tickMs. */
  tick(nowMs: number, monotonicMs: number): void {
    for (const call of this.#calls) call.tick(nowMs);
    if (this.#session.destroyed) return;
    if (monotonicMs >= this.#cutMs) return this.destroy();
    if (this.#session.closed) return;
    if (this.#farewellEndMs === undefined) this.#tickKeepalive(monotonicMs);
    else if (monotonicMs >= this.#farewellEndMs) this.#session.close();
  }

  #tickKeepalive(nowMs: number): void {
    const { maxConnectionIdleMs, maxConnectionAgeGraceMs, timeMs, timeoutMs } = this.#keepalive;
    if (this.isIdle && nowMs - this.#idleSinceMs >= maxConnectionIdleMs) return this.drain();
    if (nowMs >= this.#ageEndMs) {
      this.#cutMs = nowMs + maxConnectionAgeGraceMs;
      return this.drain();
    }
    if (this.#socket.bytesRead !== this.#bytesRead) {
      this.#bytesRead = this.#socket.bytesRead;
      this.#aliveMs = nowMs;
      this.#pingSentMs = undefined;
    } else if (this.#pingSentMs !== undefined) {
      if (nowMs - this.#pingSentMs >= timeoutMs) this.destroy();
    } else if (nowMs - this.#aliveMs >= timeMs) {
      this.#pingSentMs = nowMs;
      this.#session.ping(ignorePingAnswer);
    }
  }

  /**
   * Asks the client to go, so that no request of its fails: what it sends until it has heard of it is served, what is in
   * flight ends, then the connection closes. A client that does not answer has bounds.farewellMs; what it sends from then
   * on is behind the last stream of our GOAWAY, and safe to send again elsewhere. Idempotent.
   *
   * Over TLS there is no notice, and all depends on the moment: see onAnswering().
   */
  drain(): void {
    if (this.#farewellEndMs !== undefined || this.#session.closed) return;
    this.#farewellEndMs = this.settings.clock.monotonicMs() + this.bounds.farewellMs;
    if (canTakeNotice(this.#socket)) bidFarewell(this.#session, this.#socket);
    else this.#leavesWhenBusy = true;
  }

  destroy(): void {
    this.#session.destroy();
    this.#socket.destroy();
  }

  /**
   * Where there is no notice, the last stream is best named when the client waits for all its answers, since it has nothing
   * on its way then: just before one of them, when as many calls are under way as ever were. The longer that does not
   * happen, the fewer are enough. A client that sends one request after the other loses none.
   */
  onAnswering(): void {
    if (!this.#leavesWhenBusy || this.#session.closed) return;
    const leftMs = this.#farewellEndMs! - this.settings.clock.monotonicMs();
    if (this.#calls.size >= (this.#callsPeak * leftMs) / this.bounds.farewellMs) this.#session.close();
  }

  onCallClosed(call: Http2Call): void {
    if (!this.#calls.delete(call)) return;
    if (call.isAnswered) this.#pingStrikes = 0;
    else this.#countReset();
    if (!this.isIdle) return;
    this.#idleSinceMs = this.settings.clock.monotonicMs();
    this.#host.onBusyChange(this, false);
  }

  #onStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, rawHeaders: readonly string[]): void {
    // Opened and reset in one packet: it is gone before we hear of it, and its errors with it.
    if (stream.destroyed || stream.closed) {
      stream.on("error", () => undefined);
      return this.#countReset();
    }
    const call = new Http2Call(stream, rawHeaders, this);
    this.#calls.add(call);
    if (this.#calls.size === 1) this.#host.onBusyChange(this, true);
    if (this.#calls.size > this.#callsPeak) this.#callsPeak = this.#calls.size;
    call.open(headers);
  }

  /** The connection ends by itself; only what the client did against HTTP/2's rules is told. */
  #onError(error: Error & { readonly code?: string }): void {
    if (RULE_ERRORS.has(error.code ?? "")) this.#tell(error.message);
  }

  #countReset(): void {
    if (this.#session.destroyed || this.#resets.take(this.settings.clock.monotonicMs())) return;
    this.#calmDown(`it opened and reset streams faster than ${this.bounds.resetsPerSecond} a second`);
  }

  #onPing(): void {
    const nowMs = this.settings.clock.monotonicMs();
    const { minTimeMs, permitWithoutStream } = this.#keepalive;
    const wantedMs = this.isIdle && !permitWithoutStream ? IDLE_PING_MS : minTimeMs;
    const isEarly = nowMs - this.#lastPingMs < wantedMs;
    this.#lastPingMs = nowMs;
    if (!isEarly) return;
    this.#pingStrikes += 1;
    if (this.#pingStrikes > PING_STRIKES_MAX) this.#endForPings(nowMs);
  }

  /** What it has in flight may end: pings cost little, and a call that fails here may be lost to its sender. */
  #endForPings(nowMs: number): void {
    const session = this.#session;
    if (session.closed || session.destroyed) return;
    this.#tell("it pinged more often than keepalive.enforcement_policy allows");
    // Clients know this word, and ping half as often from then on.
    session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM, 0, TOO_MANY_PINGS);
    this.#cutMs = nowMs + this.bounds.lingerMs;
    session.close();
  }

  #calmDown(reason: string): void {
    if (this.#session.destroyed) return;
    this.#tell(reason);
    this.#session.destroy(new Error(reason), constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }

  #tell(reason: string): void {
    this.settings.observer?.onEndedConnection(this.address, reason);
  }
}

/** By which node:http2 names floods, faults in the frames, and resets that nghttp2 had enough of. */
const RULE_ERRORS: ReadonlySet<string> = new Set(["ERR_HTTP2_ERROR", "ERR_HTTP2_TOO_MANY_INVALID_FRAMES"]);

const TOO_MANY_PINGS = Buffer.from("too_many_pings");

/** That an answer came shows in the bytes read. */
function ignorePingAnswer(): void {}

function sessionOptions(
  { streamsMax }: GrpcDoorSettings,
  bounds: Http2Bounds,
): Parameters<typeof performServerHandshake>[1] {
  return {
    settings: {
      maxConcurrentStreams: streamsMax,
      initialWindowSize: bounds.streamWindowBytes,
      maxHeaderListSize: bounds.headerBytesMax,
      enablePush: false,
    },
    // nghttp2 counts resets while it reads, answered ones too, and ends with INTERNAL_ERROR. We hear of them when it has
    // done with what came at once, and have the better word for it: so its bound is ours and what one read may hold.
    streamResetBurst: streamsMax + RESETS_PER_READ_MAX,
    streamResetRate: 4 * bounds.resetsPerSecond,
  };
}

/** As many resets at once as streams may be open, and then so many a second. */
class ResetAllowance {
  readonly #burst: number;
  readonly #perSecond: number;
  #left: number;
  #atMs: number;

  constructor(burst: number, perSecond: number, nowMs: number) {
    this.#burst = burst;
    this.#perSecond = perSecond;
    this.#left = burst;
    this.#atMs = nowMs;
  }

  take(nowMs: number): boolean {
    this.#left = Math.min(this.#burst, this.#left + ((nowMs - this.#atMs) * this.#perSecond) / 1000);
    this.#atMs = nowMs;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}
