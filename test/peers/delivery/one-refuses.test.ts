import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { LetterSummary } from "../../../src/queue/dead-letter-desk.ts";
import { CountingBackend, httpDoor, numberedRequest } from "../../e2e/numbered-load.ts";
import type { Answer, Door } from "../../e2e/numbered-load.ts";
import { signalbox, startGateway, TestFolder } from "../../e2e/peers.ts";
import { eventually, freePort, TestProcess } from "../../support/processes.ts";
import { SLOW_TESTS } from "../../support/slow-tests.ts";
import { findCollector, PEER_HINT } from "../find.ts";

/**
 * Two destinations, one of which refuses everything for a while, with a queue of 1 MiB: what each of them has meanwhile
 * and afterwards, by the numbers of the records. The sender sends again what was not acknowledged, as SDKs do.
 */
const COLLECTOR = findCollector();

const OUTAGE_MS = SLOW_TESTS ? 60_000 : 8_000;
const RECORDS = 100;
/** 40 KB each, so that the queue holds about 26 of them. */
const RECORD_BYTES = 400;
const REQUESTS = 60;
const TOTAL = RECORDS * REQUESTS;

interface Stage extends AsyncDisposable {
  readonly folder: TestFolder;
  readonly healthy: CountingBackend;
  readonly refusing: CountingBackend;
}

async function openStage(): Promise<Stage> {
  const folder = await TestFolder.create();
  const healthy = await CountingBackend.listen();
  const refusing = await CountingBackend.listen();
  refusing.isRefusing = true;
  return {
    folder,
    healthy,
    refusing,
    [Symbol.asyncDispose]: async () => {
      await healthy.close();
      await refusing.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}

function pipelines({ healthy, refusing }: Stage, port: number, queue: string): string {
  const retry = "retry_on_failure: { initial_interval: 100ms, max_interval: 200ms, max_elapsed_time: 0s }";
  return `
receivers: { otlp: { protocols: { http: { endpoint: "127.0.0.1:${port}" } } } }
exporters:
  otlp_http/healthy: { endpoint: "${healthy.url}", compression: none, ${retry}, sending_queue: { sizer: bytes, queue_size: ${64 * 1024 * 1024} } }
  otlp_http/refusing: { endpoint: "${refusing.url}", compression: none, ${retry}, sending_queue: { sizer: bytes, queue_size: ${1024 * 1024}, ${queue} } }
service:
  telemetry: { metrics: { level: none } }
  pipelines: { logs: { receivers: [otlp], exporters: [otlp_http/healthy, otlp_http/refusing] } }`;
}

function gatewayConfig(stage: Stage, port: number, overflow: string): string {
  const queue = `storage: file_storage, overflow: ${overflow}, dead_letters: { max_size: 16MiB }`;
  const storage = `extensions: { file_storage: { directory: "${stage.folder.path}/queue", create_directory: true } }`;
  return `${storage}\n${pipelines(stage, port, queue)}\n  extensions: [file_storage]\n`;
}

/** Sends each request once, all at the same time. */
async function sendAll(door: Door, requests: readonly number[]): Promise<Map<number, Answer>> {
  const send = (first: number): Promise<Answer> => door.send(numberedRequest(first, RECORDS, RECORD_BYTES));
  const answers = await Promise.all(requests.map(async (first) => [first, await send(first)] as const));
  return new Map(answers);
}

function notAcknowledged(answers: ReadonlyMap<number, Answer>): number[] {
  return [...answers].filter(([, answer]) => answer !== "ok").map(([first]) => first);
}

const ALL = Array.from({ length: REQUESTS }, (_, index) => index * RECORDS);

/** Until every request is acknowledged; returns how often a request was refused. */
async function sendUntilTaken(door: Door, requests: readonly number[]): Promise<number> {
  let refusals = 0;
  for (let left = [...requests]; left.length > 0;) {
    left = notAcknowledged(await sendAll(door, left));
    refusals += left.length;
    if (left.length > 0) await sleep(200);
  }
  return refusals;
}

function say(who: string, { healthy, refusing }: Stage, more: string): void {
  process.stdout.write(
    `\n${who}: ${TOTAL} records; at the healthy one ${healthy.counts.size} and ${healthy.copies} copies, at the other ` +
      `${refusing.counts.size} and ${refusing.copies} copies; ${more}\n\n`,
  );
}

describe("two destinations, one of which refuses, with a queue of 1 MiB", () => {
  it(
    "with overflow: refuse gives neither what was refused, and both everything exactly once afterwards",
    async () => {
      await using stage = await openStage();
      const port = await freePort();
      const config = await stage.folder.write("refuse.yaml", gatewayConfig(stage, port, "refuse"));
      const { gateway } = await startGateway(config);
      const door = httpDoor(`http://127.0.0.1:${port}`, 20_000);
      const startedMs = performance.now();
      const refused = notAcknowledged(await sendAll(door, ALL));
      expect(refused.length).toBeGreaterThan(20);
      await eventually(
        async () => stage.healthy.counts.size === TOTAL - refused.length * RECORDS || undefined,
        "what was accepted",
      );
      for (const first of refused) expect(stage.healthy.counts.has(first)).toBe(false);
      expect(stage.refusing.counts.size).toBe(0);
      await sleep(Math.max(OUTAGE_MS - (performance.now() - startedMs), 0));
      expect(stage.healthy.counts.size).toBe(TOTAL - refused.length * RECORDS);
      stage.refusing.isRefusing = false;
      await sendUntilTaken(door, refused);
      const both = [stage.healthy, stage.refusing];
      await eventually(
        async () => both.every(({ counts }) => counts.size === TOTAL) || undefined,
        "both have all",
        30_000,
      );
      door.close();
      expect(await gateway.stop()).toBe(0);
      expect(both.map(({ copies }) => copies)).toEqual([0, 0]);
      say("signalbox, overflow: refuse", stage, `${refused.length} requests refused with a hint`);
    },
    OUTAGE_MS + 90_000,
  );

  it(
    "with overflow: dead_letter gives the healthy one everything within a second, and keeps the other's overflow",
    async () => {
      await using stage = await openStage();
      const port = await freePort();
      const config = await stage.folder.write("dead-letter.yaml", gatewayConfig(stage, port, "dead_letter"));
      const { gateway } = await startGateway(config);
      const door = httpDoor(`http://127.0.0.1:${port}`, 20_000);
      const startedMs = performance.now();
      expect(notAcknowledged(await sendAll(door, ALL))).toEqual([]);
      const sentMs = performance.now();
      await eventually(async () => stage.healthy.counts.size === TOTAL || undefined, "the healthy one has all", 10_000);
      const lateMs = performance.now() - sentMs;
      expect(lateMs).toBeLessThan(1_000);
      const letters = await deadLetters(stage.folder, "list", "--json");
      const kept = letters.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as LetterSummary]));
      const keptItems = kept.reduce((sum, { items }) => sum + items, 0);
      expect(new Set(kept.map(({ reason, destination }) => `${reason} ${destination}`))).toEqual(
        new Set(["overflow otlp_http/refusing"]),
      );
      // What is in the queue, and no more, is not a dead letter.
      expect((TOTAL - keptItems) * RECORD_BYTES).toBeLessThanOrEqual(1.1 * 1024 * 1024);
      expect(keptItems).toBeGreaterThan(20 * RECORDS);
      await sleep(Math.max(OUTAGE_MS - (performance.now() - startedMs), 0));
      expect(stage.refusing.counts.size).toBe(0);
      stage.refusing.isRefusing = false;
      await eventually(
        async () => stage.refusing.counts.size === TOTAL - keptItems || undefined,
        "the queue has drained",
        30_000,
      );
      expect(await deadLetters(stage.folder, "replay")).toContain(
        `${kept.length} dead letters with ${keptItems} items`,
      );
      await eventually(
        async () => stage.refusing.counts.size === TOTAL || undefined,
        "the dead letters have arrived",
        30_000,
      );
      door.close();
      expect(await gateway.stop()).toBe(0);
      expect([stage.healthy.copies, stage.refusing.copies]).toEqual([0, 0]);
      const late = `the healthy one had all ${Math.round(lateMs)} ms after the last answer`;
      say("signalbox, overflow: dead_letter", stage, `${keptItems} were dead letters, ${late}`);
    },
    OUTAGE_MS + 90_000,
  );

  it.skipIf(COLLECTOR === undefined)(
    `where the Collector gives the healthy one copies of what its sender has to send again (${PEER_HINT})`,
    async () => {
      await using stage = await openStage();
      const port = await freePort();
      const config = await stage.folder.write("collector.yaml", pipelines(stage, port, "block_on_overflow: false"));
      await using collector = new TestProcess(COLLECTOR!, ["--config", config]);
      await collector.until((_stdout, stderr) => stderr.includes("Everything is ready"));
      const door = httpDoor(`http://127.0.0.1:${port}`, 20_000);
      const back = sleep(OUTAGE_MS).then(() => (stage.refusing.isRefusing = false));
      const refusals = await sendUntilTaken(door, ALL);
      await back;
      const both = [stage.healthy, stage.refusing];
      await eventually(
        async () => both.every(({ counts }) => counts.size === TOTAL) || undefined,
        "both have all",
        60_000,
      );
      door.close();
      expect(stage.healthy.copies).toBeGreaterThan(0);
      say("the Collector", stage, `${refusals} refusals`);
    },
    OUTAGE_MS + 120_000,
  );
});

async function deadLetters(folder: TestFolder, ...args: string[]): Promise<string> {
  await using command = signalbox(["deadletters", ...args, "--storage", `${folder.path}/queue`]);
  expect(await command.exit(), command.stderr).toBe(0);
  return command.stdout;
}
