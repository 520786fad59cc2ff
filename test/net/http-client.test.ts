import type { LookupAddress } from "node:dns";
import type { LookupFunction } from "node:net";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { HttpClient } from "../../src/net/http-client.ts";
import { NEVER } from "../exporters/test-exporter.ts";
import { HttpBackend } from "../exporters/otlp_http/http-backend.ts";
import { NO_OPENSSL, TestCa } from "../support/test-ca.ts";

let backend: HttpBackend | undefined;
let client: HttpClient | undefined;

afterEach(async () => {
  client?.close();
  await backend?.close();
});

/** Loopback addresses where nothing listens at the backend's port, before the one where it does. */
const ADDRESSES: LookupAddress[] = ["127.0.0.3", "127.0.0.2", "127.0.0.1"].map((address) => ({ address, family: 4 }));

const lookup: LookupFunction = (_host, _options, callback) => callback(null, ADDRESSES);

describe("a name with several addresses, of which the first are dead", () => {
  test.skipIf(NO_OPENSSL !== undefined).each(["http", "https"])("costs no request over %s", async (scheme) => {
    const folder = mkdtempSync(join(tmpdir(), "signalbox-lookup-"));
    const ca = new TestCa(folder);
    const { key, cert } = ca.issue("server", "DNS:backend.test");
    backend = await HttpBackend.listen(scheme === "https" ? { key, cert } : undefined);
    client = new HttpClient({
      tls: { contextOptions: { ca: [ca.pair.cert] }, rejectUnauthorized: true, serverName: undefined },
      proxy: undefined,
      lookup,
      keepAlive: false,
      socketCountMax: 10,
      idleSocketCountMax: 10,
      idleMs: 1000,
    });
    const url = new URL(`${scheme}://backend.test:${backend.port}/v1/logs`);
    for (let count = 0; count < 10; count += 1) {
      expect(await client.post({ url, headers: {}, body: [Buffer.from("x")] }, NEVER)).toMatchObject({ status: 200 });
    }
    expect(backend.posts.length).toBe(10);
    rmSync(folder, { recursive: true });
  });
});
