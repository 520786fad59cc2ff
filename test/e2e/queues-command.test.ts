/** Parked queues of the real process: looked at, moved to another destination, dropped; with a gateway that runs and without. */
import { rename } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { askAdmin } from "../../src/cli/admin-client.ts";
import { QUEUE_PATHS } from "../../src/service/queue-routes.ts";
import { eventually, freePort, type TestProcess } from "../support/processes.ts";
import { CountingBackend, httpDoor, numberedRequest } from "./numbered-load.ts";
import { signalbox, startGateway, TestFolder } from "./peers.ts";

const RECORDS_PER_REQUEST = 10;

interface Shown {
  readonly destination: string;
  readonly state: string;
  readonly queued: number;
  readonly in_flight: number;
}

class QueueStage {
  readonly folder: TestFolder;
  readonly port: number;
  readonly away: CountingBackend;
  readonly heir: CountingBackend;

  constructor(folder: TestFolder, port: number, away: CountingBackend, heir: CountingBackend) {
    this.folder = folder;
    this.port = port;
    this.away = away;
    this.heir = heir;
  }

  get config(): string {
    return join(this.folder.path, "gateway.yaml");
  }

  async save(exporter: "old" | "new"): Promise<void> {
    const { url } = exporter === "old" ? this.away : this.heir;
    const text = `
extensions: { file_storage: { directory: "${this.folder.path}/queue", create_directory: true } }
receivers: { otlp: { protocols: { http: { endpoint: "127.0.0.1:${this.port}" } } } }
exporters:
  otlp_http/${exporter}:
    endpoint: "${url}"
    compression: none
    retry_on_failure: { initial_interval: 100ms, max_interval: 200ms, max_elapsed_time: 0s }
    sending_queue: { storage: file_storage, queue_size: 100000, num_consumers: 1 }
service:
  extensions: [file_storage]
  telemetry: { metrics: { level: none } }
  pipelines: { logs: { receivers: [otlp], exporters: [otlp_http/${exporter}] } }
`;
    await rename(await this.folder.write("draft", text), this.config);
  }

  /** Requests that the old destination does not get, and that are parked when the gateway runs with the new one. */
  async park(requests: number): Promise<TestProcess> {
    this.away.isRefusing = true;
    await this.save("old");
    const { gateway } = await startGateway(this.config);
    const door = httpDoor(`http://127.0.0.1:${this.port}`, 10_000);
    const sends = Array.from({ length: requests }, (_, index) =>
      door.send(numberedRequest(index * RECORDS_PER_REQUEST, RECORDS_PER_REQUEST)),
    );
    const answers = await Promise.all(sends);
    if (answers.some((answer) => answer !== "ok")) throw new Error(`not all were accepted: ${answers.join(", ")}`);
    door.close();
    await this.save("new");
    const items = requests * RECORDS_PER_REQUEST;
    await gateway.until((_stdout, stderr) =>
      stderr.includes(`otlp_http/old was removed: ${items} log records stay parked`),
    );
    return gateway;
  }

  async queues(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
    await using command = signalbox(["queues", ...args]);
    const code = await command.exit();
    return { code, stdout: command.stdout, stderr: command.stderr };
  }

  async list(...args: string[]): Promise<Shown[]> {
    const { stdout } = await this.queues("list", "--json", ...args);
    return JSON.parse(stdout) as Shown[];
  }

  async ledger(): Promise<string> {
    await using command = signalbox(["ledger", "--storage", `${this.folder.path}/queue`]);
    if ((await command.exit()) !== 0) throw new Error(command.stdout + command.stderr);
    return command.stdout;
  }
}

async function withStage(run: (stage: QueueStage) => Promise<void>): Promise<void> {
  await using folder = await TestFolder.create();
  await using away = await CountingBackend.listen();
  await using heir = await CountingBackend.listen();
  await run(new QueueStage(folder, await freePort(), away, heir));
}

describe("signalbox queues", () => {
  it(
    "shows what is parked, refuses what is not, and moves it: the other destination gets each record once",
    () =>
      withStage(async (stage) => {
        await using gateway = await stage.park(30);
        const storage = ["--storage", `${stage.folder.path}/queue`];
        const table = await stage.queues("list", ...storage);
        expect(table.stdout).toMatch(/otlp_http\/old +logs +parked +300 +0 +\d{4}-/);
        expect(table.stdout).toMatch(/otlp_http\/new +logs +in use +0 +0 +0 of 100000 requests\n/);
        const refused = await stage.queues("drop", "otlp_http/new", ...storage);
        expect([refused.code, refused.stderr]).toEqual([
          1,
          expect.stringContaining("is configured, so its queue is not"),
        ]);
        const typo = await stage.queues("move", "--from", "otlp_http/ol", "--to", "otlp_http/new", ...storage);
        expect(typo.stderr).toContain("nothing is parked for otlp_http/ol\n  did you mean otlp_http/old?");
        const moved = await stage.queues(
          "move",
          "--from",
          "otlp_http/old",
          "--to",
          "otlp_http/new",
          "--config",
          stage.config,
        );
        expect(moved.stdout).toBe("300 items that were parked for otlp_http/old are in the queue of otlp_http/new\n");
        await eventually(async () => stage.heir.counts.size === 300 || undefined, "all have arrived");
        expect(stage.heir.copies).toBe(0);
        expect((await stage.list(...storage)).map(({ destination }) => destination)).toEqual(["otlp_http/new"]);
        expect(await gateway.stop()).toBe(0);
        expect(await stage.ledger()).toMatch(/evicted\{moved\}/);
      }),
    60_000,
  );

  it(
    "loses nothing of a move that SIGKILL cuts, and the next move takes the rest",
    () =>
      withStage(async (stage) => {
        stage.heir.isRefusing = true;
        const gateway = await stage.park(1500);
        const all = 1500 * RECORDS_PER_REQUEST;
        const moved = { from: "otlp_http/old", to: "otlp_http/new" };
        const parked = (shown: readonly Shown[], name: string): number =>
          shown.filter((one) => one.destination === name).reduce((sum, one) => sum + one.queued + one.in_flight, 0);
        // Asked without a process between, or the move would be over before the first look at it.
        const folder = `${stage.folder.path}/queue`;
        const cut = askAdmin(folder, { method: "POST", path: QUEUE_PATHS.move, body: moved }).catch(() => undefined);
        for (let inNew = 0; inNew === 0;) {
          for await (const shown of (await askAdmin(folder, { method: "POST", path: QUEUE_PATHS.list, body: {} }))!) {
            inNew = parked(shown as Shown[], "otlp_http/new");
          }
        }
        await gateway.stop("SIGKILL");
        await cut;
        const stored = await stage.list("--config", stage.config);
        expect(parked(stored, "otlp_http/old") + parked(stored, "otlp_http/new")).toBe(all);
        process.stdout.write(
          `\nmove cut by SIGKILL: ${parked(stored, "otlp_http/old")} of ${all} were still parked\n\n`,
        );
        stage.heir.isRefusing = false;
        const { gateway: next } = await startGateway(stage.config);
        await using running = next;
        await stage.queues("move", "--from", moved.from, "--to", moved.to, "--config", stage.config);
        await eventually(async () => stage.heir.counts.size === all || undefined, "all have arrived", 30_000);
        expect(stage.heir.copies).toBe(0);
        expect(await running.stop()).toBe(0);
        expect(await stage.ledger()).toContain("every equation holds");
      }),
    90_000,
  );

  it(
    "moves and drops with the gateway stopped, where the configuration says what is parked",
    () =>
      withStage(async (stage) => {
        const gateway = await stage.park(4);
        expect(await gateway.stop()).toBe(0);
        const blind = await stage.queues("drop", "otlp_http/old", "--storage", `${stage.folder.path}/queue`);
        expect([blind.code, blind.stderr]).toEqual([
          1,
          expect.stringContaining("nobody knows which queues are parked"),
        ]);
        const wrong = await stage.queues(
          "move",
          "--from",
          "otlp_http/old",
          "--to",
          "otlp_http/x",
          "--config",
          stage.config,
        );
        expect([wrong.code, wrong.stderr]).toEqual([
          1,
          expect.stringContaining("otlp_http/x is not configured for logs"),
        ]);
        await stage.queues("move", "--from", "otlp_http/old", "--to", "otlp_http/new", "--config", stage.config);
        expect(await stage.list("--config", stage.config)).toMatchObject([
          { destination: "otlp_http/new", state: "stored", queued: 40 },
        ]);
        const { gateway: next } = await startGateway(stage.config);
        await using running = next;
        await eventually(async () => stage.heir.counts.size === 40 || undefined, "all have arrived");
        expect(await running.stop()).toBe(0);
        expect(stage.heir.copies).toBe(0);
        expect(await stage.ledger()).toContain("every equation holds");
      }),
    60_000,
  );

  it(
    "makes dead letters of what is parked, which an export has",
    () =>
      withStage(async (stage) => {
        await using gateway = await stage.park(3);
        const storage = ["--storage", `${stage.folder.path}/queue`];
        const buried = await stage.queues("dead-letter", "otlp_http/old", ...storage);
        expect(buried.stdout).toBe("30 items that were parked for otlp_http/old are dead letters\n");
        await using exported = signalbox(["deadletters", "export", ...storage]);
        expect(await exported.exit()).toBe(0);
        const letters = exported.stdout.trimEnd().split("\n");
        expect(letters.map((line) => (JSON.parse(line) as { signalbox: object }).signalbox)).toMatchObject(
          Array.from({ length: 3 }, () => ({ destination: "otlp_http/old", reason: "parked", items: 10 })),
        );
        expect(await stage.ledger()).toContain("every equation holds");
        expect(await gateway.stop()).toBe(0);
      }),
    60_000,
  );

  it(
    "drops what is parked of a running gateway, counted",
    () =>
      withStage(async (stage) => {
        await using gateway = await stage.park(3);
        const storage = ["--storage", `${stage.folder.path}/queue`];
        const dropped = await stage.queues("drop", "otlp_http/old", "--json", ...storage);
        expect(JSON.parse(dropped.stdout)).toEqual({ items: 30, stay: [] });
        expect(await stage.ledger()).toContain("dropped{by_command}");
        expect(await gateway.stop()).toBe(0);
      }),
    60_000,
  );
});
