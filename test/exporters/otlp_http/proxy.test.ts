import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { z } from "zod";
import type { Exporter } from "../../../src/core/component.ts";
import { ConsumeError } from "../../../src/core/errors.ts";
import { SENT_WHOLE, type SendResult } from "../../../src/core/sender.ts";
import { otlpHttpConfig } from "../../../src/exporters/otlp_http/config.ts";
import { otlpHttpExporterFactory } from "../../../src/exporters/otlp_http/factory.ts";
import { NO_OPENSSL, TestCa } from "../../support/test-ca.ts";
import { NEVER, NO_HOST, outgoing, testSettings } from "../test-exporter.ts";
import { HttpBackend } from "./http-backend.ts";
import { TestProxy } from "./proxy.ts";

let proxy: TestProxy;
const running: Exporter[] = [];

beforeEach(async () => {
  proxy = await TestProxy.listen();
});

afterEach(async () => {
  for (const exporter of running.splice(0)) await exporter.shutdown(NEVER);
  await proxy.close();
});

async function startExporter(config: Partial<z.input<typeof otlpHttpConfig>>): Promise<Exporter> {
  const proxy_url = `http://127.0.0.1:${proxy.port}`;
  const exporter = otlpHttpExporterFactory.create(
    testSettings("otlp_http"),
    otlpHttpConfig.parse({ proxy_url, ...config }),
  );
  running.push(exporter);
  await exporter.start(NO_HOST);
  return exporter;
}

const send = (exporter: Exporter): Promise<SendResult> =>
  exporter.send(outgoing("logs", [Buffer.from("any bytes")]), NEVER);

describe("through a proxy", () => {
  test("a request to an http backend is passed on with its whole URL", async () => {
    const backend = await HttpBackend.listen();
    const exporter = await startExporter({ endpoint: backend.url });
    for (let count = 0; count < 3; count += 1) expect(await send(exporter)).toEqual(SENT_WHOLE);
    expect(proxy.lines).toEqual(Array.from({ length: 3 }, () => `POST ${backend.url}/v1/logs`));
    expect(backend.posts.map(({ url, body }) => [url, body.toString()])).toEqual(
      Array.from({ length: 3 }, () => ["/v1/logs", "any bytes"]),
    );
    await backend.close();
  });

  test.skipIf(NO_OPENSSL !== undefined)(
    "a request to an https backend goes through one tunnel, encrypted",
    async () => {
      const folder = mkdtempSync(join(tmpdir(), "signalbox-proxy-"));
      const ca = new TestCa(folder);
      const { key, cert } = ca.issue("server", "DNS:localhost,IP:127.0.0.1");
      const backend = await HttpBackend.listen({ key, cert });
      const exporter = await startExporter({
        endpoint: `https://127.0.0.1:${backend.port}`,
        tls: { ca_file: ca.pair.certFile },
      });
      for (let count = 0; count < 3; count += 1) expect(await send(exporter)).toEqual(SENT_WHOLE);
      expect(proxy.lines).toEqual([`CONNECT 127.0.0.1:${backend.port}`]);
      expect(backend.posts.length).toBe(3);
      await backend.close();
      rmSync(folder, { recursive: true });
    },
  );

  test("its credentials are sent to it, and shown to nobody", async () => {
    const proxy_url = `http://user:s3cret%21pass@127.0.0.1:${proxy.port}`;
    for (const [endpoint, status] of [
      ["http://localhost:1", 502],
      ["https://localhost:1", 407],
    ] as const) {
      proxy.refuseWith = status;
      const exporter = await startExporter({ endpoint, proxy_url });
      const error: unknown = await send(exporter).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(ConsumeError);
      expect((error as ConsumeError).kind).toBe("retryable");
      expect((error as ConsumeError).message).not.toContain("s3cret");
    }
    const basic = `Basic ${Buffer.from("user:s3cret!pass").toString("base64")}`;
    expect(proxy.credentials).toEqual([basic, basic]);
  });

  test("that is not there gives a retryable error", async () => {
    const exporter = await startExporter({ endpoint: "http://localhost:1", proxy_url: "http://127.0.0.1:1" });
    const error: unknown = await send(exporter).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ kind: "retryable" });
  });

  test.each([
    ["socks5://u:s3cret@proxy:1080", "proxy_url: SOCKS proxies are not supported"],
    ["proxy:3128", "proxy_url: is not the URL of a proxy"],
    ["http://", "proxy_url: is not the URL of a proxy"],
  ])("named %s is refused without being shown", (proxy_url, problem) => {
    const { error } = otlpHttpConfig.safeParse({ endpoint: "http://localhost", proxy_url });
    expect(error!.issues.map(({ path, message }) => `${path.join(".")}: ${message}`)).toEqual([problem]);
    expect(JSON.stringify(error)).not.toContain("s3cret");
  });
});
