import { once } from "node:events";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createSecureServer, type Http2SecureServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Exporter } from "../../../src/core/component.ts";
import { SENT_WHOLE } from "../../../src/core/sender.ts";
import { otlpGrpcConfig } from "../../../src/exporters/otlp_grpc/config.ts";
import { otlpGrpcExporterFactory } from "../../../src/exporters/otlp_grpc/factory.ts";
import { otlpHttpConfig } from "../../../src/exporters/otlp_http/config.ts";
import { otlpHttpExporterFactory } from "../../../src/exporters/otlp_http/factory.ts";
import { type KeyPair, NO_OPENSSL, TestCa } from "../../support/test-ca.ts";
import { TestClock } from "../../support/test-clock.ts";
import { type LoggedLine, NEVER, NO_HOST, outgoing, recordingLogger, testSettings } from "../test-exporter.ts";

interface Tls {
  readonly ca_file: string;
  readonly cert_file: string;
  readonly key_file: string;
  readonly reload_interval: string;
}

type Create = (port: number, tls: Tls, clock: TestClock, lines: LoggedLine[]) => Exporter;

const grpcWith =
  (compression: "gzip" | "zstd"): Create =>
  (port, tls, clock, lines) => {
    const config = otlpGrpcConfig.parse({ endpoint: `localhost:${port}`, tls, compression, timeout: "0s" });
    const settings = testSettings("otlp_grpc", { clock, logger: recordingLogger(lines) });
    return otlpGrpcExporterFactory.create(settings, config);
  };

const http: Create = (port, tls, clock, lines) => {
  const config = otlpHttpConfig.parse({ endpoint: `https://localhost:${port}`, tls, compression: "none" });
  return otlpHttpExporterFactory.create(testSettings("otlp_http", { clock, logger: recordingLogger(lines) }), config);
};

const CLIENTS = [
  ["otlp_grpc over grpc-js", grpcWith("gzip")],
  ["otlp_grpc over node:http2", grpcWith("zstd")],
  ["otlp_http", http],
] as const;

/** Takes whatever comes from a client with a certificate of its authority, over HTTP/2 or 1.1, and notes whose it was. */
class MutualBackend {
  readonly clients: string[] = [];
  readonly #server: Http2SecureServer;

  constructor(pair: KeyPair, ca: string) {
    const { key, cert } = pair;
    const mutual = { ca, requestCert: true, rejectUnauthorized: true };
    this.#server = createSecureServer({ key, cert, ...mutual, allowHTTP1: true });
    this.#server.on("request", (request, response) => {
      this.clients.push(String((request.socket as TLSSocket).getPeerCertificate().subject.CN));
      request.resume();
      if (request.httpVersion === "2.0") {
        response.setHeader("content-type", "application/grpc");
        response.addTrailers({ "grpc-status": "0" });
      }
      response.end(Buffer.alloc(request.httpVersion === "2.0" ? 5 : 0));
    });
  }

  async listen(): Promise<number> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    this.#server.close();
  }
}

describe.skipIf(NO_OPENSSL !== undefined)("certificates that are read again", () => {
  let folder: string;
  let ca: TestCa;
  let backend: MutualBackend;
  let port: number;
  let tls: Tls;
  let exporter: Exporter | undefined;
  const lines: LoggedLine[] = [];

  beforeEach(async () => {
    lines.length = 0;
    folder = mkdtempSync(join(tmpdir(), "signalbox-reload-"));
    ca = new TestCa(folder);
    backend = new MutualBackend(ca.issue("server", "DNS:localhost"), ca.pair.cert);
    port = await backend.listen();
    const files = { cert_file: join(folder, "own.pem"), key_file: join(folder, "own.key") };
    tls = { ca_file: ca.pair.certFile, ...files, reload_interval: "1h" };
    use(ca.issue("first", "DNS:first"));
  });

  afterEach(async () => {
    await exporter?.shutdown(NEVER);
    backend.close();
    rmSync(folder, { recursive: true });
  });

  function use(pair: KeyPair): void {
    copyFileSync(pair.certFile, tls.cert_file);
    copyFileSync(pair.keyFile, tls.key_file);
  }

  async function start(create: Create, clock: TestClock): Promise<Exporter> {
    exporter = create(port, tls, clock, lines);
    await exporter.start(NO_HOST);
    return exporter;
  }

  const send = (of: Exporter) => of.send(outgoing("logs", [Buffer.from("any bytes")]), NEVER);

  /** Reading files takes its own time: the look is over when the timer of the next one stands. */
  async function lookAgain(clock: TestClock): Promise<void> {
    const { timerCount } = clock;
    await clock.advance(3_600_000);
    while (clock.timerCount < timerCount) await new Promise((resolve) => setImmediate(resolve));
  }

  test.each(CLIENTS)("are shown to the backend from then on: %s", async (_name, create) => {
    const clock = new TestClock();
    const started = await start(create, clock);
    expect(await send(started)).toEqual(SENT_WHOLE);
    use(ca.issue("second", "DNS:second"));
    await lookAgain(clock);
    expect(await send(started)).toEqual(SENT_WHOLE);
    expect(backend.clients).toEqual(["first", "second"]);
    expect(lines.map(({ level }) => level)).toEqual(["info"]);
  });

  test.each(CLIENTS)("and cannot be used leave those from before, said once: %s", async (_name, create) => {
    const clock = new TestClock();
    const started = await start(create, clock);
    await send(started);
    writeFileSync(tls.cert_file, "no certificate");
    await lookAgain(clock);
    await lookAgain(clock);
    expect(await send(started)).toEqual(SENT_WHOLE);
    expect(lines.map(({ level }) => level)).toEqual(["error"]);
    expect(lines[0]!.message).toContain("holds no PEM block");
    use(ca.issue("second", "DNS:second"));
    await lookAgain(clock);
    expect(await send(started)).toEqual(SENT_WHOLE);
    expect(backend.clients).toEqual(["first", "first", "second"]);
  });
});
