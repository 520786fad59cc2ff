/**
 * What the processors `resource` and `attributes` cost, by hand: `node --conditions=signalbox-source bench/rules.ts [records per request] [rounds]`.
 *
 * Prints CPU microseconds per 1,000 log records (median of the rounds, all cases alternating within a round) of scan, edit
 * and encode, and in brackets what is added to a scan and encode without edits.
 */
import protobuf from "protobufjs";
import { readFileSync } from "node:fs";
import type { Admission } from "../src/core/admission.ts";
import { createBatch, type BatchContext } from "../src/core/batch.ts";
import { ClientMetadata } from "../src/core/client-metadata.ts";
import { systemClock } from "../src/core/clock.ts";
import type { Processor, ProcessorFactory, Settings } from "../src/core/component.ts";
import type { Consumer } from "../src/core/consumer.ts";
import type { Logger } from "../src/core/logger.ts";
import { attributesProcessorFactory } from "../src/processors/attributes/factory.ts";
import { resourceProcessorFactory } from "../src/processors/resource/factory.ts";
import { MetricsRegistry } from "../src/service/metrics-registry.ts";

const RECORDS = Number(process.argv[2] ?? 100);
const ROUNDS = Number(process.argv[3] ?? 15);
const RECORDS_PER_ROUND = 20_000;
const CONTEXT: BatchContext = { client: ClientMetadata.internal, arrivalUnixNano: 0n };

const proto = readFileSync(new URL("../test/testdata/otlp.proto", import.meta.url), "utf8");
const Request = protobuf.parse(proto).root.lookupType("otlp.ExportLogsServiceRequest");

function text(key: string, stringValue: string): object {
  return { key, value: { stringValue } };
}

/** As in bench/wire.ts: 340 bytes a record, 5 attributes; 6 resource attributes. */
function createRequest(): Uint8Array {
  const logRecords = Array.from({ length: RECORDS }, (_, index) => ({
    timeUnixNano: "1764000000000000000",
    observedTimeUnixNano: "1764000000000000001",
    severityNumber: 9,
    severityText: "INFO",
    body: { stringValue: `Job completed job-${index} on worker railway-abc123 after 1500ms`.padEnd(120, ".") },
    attributes: [
      text("job_id", `job-${index}`),
      text("log.iostream", "stdout"),
      text("http.request.method", "POST"),
      { key: "duration_ms", value: { intValue: "1500" } },
      text("code.function", "handleJob"),
    ],
    traceId: Buffer.alloc(16, 0xab),
    spanId: Buffer.alloc(8, 0xcd),
    flags: 1,
  }));
  const attributes = ["service.name", "service.version", "host.name", "sdk.name", "sdk.language", "sdk.version"].map(
    (key) => text(key, "some value of it"),
  );
  const resourceLogs = [{ resource: { attributes }, scopeLogs: [{ scope: { name: "worker" }, logRecords }] }];
  return Request.encode(Request.fromObject({ resourceLogs })).finish();
}

let sink = 0;
const NEXT: Consumer<"logs"> = {
  mutatesData: false,
  consume: async (batch) => void (sink += batch.encode().size),
};

const silent = (): void => {};
const LOGGER: Logger = { debug: silent, info: silent, warn: silent, error: silent, with: () => LOGGER };
const SETTINGS: Settings = { id: { type: "bench" }, logger: LOGGER, meter: new MetricsRegistry(), clock: systemClock };

function open<C>(factory: ProcessorFactory<C>, config: object): Processor<"logs"> {
  return factory.create("logs", SETTINGS, factory.config.parse(config), NEXT);
}

const upserts = ["machine.id", "worker.id", "service.type"].map((key) => ({ key, value: "abc", action: "upsert" }));
const INSERT = { key: "source", value: "otlp", action: "insert" };
const REGEXP = { match_type: "regexp", log_bodies: ["job-[0-9]*7 on"] };

const PROCESSORS: Readonly<Record<string, Consumer<"logs">>> = {
  "no processor": NEXT,
  "resource: 3 upserts": open(resourceProcessorFactory, { attributes: upserts }),
  "attributes: 1 insert": open(attributesProcessorFactory, { actions: [INSERT] }),
  "attributes: 1 insert, include by a resource": open(attributesProcessorFactory, {
    include: { match_type: "strict", resources: [{ key: "host.name", value: "some value of it" }] },
    actions: [INSERT],
  }),
  "attributes: 1 insert, include by a pattern on the body": open(attributesProcessorFactory, {
    include: REGEXP,
    actions: [INSERT],
  }),
  "attributes: 3 upserts": open(attributesProcessorFactory, { actions: upserts }),
  "attributes: 1 delete of what is absent": open(attributesProcessorFactory, {
    actions: [{ key: "password", action: "delete" }],
  }),
  "attributes: 1 delete by a pattern that matches nothing": open(attributesProcessorFactory, {
    actions: [{ pattern: "^secret", action: "delete" }],
  }),
  "attributes: 1 hash": open(attributesProcessorFactory, { actions: [{ key: "job_id", action: "hash" }] }),
  "attributes: 1 extract of 2 groups": open(attributesProcessorFactory, {
    actions: [{ key: "job_id", pattern: "^(?P<kind>[a-z]+)-(?P<number>[0-9]+)$", action: "extract" }],
  }),
  "attributes: 1 convert to string": open(attributesProcessorFactory, {
    actions: [{ key: "duration_ms", converted_type: "string", action: "convert" }],
  }),
};

// The admission is handed on and never asked.
const ADMISSION = {} as Admission;

async function cpuMicrosPerThousand(consumer: Consumer<"logs">, bytes: Uint8Array): Promise<number> {
  const repeats = Math.ceil(RECORDS_PER_ROUND / RECORDS);
  const start = process.cpuUsage();
  for (let repeat = 0; repeat < repeats; repeat++) {
    await consumer.consume(createBatch("logs", bytes, CONTEXT), ADMISSION);
  }
  const { user, system } = process.cpuUsage(start);
  return ((user + system) * 1000) / (repeats * RECORDS);
}

const bytes = createRequest();
const figures = new Map(Object.keys(PROCESSORS).map((name) => [name, [] as number[]]));
for (let round = -3; round < ROUNDS; round++) {
  for (const [name, consumer] of Object.entries(PROCESSORS)) {
    const micros = await cpuMicrosPerThousand(consumer, bytes);
    if (round >= 0) figures.get(name)?.push(micros);
  }
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
const base = median(figures.get("no processor")!);
const lines = [`${RECORDS} records a request, ${bytes.length} bytes; Node ${process.version}`];
for (const [name, values] of figures) {
  const added = median(values) - base;
  lines.push(
    `${name.padEnd(58)} ${median(values).toFixed(0).padStart(6)} us per 1,000 (+${added.toFixed(0)}), least ${Math.min(...values).toFixed(0)}`,
  );
}
process.stdout.write(`${lines.join("\n")}\n${sink > 0 ? "" : "nothing ran\n"}`);
