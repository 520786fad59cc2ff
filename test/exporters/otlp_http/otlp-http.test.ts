import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import protobuf from "protobufjs/light.js";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { z } from "zod";
import type { Exporter } from "../../../src/core/component.ts";
import { ConsumeError } from "../../../src/core/errors.ts";
import { SENT_WHOLE, type SendResult } from "../../../src/core/sender.ts";
import { SIGNALS } from "../../../src/core/signal.ts";
import { COMPRESSIONS, otlpHttpConfig } from "../../../src/exporters/otlp_http/config.ts";
import { otlpHttpExporterFactory } from "../../../src/exporters/otlp_http/factory.ts";
import { encodePartialSuccess, encodeStatus, GRPC_CODES, partialSuccessToJson } from "../../../src/net/rpc-status.ts";
import { type KeyPair, NO_OPENSSL, TestCa } from "../../support/test-ca.ts";
import { NEVER, NO_HOST, outgoing, testSettings } from "../test-exporter.ts";
import { answerWith, HttpBackend } from "./http-backend.ts";

let backend: HttpBackend;
const running: Exporter[] = [];
const servers: Server[] = [];

beforeEach(async () => {
  backend = await HttpBackend.listen();
});

afterEach(async () => {
  for (const exporter of running.splice(0)) await exporter.shutdown(NEVER);
  for (const server of servers.splice(0)) server.close();
  await backend.close();
});

type Input = Partial<z.input<typeof otlpHttpConfig>>;

async function startExporter(config: Input = {}): Promise<Exporter> {
  const parsed = otlpHttpConfig.parse({ endpoint: backend.url, ...config });
  const exporter = otlpHttpExporterFactory.create(testSettings("otlp_http"), parsed);
  running.push(exporter);
  await exporter.start(NO_HOST);
  return exporter;
}

const BYTES = Buffer.from("any bytes at all: nothing here looks at them");

function sendLogs(exporter: Exporter, signal: AbortSignal = NEVER): Promise<SendResult> {
  return exporter.send(outgoing("logs", [BYTES], 10), signal);
}

async function failureOf(promise: Promise<unknown>): Promise<ConsumeError> {
  const error: unknown = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof ConsumeError) return error;
  throw new Error(`expected a ConsumeError, got ${String(error)}`);
}

/** A server below HTTP; `serve` gets each connection. */
async function listenRaw(serve: (socket: Socket) => void): Promise<string> {
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    serve(socket);
  });
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** ExportLogsServiceRequest with one record whose body is "hello". */
function logsRequest(): Uint8Array {
  const writer = protobuf.Writer.create();
  const nest = (field: number): protobuf.Writer => writer.uint32((field << 3) | 2).fork();
  nest(1);
  nest(2);
  nest(2);
  nest(5);
  writer.uint32(10).string("hello");
  return writer.ldelim().ldelim().ldelim().ldelim().finish();
}

describe("a request", () => {
  test.each(COMPRESSIONS)("arrives exactly as it was given, with compression %s", async (compression) => {
    const exporter = await startExporter({ compression });
    for (const signal of SIGNALS) {
      const slices = [Buffer.from([1, 2]), new Uint8Array([3]), Buffer.alloc(0), Buffer.alloc(70_000, 7)];
      await exporter.send(outgoing(signal, slices), NEVER);
      const post = backend.posts.at(-1)!;
      expect(post.method).toBe("POST");
      expect(post.body.equals(Buffer.concat(slices))).toBe(true);
      expect(post.headers["content-encoding"]).toBe(compression === "none" ? undefined : compression);
      expect(post.headers["content-type"]).toBe("application/x-protobuf");
      expect(post.headers["content-length"]).toBeDefined();
    }
    expect(backend.posts.map(({ url }) => url)).toEqual(["/v1/traces", "/v1/metrics", "/v1/logs"]);
  });

  test("is sent with gzip where nothing else is said, and at the level that is asked for", async () => {
    const slices = [Buffer.from("some words that repeat themselves, ".repeat(2000))];
    const sizeAt = async (config: Input): Promise<number> => {
      await (await startExporter(config)).send(outgoing("logs", slices), NEVER);
      expect(backend.posts.at(-1)!.headers["content-encoding"]).toBe("gzip");
      return Number(backend.posts.at(-1)!.headers["content-length"]);
    };
    const small = await sizeAt({ compression_params: { level: 9 } });
    expect(await sizeAt({})).toBeLessThan(slices[0]!.length / 10);
    expect(await sizeAt({ compression_params: { level: 1 } })).toBeGreaterThan(small);
  });

  test("is sent as OTLP/JSON where that is configured", async () => {
    const exporter = await startExporter({ encoding: "json" });
    await exporter.send(outgoing("logs", [logsRequest()]), NEVER);
    const [post] = backend.posts;
    expect(post!.headers["content-type"]).toBe("application/json");
    expect(JSON.parse(post!.body.toString())).toEqual({
      resourceLogs: [{ scopeLogs: [{ logRecords: [{ body: { stringValue: "hello" } }] }] }],
    });
  });

  test("that cannot be written as JSON is final", async () => {
    const exporter = await startExporter({ encoding: "json" });
    const error = await failureOf(exporter.send(outgoing("logs", [Buffer.from([0x0a, 0xff])]), NEVER));
    expect(error.kind).toBe("permanent");
    expect(error.message).toContain("the request cannot be written as json: ");
    expect(backend.posts).toEqual([]);
  });

  test("goes to the path behind a base URL, and to the address of its signal as written", async () => {
    const exporter = await startExporter({
      endpoint: `${backend.url}/otlp/`,
      logs_endpoint: `${backend.url}/ingest?tenant=a`,
    });
    for (const signal of SIGNALS) await exporter.send(outgoing(signal, [BYTES]), NEVER);
    expect(backend.posts.map(({ url }) => url)).toEqual(["/otlp/v1/traces", "/otlp/v1/metrics", "/ingest?tenant=a"]);
  });

  test("of a signal without an address says which key to add", async () => {
    const exporter = otlpHttpExporterFactory.create(
      testSettings("otlp_http"),
      otlpHttpConfig.parse({ logs_endpoint: backend.url }),
    );
    running.push(exporter);
    await exporter.start(NO_HOST);
    const error = await failureOf(exporter.send(outgoing("traces", [BYTES]), NEVER));
    expect(error.message).toBe("neither endpoint nor traces_endpoint is set; add one of them");
  });

  test("carries the headers and our user agent, which a header replaces", async () => {
    const headers = { Authorization: "Bearer abcdef\n", "Dash0-Dataset": "default" };
    await sendLogs(await startExporter({ headers }));
    expect(backend.posts[0]!.headers).toMatchObject({ authorization: "Bearer abcdef", "dash0-dataset": "default" });
    expect(backend.posts[0]!.headers["user-agent"]).toMatch(/^Signalbox\/\d+\.\d+\.\d+$/);
    await sendLogs(await startExporter({ headers: { "User-Agent": "mine/1" } }));
    expect(backend.posts[1]!.headers["user-agent"]).toBe("mine/1");
  });

  test("uses the connection of the one before, and no more than are allowed at a time", async () => {
    const exporter = await startExporter({ max_conns_per_host: 2 });
    await sendLogs(exporter);
    await sendLogs(exporter);
    expect(backend.connectionCount).toBe(1);
    await Promise.all(Array.from({ length: 20 }, () => sendLogs(exporter)));
    expect(backend.connectionCount).toBeLessThanOrEqual(2);
    expect(backend.posts.length).toBe(22);
  });

  test("has a connection of its own where keepalive is off", async () => {
    const exporter = await startExporter({ keepalive: { enabled: false, idle_conn_timeout: "90s" } });
    await sendLogs(exporter);
    await sendLogs(exporter);
    expect(backend.connectionCount).toBe(2);
  });
});

describe("an answer", () => {
  const PROTO = { "content-type": "application/x-protobuf" };
  const JSON_TYPE = { "content-type": "application/json" };

  test.each([
    ["empty", answerWith(200), 0, ""],
    ["202 and empty", answerWith(202), 0, ""],
    ["the Collector's JSON", answerWith(200, JSON_TYPE, '{"partialSuccess":{}}'), 0, ""],
    [
      "partial in protobuf",
      answerWith(200, PROTO, encodePartialSuccess("logs", { rejectedItems: 3, message: "old" })),
      3,
      "old",
    ],
    [
      "partial in JSON",
      answerWith(200, JSON_TYPE, partialSuccessToJson("logs", { rejectedItems: 3, message: "old" })),
      3,
      "old",
    ],
    [
      "a page of HTML",
      answerWith(200, { "content-type": "text/html" }, "<html>"),
      0,
      "answered 200 with a body that is no OTLP response: is this the OTLP address?",
    ],
    [
      "broken protobuf",
      answerWith(200, PROTO, Buffer.from([0xff, 0xff])),
      0,
      "answered 200 with a body that is no OTLP response: is this the OTLP address?",
    ],
  ])("that is %s is a success", async (_what, answer, rejectedItems, message) => {
    const exporter = await startExporter();
    backend.answer = answer;
    expect(await sendLogs(exporter)).toEqual({ rejectedItems, message });
  });

  test.each([
    [429, "retryable"],
    [502, "retryable"],
    [503, "retryable"],
    [504, "retryable"],
    [413, "too_large"],
    [401, "unauthenticated"],
    [403, "forbidden"],
    [404, "unimplemented"],
    [307, "permanent"],
    [400, "permanent"],
    [500, "permanent"],
  ] as const)("%i is %s and names the URL", async (status, kind) => {
    const exporter = await startExporter();
    backend.answer = answerWith(status);
    const error = await failureOf(sendLogs(exporter));
    expect(error.kind).toBe(kind);
    expect(error.message).toContain(`${backend.url}/v1/logs answered ${status}`);
  });

  test("keeps the connection for the next request also after a refusal", async () => {
    const exporter = await startExporter();
    backend.answer = answerWith(
      503,
      { "retry-after": "2", ...PROTO },
      encodeStatus({ code: GRPC_CODES.UNAVAILABLE, message: "full" }),
    );
    const error = await failureOf(sendLogs(exporter));
    expect(error).toMatchObject({ kind: "retryable", retryAfterMs: 2000 });
    expect(error.message).toContain("answered 503: full");
    await failureOf(sendLogs(exporter));
    expect(backend.connectionCount).toBe(1);
  });

  test("larger than 4 MiB ends the connection and is final", async () => {
    const exporter = await startExporter();
    const closed = Promise.withResolvers<void>();
    backend.answer = (response) => {
      response.on("close", closed.resolve);
      response.writeHead(200, PROTO);
      const chunk = Buffer.alloc(1024 * 1024);
      const more = (): void => {
        if (!response.destroyed) response.write(chunk, more);
      };
      more();
    };
    const error = await failureOf(sendLogs(exporter));
    expect(error.kind).toBe("permanent");
    expect(error.message).toContain("answered with more than 4194304 bytes");
    await closed.promise;
  });

  test("that never comes ends with the attempt, and closes the connection", async () => {
    const exporter = await startExporter();
    const attempt = new AbortController();
    const closed = Promise.withResolvers<void>();
    backend.answer = (response) => {
      response.on("close", closed.resolve);
      attempt.abort(new Error("timeout of 30s"));
    };
    const error = await failureOf(sendLogs(exporter, attempt.signal));
    expect(error.kind).toBe("retryable");
    expect(error.message).toContain("gave no answer before the attempt was ended: timeout of 30s");
    await closed.promise;
    expect((await failureOf(sendLogs(exporter, attempt.signal))).kind).toBe("retryable");
  });

  test("that breaks off after 200 is a success with a warning", async () => {
    const exporter = await startExporter();
    backend.answer = (response) => {
      response.writeHead(200, { ...PROTO, "content-length": "100" });
      response.write("x", () => response.destroy());
    };
    expect(await sendLogs(exporter)).toEqual({ rejectedItems: 0, message: "answered 200, then the connection broke" });
  });

  test("that comes before the body was read counts", async () => {
    const url = await listenRaw((socket) => {
      socket.once("data", () => socket.write("HTTP/1.1 413 Payload Too Large\r\ncontent-length: 0\r\n\r\n"));
      socket.pause();
      socket.resume();
    });
    const exporter = await startExporter({ endpoint: url, compression: "none" });
    const error = await failureOf(exporter.send(outgoing("logs", [Buffer.alloc(8 * 1024 * 1024)]), NEVER));
    expect(error.kind).toBe("too_large");
  });
});

describe("a connection", () => {
  test("that is reset gives a retryable error", async () => {
    const exporter = await startExporter();
    backend.answer = (response) => response.socket?.resetAndDestroy();
    expect((await failureOf(sendLogs(exporter))).kind).toBe("retryable");
  });

  test("that the backend closed while it stood idle costs no attempt", async () => {
    const seen: string[] = [];
    let connectionCount = 0;
    // Answers the first request on a connection, and closes it without an answer when the second arrives.
    const url = await listenRaw((socket) => {
      connectionCount += 1;
      let count = 0;
      socket.on("data", () => {
        count += 1;
        seen.push(`${connectionCount}.${count}`);
        if (count === 1) socket.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        else socket.resetAndDestroy();
      });
    });
    const exporter = await startExporter({ endpoint: url, compression: "none" });
    expect(await sendLogs(exporter)).toEqual(SENT_WHOLE);
    expect(await sendLogs(exporter)).toEqual(SENT_WHOLE);
    expect(connectionCount).toBe(2);
    expect(seen.at(-1)).toBe("2.1");
  });

  test("that is refused says what to do", async () => {
    const { url } = backend;
    await backend.close();
    const exporter = await startExporter({ endpoint: url });
    const error = await failureOf(sendLogs(exporter));
    expect(error.kind).toBe("retryable");
    expect(error.message).toContain(`${url}/v1/logs gave no answer: connect ECONNREFUSED`);
    expect(error.message).toContain("nothing listens there");
    backend = await HttpBackend.listen();
  });

  test("to a server that speaks no HTTP/1.1 says that it is the wrong port", async () => {
    const url = await listenRaw(
      (socket) => void socket.once("data", () => socket.end(Buffer.from([0, 0, 6, 4, 0, 0, 0]))),
    );
    const error = await failureOf(sendLogs(await startExporter({ endpoint: url })));
    expect(error.message).toContain("is this its OTLP/gRPC port?");
  });
});

describe.skipIf(NO_OPENSSL !== undefined)(`TLS${NO_OPENSSL === undefined ? "" : `: ${NO_OPENSSL}`}`, () => {
  let folder: string;
  let ca: TestCa;
  let server: KeyPair;
  let tlsBackend: HttpBackend;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "signalbox-http-tls-"));
    ca = new TestCa(folder);
    server = ca.issue("server", "DNS:localhost,DNS:otlp.example.com");
    tlsBackend = await HttpBackend.listen({ key: server.key, cert: server.cert });
  });

  afterAll(async () => {
    await tlsBackend.close();
    rmSync(folder, { recursive: true });
  });

  test("to a server whose authority is named in ca_file works, on one connection", async () => {
    const exporter = await startExporter({
      endpoint: `https://localhost:${tlsBackend.port}`,
      tls: { ca_file: ca.pair.certFile },
    });
    const before = tlsBackend.connectionCount;
    await sendLogs(exporter);
    await sendLogs(exporter);
    expect(tlsBackend.posts.at(-1)!.body.equals(BYTES)).toBe(true);
    expect(tlsBackend.connectionCount).toBe(before + 1);
  });

  test("takes a name instead of the URL's", async () => {
    const tls = { ca_pem: ca.pair.cert, server_name_override: "otlp.example.com" };
    const exporter = await startExporter({ endpoint: `https://127.0.0.1:${tlsBackend.port}`, tls });
    expect(await sendLogs(exporter)).toEqual(SENT_WHOLE);
  });

  test.each([
    [{}, "name its file in tls.ca_file"],
    [{ server_name_override: "elsewhere.example.com", insecure_skip_verify: false }, "tls.ca_file"],
  ])("with %j is refused, with what to set", async (tls, advice) => {
    const error = await failureOf(
      sendLogs(await startExporter({ endpoint: `https://localhost:${tlsBackend.port}`, tls })),
    );
    expect(error.kind).toBe("retryable");
    expect(error.message).toContain(advice);
  });

  test("to a server of another name is refused, with what to set", async () => {
    const tls = { ca_file: ca.pair.certFile };
    const error = await failureOf(
      sendLogs(await startExporter({ endpoint: `https://127.0.0.1:${tlsBackend.port}`, tls })),
    );
    expect(error.message).toContain("set tls.server_name_override");
  });

  test("to any server is spoken with insecure_skip_verify", async () => {
    const tls = { insecure_skip_verify: true };
    const exporter = await startExporter({ endpoint: `https://localhost:${tlsBackend.port}`, tls });
    expect(await sendLogs(exporter)).toEqual(SENT_WHOLE);
  });

  test("to a server that speaks plain text, and plain text to a TLS server, say what to write", async () => {
    const toPlain = await startExporter({ endpoint: backend.url.replace("http:", "https:") });
    expect((await failureOf(sendLogs(toPlain))).message).toContain("the server speaks plaintext: write http://");
    const toTls = await startExporter({ endpoint: `http://localhost:${tlsBackend.port}` });
    expect((await failureOf(sendLogs(toTls))).message).toContain("if it wants TLS, write https://");
  });

  test("shows our certificate to a server that asks for one", async () => {
    const mutual = await HttpBackend.listen({
      key: server.key,
      cert: server.cert,
      ca: ca.pair.cert,
      requestCert: true,
      rejectUnauthorized: true,
    });
    const own = ca.issue("worker", "DNS:worker");
    const endpoint = `https://localhost:${mutual.port}`;
    const tls = { ca_file: ca.pair.certFile, cert_file: own.certFile, key_file: own.keyFile };
    expect(await sendLogs(await startExporter({ endpoint, tls }))).toEqual(SENT_WHOLE);
    const error = await failureOf(sendLogs(await startExporter({ endpoint, tls: { ca_file: ca.pair.certFile } })));
    expect(error.kind).toBe("retryable");
    expect(error.message).toContain("tls.cert_file");
    await mutual.close();
  });
});

describe("the life cycle", () => {
  test("allows a shutdown before the start, and two of them", async () => {
    const exporter = otlpHttpExporterFactory.create(
      testSettings("otlp_http"),
      otlpHttpConfig.parse({ endpoint: backend.url }),
    );
    await exporter.shutdown(NEVER);
    await exporter.shutdown(NEVER);
    expect((await failureOf(sendLogs(exporter))).kind).toBe("refused");
  });

  test("ends a request under way at shutdown, and does not send it again", async () => {
    const exporter = await startExporter();
    await sendLogs(exporter);
    const arrived = Promise.withResolvers<void>();
    backend.answer = () => arrived.resolve();
    const sent = failureOf(sendLogs(exporter));
    await arrived.promise;
    await exporter.shutdown(NEVER);
    expect((await sent).kind).toBe("refused");
    expect(backend.posts.length).toBe(2);
  });

  test("closes idle connections at shutdown", async () => {
    const exporter = await startExporter();
    await sendLogs(exporter);
    const [socket] = backend.sockets;
    const closed = once(socket!, "close");
    await exporter.shutdown(NEVER);
    await closed;
    expect(backend.sockets.size).toBe(0);
  });
});
