import { existsSync } from "node:fs";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Host, Listening } from "../../../src/core/component.ts";
import { ConsumeError } from "../../../src/core/errors.ts";
import { localStoreConfig } from "../../../src/exporters/local_store/config.ts";
import { localStoreExporterFactory } from "../../../src/exporters/local_store/factory.ts";
import { logsRequest, testFolder } from "../../store/store-fixtures.ts";
import { NEVER, NO_HOST, outgoing, testSettings } from "../test-exporter.ts";

async function startExporter(
  written: Record<string, unknown> = {},
): Promise<{ exporter: ReturnType<typeof localStoreExporterFactory.create>; address: string; directory: string }> {
  const directory = testFolder();
  const config = localStoreConfig.parse({ directory, endpoint: "127.0.0.1:0", ...written });
  const exporter = localStoreExporterFactory.create(testSettings("local_store"), config);
  onTestFinished(() => exporter.shutdown(NEVER));
  const reported: Listening[] = [];
  const host: Host = { ...NO_HOST, reportListening: (listening) => reported.push(listening) };
  await exporter.start(host);
  expect(reported).toMatchObject([{ what: "store API" }]);
  return { exporter, address: reported[0]?.address ?? "", directory };
}

describe("exporters/local_store", () => {
  test("what was sent is found over HTTP at the address it reported", async () => {
    const { exporter, address } = await startExporter();
    const result = await exporter.send(outgoing("logs", [logsRequest([{ body: "hello store" }])]), NEVER);
    expect(result).toEqual({ rejectedItems: 0, message: "" });
    const response = await fetch(`${address}/api/logs?q=hello`);
    expect(await response.json()).toMatchObject({ records: [{ message: "hello store" }] });
  });

  test("asks for the token where one is configured", async () => {
    const { address } = await startExporter({ token: "s3cret" });
    expect((await fetch(`${address}/api/logs`)).status).toBe(401);
    expect((await fetch(`${address}/api/logs`, { headers: { authorization: "Bearer s3cret" } })).status).toBe(200);
  });

  test("bytes that are no OTLP are a permanent error, which is not sent again", async () => {
    const { exporter } = await startExporter();
    const sending = exporter.send(outgoing("logs", [Uint8Array.of(10, 200, 1)]), NEVER);
    await expect(sending).rejects.toBeInstanceOf(ConsumeError);
    await expect(sending).rejects.toMatchObject({
      kind: "permanent",
      message: expect.stringMatching(/^exporters\.local_store: /) as string,
    });
  });

  test("a second gateway on the same folder does not start, and says why", async () => {
    const { directory } = await startExporter();
    await expect(startExporter({ directory })).rejects.toThrow(
      /exporters\.local_store: the store in .* is in use by another gateway/,
    );
  });

  test("a busy port stops the start, and leaves the folder free for the next", async () => {
    const { address } = await startExporter();
    const directory = testFolder();
    await expect(startExporter({ directory, endpoint: new URL(address).host })).rejects.toThrow(/in use/);
    await startExporter({ directory });
  });

  test("may be shut down without a start, and twice", async () => {
    const config = localStoreConfig.parse({ directory: testFolder() });
    const exporter = localStoreExporterFactory.create(testSettings("local_store"), config);
    await exporter.shutdown(NEVER);
    await exporter.shutdown(NEVER);
    await expect(exporter.send(outgoing("logs", []), NEVER)).rejects.toMatchObject({ kind: "refused" });
  });

  test("creates nothing before it is started", () => {
    const directory = `${testFolder()}/not-yet`;
    localStoreExporterFactory.create(testSettings("local_store"), localStoreConfig.parse({ directory }));
    expect(existsSync(directory)).toBe(false);
  });

  test("after a shutdown the next start finds what was there", async () => {
    const first = await startExporter();
    await first.exporter.send(outgoing("logs", [logsRequest([{ body: "kept" }])]), NEVER);
    await first.exporter.shutdown(NEVER);
    const second = await startExporter({ directory: first.directory });
    expect(await (await fetch(`${second.address}/api/logs`)).json()).toMatchObject({
      records: [{ message: "kept" }],
    });
  });

  test("an attempt whose time has run out rejects as one that may be tried again", async () => {
    const { exporter } = await startExporter();
    const sending = exporter.send(outgoing("logs", [logsRequest([{ body: "x" }])]), AbortSignal.abort());
    await expect(sending).rejects.toMatchObject({ kind: "retryable" });
  });
});

describe("its configuration", () => {
  test("has defaults for every key", () => {
    expect(localStoreConfig.parse({})).toMatchObject({
      directory: ".signalbox",
      endpoint: "127.0.0.1:4319",
      max_bytes: 1024 ** 3,
      max_age: 7 * 24 * 3_600_000,
      timeout: 30_000,
    });
  });

  test.each(["0.0.0.0:4319", ":4319", "[::]:4319", "10.0.0.5:4319", "gateway.internal:4319"])(
    "%s without a token is refused",
    (endpoint) => {
      const result = localStoreConfig.safeParse({ endpoint });
      expect(result.error?.issues[0]).toMatchObject({
        path: ["endpoint"],
        message: expect.stringContaining("needs a token") as string,
      });
      expect(localStoreConfig.safeParse({ endpoint, token: "s3cret" }).success).toBe(true);
    },
  );

  test.each(["127.0.0.1:0", "localhost:4319", "[::1]:4319", "127.1.2.3:4319"])("%s needs none", (endpoint) => {
    expect(localStoreConfig.safeParse({ endpoint }).success).toBe(true);
  });
});
