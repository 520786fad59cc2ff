import { createServer } from "node:net";
import { deflateSync, gzipSync } from "node:zlib";
import { afterEach, describe, expect, it } from "vitest";
import { ConsumeError } from "../../src/core/errors.ts";
import { systemClock } from "../../src/core/clock.ts";
import type { Clock } from "../../src/core/clock.ts";
import { HttpDoor, textAnswer } from "../../src/net/http-door.ts";
import type { HttpAnswer, HttpRequest, HttpRoute, HttpTimeouts } from "../../src/net/http-door.ts";
import type { HttpExchange } from "../../src/net/http-exchange.ts";
import { toHttpAnswer } from "../../src/net/sender-answers.ts";
import { settle, TestClock } from "../support/test-clock.ts";
import { OpenBudget } from "./open-budget.ts";
import { RawConnection } from "./raw-connection.ts";

const SIZE_MAX = 1000;

interface DoorUnderTest {
  readonly door: HttpDoor;
  readonly port: number;
  readonly budget: OpenBudget;
  /** What reached the handler, in order. */
  readonly seen: HttpRequest[];
}

interface TestSettings {
  readonly sizeMax?: number;
  readonly handle?: (request: HttpRequest) => Promise<HttpAnswer>;
  readonly budget?: OpenBudget;
  readonly clock?: Clock;
  readonly timeouts?: Partial<HttpTimeouts>;
  readonly fault?: (status: number, message: string, mediaType: string) => HttpAnswer;
  readonly observe?: (exchange: HttpExchange) => void;
}

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

const refuse: HttpRoute["refuse"] = (error) => toHttpAnswer(error, "json");

async function openDoor(settings: TestSettings = {}): Promise<DoorUnderTest> {
  const { budget = new OpenBudget(), clock = systemClock, handle = echo, timeouts = {} } = settings;
  const seen: HttpRequest[] = [];
  const take = (request: HttpRequest): Promise<HttpAnswer> => {
    seen.push(request);
    return handle(request);
  };
  const routes: HttpRoute[] = [
    {
      method: "POST",
      path: "/in",
      body: { sizeMax: settings.sizeMax ?? SIZE_MAX, mediaTypes: ["text/plain", "text/csv"] },
      handle: take,
      refuse,
    },
    { method: "GET", path: "/status", handle: take, refuse },
  ];
  const door = new HttpDoor({
    endpoint: { host: "127.0.0.1", port: 0 },
    owner: "receivers.test",
    endpointKey: "endpoint",
    routes,
    budget,
    clock,
    timeouts,
    ...(settings.fault !== undefined && { fault: settings.fault }),
    ...(settings.observe !== undefined && { observe: settings.observe }),
  });
  const { port } = await door.start();
  closers.push(() => door.stop(AbortSignal.abort()));
  return { door, port, budget, seen };
}

async function echo(request: HttpRequest): Promise<HttpAnswer> {
  return { status: 200, headers: { "content-type": "text/plain" }, body: request.body };
}

function open(port: number): RawConnection {
  const connection = new RawConnection(port);
  closers.push(async () => connection.destroy());
  return connection;
}

function post(size: number | "chunked", headers: readonly string[] = ["content-type: text/plain"]): string {
  const length = size === "chunked" ? "transfer-encoding: chunked" : `content-length: ${size}`;
  return ["POST /in HTTP/1.1", "host: test", length, ...headers, "", ""].join("\r\n");
}

const gzipHead = (bytes: Buffer): string => post(bytes.length, ["content-type: text/plain", "content-encoding: gzip"]);

const statusMessage = (body: Buffer): string => (JSON.parse(body.toString()) as { message: string }).message;

describe("routing", () => {
  it("answers 404 to an unknown path", async () => {
    const { port } = await openDoor();
    const answer = await open(port).write("GET /nope?in HTTP/1.1\r\nhost: x\r\n\r\n").answer();
    expect(answer.status).toBe(404);
    expect(answer.body.toString()).toBe("404 page not found");
  });

  it("answers 405 naming the methods that the path has", async () => {
    const { port } = await openDoor();
    const answer = await open(port).write("GET /in HTTP/1.1\r\nhost: x\r\n\r\n").answer();
    expect([answer.status, answer.body.toString()]).toEqual([405, "405 method not allowed, supported: [POST]"]);
  });

  it("answers 415 naming the media types that the path takes, also where none is given", async () => {
    const { port } = await openDoor();
    for (const headers of [["content-type: image/png"], []]) {
      const answer = await open(port)
        .write(`${post(1, headers)}x`)
        .answer();
      expect([answer.status, answer.body.toString()]).toEqual([
        415,
        "415 unsupported media type, supported: [text/plain, text/csv]",
      ]);
    }
  });

  it("reads the media type in any case and without its parameters", async () => {
    const { port, seen } = await openDoor();
    const answer = await open(port)
      .write(`${post(2, ["content-type: TEXT/Plain; charset=utf-8"])}ab`)
      .answer();
    expect([answer.status, answer.body.toString(), seen[0]?.mediaType]).toEqual([200, "ab", "text/plain"]);
  });

  it("gives a route without a body the query and no lease", async () => {
    const { port, seen, budget } = await openDoor();
    const answer = await open(port).write("GET /status?q=a%20b HTTP/1.1\r\nhost: x\r\n\r\n").answer();
    expect([answer.status, seen[0]?.path, seen[0]?.query, budget.acquireCount]).toEqual([200, "/status", "q=a%20b", 0]);
  });

  it("reads a request line with a whole URL, as proxies write it", async () => {
    const { port, seen } = await openDoor();
    const connection = open(port).write("GET http://gateway:4318/status?q=1 HTTP/1.1\r\nhost: x\r\n\r\n");
    expect([(await connection.answer()).status, seen[0]?.path, seen[0]?.query]).toEqual([200, "/status", "q=1"]);
    expect((await connection.write("OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n").answer()).status).toBe(404);
  });

  it("drops the connection of a route whose answer is no HTTP, and goes on serving", async () => {
    const { port } = await openDoor({
      handle: async (request) => (request.query === "bug" ? { status: 200, headers: { "x y": "" } } : { status: 204 }),
    });
    await open(port).write("GET /status?bug HTTP/1.1\r\nhost: x\r\n\r\n").closed();
    expect((await open(port).write("GET /status HTTP/1.1\r\nhost: x\r\n\r\n").answer()).status).toBe(204);
  });

  it("hands over the sender's headers and plain address", async () => {
    const { port, seen } = await openDoor();
    await open(port)
      .write(post(0, ["content-type: text/plain", "X-Machine-Id: m1", "x-twice: a", "x-twice: b"]))
      .answer();
    const client = seen[0]!.client;
    expect([client.transport, client.address, client.first("x-machine-id"), client.get("X-Twice")]).toEqual([
      "http",
      "127.0.0.1",
      "m1",
      ["a", "b"],
    ]);
  });

  it("serves many requests over one connection, also pipelined", async () => {
    const { port } = await openDoor();
    const connection = open(port).write(`${post(1)}a${post(1)}b`);
    expect((await connection.answer()).body.toString()).toBe("a");
    expect((await connection.answer()).body.toString()).toBe("b");
  });
});

describe("bodies", () => {
  it("takes a body of exactly the limit and answers 413 to one byte more, declared or counted", async () => {
    const { port } = await openDoor();
    const full = "x".repeat(SIZE_MAX);
    expect(
      (
        await open(port)
          .write(post(SIZE_MAX) + full)
          .answer()
      ).body.length,
    ).toBe(SIZE_MAX);
    const chunked = `${post("chunked")}${(SIZE_MAX + 1).toString(16)}\r\n${full}x\r\n0\r\n\r\n`;
    expect((await open(port).write(chunked).answer()).status).toBe(413);
    expect(
      (
        await open(port)
          .write(`${post(SIZE_MAX + 1)}${full}x`)
          .answer()
      ).status,
    ).toBe(413);
  });

  it("lets a sender that asked to close finish sending before the connection closes behind a 413", async () => {
    const { port } = await openDoor({ timeouts: { lingerMs: 60_000 } });
    const connection = open(port).write(post(SIZE_MAX + 1, ["content-type: text/plain", "connection: close"]));
    expect((await connection.answer()).status).toBe(413);
    // Closed behind the answer, the connection would be reset by what comes now.
    const { promise: failure, resolve } = Promise.withResolvers<unknown>();
    connection.socket.once("error", resolve).once("close", () => resolve("none"));
    await connection.write(Buffer.alloc(SIZE_MAX + 1)).flushed();
    expect(await failure).toBe("none");
  });

  it("answers 413 to a declared size over the limit before a byte of it has come", async () => {
    const { port, budget, seen } = await openDoor();
    const answer = await open(port).write(post(50_000_000)).answer();
    expect(answer.status).toBe(413);
    expect(statusMessage(answer.body)).toBe(
      "the request body is 50000000 bytes, over the limit of 1000 bytes; send smaller batches",
    );
    expect([budget.acquireCount, seen.length]).toEqual([0, 0]);
  });

  it("lets a sender that is refused in the middle finish its body and use the connection again", async () => {
    const { port } = await openDoor();
    const connection = open(port).write(post(SIZE_MAX + 5));
    expect((await connection.answer()).status).toBe(413);
    connection.write("x".repeat(SIZE_MAX + 5)).write(`${post(2)}ok`);
    expect((await connection.answer()).body.toString()).toBe("ok");
  });

  it("reads on behind a refusal for as long as the sender sends, and no longer than a body may take", async () => {
    const clock = new TestClock();
    const { port } = await openDoor({ clock, timeouts: { lingerMs: 500, bodyMs: 2_000 } });
    const connection = open(port).write(post(50_000_000));
    expect((await connection.answer()).status).toBe(413);
    connection.socket.setNoDelay(true);
    const closed = connection.closed().then(() => "closed");
    for (let count = 0; count < 3; count++) {
      await connection.write("x".repeat(1000)).flushed();
      // The kernel has it, so one of the door's next turns reads it.
      for (let turns = 0; turns < 20; turns++) await settle();
      await clock.advance(500);
      expect(await Promise.race([closed, settle().then(() => "open")])).toBe("open");
    }
    await connection.write("x").flushed();
    await clock.advance(500);
    expect(await closed).toBe("closed");
  });

  it("answers 417 to an expectation that it does not know", async () => {
    const { port, seen } = await openDoor();
    const answer = await open(port)
      .write(post(2, ["content-type: text/plain", "expect: foo"]))
      .write("hi")
      .answer();
    expect([answer.status, seen.length]).toEqual([417, 0]);
    expect(answer.body.toString()).toContain("100-continue");
  });

  it("waits with little in hand where a body in chunks outgrows its room", async () => {
    const budget = new OpenBudget(600_000);
    const { port, seen } = await openDoor({ budget, sizeMax: 500_000 });
    const first = open(port).write(post(500_000)).write("x");
    while (budget.leasedBytes < 500_000) await settle();
    const text = "y".repeat(100_000);
    const second = open(port)
      .write(post("chunked"))
      .write(`${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`);
    while (budget.waiterCount === 0) await settle();
    expect(budget.leasedBytes).toBe(500_000 + 64 * 1024);
    first.write("x".repeat(499_999));
    expect((await first.answer()).status).toBe(200);
    expect((await second.answer()).body.toString()).toBe(text);
    expect(seen).toHaveLength(2);
    while (budget.leasedBytes > 0) await settle();
    expect(budget.leasedBytesPeak).toBeLessThanOrEqual(600_000);
  });

  it("asks for a step first, and for the declared size once more has come", async () => {
    const budget = new OpenBudget();
    budget.stepBytes = 1000;
    const { port } = await openDoor({ budget, sizeMax: 500_000 });
    const text = "abcdefg".repeat(50_000);
    const connection = open(port).write(post(text.length)).write(text.slice(0, 1000));
    while (budget.arrivals.size === 0) await settle();
    expect(budget.leasedBytes).toBe(1000);
    connection.write(text.slice(1000, 2000));
    while (budget.leasedBytes !== text.length) await settle();
    connection.write(text.slice(2000));
    expect((await connection.answer()).body.toString()).toBe(text);
    expect(budget.acquireCount).toBe(2);
    while (budget.leasedBytes > 0) await settle();
    expect([budget.arrivals.size, budget.leasedBytesPeak]).toEqual([0, text.length + 1000]);
  });

  it("answers 503 with a hint to a body that has to give way", async () => {
    const budget = new OpenBudget();
    const { port, seen } = await openDoor({ budget });
    const connection = open(port).write(post(500)).write("x");
    while ([...budget.arrivals][0]?.receivedSize !== 1) await settle();
    const refusal = new ConsumeError("refused", "too slow", { retryAfterMs: 1000, reason: "too_slow" });
    for (const arrival of budget.arrivals) arrival.giveWay(refusal);
    const answer = await connection.answer();
    expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "1"]);
    expect([budget.leasedBytes, budget.arrivals.size, seen.length]).toEqual([0, 0, 0]);
  });

  it("gives back the room of a body in chunks whose sender goes away while it waits for more", async () => {
    const budget = new OpenBudget(600_000);
    const { port } = await openDoor({ budget, sizeMax: 500_000 });
    open(port).write(post(500_000)).write("x");
    while (budget.leasedBytes < 500_000) await settle();
    const second = open(port)
      .write(post("chunked"))
      .write(`186a0\r\n${"y".repeat(100_000)}\r\n`);
    while (budget.waiterCount === 0) await settle();
    second.destroy();
    while (budget.leasedBytes > 500_000) await settle();
    expect(budget.waiterCount).toBe(0);
  });

  it("closes the connection of a refused sender that does not come to an end", async () => {
    const clock = new TestClock();
    const { port } = await openDoor({ clock, timeouts: { lingerMs: 500 } });
    const connection = open(port).write(post(50_000_000));
    expect((await connection.answer()).status).toBe(413);
    await clock.advance(500);
    await connection.closed();
  });

  it("inflates gzip and deflate", async () => {
    const { port } = await openDoor();
    for (const [coding, bytes] of [
      ["gzip", gzipSync("hello")],
      ["deflate", deflateSync("hello")],
      ["identity", Buffer.from("hello")],
    ] as const) {
      const head = post(bytes.length, ["content-type: text/plain", `content-encoding: ${coding}`]);
      const answer = await open(port).write(head).write(bytes).answer();
      expect([coding, answer.status, answer.body.toString()]).toEqual([coding, 200, "hello"]);
    }
  });

  it("enforces the limit after decompression, and refuses a bomb without inflating it", async () => {
    const { port, budget } = await openDoor();
    const fits = gzipSync(Buffer.alloc(SIZE_MAX));
    expect((await open(port).write(gzipHead(fits)).write(fits).answer()).status).toBe(200);
    const over = gzipSync(Buffer.alloc(SIZE_MAX + 1));
    expect((await open(port).write(gzipHead(over)).write(over).answer()).status).toBe(413);
    const bomb = gzipSync(Buffer.alloc(900_000));
    expect(bomb.length).toBeLessThan(SIZE_MAX);
    const answer = await open(port).write(gzipHead(bomb)).write(bomb).answer();
    expect([answer.status, statusMessage(answer.body)]).toEqual([
      413,
      "the request body decompresses (gzip) to more than 1000 bytes; send smaller batches",
    ]);
    // The body on the wire, and room for the largest that may come out of it.
    expect(budget.leasedBytesPeak).toBeLessThanOrEqual(2 * SIZE_MAX);
    expect(budget.leasedBytes).toBe(0);
  });

  it("inflates what lies about its size, and joined gzip members", async () => {
    const { port, budget } = await openDoor();
    const joined = Buffer.concat([gzipSync("a".repeat(500)), gzipSync("b")]);
    const liar = Buffer.concat([gzipSync("c".repeat(500)), Buffer.from([1, 0, 0, 0])]);
    expect((await open(port).write(gzipHead(joined)).write(joined).answer()).body).toHaveLength(501);
    expect((await open(port).write(gzipHead(liar)).write(liar).answer()).status).toBe(400);
    const shrunk = deflateSync("d".repeat(900));
    const head = post(shrunk.length, ["content-type: text/plain", "content-encoding: deflate"]);
    expect((await open(port).write(head).write(shrunk).answer()).body).toHaveLength(900);
    expect(budget.leasedBytes).toBe(0);
  });

  it("does not inflate a body before there is room for what comes out of it", async () => {
    const body = gzipSync("a".repeat(SIZE_MAX));
    const budget = new OpenBudget(body.length + SIZE_MAX - 1);
    const { port, seen } = await openDoor({ budget });
    const connection = open(port).write(gzipHead(body)).write(body);
    while (budget.waiterCount === 0) await settle();
    expect([seen.length, budget.leasedBytes]).toEqual([0, body.length]);
    connection.destroy();
    while (budget.leasedBytes > 0) await settle();
    expect(budget.waiterCount).toBe(0);
  });

  it("answers 400 to broken and to truncated gzip", async () => {
    const { port } = await openDoor();
    const whole = gzipSync("hello");
    for (const bytes of [Buffer.from("{}"), whole.subarray(0, whole.length - 3), Buffer.alloc(0)]) {
      const head = post(bytes.length, ["content-type: text/plain", "content-encoding: gzip"]);
      const answer = await open(port).write(head).write(bytes).answer();
      expect(answer.status).toBe(400);
      expect(statusMessage(answer.body)).toMatch(/^Content-Encoding gzip: .+ \(\d+ bytes\)$/);
    }
  });

  it("answers 400 to a coding it does not know, naming it, before the body is read", async () => {
    const { port, budget } = await openDoor();
    for (const coding of ["br", "gzip, gzip"]) {
      const answer = await open(port)
        .write(post(10, ["content-type: text/plain", `content-encoding: ${coding}`]))
        .answer();
      expect([answer.status, statusMessage(answer.body)]).toEqual([400, `unsupported Content-Encoding: ${coding}`]);
    }
    expect(budget.acquireCount).toBe(0);
  });

  it("sends 100 Continue only to a sender whose body it will read", async () => {
    const { port } = await openDoor();
    const expecting = ["content-type: text/plain", "expect: 100-continue"];
    const welcome = open(port).write(post(2, expecting));
    expect((await welcome.answer()).status).toBe(100);
    expect((await welcome.write("ok").answer()).body.toString()).toBe("ok");
    expect((await open(port).write(post(5000, expecting)).answer()).status).toBe(413);
  });
});

describe("the budget", () => {
  it("leases the declared size before it reads, and gives it back once answered", async () => {
    const { port, budget } = await openDoor();
    await open(port)
      .write(`${post(3)}abc`)
      .answer();
    expect([budget.leasedBytesPeak, budget.leasedBytes]).toEqual([3, 0]);
  });

  it("gives the lease back when the body is refused, broken or the handler throws", async () => {
    const { port, budget } = await openDoor({
      handle: () => {
        throw new TypeError("bug");
      },
    });
    expect(
      (
        await open(port)
          .write(`${post(3)}abc`)
          .answer()
      ).status,
    ).toBe(500);
    const gzip = post(2, ["content-type: text/plain", "content-encoding: gzip"]);
    expect((await open(port).write(`${gzip}{}`).answer()).status).toBe(400);
    expect(budget.leasedBytes).toBe(0);
  });

  it("refuses with 503 and Retry-After before the body is read when the budget says no", async () => {
    const { port, budget } = await openDoor();
    budget.pressure = "hard";
    const answer = await open(port).write(post(10)).answer();
    expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "1"]);
  });

  it("lets a request wait for its lease, and forgets it when its sender goes", async () => {
    const budget = new OpenBudget(0);
    const { port } = await openDoor({ budget });
    const connection = open(port).write(post(10));
    while (budget.waiterCount === 0) await settle();
    connection.destroy();
    while (budget.waiterCount === 1) await settle();
    expect(budget.leasedBytes).toBe(0);
  });
});

describe("bad senders", () => {
  it("answers 408 to a body that does not come, and gives the lease back", async () => {
    const clock = new TestClock();
    const { port, budget } = await openDoor({ clock, timeouts: { bodyMs: 1000 } });
    const connection = open(port).write(`${post(10)}half`);
    while (budget.leasedBytes === 0) await settle();
    await clock.advance(1000);
    const answer = await connection.answer();
    expect([answer.status, budget.leasedBytes]).toEqual([408, 0]);
    expect(answer.body.toString()).toMatch(/^408 request timeout: the body was not there after 1000 ms/);
    await clock.advance(2000);
    await connection.closed();
    expect(clock.timerCount).toBe(0);
  });

  it("cuts off a sender that never finishes its headers", async () => {
    const { port } = await openDoor({ timeouts: { headersMs: 50 } });
    const connection = open(port).write("POST /in HTTP/1.1\r\nhost: x\r\n");
    expect((await connection.answer()).status).toBe(408);
    await connection.closed();
  });

  it("gives the lease back when the sender goes in the middle of its body", async () => {
    const { port, budget, seen } = await openDoor();
    const connection = open(port).write(`${post(10)}half`);
    while (budget.leasedBytes === 0) await settle();
    connection.destroy();
    while (budget.leasedBytes > 0) await settle();
    expect(seen).toHaveLength(0);
  });

  it("aborts the request's signal when the sender goes before it was answered", async () => {
    const { promise: answered, resolve } = Promise.withResolvers<string>();
    const { port } = await openDoor({
      handle: (request) =>
        new Promise((_resolve, reject) => {
          connection.destroy();
          request.signal.addEventListener("abort", () => {
            resolve("aborted");
            reject(new ConsumeError("refused", "gone"));
          });
        }),
    });
    const connection = open(port).write(`${post(2)}ab`);
    expect(await answered).toBe("aborted");
  });

  it("answers a sender that closes its half after the request", async () => {
    const { port } = await openDoor();
    const connection = open(port);
    connection.socket.end(`${post(2)}ab`);
    expect((await connection.answer()).body.toString()).toBe("ab");
  });

  it("answers 400 to what is not HTTP, and 431 to huge headers, and goes on serving", async () => {
    const { port } = await openDoor();
    expect((await open(port).write("\u0016\u0003\u0001 no\r\n\r\n").answer()).status).toBe(400);
    const huge = `GET /status HTTP/1.1\r\nhost: x\r\nx-huge: ${"y".repeat(40_000)}\r\n\r\n`;
    expect((await open(port).write(huge).answer()).status).toBe(431);
    expect((await open(port).write("GET /status HTTP/1.1\r\nhost: x\r\n\r\n").answer()).status).toBe(200);
  });

  it.each([
    ["what is no HTTP", "hello\r\n\r\n", 400, "this is no HTTP/1.1 request"],
    ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "HTTP/2 without TLS is not offered"],
    ["a name with a space", "GET / HTTP/1.1\r\nhost : x\r\n\r\n", 400, "this is no HTTP/1.1 request"],
    ["huge headers", `GET / HTTP/1.1\r\nhost: x\r\nbig: ${"y".repeat(40_000)}\r\n\r\n`, 431, "headers are too large"],
  ])("answers %s with the fault's body, in words, and closes", async (_name, sent, status, words) => {
    const faults: string[] = [];
    const fault = (code: number, message: string, mediaType: string): HttpAnswer => {
      faults.push(mediaType);
      return { status: code, headers: { "content-type": "application/json" }, body: JSON.stringify({ message }) };
    };
    const { port } = await openDoor({ fault });
    const connection = open(port).write(sent);
    const answer = await connection.answer();
    expect(answer.status).toBe(status);
    expect(answer.headers.get("content-type")).toBe("application/json");
    expect((JSON.parse(answer.body.toString()) as { message: string }).message).toContain(words);
    expect(faults).toEqual([""]);
    await connection.closed();
  });

  it("tells the fault of what type the broken request said it was", async () => {
    const types: string[] = [];
    const fault = (status: number, message: string, mediaType: string): HttpAnswer => {
      types.push(mediaType);
      return textAnswer(status, message);
    };
    const { port } = await openDoor({ fault });
    const head = "POST /v1/logs HTTP/1.1\r\nhost: x\r\nContent-Type: application/x-protobuf; a=b\r\nbad header\r\n\r\n";
    expect((await open(port).write(head).answer()).status).toBe(400);
    expect(types).toEqual(["application/x-protobuf"]);
  });
});

it("tells whoever observes of each answer: what was asked, what came of it, how large and how long", async () => {
  const clock = new TestClock();
  const exchanges: HttpExchange[] = [];
  const { port } = await openDoor({
    clock,
    observe: (exchange) => void exchanges.push(exchange),
    handle: async (request) => {
      await clock.advance(25);
      return echo(request);
    },
  });
  const connection = open(port).write(`${post(2)}ab`);
  await connection.answer();
  connection.write("GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n");
  expect((await connection.answer()).status).toBe(404);
  const place = { address: "127.0.0.1", port, isTls: false };
  expect(exchanges).toEqual([
    { method: "POST", route: "/in", status: 200, requestBytes: 2, responseBytes: 2, durationMs: 25, ...place },
    {
      method: "GET",
      status: 404,
      route: undefined,
      requestBytes: undefined,
      responseBytes: 18,
      durationMs: 0,
      ...place,
    },
  ]);
});

describe("start and stop", () => {
  it("names a busy port, its owner and the key to change", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => other.once("listening", resolve));
    const { port } = other.address() as { port: number };
    closers.push(async () => void other.close());
    const door = new HttpDoor({
      endpoint: { host: "localhost", port },
      owner: "receivers.otlp",
      endpointKey: "protocols.http.endpoint",
      routes: [],
      budget: new OpenBudget(),
      clock: systemClock,
    });
    await expect(door.start()).rejects.toThrow(
      `receivers.otlp: localhost:${port} is in use by another process; stop it (a Collector?) or set protocols.http.endpoint to another port`,
    );
    await door.stop(AbortSignal.abort());
  });

  it("finishes requests in flight, closes their connections and idle ones, and accepts no more", async () => {
    const { promise: release, resolve: releaseNow } = Promise.withResolvers<void>();
    const { door, port, seen } = await openDoor({
      handle: async (request) => {
        await release;
        return echo(request);
      },
    });
    const unused = open(port);
    const idle = open(port).write("GET /nope HTTP/1.1\r\nhost: x\r\n\r\n");
    await idle.answer();
    const busy = open(port).write(`${post(2)}ab`);
    while (seen.length === 0) await settle();
    const stopped = door.stop(new AbortController().signal);
    await Promise.all([unused.closed(), idle.closed()]);
    releaseNow();
    const answer = await busy.answer();
    expect([answer.body.toString(), answer.headers.get("connection")]).toEqual(["ab", "close"]);
    await stopped;
    await expect(
      open(port)
        .write(`${post(2)}ab`)
        .answer(),
    ).rejects.toThrow("closed");
  });

  it("cuts requests off when patience ends", async () => {
    const { door, port, seen } = await openDoor({ handle: () => new Promise(() => undefined) });
    const connection = open(port).write(`${post(2)}ab`);
    while (seen.length === 0) await settle();
    const patience = new AbortController();
    const stopped = door.stop(patience.signal);
    patience.abort();
    await stopped;
    await expect(connection.answer()).rejects.toThrow("closed");
  });

  it("stops without having started, and twice", async () => {
    const door = new HttpDoor({
      endpoint: { host: "127.0.0.1", port: 0 },
      owner: "receivers.test",
      endpointKey: "endpoint",
      routes: [],
      budget: new OpenBudget(),
      clock: systemClock,
    });
    await expect(door.stop(new AbortController().signal)).resolves.toBeUndefined();
    await expect(door.stop(new AbortController().signal)).resolves.toBeUndefined();
  });
});
