/** Reloads of the real process, under load: nobody's request fails because of one, and every record arrives once. */
import { mkdir, rename, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { eventually, freePort, type TestProcess } from "../support/processes.ts";
import { CountingBackend, grpcDoor, httpDoor, NumberedLoad, readMetrics, watched } from "./numbered-load.ts";
import { startGateway, TestFolder } from "./peers.ts";

const RECORDS_PER_REQUEST = 10;

interface Ports {
  readonly grpc: number;
  readonly http: number;
  readonly health: number;
  readonly metrics: number;
}

interface Options {
  readonly receiver?: string;
  readonly grpc?: string;
  readonly processors?: string;
  readonly exporter?: string;
  readonly queue?: string;
  readonly backend?: CountingBackend;
  readonly extra?: string;
}

class ReloadStage {
  readonly folder: TestFolder;
  readonly ports: Ports;
  readonly first: CountingBackend;
  readonly second: CountingBackend;
  #steps = 0;

  constructor(folder: TestFolder, ports: Ports, first: CountingBackend, second: CountingBackend) {
    this.folder = folder;
    this.ports = ports;
    this.first = first;
    this.second = second;
  }

  get path(): string {
    return join(this.folder.path, "gateway.yaml");
  }

  /** As an editor saves it: another file takes the name. */
  async save(options: Options): Promise<void> {
    const draft = await this.folder.write(`draft-${this.#steps++}`, this.text(options));
    await rename(draft, this.path);
  }

  async saveProcessor(version: number): Promise<void> {
    const folder = join(this.folder.path, "processors", "stamp");
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "version.ts"), `export const VERSION: number = ${version};\n`);
    await writeFile(
      join(folder, "processor.ts"),
      `import { defineProcessor } from "signalbox/sdk";
import { VERSION } from "./version.ts";
export const stamp = defineProcessor({
  type: "stamp",
  async logs(records) {
    for (const record of records) record.attributes.set("stamp", VERSION);
    await Promise.resolve();
  },
});
`,
    );
  }

  text({
    receiver = "",
    grpc = "",
    processors = "stamp",
    exporter = "",
    queue = "",
    backend,
    extra = "",
  }: Options): string {
    const { ports } = this;
    return `
extensions:
  file_storage: { directory: "${this.folder.path}/queue", create_directory: true }
  health_check: { endpoint: "127.0.0.1:${ports.health}" }
receivers:
  otlp:
    protocols:
      grpc: { endpoint: "127.0.0.1:${ports.grpc}"${receiver}${grpc} }
      http: { endpoint: "127.0.0.1:${ports.http}"${receiver} }
processors: { stamp: }
exporters:
  otlp_http:
    endpoint: "${(backend ?? this.first).url}"
    compression: none${exporter}
    retry_on_failure: { initial_interval: 100ms, max_elapsed_time: 0s }
    sending_queue: { storage: file_storage, queue_size: 1000${queue} }
${extra}
service:
  extensions: [file_storage, health_check]
  telemetry: { metrics: { address: "127.0.0.1:${ports.metrics}" } }
  pipelines: { logs: { receivers: [otlp], processors: [${processors}], exporters: [otlp_http] } }
signalbox: { processors: [processors] }
`;
  }
}

const RELOAD_ENDS = /reload: \d+ changes? (?:is|are) in force|reload: nothing has changed|reload refused: the running/;

/** Waits for the end of the next reload, and gives what was logged of it. */
async function reloaded(gateway: TestProcess, change: () => Promise<void>): Promise<string> {
  const before = gateway.stderr.length;
  const late = sleep(15_000, undefined, { ref: false }).then(() => {
    throw new Error(`no reload within 15 s; the log goes on from the change with\n${gateway.stderr.slice(before)}`);
  });
  await change();
  const end = gateway.until((_stdout, stderr) => {
    const said = stderr.slice(before);
    return RELOAD_ENDS.test(said) && said.endsWith("\n") ? said : undefined;
  });
  return Promise.race([end, late]);
}

async function withStage(run: (stage: ReloadStage) => Promise<void>): Promise<void> {
  await using folder = await TestFolder.create();
  await using first = await CountingBackend.listen();
  await using second = await CountingBackend.listen();
  const ports = { grpc: await freePort(), http: await freePort(), health: await freePort(), metrics: await freePort() };
  const stage = new ReloadStage(folder, ports, first, second);
  await stage.saveProcessor(1);
  await stage.save({});
  await run(stage);
}

describe("reload", () => {
  test(
    "no request fails while everything is changed under load, and every record arrives once",
    () =>
      withStage(async (stage) => {
        const { ports, first, second } = stage;
        const { gateway } = await startGateway(stage.path);
        await using running = gateway;
        const failures: string[] = [];
        const doors = [grpcDoor(`127.0.0.1:${ports.grpc}`, 10_000), httpDoor(`http://127.0.0.1:${ports.http}`, 10_000)];
        const load = new NumberedLoad({
          doors: doors.map((door) => watched(door, failures)),
          lanes: 4,
          recordsPerRequest: RECORDS_PER_REQUEST,
          pauseMs: 5,
        });
        const health = new HealthWatch(ports.health);
        const blocker = createServer().listen(0, "127.0.0.1");
        await once(blocker, "listening");
        const { port: taken } = blocker.address() as { port: number };
        const step = async (change: () => Promise<void>): Promise<string> => {
          await sleep(150);
          return reloaded(running, change);
        };

        expect(await step(() => stage.saveProcessor(2))).toContain("reload: processors.stamp changed");
        expect(await step(() => stage.save({ exporter: "\n    timeout: 7s" }))).toContain(
          "exporters.otlp_http changed",
        );
        expect(await step(() => stage.save({ queue: ", num_consumers: 3" }))).toContain("exporters.otlp_http changed");
        const withMetadata = { receiver: ", include_metadata: true" };
        expect(await step(() => stage.save(withMetadata))).toContain("receivers.otlp changed");
        const bad = await step(() => stage.save({ receiver: ", include_metadat: true" }));
        expect(bad).toContain("reload refused: the running configuration stays in force");
        expect(bad).toContain('did you mean "include_metadata"?');
        const busy = `  otlp/busy: { protocols: { grpc: { endpoint: "127.0.0.1:${taken}" } } }`;
        const withBusy = stage
          .text(withMetadata)
          .replace("processors: { stamp: }", `${busy}\nprocessors: { stamp: }`)
          .replace("receivers: [otlp]", "receivers: [otlp, otlp/busy]");
        expect(await step(() => writeFile(stage.path, withBusy))).toContain(`127.0.0.1:${taken} is in use`);
        expect(await step(() => stage.save({ ...withMetadata, backend: second }))).toContain(
          "exporters.otlp_http changed",
        );
        expect(await step(() => stage.saveProcessor(3))).toContain("processors.stamp changed");
        expect(await step(() => stage.save({ grpc: ", engine: grpc_js", backend: second }))).toContain(
          "receivers.otlp changed",
        );
        expect(await step(() => stage.save({ backend: second }))).toContain("receivers.otlp changed");
        expect(await step(() => stage.save({ processors: "", backend: second }))).toContain("pipelines.logs changed");
        process.kill(running.pid, "SIGHUP");
        await running.until((_stdout, stderr) => stderr.includes("reload: nothing has changed"));
        await sleep(300);
        await load.stop();

        const accepted = `otelcol_receiver_accepted_log_records{receiver="otlp",transport="`;
        const metrics = await readMetrics(`http://127.0.0.1:${ports.metrics}/metrics`);
        const acceptedItems = [...metrics]
          .filter(([name]) => name.startsWith(accepted))
          .reduce((sum, [, n]) => sum + n, 0);
        const reloads = (outcome: string): number => metrics.get(`signalbox_reloads{outcome="${outcome}"}`) ?? -1;
        blocker.close();
        for (const door of doors) door.close();
        await health.stop();
        expect(await running.stop()).toBe(0);

        const union = new Map(first.counts);
        for (const [number, n] of second.counts) union.set(number, (union.get(number) ?? 0) + n);
        const copies = [...union.values()].filter((n) => n > 1).length;
        process.stdout.write(
          `\nreload: ${load.acknowledgedItems} records over 12 reloads, ${copies} twice, ` +
            `${failures.length} failures, ${health.count} health checks\n\n`,
        );
        expect(failures).toEqual([]);
        expect(copies).toBe(0);
        expect(union.size).toBe(load.acknowledgedItems);
        expect(acceptedItems).toBe(load.acknowledgedItems);
        expect(first.counts.size).toBeGreaterThan(0);
        expect(second.counts.size).toBeGreaterThan(0);
        expect([...health.statuses]).toEqual([200]);
        expect(reloads("applied")).toBe(9);
        expect(reloads("refused")).toBe(2);
        expect(reloads("unchanged")).toBe(1);
        expect(
          running.stderr.split("\n").filter((line) => line.includes("  error  ") && !/reload(?: refused)?:/.test(line)),
        ).toEqual([]);
      }),
    120_000,
  );

  test(
    "a mounted configuration whose folder link is swapped, as Kubernetes does it, is read again",
    () =>
      withStage(async (stage) => {
        const root = join(stage.folder.path, "mount");
        const write = async (name: string, queue: string): Promise<void> => {
          await mkdir(join(root, name), { recursive: true });
          const text = stage.text({ queue, processors: "" }).replace("processors: { stamp: }", "");
          await writeFile(
            join(root, name, "gateway.yaml"),
            text.replace("signalbox: { processors: [processors] }", ""),
          );
          await symlink(name, join(root, "..next"));
          await rename(join(root, "..next"), join(root, "..data"));
        };
        await write("..1", "");
        await symlink("..data/gateway.yaml", join(root, "gateway.yaml"));
        const { gateway } = await startGateway(join(root, "gateway.yaml"));
        await using running = gateway;
        expect(await reloaded(running, () => write("..2", ", num_consumers: 2"))).toContain(
          "exporters.otlp_http changed",
        );
        expect(await reloaded(running, () => write("..3", ", num_consumers: 3"))).toContain(
          "exporters.otlp_http changed",
        );
        expect(await running.stop()).toBe(0);
      }),
    60_000,
  );

  test(
    "what is queued for a destination that is taken away is sent when it is back",
    () =>
      withStage(async (stage) => {
        const { first, second, ports } = stage;
        first.isRefusing = true;
        const { gateway } = await startGateway(stage.path);
        await using running = gateway;
        const door = httpDoor(`http://127.0.0.1:${ports.http}`, 10_000);
        const load = new NumberedLoad({ doors: [door], lanes: 1, recordsPerRequest: 10, pauseMs: 5 });
        await sleep(300);
        await load.stop();
        const other = stage.text({ backend: second }).replaceAll("otlp_http", "otlp_http/other");
        const removed = await reloaded(running, () => writeFile(stage.path, other));
        expect(removed).toMatch(
          new RegExp(
            `destination otlp_http was removed: ${load.acknowledgedItems} log records stay parked in the queue's storage`,
          ),
        );
        first.isRefusing = false;
        const back = await reloaded(running, () => stage.save({}));
        expect(back).toContain(`${load.acknowledgedItems} log records that were parked are sent now`);
        await eventually(async () => first.counts.size === load.acknowledgedItems || undefined, "all have arrived");
        expect(first.copies).toBe(0);
        door.close();
        expect(await running.stop()).toBe(0);
      }),
    60_000,
  );

  test(
    "of the storage takes what it can take, and refuses the rest with key and line: restart needed",
    () =>
      withStage(async (stage) => {
        const { gateway } = await startGateway(stage.path);
        await using running = gateway;
        const keys = "create_directory: true, timeout: 3s, compaction: { on_start: true }";
        const late = stage.text({}).replace("create_directory: true", keys);
        const taken = await reloaded(running, () => writeFile(stage.path, late));
        expect(taken).toContain("extensions.file_storage changed");
        expect(taken).toMatch(
          /gateway\.yaml:3:\d+ {2}extensions\.file_storage\.timeout \| is read when the gateway starts/,
        );
        expect(taken).not.toMatch(/compaction \| is read/);
        for (const [changed, key] of [
          [late.replace("/queue", "/other-queue"), "directory"],
          [late.replace("timeout: 3s", "timeout: 3s, max_size: 1GiB"), "max_size"],
        ] as const) {
          const said = await reloaded(running, () => writeFile(stage.path, changed));
          expect(said).toMatch(
            new RegExp(`gateway\\.yaml:3:\\d+ {2}extensions\\.file_storage\\.${key} \\| restart needed`),
          );
          expect(said).toContain("reload refused");
        }
        expect(await running.stop()).toBe(0);
      }),
    60_000,
  );
});

/** Asks for the health all the time, each time on a connection of its own. */
class HealthWatch {
  readonly statuses = new Set<number>();
  count = 0;
  readonly #done: Promise<void>;
  #isStopped = false;

  constructor(port: number) {
    this.#done = this.#run(`http://127.0.0.1:${port}/`);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#done;
  }

  async #run(url: string): Promise<void> {
    while (!this.#isStopped) {
      // The last question may come when the gateway is gone.
      const response = await fetch(url, { headers: { connection: "close" } }).catch(() => undefined);
      await response?.text();
      if (response !== undefined && !this.#isStopped) this.statuses.add(response.status);
      this.count += 1;
      await sleep(20);
    }
  }
}
