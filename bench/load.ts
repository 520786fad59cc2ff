/**
 * The load: OTLP/gRPC requests of log records, encoded once and stamped with the record's number before each sending.
 *
 * A record's number is the low half of its timeUnixNano, so the backend can say of every single record whether it came,
 * came twice, or never came. Encoded by protobufjs: nothing of the product takes part in making or checking the load.
 */
import protobuf from "protobufjs/light.js";

export const RECORDS_PER_REQUEST = 100;

/** gRPC's frame header: one byte for compression, four for the length. */
export const GRPC_HEADER_SIZE = 5;

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

export function workerOfRequest(requestNumber: number): Worker {
  return WORKERS[requestNumber % WORKERS.length]!;
}

export interface RequestTemplate {
  /** gRPC frame and message. */
  readonly frame: Buffer;
  /** Where the low half of each record's time stands in the frame. */
  readonly numberOffsets: readonly number[];
  /** Encoded LogRecords, without tag and length. */
  readonly recordSizes: readonly number[];
}

const LOW_HALF_MARK = 0xfeed_0000;

type Writer = protobuf.Writer;

function text(writer: Writer, number: number, value: string): Writer {
  return writer.uint32((number << 3) | 2).string(value);
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

function encodeRecord(index: number): Uint8Array {
  const writer = protobuf.Writer.create();
  writer
    .uint32((1 << 3) | 1)
    .fixed32(LOW_HALF_MARK + index)
    .fixed32(TIME_HIGH);
  writer
    .uint32((11 << 3) | 1)
    .fixed32(0)
    .fixed32(TIME_HIGH);
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
  writer.uint32((9 << 3) | 2).bytes(Buffer.alloc(16, index + 1));
  writer.uint32((10 << 3) | 2).bytes(Buffer.alloc(8, index + 1));
  return writer.finish();
}

export function encodeRequest(worker: Worker): RequestTemplate {
  const records = Array.from({ length: RECORDS_PER_REQUEST }, (_, index) => encodeRecord(index));
  const writer = protobuf.Writer.create();
  writer.uint32((1 << 3) | 2).fork();
  writer.uint32((1 << 3) | 2).fork();
  attribute(writer, 1, "service.name", `${worker.serviceType}-worker`);
  attribute(writer, 1, "machine_id", worker.machineId);
  attribute(writer, 1, "worker_id", worker.workerId);
  attribute(writer, 1, "service_type", worker.serviceType);
  attribute(writer, 1, "telemetry.sdk.language", "nodejs");
  attribute(writer, 1, "process.pid", 4711);
  writer.ldelim();
  writer.uint32((2 << 3) | 2).fork();
  text(writer.uint32((1 << 3) | 2).fork(), 1, "jobs").ldelim();
  for (const record of records) writer.uint32((2 << 3) | 2).bytes(record);
  const message = writer.ldelim().ldelim().finish();
  const frame = Buffer.alloc(GRPC_HEADER_SIZE + message.length);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, GRPC_HEADER_SIZE);
  return { frame, numberOffsets: findMarks(frame), recordSizes: records.map((record) => record.length) };
}

function findMarks(frame: Buffer): number[] {
  const mark = Buffer.alloc(8);
  mark.writeUInt32LE(TIME_HIGH, 4);
  return Array.from({ length: RECORDS_PER_REQUEST }, (_, index) => {
    mark.writeUInt32LE(LOW_HALF_MARK + index, 0);
    const offset = frame.indexOf(mark);
    if (offset < 0) throw new Error(`record ${index} has no mark`);
    return offset;
  });
}

/** Stamps the records of one request with their numbers. */
export function numberRecords(frame: Buffer, template: RequestTemplate, firstRecord: number): void {
  template.numberOffsets.forEach((offset, index) => frame.writeUInt32LE(firstRecord + index, offset));
}
