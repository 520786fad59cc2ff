import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { appendFileSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { z } from "zod";
import type { Exporter } from "../../../src/core/component.ts";
import { ConsumeError } from "../../../src/core/errors.ts";
import { SENT_WHOLE } from "../../../src/core/sender.ts";
import { fileConfig } from "../../../src/exporters/file/config.ts";
import { FileExporter } from "../../../src/exporters/file/exporter.ts";
import type { OpenFile } from "../../../src/exporters/file/output-file.ts";
import { decodeJsonRequest } from "../../../src/wire/otlp/json-decode.ts";
import { jsonObjectOf } from "../../../src/wire/otlp/json-encode.ts";
import { TestClock } from "../../support/test-clock.ts";
import { type LoggedLine, NEVER, outgoing, recordingLogger, testSettings } from "../test-exporter.ts";

let folder: string;
let path: string;
const running: Exporter[] = [];
const lines: LoggedLine[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "signalbox-file-"));
  path = join(folder, "out.jsonl");
  lines.length = 0;
});

afterEach(async () => {
  for (const exporter of running.splice(0)) await exporter.shutdown(NEVER);
  rmSync(folder, { recursive: true, force: true });
});

type Input = Partial<z.input<typeof fileConfig>>;

async function startExporter(config: Input = {}, openFile?: OpenFile, clock = new TestClock()): Promise<FileExporter> {
  const settings = testSettings("file", { clock, logger: recordingLogger(lines) });
  const exporter = new FileExporter(settings, fileConfig.parse({ path, ...config }), openFile);
  running.push(exporter);
  await exporter.start();
  return exporter;
}

function logs(...bodies: string[]): Uint8Array {
  return logsOf([{ bodies }]);
}

function logsOf(
  resources: readonly { readonly attributes?: object; readonly bodies: readonly string[] }[],
): Uint8Array {
  const resourceLogs = resources.map(({ attributes = {}, bodies }) => ({
    resource: {
      attributes: Object.entries(attributes).map(([key, value]) => ({
        key,
        value: typeof value === "string" ? { stringValue: value } : { intValue: value },
      })),
    },
    scopeLogs: [{ logRecords: bodies.map((stringValue) => ({ body: { stringValue } })) }],
  }));
  return decodeJsonRequest("logs", Buffer.from(JSON.stringify({ resourceLogs }))).bytes;
}

const send = (exporter: Exporter, bytes: Uint8Array, items = 1) =>
  exporter.send(outgoing("logs", [bytes], items), NEVER);

async function failureOf(promise: Promise<unknown>): Promise<ConsumeError> {
  const error: unknown = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof ConsumeError) return error;
  throw new Error(`expected a ConsumeError, got ${String(error)}`);
}

function linesOf(file = path): unknown[] {
  const text = readFileSync(file, "utf8");
  expect(text === "" || text.endsWith("\n")).toBe(true);
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as unknown);
}

const asJson = (bytes: Uint8Array): unknown => jsonObjectOf("logs", bytes);

function recordsOf(file = path): Buffer[] {
  const bytes = readFileSync(file);
  const records: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = bytes.readUInt32BE(at);
    records.push(bytes.subarray(at + 4, at + 4 + length));
    at += 4 + length;
    expect(at).toBeLessThanOrEqual(bytes.length);
  }
  return records;
}

describe("a batch", () => {
  test("is a line of OTLP JSON, there when it counts as sent", async () => {
    const exporter = await startExporter();
    expect(await send(exporter, logs("one"))).toEqual(SENT_WHOLE);
    expect(linesOf()).toEqual([asJson(logs("one"))]);
    await send(exporter, logs("two\nlines"));
    expect(linesOf()).toEqual([asJson(logs("one")), asJson(logs("two\nlines"))]);
    expect(statSync(path).mode & 0o777).toBe(0o644);
  });

  test("is protobuf behind its length, with format: proto", async () => {
    const exporter = await startExporter({ format: "proto" });
    for (const body of ["one", "two"]) await send(exporter, logs(body));
    expect(recordsOf()).toEqual([Buffer.from(logs("one")), Buffer.from(logs("two"))]);
  });

  test.each(["json", "proto"] as const)("is a zstd frame behind its length, with %s", async (format) => {
    const exporter = await startExporter({ format, compression: "zstd", compression_params: { level: 5 } });
    for (const body of ["one", "two"]) await send(exporter, logs(body));
    const [first] = recordsOf().map((record) => zstdDecompressSync(record));
    if (format === "proto") expect(first).toEqual(Buffer.from(logs("one")));
    else expect(JSON.parse(first!.toString())).toEqual(asJson(logs("one")));
    expect(recordsOf().length).toBe(2);
  });

  test("of many that come at once stands in the file in one piece", async () => {
    const exporter = await startExporter();
    const bodies = Array.from({ length: 100 }, (_, index) => `${index} ${"x".repeat(index * 100)}`);
    await Promise.all(bodies.map((body) => send(exporter, logs(body))));
    expect(linesOf()).toEqual(bodies.map((body) => asJson(logs(body))));
  });

  test("that cannot be read is final", async () => {
    const exporter = await startExporter();
    expect((await failureOf(send(exporter, Buffer.from([0x0a, 0xff])))).kind).toBe("permanent");
    expect(linesOf()).toEqual([]);
  });

  test("whose time is over before its turn is not written", async () => {
    const exporter = await startExporter();
    const error = await failureOf(exporter.send(outgoing("logs", [logs("late")]), AbortSignal.abort()));
    expect(error.kind).toBe("retryable");
    expect(linesOf()).toEqual([]);
  });
});

describe("what the file held before", () => {
  test("is gone, as in the Collector", async () => {
    writeFileSync(path, "{}\n");
    await send(await startExporter(), logs("one"));
    expect(linesOf()).toEqual([asJson(logs("one"))]);
  });

  test("stays with append, and with rotation", async () => {
    for (const config of [{ append: true }, { rotation: null }]) {
      writeFileSync(path, "{}\n");
      await send(await startExporter(config), logs("one"));
      expect(linesOf()).toEqual([{}, asJson(logs("one"))]);
    }
  });

  test.each([
    ["the beginning of a line", '{"resourceLogs":[{"resource":{}'],
    ["zeros", "\0\0\0\0\0"],
    ["a long beginning of a line", `{"resourceLogs":"${"x".repeat(200_000)}`],
  ])("loses at its end what a crash left: %s", async (_what, torn) => {
    writeFileSync(path, `{"a":1}\n${torn}`);
    await send(await startExporter({ append: true }), logs("one"));
    expect(linesOf()).toEqual([{ a: 1 }, asJson(logs("one"))]);
    expect(lines).toMatchObject([{ level: "warn" }]);
    expect(lines[0]!.message).toContain(`${torn.length} bytes of a batch that a crash cut off are removed`);
  });

  test("keeps a last line that is whole but for its line break", async () => {
    writeFileSync(path, '{"a":1}\n{"a":2}');
    await send(await startExporter({ append: true }), logs("one"));
    expect(linesOf()).toEqual([{ a: 1 }, { a: 2 }, asJson(logs("one"))]);
  });

  test("loses a torn record behind lengths, cut off at any byte", async () => {
    const exporter = await startExporter({ format: "proto" });
    for (const body of ["one", "two"]) await send(exporter, logs(body));
    const whole = readFileSync(path);
    const firstEnd = 4 + whole.readUInt32BE(0);
    for (let end = firstEnd; end <= whole.length; end += 1) {
      writeFileSync(path, whole.subarray(0, end));
      const again = await startExporter({ format: "proto", append: true });
      await send(again, logs("three"));
      const kept = end === whole.length ? ["one", "two", "three"] : ["one", "three"];
      expect(recordsOf()).toEqual(kept.map((body) => Buffer.from(logs(body))));
      await again.shutdown();
    }
  });

  test("that another program wrote is not touched, and stops the start", async () => {
    for (const [config, content] of [
      [{ append: true }, "some notes of mine"],
      [{ append: true, format: "proto" as const }, '{"resourceLogs":[]}\n'],
    ] as const) {
      writeFileSync(path, content);
      await expect(startExporter(config)).rejects.toThrow(/another program wrote it; name another file/);
      expect(readFileSync(path, "utf8")).toBe(content);
    }
  });
});

describe("a disk that fails", () => {
  test("that is full gives a retryable error that says so", async () => {
    const exporter = await startExporter({ path: "/dev/full" });
    const error = await failureOf(send(exporter, logs("one")));
    expect(error.kind).toBe("retryable");
    expect(error.message).toMatch(/^\/dev\/full: not written: ENOSPC.*; the disk is full: make room/);
  });

  test("in the middle of a batch leaves nothing of it, and the next one follows the last whole one", async () => {
    const disk = new FailingDisk();
    const exporter = await startExporter({}, disk.open);
    await send(exporter, logs("one"));
    disk.writableBytes = 10;
    expect((await failureOf(send(exporter, logs("two")))).message).toContain("the disk is full");
    expect(linesOf()).toEqual([asJson(logs("one"))]);
    disk.writableBytes = Infinity;
    await send(exporter, logs("three"));
    expect(linesOf()).toEqual([asJson(logs("one")), asJson(logs("three"))]);
  });

  test("that cannot even be cut is cut before anything else is written", async () => {
    const disk = new FailingDisk();
    const exporter = await startExporter({}, disk.open);
    await send(exporter, logs("one"));
    disk.writableBytes = 10;
    disk.canTruncate = false;
    await failureOf(send(exporter, logs("two")));
    expect(lines.at(-1)!.message).toContain("a half-written batch could not be cut away yet");
    disk.writableBytes = Infinity;
    expect((await failureOf(send(exporter, logs("three")))).kind).toBe("retryable");
    disk.canTruncate = true;
    await send(exporter, logs("four"));
    expect(linesOf()).toEqual([asJson(logs("one")), asJson(logs("four"))]);
  });

  test("at a sync is said once, and once that it is over", async () => {
    const disk = new FailingDisk();
    const clock = new TestClock();
    const exporter = await startExporter({ flush_interval: "5s" }, disk.open, clock);
    disk.canSync = false;
    for (let count = 0; count < 3; count += 1) {
      await send(exporter, logs("one"));
      await clock.advance(5000);
      await disk.synced();
    }
    disk.canSync = true;
    await clock.advance(5000);
    await disk.synced();
    await exporter.shutdown();
    expect(lines.map(({ level }) => level)).toEqual(["error", "info"]);
    expect(lines[0]!.message).toContain("may not survive a crash of the machine");
  });
});

describe("a folder", () => {
  test("that is not there stops the start, with what to set", async () => {
    const config = { path: join(folder, "a", "b", "out.jsonl") };
    await expect(startExporter(config)).rejects.toThrow(/ENOENT.*set create_directory: true/);
    await startExporter({ ...config, create_directory: true, directory_permissions: "0700" });
    expect(statSync(join(folder, "a", "b")).mode & 0o777).toBe(0o700);
  });

  test.runIf(process.platform === "linux")(
    "that the file system does not take stops the start, and not in a loop",
    async () => {
      const started = startExporter({ path: "/proc/none/out.jsonl", create_directory: true });
      await expect(started).rejects.toThrow(/ENOENT/);
    },
  );

  test.skipIf(!existsSync("/sys"))("that may not be written stops the start, with what to do", async () => {
    // A folder that root may not write either.
    const started = startExporter({ path: "/sys/signalbox.jsonl" });
    await expect(started).rejects.toThrow(/E(?:ACCES|PERM|ROFS).*(?:change the permissions|write elsewhere)/);
  });

  test("in place of the file stops the start, with what to do", async () => {
    mkdirSync(path);
    await expect(startExporter()).rejects.toThrow(/EISDIR.*the path is a folder/);
  });
});

describe("rotation", () => {
  const big = (name: string): Uint8Array => logs(`${name} ${"x".repeat(600 * 1024)}`);
  const backups = (): string[] => readdirSync(folder).filter((name) => name !== "out.jsonl");

  test("puts the file aside before it grows beyond its size, named as the Collector names it", async () => {
    const clock = new TestClock(Date.UTC(2026, 10, 24, 5, 2, 14, 173));
    const exporter = await startExporter({ rotation: { max_megabytes: 1 } }, undefined, clock);
    await send(exporter, big("one"));
    await send(exporter, big("two"));
    expect(backups()).toEqual(["out-2026-11-24T05-02-14.173-size.jsonl"]);
    expect(linesOf(join(folder, backups()[0]!))).toEqual([asJson(big("one"))]);
    expect(linesOf()).toEqual([asJson(big("two"))]);
  });

  test("gives a batch that is larger than a file one of its own", async () => {
    const exporter = await startExporter({ rotation: { max_megabytes: 1 } });
    const huge = logs("x".repeat(2 * 1024 * 1024));
    for (const bytes of [logs("small"), huge, logs("small")]) await send(exporter, bytes);
    expect(backups().length).toBe(2);
    expect(linesOf()).toEqual([asJson(logs("small"))]);
  });

  test("keeps max_backups of them, the newest, two of one millisecond too", async () => {
    const exporter = await startExporter({ rotation: { max_megabytes: 1, max_backups: 2 } });
    for (const name of ["one", "two", "three", "four", "five"]) await send(exporter, big(name));
    const kept = backups().toSorted();
    const firstWordOf = (name: string): string =>
      /stringValue":"(\w+)/.exec(readFileSync(join(folder, name), "utf8"))![1]!;
    expect(kept.map(firstWordOf)).toEqual(["three", "four"]);
  });

  test("deletes those that are older than max_days, also of the Collector's older names, and no other file", async () => {
    const clock = new TestClock(Date.UTC(2026, 10, 24));
    const names = [
      "out-2026-11-20T00-00-00.000-size.jsonl",
      "out-2026-11-20T00-00-00.000.jsonl",
      "out-2026-11-23T00-00-00.000-size.jsonl",
      "out-of-the-way.jsonl",
      "other-2026-11-20T00-00-00.000-size.jsonl",
    ];
    for (const name of names) writeFileSync(join(folder, name), "");
    await startExporter({ rotation: { max_days: 3 } }, undefined, clock);
    expect(backups().toSorted()).toEqual(names.slice(2).toSorted());
  });
});

describe("group_by", () => {
  const group_by = { enabled: true, resource_attribute: "service.name" };
  const grouped = (): Input => ({ path: join(folder, "data", "app-*.jsonl"), group_by });
  const fileOf = (name: string): string => join(folder, "data", `app-${name}.jsonl`);

  test("writes each resource into the file of its attribute, and rejects those that have none", async () => {
    const exporter = await startExporter(grouped());
    const batch = logsOf([
      { attributes: { "service.name": "a" }, bodies: ["1", "2"] },
      { attributes: { "service.name": "b/c" }, bodies: ["3"] },
      { attributes: {}, bodies: ["4", "5"] },
      { attributes: { "service.name": 7 }, bodies: ["6"] },
      { attributes: { "service.name": "a" }, bodies: ["7"] },
    ]);
    const result = await send(exporter, batch, 7);
    expect(result).toEqual({ rejectedItems: 3, message: "their resource has no text in service.name (group_by)" });
    const of = (name: string, ...bodies: string[]) => ({ attributes: { "service.name": name }, bodies });
    expect(linesOf(fileOf("a"))).toEqual([asJson(logsOf([of("a", "1", "2"), of("a", "7")]))]);
    expect(linesOf(fileOf("b/c"))).toEqual([asJson(logsOf([of("b/c", "3")]))]);
  });

  test("never leaves its folder, whatever the value is", async () => {
    const exporter = await startExporter(grouped());
    for (const value of ["../../../etc/passwd", "/etc/passwd", "./x", "a/../../../b", "..", "nul\0byte"]) {
      await send(exporter, logsOf([{ attributes: { "service.name": value }, bodies: [value] }]));
    }
    expect(readdirSync(folder)).toEqual(["data"]);
    expect(existsSync(join(folder, "data", "app-", "b.jsonl"))).toBe(true);
    const files = readdirSync(join(folder, "data"), { recursive: true }).map(String);
    expect(files.filter((name) => name.endsWith(".jsonl")).toSorted()).toEqual([
      "app-...jsonl",
      "app-/b.jsonl",
      "app-/etc/passwd.jsonl",
      "app-/x.jsonl",
      "app-nulbyte.jsonl",
    ]);
  });

  test("keeps max_open_files open, and what is opened again goes on behind what was written", async () => {
    const opened: string[] = [];
    const counting: OpenFile = (file, flags, mode) => {
      opened.push(file);
      return open(file, flags, mode);
    };
    const exporter = await startExporter({ ...grouped(), group_by: { ...group_by, max_open_files: 2 } }, counting);
    writeFileSync(join(folder, "before"), "");
    const names = ["a", "b", "c", "a", "b", "c", "c"];
    await Promise.all(
      names.map((name, index) =>
        send(exporter, logsOf([{ attributes: { "service.name": name }, bodies: [String(index)] }])),
      ),
    );
    expect(["a", "b", "c"].map((name) => linesOf(fileOf(name)).length)).toEqual([2, 2, 3]);
    expect(opened.length).toBe(6);
  });
});

describe("the configuration", () => {
  const problemsOf = (config: object): string[] =>
    (fileConfig.safeParse({ path: "x", ...config }).error?.issues ?? []).map(
      ({ path: at, message }) => `${at.join(".")}: ${message}`,
    );

  test("has the Collector's defaults", () => {
    expect(fileConfig.parse({ path: "x", rotation: null })).toMatchObject({
      format: "json",
      append: false,
      flush_interval: 1000,
      rotation: { max_megabytes: 100, max_days: 0, max_backups: 100, localtime: false },
      group_by: { enabled: false, resource_attribute: "fileexporter.path_segment", max_open_files: 100 },
    });
    expect(fileConfig.parse({ path: "x" }).rotation).toBeUndefined();
  });

  test.each<[object, string]>([
    [{ path: "" }, "path: path must be non-empty"],
    [{ append: true, rotation: {} }, "append: append and rotation enabled at the same time is not supported"],
    [{ format: "xml" }, "format: format type is not supported"],
    [{ compression: "gzip" }, "compression: compression is not supported"],
    [{ encoding: "otlp_encoding" }, "encoding: names an encoding extension, and none exists yet"],
    [
      { directory_permissions: "0700" },
      "directory_permissions: directory_permissions requires create_directory to be true",
    ],
    [
      { create_directory: true, directory_permissions: "rwx" },
      "directory_permissions: directory_permissions value must be a valid octal representation",
    ],
    [
      { create_directory: true, directory_permissions: "1777" },
      "directory_permissions: directory_permissions contain invalid bits for file access",
    ],
    [{ group_by: { enabled: true } }, "path: path must contain exactly one * when group_by is enabled"],
    [{ path: "*.json", group_by: { enabled: true } }, "path: path must not start with * when group_by is enabled"],
    [
      { path: "a*", group_by: { enabled: true, max_open_files: 0 } },
      "group_by.max_open_files: max_open_files must be positive when group_by is enabled",
    ],
  ])("refuses %j", (config, problem) => {
    expect(problemsOf(config)).toEqual([problem]);
  });
});

describe("the life cycle", () => {
  test("allows a shutdown before the start, and two of them, and nothing is written afterwards", async () => {
    const exporter = new FileExporter(testSettings("file"), fileConfig.parse({ path }));
    await exporter.shutdown();
    await exporter.shutdown();
    expect((await failureOf(send(exporter, logs("one")))).kind).toBe("refused");
    expect(existsSync(path)).toBe(false);
  });

  test("goes on behind what someone appended meanwhile", async () => {
    const exporter = await startExporter();
    await send(exporter, logs("one"));
    appendFileSync(path, "{}\n");
    await send(exporter, logs("two"));
    expect(linesOf()).toEqual([asJson(logs("one")), {}, asJson(logs("two"))]);
  });
});

/** A real file on a disk that has so much room, and so much else broken. */
class FailingDisk {
  writableBytes = Infinity;
  canTruncate = true;
  canSync = true;
  #onSync: (() => void) | undefined;
  #syncCount = 0;

  readonly open: OpenFile = async (file, flags, mode) => {
    const handle = await open(file, flags, mode);
    return new Proxy(handle, {
      get: (target, name) => {
        if (name === "write") return (bytes: Buffer, at: number) => this.#write(target, bytes, at);
        if (name === "truncate" && !this.canTruncate) return () => Promise.reject(failure("EIO"));
        if (name === "datasync") return () => this.#sync(target);
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? (value.bind(target) as unknown) : value;
      },
    });
  };

  async synced(): Promise<void> {
    if (this.#syncCount === 0) await new Promise<void>((resolve) => (this.#onSync = resolve));
    this.#syncCount = 0;
    await new Promise((resolve) => setImmediate(resolve));
  }

  async #sync(handle: Awaited<ReturnType<typeof open>>): Promise<void> {
    this.#syncCount += 1;
    setImmediate(() => this.#onSync?.());
    if (!this.canSync) throw failure("EIO");
    await handle.datasync();
  }

  async #write(handle: Awaited<ReturnType<typeof open>>, bytes: Buffer, at: number) {
    const length = Math.min(bytes.length - at, this.writableBytes);
    if (length === 0) throw failure("ENOSPC");
    this.writableBytes -= length;
    return handle.write(bytes, at, length);
  }
}

function failure(code: string): Error {
  return Object.assign(new Error(`${code}: injected`), { code });
}
