import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Gateway, startGateway } from "../../../src/index.ts";

let folder = "";
let running: Gateway[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "signalbox-file-storage-"));
});
afterEach(async () => {
  for (const gateway of running) await gateway.shutdown();
  running = [];
  rmSync(folder, { recursive: true, force: true });
});

/** Towards a port where nothing listens: everything stays in the queue. */
async function start(
  storage: string,
  extensions = "[file_storage]",
  queue = "{ storage: file_storage }",
  patience = "200ms",
): Promise<Gateway> {
  const text = `
signalbox: { shutdown_timeout: ${patience} }
extensions: ${storage}
receivers: { otlp: { protocols: { http: { endpoint: "127.0.0.1:0" } } } }
exporters: { otlp_http: { endpoint: "http://127.0.0.1:1", sending_queue: ${queue} } }
service:
  extensions: ${extensions}
  telemetry: { metrics: { level: none } }
  pipelines: { logs: { receivers: [otlp], exporters: [otlp_http] } }
`;
  const gateway = await startGateway({ configuration: { name: "storage.yaml", text } });
  running.push(gateway);
  return gateway;
}

async function send(gateway: Gateway, items: number): Promise<number> {
  const body = JSON.stringify({
    resourceLogs: [{ scopeLogs: [{ logRecords: Array.from({ length: items }, () => ({})) }] }],
  });
  const url = `${gateway.listening[0]!.address}/v1/logs`;
  return (await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body })).status;
}

describe("file_storage", () => {
  test("keeps what was accepted over a restart, and the ledger says so", async () => {
    const storage = `{ file_storage: { directory: ${JSON.stringify(join(folder, "q"))}, create_directory: true } }`;
    const first = await start(storage);
    expect(await send(first, 3)).toBe(200);
    await first.shutdown();
    expect(statSync(join(folder, "q")).mode & 0o777).toBe(0o750);
    const second = await start(storage);
    expect(await send(second, 2)).toBe(200);
    await second.shutdown();
    expect(second.ledger.destinations).toMatchObject([
      { destination: "otlp_http", carried_over: 3, admitted: 2, queued: 5 },
    ]);
  });

  test("does not let a stop wait for a backend that is away: the disk has it", async () => {
    const storage = `{ file_storage: { directory: ${JSON.stringify(folder)} } }`;
    const gateway = await start(storage, "[file_storage]", "{ storage: file_storage }", "1h");
    expect(await send(gateway, 1)).toBe(200);
    // The first attempt has failed by now, or fails while it drains: neither waits for an hour.
    await gateway.shutdown();
    expect(gateway.ledger.destinations).toMatchObject([{ admitted: 1, queued: 1 }]);
  });

  test("refuses a folder that is missing, is a file, or is another gateway's, with what to do", async () => {
    await expect(start(`{ file_storage: { directory: ${folder}/none } }`)).rejects.toThrow(
      /extensions\.file_storage: the folder .*none: it does not exist\n {2}create it, or write create_directory: true/,
    );
    writeFileSync(join(folder, "file"), "");
    await expect(start(`{ file_storage: { directory: ${folder}/file } }`)).rejects.toThrow("it is a file");
    await start(`{ file_storage: { directory: ${folder} } }`);
    await expect(start(`{ file_storage: { directory: ${folder} } }`)).rejects.toThrow(
      /in use by another gateway \(process \d+/,
    );
  });

  test("is found wrong in the YAML where it is not configured, not started, or a second one", async () => {
    const storage = `{ file_storage: { directory: ${folder} }, file_storage/2: { directory: ${folder} } }`;
    await expect(start("", "[]")).rejects.toThrow('references extension "file_storage" which is not configured');
    await expect(start(storage, "[]")).rejects.toThrow("add file_storage to service.extensions");
    await expect(start(storage, "[file_storage]", "{ storage: file_storage/3 }")).rejects.toThrow("not configured");
    await expect(start(`{ file_storage: { directory_permissions: "rwx" } }`)).rejects.toThrow('write "0750"');
  });
});
