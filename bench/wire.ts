/**
 * What the data model costs, by hand: `node bench/wire.ts [records per request] [rounds]`.
 *
 * Prints CPU microseconds per 1,000 log records (median of the rounds; all cases alternate within a round, because only
 * ratios taken in one run count) beside a full decode, edit and encode by protobufjs' generated code.
 */
import { readFileSync } from "node:fs";
import protobuf from "protobufjs";
import { createBatch, type Batch, type BatchContext } from "../src/core/batch.ts";
import { ClientMetadata } from "../src/core/client-metadata.ts";
import { scanRequest } from "../src/wire/otlp/scan.ts";

const RECORDS = Number(process.argv[2] ?? 100);
const ROUNDS = Number(process.argv[3] ?? 15);
const RECORDS_PER_ROUND = 20_000;

const proto = readFileSync(new URL("../test/testdata/otlp.proto", import.meta.url), "utf8");
const Request = protobuf.parse(proto).root.lookupType("otlp.ExportLogsServiceRequest");
const context: BatchContext = { client: ClientMetadata.internal, arrivalUnixNano: 0n };

function text(key: string, stringValue: string): object {
  return { key, value: { stringValue } };
}

/** 340 bytes a record: a body of 120, 5 attributes, ids; 6 resource attributes. */
function createRequest(): Uint8Array {
  const logRecords = Array.from({ length: RECORDS }, (_, index) => ({
    timeUnixNano: "1764000000000000000",
    observedTimeUnixNano: "1764000000000000001",
    severityNumber: 9,
    severityText: "INFO",
    body: {
      stringValue:
        `Job completed job-${index} on worker railway-abc123 after 1500ms with 3 outputs and no warnings at all, ok`.padEnd(
          120,
        ),
    },
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
  const attributes = [
    text("service.name", "comfyui-worker"),
    text("service.version", "1.4.2"),
    text("host.name", "railway-abc123"),
    text("telemetry.sdk.name", "opentelemetry"),
    text("telemetry.sdk.language", "nodejs"),
    text("telemetry.sdk.version", "2.2.0"),
  ];
  const resourceLogs = [{ resource: { attributes }, scopeLogs: [{ scope: { name: "worker" }, logRecords }] }];
  return Request.encode(Request.fromObject({ resourceLogs })).finish();
}

let sink = 0;

function editResource(batch: Batch<"logs">): void {
  for (const group of batch.view.resourceGroups()) {
    const { attributes } = group.resource;
    attributes.insert("machine.id", "railway-abc123");
    attributes.insert("worker.id", "worker-001");
    attributes.insert("service.type", "comfyui");
    attributes.set("service.instance.id", "machine-railway-abc123.worker-001");
  }
}

interface FullLog {
  attributes: object[];
}

interface FullRequest {
  resourceLogs: { resource: { attributes: object[] }; scopeLogs: { logRecords: FullLog[] }[] }[];
}

const cases: Readonly<Record<string, (bytes: Uint8Array) => void>> = {
  scan(bytes) {
    sink += scanRequest("logs", bytes).index.itemCount;
  },
  "scan + read body and 3 attributes"(bytes) {
    for (const record of createBatch("logs", bytes, context).view) {
      const [job, duration, stream] = record.attributes.getMany(["job_id", "duration_ms", "log.iostream"]);
      if (typeof record.body === "string" && job !== undefined && duration !== undefined && stream !== undefined)
        sink++;
    }
  },
  "scan + edit 4 resource attributes + encode"(bytes) {
    const batch = createBatch("logs", bytes, context);
    editResource(batch);
    sink += batch.encode().size;
  },
  "scan + edit 4 resource and 1 record attribute + encode"(bytes) {
    const batch = createBatch("logs", bytes, context);
    editResource(batch);
    for (const record of batch.view) record.attributes.insert("source", "otlp");
    sink += batch.encode().size;
  },
  "scan + move every record by 2 keys + encode"(bytes) {
    const batch = createBatch("logs", bytes, context);
    for (const record of batch.view) {
      record.moveToResource({ set: { "machine.id": "railway-abc123", "worker.id": "worker-001" } });
    }
    sink += batch.encode().size;
  },
  "protobufjs decode, the same 5 edits, encode"(bytes) {
    const request = Request.decode(bytes) as protobuf.Message & FullRequest;
    for (const group of request.resourceLogs) {
      for (const key of ["machine.id", "worker.id", "service.type", "service.instance.id"]) {
        group.resource.attributes.push(text(key, "machine-railway-abc123.worker-001"));
      }
      for (const scope of group.scopeLogs) {
        for (const record of scope.logRecords) record.attributes.push(text("source", "otlp"));
      }
    }
    sink += Request.encode(request).finish().length;
  },
};

function cpuMicrosPerThousand(run: (bytes: Uint8Array) => void, bytes: Uint8Array): number {
  const repeats = Math.ceil(RECORDS_PER_ROUND / RECORDS);
  const start = process.cpuUsage();
  for (let repeat = 0; repeat < repeats; repeat++) run(bytes);
  const { user, system } = process.cpuUsage(start);
  return ((user + system) * 1000) / (repeats * RECORDS);
}

const bytes = createRequest();
const figures = new Map(Object.keys(cases).map((name) => [name, [] as number[]]));
for (let round = -3; round < ROUNDS; round++) {
  for (const [name, run] of Object.entries(cases)) {
    const micros = cpuMicrosPerThousand(run, bytes);
    if (round >= 0) figures.get(name)?.push(micros);
  }
}

const lines = [
  `${RECORDS} records a request, ${bytes.length} bytes, ${(bytes.length / RECORDS).toFixed(0)} a record; Node ${process.version}`,
];
for (const [name, values] of figures) {
  const sorted = values.toSorted((a, b) => a - b);
  const [min, median, max] = [sorted[0]!, sorted[Math.floor(sorted.length / 2)]!, sorted.at(-1)!];
  lines.push(
    `${name.padEnd(58)} ${median.toFixed(0).padStart(6)} us per 1,000 (${min.toFixed(0)} to ${max.toFixed(0)})`,
  );
}
process.stdout.write(`${lines.join("\n")}\n${sink > 0 ? "" : "nothing was done\n"}`);
