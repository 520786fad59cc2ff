import { connect } from "node:http2";
import type { IncomingHttpHeaders } from "node:http2";
import { createServer } from "node:net";
import * as grpc from "@grpc/grpc-js";
import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import { ConsumeError } from "../../src/core/errors.ts";
import type { ConsumeErrorKind } from "../../src/core/errors.ts";
import type { GrpcCall, GrpcDoor, GrpcDoorSettings, GrpcHandler } from "../../src/net/grpc-door.ts";
import { GrpcJsDoor } from "../../src/net/grpc-js-door.ts";
import { Http2Door } from "../../src/net/http2-door.ts";
import { decodeStatus } from "../../src/net/rpc-status.ts";
import { settle } from "../support/test-clock.ts";
import { OpenBudget } from "./open-budget.ts";

const METHOD = "/signalbox.test.Echo/Send";
const MESSAGE_BYTES_MAX = 100_000;

/** The promises of GrpcDoor, for every engine that fills it. */
const ENGINES: Readonly<Record<string, (settings: GrpcDoorSettings) => GrpcDoor>> = {
  http2: (settings) => new Http2Door(settings),
  grpc_js: (settings) => new GrpcJsDoor(settings),
};

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

const same = (bytes: Buffer): Buffer => bytes;
const echo: GrpcHandler = async (request) => request;

interface CallSettings {
  readonly path?: string;
  readonly metadata?: grpc.Metadata;
  readonly options?: grpc.CallOptions;
}

class TestClient {
  readonly #client: grpc.Client;

  constructor(port: number, options: grpc.ClientOptions = {}) {
    this.#client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), options);
    closers.push(async () => this.close());
  }

  send(bytes: Uint8Array, settings: CallSettings = {}): Promise<Buffer> {
    return this.start(bytes, settings).answer;
  }

  start(
    bytes: Uint8Array,
    { path = METHOD, metadata = new grpc.Metadata(), options = {} }: CallSettings = {},
  ): {
    readonly call: grpc.ClientUnaryCall;
    readonly answer: Promise<Buffer>;
  } {
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    // A test may look at the answer late; it must not count as unhandled meanwhile.
    promise.catch(() => undefined);
    const call = this.#client.makeUnaryRequest(
      path,
      same,
      same,
      Buffer.from(bytes),
      metadata,
      options,
      (error, response) => (error === null ? resolve(response!) : reject(error)),
    );
    return { call, answer: promise };
  }

  close(): void {
    this.#client.close();
  }
}

async function failure(answer: Promise<unknown>): Promise<grpc.ServiceError> {
  try {
    await answer;
  } catch (error) {
    return error as grpc.ServiceError;
  }
  throw new Error("the call succeeded");
}

describe.each(Object.keys(ENGINES))("a gRPC door on %s", (engine) => {
  async function openDoor(settings: { handler?: GrpcHandler; budget?: OpenBudget; streamsMax?: number } = {}) {
    const { handler = echo, budget = new OpenBudget(), streamsMax = 100 } = settings;
    const calls: GrpcCall[] = [];
    const take: GrpcHandler = (request, call) => {
      calls.push(call);
      return handler(request, call);
    };
    const door = ENGINES[engine]!({
      endpoint: { host: "127.0.0.1", port: 0 },
      owner: "receivers.test",
      endpointKey: "protocols.grpc.endpoint",
      methods: new Map([[METHOD, take]]),
      messageBytesMax: MESSAGE_BYTES_MAX,
      streamsMax,
      budget,
      clock: systemClock,
    });
    const { port } = await door.start();
    closers.push(() => door.stop(AbortSignal.abort()));
    return { door, port, budget, calls, client: new TestClient(port) };
  }

  it("hands over the request's bytes and answers with the handler's, empty ones too", async () => {
    const { client } = await openDoor();
    expect((await client.send(Buffer.from("hello"))).toString()).toBe("hello");
    expect(await client.send(Buffer.alloc(0))).toHaveLength(0);
  });

  it("inflates gzip", async () => {
    const { port } = await openDoor();
    const client = new TestClient(port, { "grpc.default_compression_algorithm": grpc.compressionAlgorithms.gzip });
    expect((await client.send(Buffer.alloc(50_000, "a"))).length).toBe(50_000);
  });

  it("answers RESOURCE_EXHAUSTED to a message over the limit, before and after decompression", async () => {
    const { client, port, calls, budget } = await openDoor();
    expect(await client.send(Buffer.alloc(MESSAGE_BYTES_MAX))).toHaveLength(MESSAGE_BYTES_MAX);
    expect((await failure(client.send(Buffer.alloc(MESSAGE_BYTES_MAX + 1)))).code).toBe(8);
    const zipping = new TestClient(port, { "grpc.default_compression_algorithm": grpc.compressionAlgorithms.gzip });
    expect((await failure(zipping.send(Buffer.alloc(50_000_000)))).code).toBe(8);
    expect([calls.length, budget.leasedBytes]).toEqual([1, 0]);
  });

  it("answers UNIMPLEMENTED to a method it does not have", async () => {
    const { client } = await openDoor();
    expect((await failure(client.send(Buffer.alloc(1), { path: "/signalbox.test.Echo/Other" }))).code).toBe(12);
  });

  it("hands over metadata in lower case, binary values as base64, and the peer's address", async () => {
    const { client, calls } = await openDoor();
    const metadata = new grpc.Metadata();
    metadata.add("X-Machine-Id", "m1");
    metadata.add("x-twice", "a");
    metadata.add("x-twice", "b");
    metadata.add("x-raw-bin", Buffer.from([0, 255]));
    await client.send(Buffer.alloc(1), { metadata });
    const peer = calls[0]!.client;
    expect([peer.transport, peer.address, peer.first("x-machine-id"), peer.first("x-raw-bin")]).toEqual([
      "grpc",
      "127.0.0.1",
      "m1",
      "AP8=",
    ]);
    // A list in one header is one value for HTTP/2 peers that join them.
    expect(peer.get("x-twice").join(", ")).toBe("a, b");
  });

  it("knows the client's deadline, and sets its own where the client has none", async () => {
    const { client, calls } = await openDoor();
    const before = Date.now();
    await client.send(Buffer.alloc(1), { options: { deadline: before + 60_000 } });
    await client.send(Buffer.alloc(1));
    expect(calls[0]!.deadline - before).toBeGreaterThan(55_000);
    expect(calls[0]!.deadline - before).toBeLessThan(65_000);
    expect(calls[1]!.deadline - before).toBeGreaterThanOrEqual(5_000);
    expect(calls[1]!.deadline - before).toBeLessThan(10_000);
  });

  const KINDS: readonly (readonly [ConsumeErrorKind, number, number | undefined])[] = [
    ["refused", 14, 1000],
    ["retryable", 14, 1000],
    ["permanent", 3, undefined],
    ["too_large", 8, undefined],
    ["unauthenticated", 16, undefined],
    ["forbidden", 7, undefined],
    ["unimplemented", 12, undefined],
    ["internal", 13, undefined],
  ];

  it.each(KINDS)("answers %s with code %i and its details in the trailers", async (kind, code, retryDelayMs) => {
    const { client } = await openDoor({
      handler: async () => {
        throw new ConsumeError(kind, "no room: ä%");
      },
    });
    const error = await failure(client.send(Buffer.alloc(1)));
    expect([error.code, error.details]).toEqual([code, "no room: ä%"]);
    const details = error.metadata.get("grpc-status-details-bin")[0] as Buffer;
    expect(decodeStatus(details)).toEqual({
      code,
      message: "no room: ä%",
      ...(retryDelayMs !== undefined && { retryDelayMs }),
    });
  });

  it("answers INTERNAL to a handler that throws what is no ConsumeError, and to half a surrogate pair in a message", async () => {
    const { client } = await openDoor({
      handler: async () => {
        throw new TypeError("broken \ud800");
      },
    });
    expect(await failure(client.send(Buffer.alloc(1)))).toMatchObject({ code: 13, details: "broken \ufffd" });
  });

  it("bounds the message it sends back", async () => {
    const { client } = await openDoor({
      handler: async () => {
        throw new ConsumeError("permanent", "x".repeat(1_000_000));
      },
    });
    expect((await failure(client.send(Buffer.alloc(1)))).details.length).toBeLessThanOrEqual(1024);
  });

  it("aborts the call's signal when the client cancels", async () => {
    const { promise: aborted, resolve } = Promise.withResolvers<void>();
    const { client, calls, budget } = await openDoor({
      handler: (_request, call) =>
        new Promise((_resolve, reject) => {
          call.signal.addEventListener("abort", () => {
            resolve();
            reject(new ConsumeError("refused", "gone"));
          });
        }),
    });
    const { call } = client.start(Buffer.alloc(1));
    while (calls.length === 0) await settle();
    call.cancel();
    await aborted;
    while (budget.leasedBytes > 0) await settle();
    expect(budget.leasedBytes).toBe(0);
  });

  it("aborts the call's signal when the client's deadline passes", async () => {
    const { promise: aborted, resolve } = Promise.withResolvers<void>();
    const { client } = await openDoor({
      handler: (request, call) =>
        new Promise((resolveCall) => {
          call.signal.addEventListener("abort", () => {
            resolve();
            resolveCall(request);
          });
        }),
    });
    const answer = client.send(Buffer.alloc(1), { options: { deadline: Date.now() + 100 } });
    await aborted;
    expect((await failure(answer)).code).toBe(4);
  });

  it("does not abort the signal of a call that it has answered", async () => {
    const { client, calls } = await openDoor();
    await client.send(Buffer.alloc(1));
    await settle();
    expect(calls[0]!.signal.aborted).toBe(false);
  });

  it("refuses with UNAVAILABLE and RetryInfo, before it reads, when the budget says no", async () => {
    const budget = new OpenBudget();
    const { client, calls } = await openDoor({ budget });
    budget.pressure = "hard";
    const error = await failure(client.send(Buffer.alloc(90_000)));
    const status = decodeStatus(error.metadata.get("grpc-status-details-bin")[0] as Buffer);
    expect([error.code, status?.retryDelayMs, calls.length]).toEqual([14, 1000, 0]);
  });

  it("gives the lease back of a call whose client goes while it waits for it", async () => {
    const budget = new OpenBudget(0);
    const { client } = await openDoor({ budget });
    const { call } = client.start(Buffer.alloc(1));
    while (budget.waiterCount === 0) await settle();
    call.cancel();
    while (budget.waiterCount > 0) await settle();
    expect(budget.leasedBytes).toBe(0);
  });

  it("serves a good client beside one whose message never comes to an end", async () => {
    const { port, client, budget } = await openDoor();
    const session = connect(`http://127.0.0.1:${port}`);
    closers.push(async () => session.destroy());
    const stream = session.request({
      ":method": "POST",
      ":path": METHOD,
      "content-type": "application/grpc",
      te: "trailers",
    });
    stream.on("error", () => undefined);
    stream.write(Buffer.from([0, 0, 0, 0, 50, 1, 2, 3]));
    expect((await client.send(Buffer.from("hello"))).toString()).toBe("hello");
    stream.close();
    while (budget.leasedBytes > 0) await settle();
    expect(budget.leasedBytes).toBe(0);
  });

  it("answers a request that ends within its message as one to send again", async () => {
    const { port } = await openDoor();
    const session = connect(`http://127.0.0.1:${port}`);
    closers.push(async () => session.destroy());
    const stream = session.request({ ":method": "POST", ":path": METHOD, "content-type": "application/grpc" });
    stream.end(Buffer.from([0, 0, 0, 0, 50, 1, 2, 3]));
    const { promise, resolve } = Promise.withResolvers<string>();
    stream.once("response", (headers) => resolve(String(headers["grpc-status"])));
    expect(await promise).toBe("14");
  });

  it.each(["1n", "999u", "0S"])(
    "does not take a request whose grpc-timeout is %s: its client has given up",
    async (timeout) => {
      const { port, calls, budget } = await openDoor();
      const session = connect(`http://127.0.0.1:${port}`);
      closers.push(async () => session.destroy());
      const headers = {
        ":method": "POST",
        ":path": METHOD,
        "content-type": "application/grpc",
        "grpc-timeout": timeout,
      };
      const stream = session.request(headers);
      stream.end(Buffer.from([0, 0, 0, 0, 1, 7]));
      const { promise, resolve } = Promise.withResolvers<string>();
      stream.on("error", () => undefined);
      for (const event of ["response", "trailers"] as const) {
        stream.on(event, (received: IncomingHttpHeaders) => {
          const status = received["grpc-status"];
          if (typeof status === "string") resolve(status);
        });
      }
      expect(await promise).toBe("4");
      while (budget.leasedBytes > 0) await settle();
      expect(calls).toEqual([]);
    },
  );

  it("names a busy port, its owner and the key to change", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => other.once("listening", resolve));
    const { port } = other.address() as { port: number };
    closers.push(async () => void other.close());
    const door = ENGINES[engine]!({
      endpoint: { host: "127.0.0.1", port },
      owner: "receivers.otlp",
      endpointKey: "protocols.grpc.endpoint",
      methods: new Map(),
      messageBytesMax: 1,
      streamsMax: 1,
      budget: new OpenBudget(),
      clock: systemClock,
    });
    await expect(door.start()).rejects.toThrow(
      `receivers.otlp: 127.0.0.1:${port} is in use by another process; stop it (a Collector?) or set protocols.grpc.endpoint to another port`,
    );
    await expect(door.stop(AbortSignal.abort())).resolves.toBeUndefined();
  });

  it("finishes calls in flight, then closes; later calls find nobody", async () => {
    const { promise: release, resolve: releaseNow } = Promise.withResolvers<void>();
    const { door, client, port, calls } = await openDoor({
      handler: async (request) => {
        await release;
        return request;
      },
    });
    const answer = client.send(Buffer.from("late"));
    while (calls.length === 0) await settle();
    const stopped = door.stop(new AbortController().signal);
    releaseNow();
    expect((await answer).toString()).toBe("late");
    await stopped;
    expect((await failure(new TestClient(port).send(Buffer.alloc(1)))).code).toBe(14);
  });

  it("cuts calls off when patience ends", async () => {
    const { door, client, calls } = await openDoor({ handler: () => new Promise(() => undefined) });
    const { answer } = client.start(Buffer.alloc(1));
    while (calls.length === 0) await settle();
    const patience = new AbortController();
    const stopped = door.stop(patience.signal);
    patience.abort();
    await stopped;
    expect([1, 14]).toContain((await failure(answer)).code);
  });
});
