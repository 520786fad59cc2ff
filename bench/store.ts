/**
 * How fast the embedded store takes log records, and how fast it answers: `node bench/store.ts [records]`.
 * Made-up lines of twelve workers, 100 a request, through the store's threads as the gateway uses them. The figures in
 * src/store/README.md come from it.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../src/core/clock.ts";
import type { Logger } from "../src/core/logger.ts";
import { Store } from "../src/store/store.ts";
import { decodeJsonRequest } from "../src/wire/otlp/json-decode.ts";

const RECORDS_PER_REQUEST = 100;
const REQUESTS_IN_FLIGHT = 20;
const ASKS = 7;
const WORDS =
  "loading model checkpoint sampler step image node graph upload download queue claim worker gpu memory cache vae latent prompt seed".split(
    " ",
  );
const TYPES = ["comfyui", "simulation", "a1111"];

const QUESTIONS = [
  "",
  "job_id:job-77",
  "level:error machine_id:railway-1",
  "machine_id:railway-1 service_type:comfyui",
  '"model checkpoint" gpu',
  "memory",
  "absentword",
  "node_id:7",
  "nosuchkey:7",
  "deployment.environment.name:production level>=warn",
];

let state = 1;
function random(below: number): number {
  state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7f_ff_ff_ff;
  return (state >>> 8) % below;
}

function attributes(values: Readonly<Record<string, string>>): unknown[] {
  return Object.entries(values).map(([key, value]) => ({ key, value: { stringValue: value } }));
}

function logRecord(index: number, startMs: number): unknown {
  const words = Array.from({ length: 8 + random(8) }, () => WORDS[random(WORDS.length)]);
  const job = Math.floor(index / 50);
  return {
    timeUnixNano: `${startMs + index}000000`,
    severityNumber: random(50) === 0 ? 17 : 9,
    body: { stringValue: `${words.join(" ")} ${random(100_000)}` },
    attributes: attributes({ job_id: `job-${job}`, source: "stdout", node_id: String(random(30)) }),
    traceId: job.toString(16).padStart(32, "0"),
    spanId: job.toString(16).padStart(16, "0"),
  };
}

function request(first: number, startMs: number): Uint8Array {
  const worker = random(12);
  const resource = attributes({
    "machine.id": `railway-${worker % 4}`,
    "worker.id": `worker-00${worker % 3}`,
    "service.type": TYPES[worker % 3] ?? "",
    "service.name": "emp-worker",
    "deployment.environment.name": "production",
  });
  const logRecords = Array.from({ length: RECORDS_PER_REQUEST }, (_, index) => logRecord(first + index, startMs));
  const resourceLogs = [{ resource: { attributes: resource }, scopeLogs: [{ scope: { name: "bench" }, logRecords }] }];
  return decodeJsonRequest("logs", JSON.stringify({ resourceLogs })).bytes;
}

async function fill(store: Store, records: number): Promise<number> {
  const startMs = Date.now() - records;
  let ms = 0;
  for (let first = 0; first < records; first += RECORDS_PER_REQUEST * REQUESTS_IN_FLIGHT) {
    const starts = Array.from({ length: REQUESTS_IN_FLIGHT }, (_, index) => first + index * RECORDS_PER_REQUEST);
    const requests = starts.map((start) => request(start, startMs));
    const begin = performance.now();
    await Promise.all(
      requests.map((bytes) =>
        store.append("logs", { slices: [bytes], size: bytes.length, itemCount: RECORDS_PER_REQUEST }),
      ),
    );
    ms += performance.now() - begin;
  }
  return ms;
}

async function time(store: Store, path: string, q: string): Promise<string> {
  const search = q === "" ? "" : new URLSearchParams({ q }).toString();
  const times: number[] = [];
  let bytes = 0;
  for (let round = 0; round < ASKS; round++) {
    const begin = performance.now();
    bytes = (await store.ask(path, search)).body.length;
    times.push(performance.now() - begin);
  }
  const [first = 0] = times;
  const median = times.toSorted((left, right) => left - right)[Math.floor(ASKS / 2)] ?? 0;
  return `| \`${path} ${q}\` | ${median.toFixed(1)} | ${first.toFixed(1)} | ${Math.round(bytes / 1024)} |`;
}

const silent = (): void => undefined;
const logger: Logger = { debug: silent, info: silent, warn: silent, error: silent, with: () => logger };
const directory = mkdtempSync(join(tmpdir(), "signalbox-bench-"));
const records = Number(process.argv[2] ?? 1_000_000);
const store = await Store.open({ directory, bytesMax: 1024 ** 3, ageMsMax: 604_800_000, clock: systemClock, logger });
const cpu = process.cpuUsage();
const ms = await fill(store, records);
const { user, system } = process.cpuUsage(cpu);
console.log(`${records} records in ${(ms / 1000).toFixed(1)} s: ${Math.round(records / (ms / 1000))} a second`);
console.log(`${((user + system) / records).toFixed(1)} us of CPU a record, with making and encoding it`);
console.log("| question | median ms | first ms | answer KiB |\n| --- | --- | --- | --- |");
for (const q of QUESTIONS) console.log(await time(store, "/api/logs", q));
console.log(await time(store, "/api/jobs/job-77", ""));
console.log(await time(store, "/api/machines", ""));
await store.close();
rmSync(directory, { recursive: true });
