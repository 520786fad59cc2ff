import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createSecureServer, type Http2SecureServer, type SecureServerOptions } from "node:http2";
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
import { NO_OPENSSL, TestCa } from "../../support/test-ca.ts";
import { NEVER, NO_HOST, outgoing, testSettings } from "../test-exporter.ts";

type Create = (port: number, tls: Readonly<Record<string, unknown>>) => Exporter;

const grpcWith =
  (compression: "gzip" | "zstd"): Create =>
  (port, tls) => {
    const config = otlpGrpcConfig.parse({ endpoint: `localhost:${port}`, tls, compression, timeout: "2s" });
    return otlpGrpcExporterFactory.create(testSettings("otlp_grpc"), config);
  };

const http: Create = (port, tls) => {
  const config = otlpHttpConfig.parse({ endpoint: `https://localhost:${port}`, tls, compression: "none" });
  return otlpHttpExporterFactory.create(testSettings("otlp_http"), config);
};

const CLIENTS = [
  ["otlp_grpc over grpc-js", grpcWith("gzip")],
  ["otlp_grpc over node:http2", grpcWith("zstd")],
  ["otlp_http", http],
] as const;

describe.skipIf(NO_OPENSSL !== undefined)("what tls chooses towards a backend", () => {
  let folder: string;
  let ca: TestCa;
  let server: Http2SecureServer | undefined;
  let exporter: Exporter | undefined;
  /** "TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384" of each request. */
  const spoken: string[] = [];

  beforeEach(() => {
    spoken.length = 0;
    folder = mkdtempSync(join(tmpdir(), "signalbox-tls-"));
    ca = new TestCa(folder);
  });

  afterEach(async () => {
    await exporter?.shutdown(NEVER);
    server?.close();
    rmSync(folder, { recursive: true });
  });

  async function listen(options: SecureServerOptions): Promise<number> {
    const { key, cert } = ca.issue("server", "DNS:localhost");
    server = createSecureServer({ key, cert, allowHTTP1: true, ...options });
    server.on("request", (request, response) => {
      const socket = request.socket as TLSSocket;
      spoken.push(`${socket.getProtocol()} ${socket.getCipher().name}`);
      request.resume();
      if (request.httpVersion === "2.0") {
        response.setHeader("content-type", "application/grpc");
        response.addTrailers({ "grpc-status": "0" });
      }
      response.end(Buffer.alloc(request.httpVersion === "2.0" ? 5 : 0));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  }

  async function send(create: Create, port: number, tls: Readonly<Record<string, unknown>>): Promise<unknown> {
    exporter = create(port, { ca_file: ca.pair.certFile, ...tls });
    await exporter.start(NO_HOST);
    return exporter.send(outgoing("logs", [Buffer.from("any bytes")]), NEVER);
  }

  test.each(CLIENTS)("is the version and the suite that is spoken: %s", async (_name, create) => {
    const port = await listen({});
    const suite = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384";
    expect(await send(create, port, { max_version: "1.2", cipher_suites: [suite] })).toEqual(SENT_WHOLE);
    expect(spoken).toEqual(["TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384"]);
  });

  test.each(CLIENTS)("is no bar to TLS 1.3, whose suites nobody chooses: %s", async (_name, create) => {
    const port = await listen({});
    const tls = { min_version: "1.3", cipher_suites: ["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"] };
    expect(await send(create, port, tls)).toEqual(SENT_WHOLE);
    expect(spoken[0]).toMatch(/^TLSv1\.3 TLS_/);
  });

  test.each(CLIENTS)("is the curve: a backend that has it is spoken to: %s", async (_name, create) => {
    const port = await listen({ ecdhCurve: "P-384" });
    expect(await send(create, port, { curve_preferences: ["P521", "P384"] })).toEqual(SENT_WHOLE);
  });

  test.each(CLIENTS)("is the curve: one that has it not is refused: %s", async (_name, create) => {
    const port = await listen({ ecdhCurve: "P-384" });
    await expect(send(create, port, { curve_preferences: ["P256"] })).rejects.toThrow(/handshake/);
    expect(spoken).toEqual([]);
  });

  test.each(CLIENTS)(
    "is the oldest version: a backend that speaks an older one is refused: %s",
    async (_name, create) => {
      const port = await listen({ maxVersion: "TLSv1.2" });
      await expect(send(create, port, { min_version: "1.3" })).rejects.toThrow(/version/);
      expect(spoken).toEqual([]);
    },
  );
});
