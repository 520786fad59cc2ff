import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Gateway, startGateway } from "../../../src/index.ts";
import { RecordingLogger } from "../../queue/support.ts";

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
  logger?: RecordingLogger,
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
  const gateway = await startGateway({ configuration: { name: "storage.yaml", text }, ...(logger && { logger }) });
  running.push(gateway);
  return gateway;
}

async function send(gateway: Gateway, items: number, text?: string): Promise<number> {
  const record = text === undefined ? {} : { body: { stringValue: text } };
  const body = JSON.stringify({
    resourceLogs: [{ scopeLogs: [{ logRecords: Array.from({ length: items }, () => record) }] }],
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
    symlinkSync(join(folder, "nowhere"), join(folder, "link"));
    await expect(start(`{ file_storage: { directory: ${folder}/link } }`)).rejects.toThrow("it does not exist");
    await start(`{ file_storage: { directory: ${folder} } }`);
    await expect(start(`{ file_storage: { directory: ${folder}, timeout: 60ms } }`)).rejects.toThrow(
      /in use by another gateway \(process \d+/,
    );
  });

  test.runIf(process.platform === "linux")("ends with a message where the file system takes no folder", async () => {
    const storage = "{ file_storage: { directory: /proc/none/queue, create_directory: true } }";
    await expect(start(storage)).rejects.toThrow(
      /the folder \/proc\/none\/queue: ENOENT.*\n {2}make it a folder that this user may write/,
    );
  });

  test("waits for a gateway that is just stopping, as long as `timeout` says", async () => {
    const first = await start(`{ file_storage: { directory: ${folder} } }`);
    const second = start(`{ file_storage: { directory: ${folder}, timeout: 20s } }`);
    await first.shutdown();
    expect(await send(await second, 1)).toBe(200);
  });

  test("follows a link to a folder, leaves files alone that are not its own, and takes a damaged lock for none", async () => {
    mkdirSync(join(folder, "real"));
    symlinkSync(join(folder, "real"), join(folder, "link"));
    writeFileSync(join(folder, "real", "notes.txt"), "mine");
    writeFileSync(join(folder, "real", "lock.sqlite"), "no database".repeat(100));
    mkdirSync(join(folder, "real", "segment-00000007.log"));
    writeFileSync(join(folder, "real", "segment-00000008.log"), "");
    const first = await start(`{ file_storage: { directory: ${folder}/link } }`);
    expect(await send(first, 3)).toBe(200);
    await first.shutdown();
    const second = await start(`{ file_storage: { directory: ${folder}/real } }`);
    await second.shutdown();
    expect(second.ledger.destinations).toMatchObject([{ carried_over: 3, queued: 3 }]);
    expect(readFileSync(join(folder, "real", "notes.txt"), "utf8")).toBe("mine");
    expect(statSync(join(folder, "real", "segment-00000007.log")).isDirectory()).toBe(true);
  });

  test.each(["lock.sqlite", "owner.json"])(
    "says what to do where %s is a folder, or a link to nowhere",
    async (name) => {
      const storage = `{ file_storage: { directory: ${folder} } }`;
      const fix = `remove ${name}: the gateway makes it anew, and nothing that waits is in it`;
      mkdirSync(join(folder, name));
      await expect(start(storage)).rejects.toThrow(`the folder ${folder}: ${name} is not a file\n  ${fix}`);
      rmSync(join(folder, name), { recursive: true });
      symlinkSync("/nowhere/x", join(folder, name));
      await expect(start(storage)).rejects.toThrow(`${name} is a link that leads nowhere\n  ${fix}`);
      rmSync(join(folder, name));
      expect(await send(await start(storage), 1)).toBe(200);
    },
  );

  test("warns where the folder was a gateway's that was killed, and everything but the lock is gone", async () => {
    writeFileSync(join(folder, "lock.sqlite"), "");
    writeFileSync(join(folder, "owner.json"), JSON.stringify({ pid: 1, since: "2026-01-01T00:00:00.000Z" }));
    const storage = `{ file_storage: { directory: ${folder} } }`;
    const startWith = async (logger: RecordingLogger): Promise<string> => {
      const gateway = await start(storage, "[file_storage]", "{ storage: file_storage }", "200ms", logger);
      await gateway.shutdown();
      return logger.lines.join("\n");
    };
    expect(await startWith(new RecordingLogger())).toContain(
      "no file of its queues is left: it had not begun to take data, or they were removed",
    );
    expect(await startWith(new RecordingLogger())).not.toContain("no file of its queues is left");
  });

  test("refuses requests beyond max_size with a hint and both numbers, and keeps the files below it", async () => {
    const gateway = await start(`{ file_storage: { directory: ${folder}, max_size: 2MiB } }`);
    let accepted = 0;
    while ((await send(gateway, 1000, "x".repeat(300))) === 200) accepted += 1;
    expect(accepted).toBeGreaterThan(3);
    expect(await send(gateway, 1000, "x".repeat(300))).toBe(503);
    const sizes = readdirSync(folder).map((name) => statSync(join(folder, name)).size);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(2 * 1024 * 1024 + 64 * 1024);
  });

  test("is found wrong in the YAML where it is not configured, not started, or a second one", async () => {
    const storage = `{ file_storage: { directory: ${folder} }, file_storage/2: { directory: ${folder} } }`;
    await expect(start("", "[]")).rejects.toThrow('references extension "file_storage" which is not configured');
    await expect(start(storage, "[]")).rejects.toThrow("add file_storage to service.extensions");
    await expect(start(storage, "[file_storage]", "{ storage: file_storage/3 }")).rejects.toThrow("not configured");
    await expect(start(`{ file_storage: { directory_permissions: "rwx" } }`)).rejects.toThrow('write "0750"');
    await expect(start(`{ file_storage: { directory_permissions: "01750" } }`)).rejects.toThrow('write "0750"');
    await expect(start(`{ file_storage: { max_size: 100 } }`)).rejects.toThrow("expected at least 1MiB");
    await expect(start(`{ file_storage: { max_size: -1 } }`)).rejects.toThrow("expected a size in bytes");
    await expect(start(`{ file_storage: { timeout: -1s } }`)).rejects.toThrow("file_storage.timeout");
  });
});
