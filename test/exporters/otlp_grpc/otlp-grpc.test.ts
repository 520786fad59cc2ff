import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type AddressInfo, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { z } from "zod";
import { afterEach, beforeAll, beforeEach, afterAll, describe, expect, test } from "vitest";
import { ConsumeError } from "../../../src/core/errors.ts";
import { SENT_WHOLE, type SendResult } from "../../../src/core/sender.ts";
import { SIGNALS } from "../../../src/core/signal.ts";
import { otlpGrpcConfig } from "../../../src/exporters/otlp_grpc/config.ts";
import { otlpGrpcExporterFactory } from "../../../src/exporters/otlp_grpc/factory.ts";
import { encodePartialSuccess, encodeStatus, GRPC_CODES } from "../../../src/net/rpc-status.ts";
import type { Exporter } from "../../../src/core/component.ts";
import { NO_OPENSSL, type KeyPair, TestCa } from "../../support/test-ca.ts";
import { NEVER, NO_HOST, outgoing, testSettings } from "../test-exporter.ts";
import { GrpcJsBackend } from "./grpc-js-backend.ts";
import { SilentRelay } from "./silent-relay.ts";
import { answerDeclaring, answerNothing, answerOk, answerStatus, Http2Backend } from "./http2-backend.ts";

let backend: Http2Backend;
const running: Exporter[] = [];

beforeEach(async () => {
  backend = await Http2Backend.listen();
});

afterEach(async () => {
  for (const exporter of running.splice(0)) await exporter.shutdown(NEVER);
  await backend.close();
});

let compression: "gzip" | "zstd" = "gzip";

type Input = Partial<z.input<typeof otlpGrpcConfig>>;

async function startExporter(config: Input = {}): Promise<Exporter> {
  const parsed = otlpGrpcConfig.parse({ endpoint: `http://127.0.0.1:${backend.port}`, compression, ...config });
  const exporter = otlpGrpcExporterFactory.create(testSettings("otlp_grpc"), parsed);
  running.push(exporter);
  await exporter.start(NO_HOST);
  return exporter;
}

const BYTES = Buffer.from("any bytes at all: nothing here looks at them");

function sendLogs(exporter: Exporter, signal: AbortSignal = NEVER): Promise<SendResult> {
  return exporter.send(outgoing("logs", [BYTES]), signal);
}

async function failureOf(promise: Promise<unknown>): Promise<ConsumeError> {
  const error: unknown = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof ConsumeError) return error;
  throw new Error(`expected a ConsumeError, got ${String(error)}`);
}

/** The client that each compression brings along; what an exporter promises, it promises over both. */
const CLIENTS = [
  ["grpc-js", "gzip"],
  ["node:http2", "zstd"],
] as const;

describe.each(CLIENTS)("over %s", (client, clientCompression) => {
  beforeEach(() => {
    compression = clientCompression;
  });

  describe("a request", () => {
    test("arrives at the service of its signal exactly as it was given, slices joined", async () => {
      const exporter = await startExporter();
      for (const signal of SIGNALS) {
        const slices = [Buffer.from([1, 2]), new Uint8Array([3]), Buffer.alloc(0), Buffer.alloc(70_000, 7)];
        await exporter.send(outgoing(signal, slices), NEVER);
        const call = backend.calls.at(-1)!;
        expect(call.message.equals(Buffer.concat(slices))).toBe(true);
        expect(call.flag).toBe(1);
        expect(call.headers["grpc-encoding"]).toBe(clientCompression);
      }
      expect(backend.calls.map(({ headers }) => headers[":path"])).toEqual([
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
      ]);
    });

    test("without any bytes is sent and answered", async () => {
      const exporter = await startExporter();
      expect(await exporter.send(outgoing("logs", []), NEVER)).toEqual({ rejectedItems: 0, message: "" });
      expect(backend.calls[0]!.message.length).toBe(0);
    });

    test("carries the headers, our user agent, the authority and the timeout", async () => {
      const headers = { Authorization: "Bearer abcdef\n", "Dash0-Dataset": "default" };
      const exporter = await startExporter({ headers, authority: "otlp.example.com", timeout: "3s" });
      await sendLogs(exporter);
      const sent = backend.calls[0]!.headers;
      expect(sent).toMatchObject({ authorization: "Bearer abcdef", "dash0-dataset": "default" });
      const ending = client === "grpc-js" ? " grpc-node-js/" : "$";
      expect(sent["user-agent"]).toMatch(new RegExp(`^Signalbox/\\d+\\.\\d+\\.\\d+${ending}`));
      expect(sent[":authority"]).toBe("otlp.example.com");
      expect(sent["grpc-timeout"]).toMatch(/^(2\d{3}|3000)m$/);
    });

    test("of a user agent that is configured carries that", async () => {
      const exporter = await startExporter({ user_agent: "mine/1" });
      await sendLogs(exporter);
      expect(backend.calls[0]!.headers["user-agent"]).toMatch(/^mine\/1\b/);
    });

    test("shares one connection with those under way at the same time", async () => {
      const exporter = await startExporter();
      await Promise.all(Array.from({ length: 30 }, () => sendLogs(exporter)));
      expect(backend.calls.length).toBe(30);
      expect(backend.sessionCount).toBe(1);
    });
  });

  describe("an answer", () => {
    test("of partial success is a success with its count and its words", async () => {
      const exporter = await startExporter();
      backend.answer = answerOk(encodePartialSuccess("logs", { rejectedItems: 3, message: "too old" }));
      const result = await exporter.send(outgoing("logs", [BYTES], 10), NEVER);
      expect(result).toEqual({ rejectedItems: 3, message: "too old" });
    });

    test("that is no OTLP response is a success with a warning", async () => {
      const exporter = await startExporter();
      backend.answer = answerOk(Buffer.from([0xff, 0xff, 0xff]));
      const result = await sendLogs(exporter);
      expect(result).toEqual({ rejectedItems: 0, message: "answered OK with a message that is no OTLP response" });
    });

    test.each(Object.entries(GRPC_CODES).filter(([name]) => name !== "OK"))(
      "%s names backend, code and words",
      async (name, code) => {
        const exporter = await startExporter();
        backend.answer = answerStatus(code, "because é");
        const error = await failureOf(sendLogs(exporter));
        expect(error.message).toContain(`127.0.0.1:${backend.port} answered ${name}: because é`);
      },
    );

    test("of RESOURCE_EXHAUSTED with RetryInfo is retryable after its delay", async () => {
      const exporter = await startExporter();
      const code = GRPC_CODES.RESOURCE_EXHAUSTED;
      backend.answer = answerStatus(code, "slow", encodeStatus({ code, message: "slow", retryDelayMs: 1234 }));
      expect(await failureOf(sendLogs(exporter))).toMatchObject({ kind: "retryable", retryAfterMs: 1234 });
    });

    test("that quotes our token is shown without it", async () => {
      const exporter = await startExporter({ headers: { Authorization: "Bearer auth_s3cret" } });
      backend.answer = answerStatus(GRPC_CODES.UNAUTHENTICATED, "unknown token auth_s3cret");
      const error = await failureOf(sendLogs(exporter));
      expect(error.kind).toBe("unauthenticated");
      expect(error.message).toContain("unknown token [REDACTED]; check the credentials in headers");
    });

    test("larger than 4 MiB is not read, and is final", async () => {
      const exporter = await startExporter();
      backend.answer = answerDeclaring(4 * 1024 * 1024 + 1);
      const error = await failureOf(sendLogs(exporter));
      expect(error.kind).toBe("permanent");
      expect(error.message).toContain("answered with more than 4194304 bytes");
    });

    test("that never comes ends with the attempt, and the backend sees the call cancelled", async () => {
      const exporter = await startExporter();
      const cancelled = Promise.withResolvers<number>();
      const attempt = new AbortController();
      backend.answer = (stream) => {
        stream.on("close", () => cancelled.resolve(stream.rstCode ?? -1));
        attempt.abort(new Error("timeout of 5s"));
      };
      const error = await failureOf(sendLogs(exporter, attempt.signal));
      expect(error).toMatchObject({ kind: "retryable" });
      expect(error.message).toContain("gave no answer before the attempt was ended: timeout of 5s");
      expect(await cancelled.promise).toBe(8);
    });

    test("is not waited for where the attempt has ended before it began", async () => {
      const exporter = await startExporter();
      expect((await failureOf(sendLogs(exporter, AbortSignal.abort()))).kind).toBe("retryable");
      expect(backend.calls).toEqual([]);
    });

    test("past the deadline that the backend was told is retryable", async () => {
      const exporter = await startExporter({ timeout: "50ms" });
      backend.answer = answerNothing;
      expect((await failureOf(sendLogs(exporter))).kind).toBe("retryable");
    });
  });

  describe("a connection", () => {
    test.each([
      ["without a gRPC status", 0],
      ["with INTERNAL_ERROR", 2],
      ["with REFUSED_STREAM", 7],
      ["with CANCEL", 8],
      ["with ENHANCE_YOUR_CALM", 11],
    ])("whose stream is reset %s gives a retryable error", async (_what, code) => {
      const exporter = await startExporter();
      backend.answer = (stream) => stream.close(code);
      expect((await failureOf(sendLogs(exporter))).kind).toBe("retryable");
      backend.answer = answerOk();
      await sendLogs(exporter);
    });

    test("that breaks during a call gives a retryable error, and the next request finds a new one", async () => {
      const exporter = await startExporter();
      backend.answer = (_stream, call) => call.session.destroy();
      expect((await failureOf(sendLogs(exporter))).kind).toBe("retryable");
      backend.answer = answerOk();
      await sendLogs(exporter);
      expect(backend.sessionCount).toBe(2);
    });

    test("that the backend takes leave of (GOAWAY) loses no request", async () => {
      const exporter = await startExporter();
      let count = 0;
      backend.answer = (stream, call) => {
        count += 1;
        if (count % 10 === 0) call.session.close();
        answerOk()(stream, call);
      };
      for (let index = 0; index < 40; index += 1) await sendLogs(exporter);
      expect(backend.calls.length).toBe(40);
      expect(backend.sessionCount).toBeGreaterThan(3);
    });

    test("that the backend takes leave of loses no request of many at a time", async () => {
      const exporter = await startExporter();
      let count = 0;
      backend.answer = (stream, call) => {
        count += 1;
        if (count % 20 === 0) call.session.close();
        answerOk()(stream, call);
      };
      await Promise.all(Array.from({ length: 200 }, () => sendLogs(exporter)));
      expect(backend.calls.length).toBe(200);
    });

    test("that is refused says what to do", async () => {
      const { port } = backend;
      await backend.close();
      const exporter = await startExporter({ endpoint: `http://127.0.0.1:${port}` });
      const error = await failureOf(sendLogs(exporter));
      expect(error.kind).toBe("retryable");
      expect(error.message).toBe(
        `127.0.0.1:${port} gave no answer: connect ECONNREFUSED 127.0.0.1:${port}; nothing listens there: check endpoint, and that the backend runs`,
      );
      backend = await Http2Backend.listen();
    });

    test("to a backend that comes up later is made with wait_for_ready within one attempt", async () => {
      const { port } = backend;
      await backend.close();
      const exporter = await startExporter({
        endpoint: `http://127.0.0.1:${port}`,
        wait_for_ready: true,
        timeout: "20s",
      });
      const sent = sendLogs(exporter);
      backend = await Http2Backend.listen(undefined, port);
      expect(await sent).toEqual(SENT_WHOLE);
    });

    test("that has gone silent is replaced after two attempts without an answer", async () => {
      const relay = await SilentRelay.listen(backend.port);
      const exporter = await startExporter({ endpoint: `http://127.0.0.1:${relay.port}`, timeout: "100ms" });
      await sendLogs(exporter);
      relay.silence();
      expect((await failureOf(sendLogs(exporter))).kind).toBe("retryable");
      expect((await failureOf(sendLogs(exporter))).kind).toBe("retryable");
      await sendLogs(exporter);
      expect(relay.connectionCount).toBe(2);
      relay.close();
    });

    test("to an HTTP/1.1 server says that it is the wrong port", async () => {
      const server = createServer((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
      const port = await portOf(server);
      const exporter = await startExporter({ endpoint: `http://127.0.0.1:${port}` });
      const error = await failureOf(sendLogs(exporter));
      expect(error.message).toContain("the server does not speak HTTP/2: is this its OTLP/HTTP port?");
      server.close();
    });
  });

  describe.skipIf(NO_OPENSSL !== undefined)(`TLS${NO_OPENSSL === undefined ? "" : `: ${NO_OPENSSL}`}`, () => {
    let folder: string;
    let ca: TestCa;
    let server: KeyPair;
    let tlsBackend: Http2Backend;

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), "signalbox-grpc-tls-"));
      ca = new TestCa(folder);
      server = ca.issue("server", "DNS:localhost,DNS:otlp.example.com");
      tlsBackend = await Http2Backend.listen({ key: server.key, cert: server.cert });
    });

    afterAll(async () => {
      await tlsBackend.close();
      rmSync(folder, { recursive: true });
    });

    test("to a server whose authority is named in ca_file works, with https:// and without a scheme", async () => {
      for (const endpoint of [`localhost:${tlsBackend.port}`, `https://localhost:${tlsBackend.port}`]) {
        const exporter = await startExporter({ endpoint, tls: { ca_file: ca.pair.certFile } });
        await sendLogs(exporter);
        expect(tlsBackend.calls.at(-1)!.message.equals(BYTES)).toBe(true);
      }
    });

    test("takes authorities as text, and a name instead of the endpoint's", async () => {
      const tls = { ca_pem: ca.pair.cert, server_name_override: "otlp.example.com" };
      const exporter = await startExporter({ endpoint: `127.0.0.1:${tlsBackend.port}`, tls });
      expect(await sendLogs(exporter)).toEqual(SENT_WHOLE);
    });

    test("to an IP address is checked against it, and Node has nothing to warn of", async () => {
      const byAddress = await Http2Backend.listen({ ...ca.issue("by-address", "IP:127.0.0.1") });
      const warnings: string[] = [];
      const note = (warning: Error): void => void warnings.push(warning.message);
      process.on("warning", note);
      const endpoint = `127.0.0.1:${byAddress.port}`;
      expect(await sendLogs(await startExporter({ endpoint, tls: { ca_file: ca.pair.certFile } }))).toEqual(SENT_WHOLE);
      const other = `127.0.0.1:${tlsBackend.port}`;
      const error = await failureOf(
        sendLogs(await startExporter({ endpoint: other, tls: { ca_file: ca.pair.certFile } })),
      );
      expect(error.message).toContain("the server's certificate is for another name");
      await new Promise((resolve) => setImmediate(resolve));
      process.off("warning", note);
      expect(warnings).toEqual([]);
      await byAddress.close();
    });

    test("to a server of another name is refused, with what to set", async () => {
      const tls = { ca_file: ca.pair.certFile, server_name_override: "elsewhere.example.com" };
      const error = await failureOf(sendLogs(await startExporter({ endpoint: `localhost:${tlsBackend.port}`, tls })));
      expect(error).toMatchObject({ kind: "retryable" });
      expect(error.message).toContain("set tls.server_name_override");
    });

    test("to a server of an unknown authority is refused, with what to set", async () => {
      const error = await failureOf(sendLogs(await startExporter({ endpoint: `localhost:${tlsBackend.port}` })));
      expect(error.message).toContain("name its file in tls.ca_file");
    });

    test("to any server is spoken with insecure_skip_verify", async () => {
      const tls = { insecure_skip_verify: true };
      const exporter = await startExporter({ endpoint: `localhost:${tlsBackend.port}`, tls });
      expect(await sendLogs(exporter)).toEqual(SENT_WHOLE);
    });

    test("to a server that speaks plain text says so", async () => {
      const error = await failureOf(sendLogs(await startExporter({ endpoint: `localhost:${backend.port}` })));
      expect(error.message).toContain("the server speaks plaintext: set tls.insecure: true");
    });

    test("is missed in words where we speak plain text to a TLS server", async () => {
      const tls = { insecure: true };
      const error = await failureOf(sendLogs(await startExporter({ endpoint: `localhost:${tlsBackend.port}`, tls })));
      expect(error.message).toContain("if it wants TLS, remove tls.insecure or http://");
    });

    test("shows our certificate to a server that asks for one, and says so where there is none", async () => {
      const mutual = await Http2Backend.listen({
        key: server.key,
        cert: server.cert,
        ca: ca.pair.cert,
        requestCert: true,
        rejectUnauthorized: true,
      });
      const own = ca.issue("worker", "DNS:worker");
      const endpoint = `localhost:${mutual.port}`;
      const withCertificate = { ca_file: ca.pair.certFile, cert_file: own.certFile, key_file: own.keyFile };
      await sendLogs(await startExporter({ endpoint, tls: withCertificate }));
      const error = await failureOf(sendLogs(await startExporter({ endpoint, tls: { ca_file: ca.pair.certFile } })));
      expect(error.kind).toBe("retryable");
      await mutual.close();
    });

    test.each([
      [{ ca_file: "nosuch.pem" }, /tls\.ca_file .*nosuch\.pem: cannot be read \(ENOENT\)/],
      [{ ca_pem: "no pem" }, /tls\.ca_pem: holds no PEM block/],
    ])("stops the start where %j cannot be used", async (tls, message) => {
      await expect(startExporter({ endpoint: "localhost:1", tls })).rejects.toThrow(message);
    });

    test("stops the start where key and certificate do not belong together", async () => {
      const tls = { cert_file: server.certFile, key_file: ca.pair.keyFile };
      await expect(startExporter({ endpoint: "localhost:1", tls })).rejects.toThrow(/check that they belong together/);
    });
  });

  describe("the life cycle", () => {
    test("allows a shutdown before the start, and two of them", async () => {
      const config = otlpGrpcConfig.parse({ endpoint: "localhost:4317" });
      const exporter = otlpGrpcExporterFactory.create(testSettings("otlp_grpc"), config);
      await exporter.shutdown(NEVER);
      await exporter.shutdown(NEVER);
      expect((await failureOf(sendLogs(exporter))).kind).toBe("refused");
    });

    test("closes the connection at shutdown", async () => {
      const exporter = await startExporter();
      await sendLogs(exporter);
      const [session] = backend.sessions;
      const closed = once(session!, "close");
      await exporter.shutdown(NEVER);
      await closed;
      expect(backend.sessions.size).toBe(0);
    });
  });
});

describe("a compression", () => {
  test.each([
    [undefined, "gzip", 1],
    ["gzip", "gzip", 1],
    ["zstd", "zstd", 1],
    ["snappy", "snappy", 1],
    ["none", undefined, 0],
  ] as const)("of %s is sent as grpc-encoding %s", async (written, encoding, flag) => {
    const exporter = await startExporter({ compression: written });
    await sendLogs(exporter);
    const [call] = backend.calls;
    expect(call).toMatchObject({ flag, message: BYTES });
    expect(call!.headers["grpc-encoding"]).toBe(encoding);
  });

  test("that the backend does not know is final, and says what to change", async () => {
    const server = await GrpcJsBackend.listen();
    const exporter = await startExporter({ endpoint: `http://127.0.0.1:${server.port}`, compression: "zstd" });
    const error = await failureOf(sendLogs(exporter));
    expect(error.kind).not.toBe("retryable");
    expect(error.message).toContain("set compression: gzip");
    server.close();
  });
});

describe("against a grpc-js server", () => {
  let server: GrpcJsBackend;

  beforeEach(() => {
    compression = "gzip";
  });

  beforeAll(async () => {
    server = await GrpcJsBackend.listen({ "grpc.max_receive_message_length": 1000 }, ["logs"]);
  });

  afterAll(() => server.close());

  test("a request is received as it was sent", async () => {
    const exporter = await startExporter({ endpoint: `http://127.0.0.1:${server.port}` });
    await sendLogs(exporter);
    expect(server.requests.at(-1)!.bytes.equals(BYTES)).toBe(true);
  });

  test("a message beyond its limit is too large, so that the queue splits it", async () => {
    const exporter = await startExporter({ endpoint: `http://127.0.0.1:${server.port}`, compression: "none" });
    const error = await failureOf(exporter.send(outgoing("logs", [Buffer.alloc(2000)]), NEVER));
    expect(error.kind).toBe("too_large");
  });

  test("a signal that it does not serve is unimplemented", async () => {
    const exporter = await startExporter({ endpoint: `http://127.0.0.1:${server.port}` });
    expect((await failureOf(exporter.send(outgoing("traces", [BYTES]), NEVER))).kind).toBe("unimplemented");
  });
});

async function portOf(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}
