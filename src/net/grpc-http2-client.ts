import type { Clock, Timer } from "../core/clock.ts";
import type { ClientTls } from "./client-tls.ts";
import { encodeContent, type Encoding, LEVEL_DEFAULT } from "./content-encode.ts";
import { type AddressSource, addressSource } from "./grpc-addresses.ts";
import type { GrpcCall, GrpcClient, GrpcReply } from "./grpc-client.ts";
import {
  type ConnectionSettings,
  type GrpcAddress,
  GrpcHttp2Connection,
  type Keepalive,
} from "./grpc-http2-connection.ts";
import { ACCEPT_ENCODING, GRPC_ENCODINGS, PREFIX_BYTES } from "./grpc-wire.ts";
import { GRPC_CODES } from "./rpc-status.ts";

export interface GrpcHttp2Settings {
  /** Where connections go instead, to be passed on (CONNECT); it resolves the name. May hold credentials. */
  readonly proxy?: URL | undefined;
  /** As gRPC names it: `dns:host:port`, `dns://server/host:port`, `unix:path`. */
  readonly target: string;
  /** undefined: plain text. */
  readonly tls: ClientTls | undefined;
  /** As `grpc-encoding` names it. */
  readonly compression: "gzip" | "zstd" | "snappy" | "identity";
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  readonly userAgent: string;
  /** The :authority that requests carry; default: the target's. */
  readonly authority: string | undefined;
  readonly balancer: "round_robin" | "pick_first";
  readonly waitForReady: boolean;
  readonly keepalive: Keepalive | undefined;
  readonly clock: Clock;
  /** Numbers in [0, 1), for jitter. */
  readonly random: () => number;
}

/** A name is not asked for more often, as gRPC has it. */
const RESOLVE_MS_MIN = 30_000;
const RESOLVE_RETRY_MS = 1000;
/** With pick_first: an address that has not answered after this time gets company (RFC 8305, 5). */
const NEXT_ADDRESS_MS = 250;
/** A call that backends refuse to look at is tried on this many connections. */
const TRIES_MAX = 5;

/**
 * A gRPC client for unary calls on node:http2, for what grpc-js cannot do: docs/decisions/0006 says why there are two.
 *
 * It has a connection to each address of the target (round_robin) or to the first that answers (pick_first), and makes
 * them anew when they end. A call goes to a connection that is ready; while none is and one is being made, it waits;
 * when all have failed it fails at once, unless waitForReady. A call of which the backend says that it has not looked
 * at it is made again; any other failure is the caller's to judge.
 */
export class GrpcHttp2Client implements GrpcClient {
  readonly #settings: GrpcHttp2Settings;
  readonly #source: AddressSource;
  /** In the order of the name's answer. */
  #connections = new Map<string, GrpcHttp2Connection>();
  #tls: ClientTls | undefined;
  #isClosed = false;
  #isResolving = false;
  #resolvedMs = -Infinity;
  #trouble = "";
  #next = 0;
  readonly #waiting = new Set<() => void>();
  #timer: Timer | undefined;

  constructor(settings: GrpcHttp2Settings) {
    this.#settings = settings;
    this.#tls = settings.tls;
    this.#source = addressSource(settings.target, settings.proxy !== undefined);
    void this.#resolve();
  }

  async call(call: GrpcCall, signal: AbortSignal): Promise<GrpcReply> {
    const { clock } = this.#settings;
    const endMs = call.timeoutMs === 0 ? Infinity : clock.monotonicMs() + call.timeoutMs;
    const deadline = new AbortController();
    const timer = call.timeoutMs === 0 ? undefined : clock.after(call.timeoutMs, () => deadline.abort());
    try {
      const ends = AbortSignal.any([signal, deadline.signal]);
      const reply = await this.#attempt(call, endMs, ends);
      if (reply.code === GRPC_CODES.OK || reply.isAnswered || !ends.aborted) return reply;
      if (signal.aborted) return unanswered(GRPC_CODES.CANCELLED, "Cancelled on client");
      return unanswered(GRPC_CODES.DEADLINE_EXCEEDED, `Deadline exceeded after ${call.timeoutMs / 1000}s`);
    } finally {
      timer?.cancel();
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    for (const connection of this.#connections.values()) connection.stop();
    this.#connections.clear();
    this.#changed();
  }

  /** For connections from now on; those that stand are replaced, and end with their calls. */
  replaceTls(tls: ClientTls): void {
    this.#tls = tls;
    const replaced = [...this.#connections.values()];
    this.#connections = new Map([...this.#connections.keys()].map((key) => [key, this.#create(addressOf(key))]));
    for (const connection of replaced) connection.stop();
    this.#balance();
  }

  async #attempt(call: GrpcCall, endMs: number, ends: AbortSignal): Promise<GrpcReply> {
    const frame = await this.#frame(call.message);
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const connection = await this.#pick(ends);
      if (!(connection instanceof GrpcHttp2Connection)) return connection;
      const outcome = await connection.exchange({ headers: this.#headers(call, endMs), frame }, ends);
      if (outcome.kind === "reply") return outcome.reply;
      if (ends.aborted) break;
    }
    return unanswered(GRPC_CODES.UNAVAILABLE, "Received RST_STREAM with code 7: the backend takes no calls");
  }

  async #frame(message: Buffer): Promise<Buffer> {
    const encoding = encodingOf(this.#settings.compression);
    const body = encoding === undefined ? message : await encodeContent(encoding, message, LEVEL_DEFAULT);
    const frame = Buffer.allocUnsafe(PREFIX_BYTES + body.length);
    frame[0] = encoding === undefined ? 0 : 1;
    frame.writeUInt32BE(body.length, 1);
    frame.set(body, PREFIX_BYTES);
    return frame;
  }

  #headers(call: GrpcCall, endMs: number): Record<string, string> {
    const { compression, headers, userAgent, authority, clock } = this.#settings;
    const leftMs = Math.max(1, Math.ceil(endMs - clock.monotonicMs()));
    return {
      ":method": "POST",
      ":path": call.path,
      ":scheme": this.#tls === undefined ? "http" : "https",
      ":authority": authority ?? this.#source.authority,
      ...(Number.isFinite(leftMs) && { "grpc-timeout": grpcTimeout(leftMs) }),
      "content-type": "application/grpc",
      te: "trailers",
      "user-agent": userAgent,
      "grpc-accept-encoding": ACCEPT_ENCODING,
      ...(compression !== "identity" && { "grpc-encoding": compression }),
      ...headers,
    };
  }

  /** A connection that takes a call, or the reply that says why there is none. */
  async #pick(ends: AbortSignal): Promise<GrpcHttp2Connection | GrpcReply> {
    for (;;) {
      if (this.#isClosed) return unanswered(GRPC_CODES.UNAVAILABLE, "The channel has been closed");
      if (ends.aborted) return unanswered(GRPC_CODES.CANCELLED, "Cancelled on client");
      const connections = [...this.#connections.values()];
      const free = connections.filter(({ isFree }) => isFree);
      // pick_first has one that is ready, but for a moment.
      if (free.length > 0) return free[this.#next++ % free.length]!;
      const mayCome = connections.some(({ state }) => state === "connecting" || state === "ready");
      if (!mayCome && !this.#isResolving && !this.#settings.waitForReady) return this.#failure(connections);
      await this.#change(ends);
    }
  }

  #failure(connections: readonly GrpcHttp2Connection[]): GrpcReply {
    const trouble = connections.find(({ state }) => state === "failed")?.trouble;
    const details =
      trouble === undefined
        ? `Name resolution failed for target ${this.#settings.target}: ${this.#trouble}`
        : `No connection established. Last error: ${trouble}`;
    return unanswered(GRPC_CODES.UNAVAILABLE, details);
  }

  /** Resolves when something has changed, or when the call ends. */
  #change(ends: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const finish = (): void => {
        this.#waiting.delete(finish);
        ends.removeEventListener("abort", finish);
        resolve();
      };
      this.#waiting.add(finish);
      ends.addEventListener("abort", finish, { once: true });
    });
  }

  #changed(): void {
    for (const resume of this.#waiting) resume();
  }

  async #resolve(): Promise<void> {
    const { clock } = this.#settings;
    if (this.#isResolving || this.#isClosed || clock.monotonicMs() - this.#resolvedMs < RESOLVE_MS_MIN) return;
    this.#isResolving = true;
    this.#resolvedMs = clock.monotonicMs();
    try {
      const addresses = await this.#source.resolve();
      this.#trouble = addresses.length === 0 ? "the name has no addresses" : "";
      if (!this.#isClosed && addresses.length > 0) this.#take(addresses);
    } catch (error) {
      this.#trouble = error instanceof Error ? error.message : String(error);
    }
    this.#isResolving = false;
    if (this.#trouble !== "") this.#resolveAgain();
    this.#changed();
  }

  /** The name gave nothing: what stands is kept, and it is asked again. */
  #resolveAgain(): void {
    this.#resolvedMs = -Infinity;
    if (this.#isClosed || this.#connections.size > 0) return;
    this.#timer = this.#settings.clock.after(RESOLVE_RETRY_MS, () => void this.#resolve());
  }

  #take(addresses: readonly GrpcAddress[]): void {
    const wanted = new Map(addresses.map((address) => [keyOf(address), address] as const));
    for (const [key, connection] of this.#connections) if (!wanted.has(key)) connection.stop();
    const kept = this.#connections;
    this.#connections = new Map(
      [...wanted].map(([key, address]) => [key, kept.get(key) ?? this.#create(address)] as const),
    );
    this.#balance();
  }

  #create(address: GrpcAddress): GrpcHttp2Connection {
    const { keepalive, clock, random, proxy } = this.#settings;
    const settings: ConnectionSettings = {
      tls: this.#tls,
      host: this.#source.host,
      proxy,
      keepalive,
      clock,
      random,
      onChange: () => {
        this.#balance();
        this.#changed();
      },
    };
    return new GrpcHttp2Connection(address, settings);
  }

  /** Starts what the balancer wants, and asks the name anew where an address does not answer. */
  #balance(): void {
    if (this.#isClosed) return;
    const connections = [...this.#connections.values()];
    if (connections.some(({ state }) => state === "failed")) void this.#resolve();
    if (this.#settings.balancer === "round_robin") for (const connection of connections) connection.start();
    else this.#balanceFirst(connections);
  }

  #balanceFirst(connections: readonly GrpcHttp2Connection[]): void {
    this.#timer?.cancel();
    const ready = connections.find(({ state }) => state === "ready");
    if (ready !== undefined) {
      for (const connection of connections) if (connection !== ready) connection.stop();
      return;
    }
    const isConnecting = connections.some(({ state }) => state === "connecting");
    const startNext = (): void => connections.find(({ state }) => state === "stopped")?.start();
    if (!isConnecting) startNext();
    this.#timer = this.#settings.clock.after(NEXT_ADDRESS_MS, () => {
      startNext();
      if (connections.some(({ state }) => state === "stopped")) this.#balance();
    });
  }
}

function encodingOf(compression: string): Encoding | undefined {
  return GRPC_ENCODINGS.get(compression) as Encoding | undefined;
}

function unanswered(code: number, details: string): GrpcReply {
  return { code, details, hasHeaders: false, isAnswered: false };
}

/** At most 8 digits: beyond a day in milliseconds, seconds are exact enough. */
function grpcTimeout(ms: number): string {
  return ms < 1e8 ? `${ms}m` : `${Math.min(Math.ceil(ms / 1000), 99_999_999)}S`;
}

function keyOf(address: GrpcAddress): string {
  return JSON.stringify(address);
}

function addressOf(key: string): GrpcAddress {
  return JSON.parse(key) as GrpcAddress;
}
