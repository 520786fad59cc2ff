import { type ClientHttp2Session, connect as connectHttp2, constants } from "node:http2";
import { connect, isIP, type Socket } from "node:net";
import { connect as connectTls, createSecureContext, type SecureContext } from "node:tls";
import type { Clock, Timer } from "../core/clock.ts";
import type { ClientTls } from "./client-tls.ts";
import { SILENT_CALLS_MAX } from "./grpc-client.ts";
import { openTunnel } from "./proxy-tunnel.ts";
import { exchange, type ExchangeRequest, type Outcome, UNPROCESSED } from "./grpc-http2-exchange.ts";

export type GrpcAddress = { readonly host: string; readonly port: number } | { readonly path: string };

export interface Keepalive {
  readonly timeMs: number;
  readonly timeoutMs: number;
  readonly permitWithoutStream: boolean;
}

export interface ConnectionSettings {
  /** undefined: plain text. */
  readonly tls: ClientTls | undefined;
  /** The name of the endpoint, for the certificate. */
  readonly host: string;
  /** Through which it goes, where it does. */
  readonly proxy: URL | undefined;
  readonly keepalive: Keepalive | undefined;
  readonly clock: Clock;
  /** Numbers in [0, 1), for jitter. */
  readonly random: () => number;
  /** Something has changed: a call that waits may find another answer. */
  readonly onChange: () => void;
}

/**
 * stopped: not wanted now. connecting. ready. failed: waits before the next attempt; `trouble` says why.
 */
export type ConnectionState = "stopped" | "connecting" | "ready" | "failed";

/** From the first packet to the backend's SETTINGS; as grpc-js. */
const CONNECT_MS_MAX = 20_000;
/** Waits between attempts to connect: gRPC's connection-backoff.md, but 10 s at most where it has 120. */
const BACKOFF_MS_MIN = 1000;
const BACKOFF_MS_MAX = 10_000;
const BACKOFF_FACTOR = 1.6;
const BACKOFF_JITTER = 0.2;
/**
 * A connection that ends sooner, without an answer on it, is short-lived. Each one in a row lets the next one wait twice
 * as long, and calls with it: a backend that is about to restart. After so many it counts as one that does not answer.
 */
const LIVED_MS_MIN = 1000;
const SHORT_LIVED_MAX = 10;
const SHORT_LIVED_WAIT_MS_MIN = 10;
const SHORT_LIVED_WAIT_MS_MAX = 250;

/** Between the last call of a connection that takes no more and its end. */
const LINGER_MS = 2000;

const { NGHTTP2_ENHANCE_YOUR_CALM } = constants;

/** One address: at most one connection that takes calls, and those it has replaced until their calls have ended. */
export class GrpcHttp2Connection {
  readonly #address: GrpcAddress;
  readonly #settings: ConnectionSettings;
  readonly #context: SecureContext | undefined;
  #state: ConnectionState = "stopped";
  #trouble = "";
  #session: Session | undefined;
  #backoffMs = 0;
  #retryTimer: Timer | undefined;
  #tunnel: AbortController | undefined;
  #keepaliveFactor = 1;
  #shortLived = 0;

  constructor(address: GrpcAddress, settings: ConnectionSettings) {
    this.#address = address;
    this.#settings = settings;
    this.#context = settings.tls && createSecureContext(settings.tls.contextOptions);
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Why it failed last. */
  get trouble(): string {
    return this.#trouble;
  }

  /** Ready, and the backend allows one more call at a time. */
  get isFree(): boolean {
    return this.#state === "ready" && this.#session!.isFree;
  }

  /** From now on it is connected, again and again. */
  start(): void {
    if (this.#state === "stopped") this.#connect();
  }

  /** Takes no more calls; those under way go on to their end. */
  stop(): void {
    this.#retryTimer?.cancel();
    this.#tunnel?.abort();
    this.#session?.retire();
    this.#session = undefined;
    this.#state = "stopped";
  }

  exchange(request: ExchangeRequest, signal: AbortSignal): Promise<Outcome> {
    return this.#session?.exchange(request, signal) ?? Promise.resolve(UNPROCESSED);
  }

  #connect(): void {
    this.#retryTimer = undefined;
    this.#state = "connecting";
    const { proxy } = this.#settings;
    if (proxy === undefined || !("port" in this.#address)) this.#open(connect({ ...this.#address, noDelay: true }));
    else void this.#openThrough(proxy, this.#address);
  }

  /** What may change meanwhile: stop() ends the attempt, and the next one has a tunnel of its own. */
  async #openThrough(proxy: URL, address: { readonly host: string; readonly port: number }): Promise<void> {
    const { clock, onChange } = this.#settings;
    const attempt = new AbortController();
    this.#tunnel = attempt;
    const { signal } = attempt;
    try {
      const socket = await openTunnel({ proxy, ...address, timeoutMs: CONNECT_MS_MAX, clock, signal });
      if (signal.aborted) socket.destroy();
      else this.#open(socket);
    } catch (error) {
      if (signal.aborted) return;
      this.#waitToRetry(error instanceof Error ? error.message : String(error));
      onChange();
    }
  }

  #open(tcp: Socket): void {
    const { clock, keepalive, onChange } = this.#settings;
    const session = new Session({
      socket: this.#secured(tcp),
      isTls: this.#context !== undefined,
      clock,
      keepalive: keepalive && { ...keepalive, timeMs: keepalive.timeMs * this.#keepaliveFactor },
      onReady: () => {
        if (session !== this.#session) return;
        this.#state = "ready";
        onChange();
      },
      onFreed: onChange,
      onEnd: (end) => this.#ended(session, end),
    });
    this.#session = session;
  }

  #secured(socket: Socket): Socket {
    const { host, tls } = this.#settings;
    if (tls === undefined) return socket;
    // An IP address is no server name (RFC 6066, 3); the certificate is still checked against it.
    const name = tls.serverName ?? host;
    return connectTls({
      socket,
      host: name,
      ...(isIP(name) === 0 && { servername: name }),
      secureContext: this.#context!,
      rejectUnauthorized: tls.rejectUnauthorized,
      ALPNProtocols: ["h2"],
    });
  }

  #ended(session: Session, { reason, livedMs, hasAnswered, sentTooManyPings }: SessionEnd): void {
    if (session !== this.#session) return;
    this.#session = undefined;
    if (sentTooManyPings) this.#keepaliveFactor *= 2;
    const hasLived = livedMs !== undefined && (hasAnswered || livedMs >= LIVED_MS_MIN);
    this.#shortLived = hasLived ? 0 : this.#shortLived + 1;
    if (hasLived) this.#backoffMs = 0;
    if (livedMs === undefined || this.#shortLived > SHORT_LIVED_MAX) this.#waitToRetry(reason);
    else if (hasLived) this.#connect();
    else this.#connectSoon();
    this.#settings.onChange();
  }

  #connectSoon(): void {
    this.#state = "connecting";
    const waitMs = Math.min(SHORT_LIVED_WAIT_MS_MIN * 2 ** (this.#shortLived - 1), SHORT_LIVED_WAIT_MS_MAX);
    this.#retryTimer = this.#settings.clock.after(waitMs, () => this.#connect());
  }

  #waitToRetry(reason: string): void {
    const { clock, random } = this.#settings;
    this.#state = "failed";
    this.#trouble = reason;
    this.#backoffMs = Math.min(Math.max(this.#backoffMs * BACKOFF_FACTOR, BACKOFF_MS_MIN), BACKOFF_MS_MAX);
    const jitter = 1 + BACKOFF_JITTER * (2 * random() - 1);
    this.#retryTimer = clock.after(this.#backoffMs * jitter, () => this.#connect());
  }
}

interface SessionEnd {
  readonly reason: string;
  /** Since it was ready; undefined where it never was. */
  readonly livedMs: number | undefined;
  readonly hasAnswered: boolean;
  readonly sentTooManyPings: boolean;
}

interface SessionSettings {
  readonly socket: Socket;
  readonly isTls: boolean;
  readonly clock: Clock;
  readonly keepalive: Keepalive | undefined;
  readonly onReady: () => void;
  /** A call has ended: there may be room for one more. */
  readonly onFreed: () => void;
  /** Once: from now on it takes no more calls. */
  readonly onEnd: (end: SessionEnd) => void;
}

/** One HTTP/2 session, from the first packet until its last call has ended. */
class Session {
  readonly #settings: SessionSettings;
  readonly #socket: Socket;
  readonly #http2: ClientHttp2Session;
  readonly #timers = new Set<Timer>();
  readonly #connectTimer: Timer;
  #readyMs: number | undefined;
  #isOver = false;
  // As node:net and grpc-js put it, for whom connection-advice.ts knows what to do.
  #reason = "Failed to connect: the server closed the connection";
  #lastStreamId = Infinity;
  #sentTooManyPings = false;
  #hasAnswered = false;
  #callCount = 0;
  #silentCalls = 0;

  constructor(settings: SessionSettings) {
    this.#settings = settings;
    const { socket, isTls } = settings;
    this.#socket = socket;
    socket.on("error", (error) => this.#note(error));
    this.#http2 = connectHttp2(isTls ? "https://backend" : "http://backend", {
      createConnection: () => socket,
      settings: { enablePush: false },
      // What is under way is bounded by num_consumers; at the default of 10 MB sessions refuse their own streams.
      maxSessionMemory: Number.MAX_SAFE_INTEGER,
    });
    this.#http2.on("error", (error) => this.#note(error));
    this.#http2.on("goaway", (code, lastStreamId, data) => this.#goaway(code, lastStreamId, data));
    this.#http2.on("close", () => this.#end());
    this.#http2.once("remoteSettings", () => this.#ready());
    this.#connectTimer = this.#after(CONNECT_MS_MAX, () => {
      this.#note(new Error(`connect ETIMEDOUT: no HTTP/2 within ${CONNECT_MS_MAX / 1000} s`));
      this.#http2.destroy();
    });
  }

  get isFree(): boolean {
    // A session that breaks is closed before its event says so.
    if (this.#isOver || this.#http2.closed || this.#http2.destroyed) return false;
    return this.#callCount < (this.#http2.remoteSettings?.maxConcurrentStreams ?? Infinity);
  }

  async exchange(request: ExchangeRequest, signal: AbortSignal): Promise<Outcome> {
    this.#callCount += 1;
    const outcome = await exchange(this.#http2, request, signal, (id) => id > this.#lastStreamId);
    this.#callCount -= 1;
    this.#watch(outcome, signal.aborted);
    if (this.#isOver) this.#letGo();
    this.#settings.onFreed();
    return outcome;
  }

  /** Takes no more calls, and closes when the last has ended. */
  retire(): void {
    this.#isOver = true;
    for (const timer of this.#timers) timer.cancel();
    if (this.#readyMs === undefined) this.#http2.destroy();
    else this.#http2.close();
    this.#letGo();
  }

  /** A peer that is gone never closes its side; TCP would wait for it for a quarter of an hour. */
  #letGo(): void {
    if (this.#callCount === 0) this.#settings.clock.after(LINGER_MS, () => this.#socket.destroy());
  }

  #ready(): void {
    if (this.#isOver) return;
    this.#connectTimer.cancel();
    this.#timers.delete(this.#connectTimer);
    this.#readyMs = this.#settings.clock.monotonicMs();
    this.#reason = "the server closed the connection";
    this.#armKeepalive();
    this.#settings.onReady();
  }

  #note(error: Error): void {
    const code = "code" in error && typeof error.code === "string" ? error.code : "";
    this.#reason = code === "" || error.message.includes(code) ? error.message : `${error.message} (${code})`;
  }

  /** Node closes the session by itself: what came before is still answered. */
  #goaway(code: number, lastStreamId: number, data: Uint8Array | undefined): void {
    this.#lastStreamId = Math.min(this.#lastStreamId, lastStreamId);
    const said = data === undefined ? "" : Buffer.from(data).toString("latin1").slice(0, 100);
    if (code === NGHTTP2_ENHANCE_YOUR_CALM && said === "too_many_pings") this.#sentTooManyPings = true;
    this.#reason = `the server took leave (GOAWAY with code ${code}${said === "" ? "" : `, ${said}`})`;
    this.#end();
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const timer of this.#timers) timer.cancel();
    this.#letGo();
    const livedMs = this.#readyMs === undefined ? undefined : this.#settings.clock.monotonicMs() - this.#readyMs;
    this.#settings.onEnd({
      reason: this.#reason,
      livedMs,
      // One that takes leave while calls are under way has promised to answer them.
      hasAnswered: this.#hasAnswered || (Number.isFinite(this.#lastStreamId) && this.#callCount > 0),
      sentTooManyPings: this.#sentTooManyPings,
    });
  }

  #watch(outcome: Outcome, isAborted: boolean): void {
    if (outcome.kind === "unprocessed") return;
    if (outcome.reply.isAnswered) this.#hasAnswered = true;
    this.#silentCalls = isAborted && !outcome.reply.isAnswered ? this.#silentCalls + 1 : 0;
    if (this.#silentCalls < SILENT_CALLS_MAX || this.#isOver) return;
    this.#reason = `no answer to ${SILENT_CALLS_MAX} calls in a row`;
    this.#http2.close();
    this.#end();
  }

  #armKeepalive(): void {
    const { keepalive } = this.#settings;
    if (keepalive === undefined) return;
    this.#after(keepalive.timeMs, () => {
      if (this.#callCount > 0 || keepalive.permitWithoutStream) this.#ping(keepalive);
      else this.#armKeepalive();
    });
  }

  #ping({ timeoutMs }: Keepalive): void {
    const timer = this.#after(timeoutMs, () => {
      this.#note(new Error("keepalive: no answer to a ping"));
      this.#http2.destroy();
    });
    this.#http2.ping((error) => {
      timer.cancel();
      this.#timers.delete(timer);
      if (error === null && !this.#isOver) this.#armKeepalive();
    });
  }

  #after(delayMs: number, callback: () => void): Timer {
    const timer = this.#settings.clock.after(delayMs, () => {
      this.#timers.delete(timer);
      callback();
    });
    this.#timers.add(timer);
    return timer;
  }
}
