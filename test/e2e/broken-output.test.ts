/** What becomes of the real process when nobody reads its output any more: nothing that a sender could see. */
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { TestProcess } from "../support/processes.ts";
import { CountingBackend, type Door, httpDoor, numberedRequest } from "./numbered-load.ts";
import { repository, TestFolder } from "./peers.ts";

/** A pipe with a reader of its own, which the test kills or stops. */
interface Pipe {
  readonly fd: number;
  readonly reader: TestProcess;
}

async function openPipe(folder: TestFolder): Promise<Pipe> {
  const path = join(folder.path, "pipe");
  await using maker = new TestProcess("mkfifo", [path]);
  expect(await maker.exit()).toBe(0);
  const reader = new TestProcess("cat", [path]);
  onTestFinished(() => reader[Symbol.asyncDispose]());
  return { fd: await openForWriting(path), reader };
}

async function openForWriting(path: string): Promise<number> {
  const file: FileHandle = await open(path, "w");
  onTestFinished(() => file.close());
  return file.fd;
}

function start(args: readonly string[], outputs: { stdout?: number; stderr?: number }): TestProcess {
  const main = join(repository, "src/main.ts");
  const settings = { cwd: repository, ...outputs };
  const started = new TestProcess(process.execPath, ["--conditions=signalbox-source", main, ...args], settings);
  onTestFinished(() => started[Symbol.asyncDispose]());
  return started;
}

async function createFolder(): Promise<TestFolder> {
  const folder = await TestFolder.create();
  onTestFinished(() => folder[Symbol.asyncDispose]());
  return folder;
}

async function startBackend(): Promise<CountingBackend> {
  const backend = await CountingBackend.listen();
  onTestFinished(() => backend[Symbol.asyncDispose]());
  return backend;
}

async function writeConfig(folder: TestFolder, backend: CountingBackend, debug = ""): Promise<string> {
  const exporters = debug === "" ? "otlp_http" : "otlp_http, debug";
  return folder.write(
    "gateway.yaml",
    `receivers: { otlp: { protocols: { http: { endpoint: "127.0.0.1:0" } } } }
exporters:
  otlp_http: { endpoint: "${backend.url}", compression: none, retry_on_failure: { initial_interval: 100ms, max_interval: 200ms } }
  ${debug === "" ? "" : `debug: { verbosity: ${debug} }`}
service:
  telemetry: { metrics: { level: none } }
  pipelines: { logs: { receivers: [otlp], exporters: [${exporters}] } }
signalbox: { watch: false, shutdown_timeout: 3s }
`,
  );
}

/** Once the banner has come to whoever reads stdout. */
async function doorOf(banner: TestProcess): Promise<Door> {
  const address = await banner.until((stdout) => /OTLP\/HTTP +(\S+)[\s\S]*\n\n?$/.exec(stdout)?.[1]);
  const door = httpDoor(address.includes("://") ? address : `http://${address}`, 5000);
  onTestFinished(() => door.close());
  return door;
}

async function sendRecords(door: Door, first: number, end: number, count = 10): Promise<void> {
  for (let number = first; number < end; number += count) {
    expect(await door.send(numberedRequest(number, count))).toBe("ok");
  }
}

test("a gateway whose reader of both streams is killed goes on, drains at SIGTERM and exits with 0", async () => {
  const [folder, backend] = [await createFolder(), await startBackend()];
  const { fd, reader } = await openPipe(folder);
  const gateway = start(["run", "--config", await writeConfig(folder, backend)], { stdout: fd, stderr: fd });
  const door = await doorOf(reader);
  await reader.stop("SIGKILL");
  backend.isRefusing = true;
  // What it has to say of the backend after the first, and of its stop, meets nobody.
  await sendRecords(door, 0, 300);
  const exit = gateway.stop("SIGTERM");
  backend.isRefusing = false;
  expect(await exit).toBe(0);
  expect([backend.counts.size, backend.copies]).toEqual([300, 0]);
}, 20_000);

test("a debug exporter whose reader is killed shows nothing more, says so once, and costs no record", async () => {
  const [folder, backend] = [await createFolder(), await startBackend()];
  const { fd, reader } = await openPipe(folder);
  const gateway = start(["run", "--config", await writeConfig(folder, backend, "basic")], { stdout: fd });
  const door = await doorOf(reader);
  backend.isRefusing = true;
  await sendRecords(door, 0, 30);
  await reader.stop("SIGKILL");
  await sendRecords(door, 30, 60);
  await gateway.until((_stdout, stderr) => stderr.includes("stdout cannot be written to (write EPIPE)"));
  await sendRecords(door, 60, 90);
  backend.isRefusing = false;
  expect(await gateway.stop("SIGTERM")).toBe(0);
  expect([backend.counts.size, backend.copies]).toEqual([90, 0]);
  expect(gateway.stderr.split("stdout cannot be written to")).toHaveLength(2);
  expect(gateway.stderr).toContain("exporters.otlp_http logs: admitted 90, sent 90");
}, 20_000);

test("a gateway whose output nobody takes ends soon after its drain, and exits with 0", async () => {
  const [folder, backend] = [await createFolder(), await startBackend()];
  const { fd, reader } = await openPipe(folder);
  const config = await writeConfig(folder, backend, "detailed");
  const gateway = start(["run", "--config", config], { stdout: fd, stderr: fd });
  const door = await doorOf(reader);
  process.kill(reader.pid, "SIGSTOP");
  await sendRecords(door, 0, 1600, 20);
  const startedMs = performance.now();
  expect(await gateway.stop("SIGTERM")).toBe(0);
  expect(performance.now() - startedMs).toBeLessThan(5000);
  expect([backend.counts.size, backend.copies]).toEqual([1600, 0]);
}, 30_000);

test("a reader that comes back after the stop gets all that was written", async () => {
  const [folder, backend] = [await createFolder(), await startBackend()];
  const { fd, reader } = await openPipe(folder);
  const config = await writeConfig(folder, backend, "detailed");
  const gateway = start(["run", "--config", config], { stdout: fd, stderr: fd });
  const door = await doorOf(reader);
  process.kill(reader.pid, "SIGSTOP");
  await sendRecords(door, 0, 1600, 20);
  const exit = gateway.stop("SIGTERM");
  process.kill(reader.pid, "SIGCONT");
  expect(await exit).toBe(0);
  await reader.until((stdout) => stdout.includes("exporters.otlp_http logs: admitted 1600, sent 1600"));
  expect(new Set(reader.stdout.match(/#\d{9}#/g)).size).toBe(1600);
}, 30_000);

test("a full disk under the log is told of on the other stream, and costs nothing else", async () => {
  const [folder, backend] = [await createFolder(), await startBackend()];
  const full = await openForWriting("/dev/full");
  const gateway = start(["run", "--config", await writeConfig(folder, backend)], { stderr: full });
  const door = await doorOf(gateway);
  backend.isRefusing = true;
  await sendRecords(door, 0, 30);
  await gateway.until((stdout) => /stderr cannot be written to .*ENOSPC/.test(stdout));
  backend.isRefusing = false;
  expect(await gateway.stop("SIGTERM")).toBe(0);
  expect(backend.counts.size).toBe(30);
}, 20_000);

test("a command whose reader has gone ends quietly; without one for its errors it still has its exit code", async () => {
  const { fd, reader } = await openPipe(await createFolder());
  await reader.stop("SIGKILL");
  const help = start(["help"], { stdout: fd });
  expect([await help.exit(), help.stderr]).toEqual([0, ""]);
  expect(await start(["nonsense"], { stderr: fd }).exit()).toBe(2);
}, 20_000);
