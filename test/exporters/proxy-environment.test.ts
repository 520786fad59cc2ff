import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Exporter } from "../../src/core/component.ts";
import { ConsumeError } from "../../src/core/errors.ts";
import { readProxyEnvironment } from "../../src/core/proxy-environment.ts";
import { SENT_WHOLE } from "../../src/core/sender.ts";
import { otlpGrpcConfig } from "../../src/exporters/otlp_grpc/config.ts";
import { otlpGrpcExporterFactory } from "../../src/exporters/otlp_grpc/factory.ts";
import { otlpHttpConfig } from "../../src/exporters/otlp_http/config.ts";
import { otlpHttpExporterFactory } from "../../src/exporters/otlp_http/factory.ts";
import { NO_OPENSSL, TestCa } from "../support/test-ca.ts";
import { Http2Backend } from "./otlp_grpc/http2-backend.ts";
import { HttpBackend } from "./otlp_http/http-backend.ts";
import { TestProxy } from "./otlp_http/proxy.ts";
import { NEVER, NO_HOST, outgoing, testSettings } from "./test-exporter.ts";

/** backend.test is a name that only the proxy can resolve, and no loopback, which goes through no proxy. */

let proxy: TestProxy;
let closers: (() => unknown)[] = [];

beforeEach(async () => {
  closers = [];
  proxy = await TestProxy.listen();
});

afterEach(async () => {
  for (const close of closers.toReversed()) await close();
  await proxy.close();
});

type Env = Readonly<Record<string, string>>;

async function started(exporter: Exporter): Promise<Exporter> {
  closers.push(() => exporter.shutdown(NEVER));
  await exporter.start(NO_HOST);
  return exporter;
}

function httpExporter(endpoint: string, env: Env, proxy_url?: string): Promise<Exporter> {
  const settings = testSettings("otlp_http", { proxy: readProxyEnvironment(env) });
  return started(otlpHttpExporterFactory.create(settings, otlpHttpConfig.parse({ endpoint, proxy_url })));
}

function grpcExporter(config: object, env: Env): Promise<Exporter> {
  const settings = testSettings("otlp_grpc", { proxy: readProxyEnvironment(env) });
  return started(otlpGrpcExporterFactory.create(settings, otlpGrpcConfig.parse({ timeout: "5s", ...config })));
}

const send = (exporter: Exporter): Promise<unknown> =>
  exporter.send(outgoing("logs", [Buffer.from("any bytes")]), NEVER);

const address = (credentials = ""): string => `http://${credentials}127.0.0.1:${proxy.port}`;

describe("otlp_http", () => {
  test("goes through HTTP_PROXY of the environment", async () => {
    const backend = await HttpBackend.listen();
    closers.push(() => backend.close());
    const endpoint = backend.url.replace("127.0.0.1", "backend.test");
    const exporter = await httpExporter(endpoint, { HTTP_PROXY: address() });
    expect(await send(exporter)).toEqual(SENT_WHOLE);
    expect(proxy.lines).toEqual([`POST ${endpoint}/v1/logs`]);
  });

  test("goes to what NO_PROXY names, and to the loopback, by itself", async () => {
    const backend = await HttpBackend.listen();
    closers.push(() => backend.close());
    expect(await send(await httpExporter(backend.url, { HTTP_PROXY: address() }))).toEqual(SENT_WHOLE);
    const exempt = await httpExporter("http://backend.invalid:1", {
      HTTP_PROXY: address(),
      NO_PROXY: "backend.invalid",
    });
    await expect(send(exempt)).rejects.toThrow(/ENOTFOUND|EAI_AGAIN/);
    expect(proxy.lines).toEqual([]);
  });

  test("goes through proxy_url whatever the environment says", async () => {
    const backend = await HttpBackend.listen();
    closers.push(() => backend.close());
    const env = { HTTP_PROXY: "http://127.0.0.1:1", NO_PROXY: "*" };
    expect(await send(await httpExporter(backend.url, env, address()))).toEqual(SENT_WHOLE);
    expect(proxy.lines).toEqual([`POST ${backend.url}/v1/logs`]);
  });
});

describe("otlp_grpc", () => {
  const plain = { tls: { insecure: true }, compression: "gzip" } as const;

  test("goes through HTTPS_PROXY, in plain text too, and leaves the name to the proxy", async () => {
    const backend = await Http2Backend.listen();
    closers.push(() => backend.close());
    const endpoint = `backend.test:${backend.port}`;
    const exporter = await grpcExporter({ endpoint, ...plain }, { HTTPS_PROXY: address("user:s%3Dcret@") });
    for (let count = 0; count < 3; count += 1) expect(await send(exporter)).toEqual(SENT_WHOLE);
    expect(proxy.lines).toEqual([`CONNECT ${endpoint}`]);
    expect(proxy.credentials).toEqual([`Basic ${Buffer.from("user:s=cret").toString("base64")}`]);
  });

  test.skipIf(NO_OPENSSL !== undefined)(
    "goes through it encrypted to the backend, whose certificate is checked",
    async () => {
      const folder = mkdtempSync(join(tmpdir(), "signalbox-proxy-"));
      closers.push(() => rmSync(folder, { recursive: true }));
      const ca = new TestCa(folder);
      const { key, cert } = ca.issue("server", "DNS:backend.test");
      const backend = await Http2Backend.listen({ key, cert });
      closers.push(() => backend.close());
      const endpoint = `backend.test:${backend.port}`;
      const exporter = await grpcExporter({ endpoint, tls: { ca_file: ca.pair.certFile } }, { HTTPS_PROXY: address() });
      expect(await send(exporter)).toEqual(SENT_WHOLE);
      expect(proxy.lines).toEqual([`CONNECT ${endpoint}`]);
    },
  );

  test("goes to what NO_PROXY names, and to the loopback, by itself", async () => {
    const backend = await Http2Backend.listen();
    closers.push(() => backend.close());
    const env = { HTTPS_PROXY: address(), NO_PROXY: "backend.invalid" };
    const loopback = await grpcExporter({ endpoint: `127.0.0.1:${backend.port}`, ...plain }, env);
    expect(await send(loopback)).toEqual(SENT_WHOLE);
    const exempt = await grpcExporter({ endpoint: "backend.invalid:4317", ...plain }, env);
    await expect(send(exempt)).rejects.toThrow(/resol/i);
    expect(proxy.lines).toEqual([]);
  });

  test("says, retryably and without credentials, that the proxy refuses", async () => {
    proxy.refuseWith = 407;
    const env = { HTTPS_PROXY: address("user:s3cret@") };
    const exporter = await grpcExporter({ endpoint: "backend.test:4317", ...plain }, env);
    const error = await send(exporter).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ConsumeError);
    expect((error as ConsumeError).isRetryable).toBe(true);
    expect((error as ConsumeError).message).toContain(`proxy 127.0.0.1:${proxy.port}: answered CONNECT with 407`);
    expect((error as ConsumeError).message).not.toContain("s3cret");
  });
});
