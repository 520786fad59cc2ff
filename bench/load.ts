/**
 * The load: OTLP requests of log records, spans or data points, encoded once and stamped with the record's number before
 * each sending.
 *
 * A record's number is the low half of its time, so the backend can say of every single record whether it came, came
 * twice, or never came. Encoded by protobufjs: nothing of the product takes part in making or checking the load.
 */
import protobuf from "protobufjs/light.js";

export type Signal = "logs" | "traces" | "metrics";

export interface LoadShape {
  readonly signal: Signal;
  readonly recordsPerRequest: number;
  /** Where machine, worker and type stand: once on the resource, or on each record, of four workers in turn. */
  readonly identity: "resource" | "records";
}

/** The high half of every record's time: a moment in November 2026. */
export const TIME_HIGH = 0x1907_0000;

export interface Worker {
  readonly machineId: string;
  readonly workerId: string;
  readonly serviceType: string;
}

/** Eight workers take turns, one request each. */
export const WORKERS: readonly Worker[] = Array.from({ length: 8 }, (_, index) => ({
  machineId: `railway-${(0xabc123 + index * 7919).toString(16)}`,
  workerId: `worker-${String(index % 4).padStart(3, "0")}`,
  serviceType: ["comfyui", "simulation", "a1111"][index % 3]!,
}));

const WORKERS_PER_REQUEST = 4;

export function workerOfRequest(requestNumber: number): Worker {
  return WORKERS[requestNumber % WORKERS.length]!;
}

/** The worker of one record, by its number. */
export function workerOfRecord({ recordsPerRequest, identity }: LoadShape, recordNumber: number): Worker {
  const request = Math.floor(recordNumber / recordsPerRequest);
  if (identity === "resource") return workerOfRequest(request);
  return workerOfRequest(request + ((recordNumber % recordsPerRequest) % WORKERS_PER_REQUEST));
}

export interface RequestTemplate {
  /** ExportLogsServiceRequest, or that of another signal. */
  readonly message: Buffer;
  /** Where the low half of each record's time stands in the message. */
  readonly numberOffsets: readonly number[];
  /** Encoded records as they must arrive, without tag and length: what a record says of its worker goes to the resource. */
  readonly recordSizes: readonly number[];
}

const LOW_HALF_MARK = 0xfeed_0000;

/** A data point is a record; each metric holds four. */
const POINTS_PER_METRIC = 4;

type Writer = protobuf.Writer;

function text(writer: Writer, number: number, value: string): Writer {
  return writer.uint32((number << 3) | 2).string(value);
}

function time(writer: Writer, number: number, low: number): Writer {
  return writer
    .uint32((number << 3) | 1)
    .fixed32(low)
    .fixed32(TIME_HIGH);
}

/** KeyValue { key = 1, value = 2 } with AnyValue { string_value = 1 } or { int_value = 3 }. */
function attribute(writer: Writer, number: number, key: string, value: string | number): Writer {
  text(writer.uint32((number << 3) | 2).fork(), 1, key)
    .uint32((2 << 3) | 2)
    .fork();
  if (typeof value === "string") text(writer, 1, value);
  else writer.uint32(3 << 3).int64(value);
  return writer.ldelim().ldelim();
}

function identify(writer: Writer, number: number, worker: Worker | undefined): void {
  if (worker === undefined) return;
  attribute(writer, number, "machine_id", worker.machineId);
  attribute(writer, number, "worker_id", worker.workerId);
  attribute(writer, number, "service_type", worker.serviceType);
}

/** Never all zeros, which is no id, and which the Collector leaves out. */
function id(size: number, index: number): Buffer {
  return Buffer.alloc(size, 1 + (index % 250));
}

function encodeLog(index: number, worker: Worker | undefined): Uint8Array {
  const writer = protobuf.Writer.create();
  time(writer, 1, LOW_HALF_MARK + index);
  time(writer, 11, 0);
  writer.uint32(2 << 3).int32(9);
  text(writer, 3, "INFO");
  const jobId = `job-${String(1_000_000 + index * 37)}`;
  const body = `Job completed ${jobId} in ${1000 + index * 13}ms, model sd_xl_base_1.0.safetensors loaded from cache, 30 steps at 1024x1024`;
  text(writer.uint32((5 << 3) | 2).fork(), 1, body).ldelim();
  attribute(writer, 6, "job_id", jobId);
  attribute(writer, 6, "duration_ms", 1000 + index * 13);
  attribute(writer, 6, "log.iostream", "stdout");
  attribute(writer, 6, "component", "sampler");
  attribute(writer, 6, "code.function.name", "comfy.samplers.KSampler.sample");
  identify(writer, 6, worker);
  writer.uint32((9 << 3) | 2).bytes(id(16, index));
  writer.uint32((10 << 3) | 2).bytes(id(8, index));
  return writer.finish();
}

function encodeSpan(index: number, worker: Worker | undefined): Uint8Array {
  const writer = protobuf.Writer.create();
  writer.uint32((1 << 3) | 2).bytes(id(16, index));
  writer.uint32((2 << 3) | 2).bytes(id(8, index));
  writer.uint32((4 << 3) | 2).bytes(id(8, index + 1));
  text(writer, 5, "comfy.sample");
  writer.uint32(6 << 3).int32(1);
  time(writer, 7, LOW_HALF_MARK + index);
  time(writer, 8, 0);
  attribute(writer, 9, "job.id", `job-${String(1_000_000 + index * 37)}`);
  attribute(writer, 9, "steps", 30 + index);
  attribute(writer, 9, "model", "sd_xl_base_1.0.safetensors");
  attribute(writer, 9, "code.function.name", "comfy.samplers.KSampler.sample");
  identify(writer, 9, worker);
  // Status { code = 3 }, which is not left out: the Collector writes an empty one where there is none.
  writer.uint32((15 << 3) | 2).fork();
  writer.uint32(3 << 3).int32(1);
  return writer.ldelim().finish();
}

function encodePoint(index: number, worker: Worker | undefined): Uint8Array {
  const writer = protobuf.Writer.create();
  time(writer, 2, 0);
  time(writer, 3, LOW_HALF_MARK + index);
  writer.uint32((6 << 3) | 1).sfixed64(1000 + index);
  attribute(writer, 7, "node", `KSampler-${index % POINTS_PER_METRIC}`);
  attribute(writer, 7, "outcome", "success");
  attribute(writer, 7, "gpu", index % 8);
  identify(writer, 7, worker);
  return writer.finish();
}

const ENCODERS = { logs: encodeLog, traces: encodeSpan, metrics: encodePoint };

function encodeMetric(writer: Writer, index: number, points: readonly Uint8Array[]): void {
  writer.uint32((2 << 3) | 2).fork();
  text(writer, 1, `comfy.node.executions.${index}`);
  text(writer, 3, "{executions}");
  writer.uint32((7 << 3) | 2).fork();
  for (const point of points) writer.uint32((1 << 3) | 2).bytes(point);
  writer.uint32(2 << 3).int32(2);
  writer.uint32(3 << 3).bool(true);
  writer.ldelim().ldelim();
}

function encodeRecords(writer: Writer, signal: Signal, records: readonly Uint8Array[]): void {
  if (signal !== "metrics") for (const record of records) writer.uint32((2 << 3) | 2).bytes(record);
  else {
    for (let start = 0; start < records.length; start += POINTS_PER_METRIC) {
      encodeMetric(writer, start / POINTS_PER_METRIC, records.slice(start, start + POINTS_PER_METRIC));
    }
  }
}

/** The request that every eighth time is sent, from `kind` on. */
export function encodeRequest(shape: LoadShape, kind: number): RequestTemplate {
  const { signal, recordsPerRequest, identity } = shape;
  const encode = ENCODERS[signal];
  const indices = Array.from({ length: recordsPerRequest }, (_, index) => index);
  const bare = indices.map((index) => encode(index, undefined));
  const firstNumber = kind * recordsPerRequest;
  const records =
    identity === "resource" ? bare : indices.map((index) => encode(index, workerOfRecord(shape, firstNumber + index)));
  const worker = workerOfRequest(kind);
  const writer = protobuf.Writer.create();
  writer.uint32((1 << 3) | 2).fork();
  writer.uint32((1 << 3) | 2).fork();
  attribute(writer, 1, "service.name", identity === "resource" ? `${worker.serviceType}-worker` : "worker");
  if (identity === "resource") identify(writer, 1, worker);
  attribute(writer, 1, "telemetry.sdk.language", "nodejs");
  attribute(writer, 1, "process.pid", 4711);
  writer.ldelim();
  writer.uint32((2 << 3) | 2).fork();
  text(writer.uint32((1 << 3) | 2).fork(), 1, "jobs").ldelim();
  encodeRecords(writer, signal, records);
  const message = Buffer.from(writer.ldelim().ldelim().finish());
  return {
    message,
    numberOffsets: findMarks(message, recordsPerRequest),
    recordSizes: bare.map(({ length }) => length),
  };
}

function findMarks(message: Buffer, count: number): number[] {
  const mark = Buffer.alloc(8);
  mark.writeUInt32LE(TIME_HIGH, 4);
  return Array.from({ length: count }, (_, index) => {
    mark.writeUInt32LE(LOW_HALF_MARK + index, 0);
    const offset = message.indexOf(mark);
    if (offset < 0) throw new Error(`record ${index} has no mark`);
    return offset;
  });
}

/** Stamps the records of one request with their numbers. */
export function numberRecords(message: Buffer, { numberOffsets }: RequestTemplate, firstRecord: number): void {
  numberOffsets.forEach((offset, index) => message.writeUInt32LE(firstRecord + index, offset));
}
