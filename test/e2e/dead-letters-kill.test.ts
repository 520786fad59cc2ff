import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { eventually, freePort } from "../support/processes.ts";
import { SLOW_TESTS } from "../support/slow-tests.ts";
import { CountingBackend, httpDoor, NumberedLoad } from "./numbered-load.ts";
import { signalbox, startGateway, TestFolder } from "./peers.ts";

const KILLS = SLOW_TESTS ? 10 : 2;
const RECORDS_PER_REQUEST = 20;

describe("dead letters of a gateway that is killed by SIGKILL", () => {
  it(
    `are all there after ${KILLS} kills under load, arrive once by a replay that is killed too, and the ledger balances`,
    async () => {
      await using folder = await TestFolder.create();
      await using healthy = await CountingBackend.listen();
      await using away = await CountingBackend.listen();
      away.isRefusing = true;
      const port = await freePort();
      const config = await folder.write("gateway.yaml", configOf(folder.path, port, healthy, away));
      const door = httpDoor(`http://127.0.0.1:${port}`, 10_000);
      let { gateway } = await startGateway(config);
      const load = new NumberedLoad({ doors: [door], lanes: 4, recordsPerRequest: RECORDS_PER_REQUEST, pauseMs: 5 });
      for (let kill = 0; kill < KILLS; kill += 1) {
        await sleep(700);
        await gateway.stop("SIGKILL");
        ({ gateway } = await startGateway(config));
      }
      await load.stop();
      door.close();
      const letters = (await run("deadletters", "list", "--json", "--storage", `${folder.path}/queue`))
        .trim()
        .split("\n");
      expect(letters.length).toBeGreaterThan(50);
      away.isRefusing = false;
      // The replay is cut in the middle: what is queued again is so in the log, and the rest is still a dead letter.
      const cut = signalbox(["deadletters", "replay", "--storage", `${folder.path}/queue`]);
      await eventually(async () => (away.counts.size > 0 ? true : undefined), "the first have arrived");
      await gateway.stop("SIGKILL");
      await cut.exit();
      ({ gateway } = await startGateway(config));
      await run("deadletters", "replay", "--storage", `${folder.path}/queue`);
      await eventually(async () => (load.missingAt(away) === 0 ? true : undefined), "all have arrived", 30_000);
      expect(await gateway.stop()).toBe(0);
      expect([...load.unexpected]).toEqual([]);
      expect(load.missingAt(healthy)).toBe(0);
      // What was under way at the kill comes once more, and nothing else.
      expect(away.unexplainedCopies).toEqual([]);
      expect(await run("ledger", "--storage", `${folder.path}/queue`)).toContain("every equation holds");
      process.stdout.write(
        `\n${letters.length} dead letters over ${KILLS} kills and one of the replay: ${load.acknowledgedItems} records, copies ${away.copies}\n\n`,
      );
    },
    KILLS * 10_000 + 90_000,
  );
});

async function run(...args: string[]): Promise<string> {
  await using command = signalbox(args);
  expect(await command.exit(), command.stderr + command.stdout).toBe(0);
  return command.stdout;
}

function configOf(folder: string, port: number, healthy: CountingBackend, away: CountingBackend): string {
  const retry = "retry_on_failure: { initial_interval: 100ms, max_interval: 200ms, max_elapsed_time: 0s }";
  return `
extensions: { file_storage: { directory: "${folder}/queue", create_directory: true } }
receivers: { otlp: { protocols: { http: { endpoint: "127.0.0.1:${port}" } } } }
exporters:
  otlp_http/healthy: { endpoint: "${healthy.url}", compression: none, ${retry}, sending_queue: { storage: file_storage } }
  otlp_http/away: { endpoint: "${away.url}", compression: none, ${retry}, sending_queue: { storage: file_storage, queue_size: 20, overflow: dead_letter } }
service:
  extensions: [file_storage]
  telemetry: { metrics: { level: none } }
  pipelines: { logs: { receivers: [otlp], exporters: [otlp_http/healthy, otlp_http/away] } }
`;
}
