/**
 * Looks at every record that arrives: is it one that was sent, did it come before, does its resource say the right
 * machine, worker and type, and is it as long as it was.
 *
 * A reader of its own, on purpose: the product's code must not vouch for itself.
 */
import { encodeRequest, TIME_HIGH, WORKERS, workerOfRecord, type LoadShape, type Signal, type Worker } from "./load.ts";

export interface Tally {
  /** Different records that came. */
  readonly received: number;
  readonly duplicated: number;
  /** Records under a resource without the right machine.id, worker.id and service.type. */
  readonly unedited: number;
  /** Records of another size than they were sent with. */
  readonly altered: number;
  /** Records that nobody sent. */
  readonly unknown: number;
}

const MACHINE_ID = Buffer.from("machine.id");
const WORKER_ID = Buffer.from("worker.id");
const SERVICE_TYPE = Buffer.from("service.type");

/** Field numbers of OTLP. */
const RESOURCE = 1;
const ATTRIBUTE = 1;

interface SignalFields {
  /** From the group of a resource to its records. A metric of the load is a Sum, and its records are the data points. */
  readonly path: readonly number[];
  /** Of the record's time that holds its number. */
  readonly time: number;
}

const FIELDS: Readonly<Record<Signal, SignalFields>> = {
  logs: { path: [2, 2], time: 1 },
  traces: { path: [2, 2], time: 7 },
  metrics: { path: [2, 2, 7, 1], time: 3 },
};

export interface AuditSettings {
  readonly shape: LoadShape;
  /** Numbers from here on belong to nobody. */
  readonly recordsMax: number;
  /** Records must stand under the machine, worker and type that sent them. */
  readonly isIdentified: boolean;
}

export class Audit {
  readonly #settings: AuditSettings;
  readonly #fields: SignalFields;
  readonly #seen: Uint8Array;
  readonly #sizes: readonly number[];
  #received = 0;
  #duplicated = 0;
  #unedited = 0;
  #altered = 0;
  #unknown = 0;

  /** Expects each record at most once; how many were sent is for the caller to know. */
  constructor(settings: AuditSettings) {
    this.#settings = settings;
    this.#fields = FIELDS[settings.shape.signal];
    this.#seen = new Uint8Array(settings.recordsMax);
    this.#sizes = encodeRequest(settings.shape, 0).recordSizes;
  }

  get received(): number {
    return this.#received;
  }

  tally(): Tally {
    return {
      received: this.#received,
      duplicated: this.#duplicated,
      unedited: this.#unedited,
      altered: this.#altered,
      unknown: this.#unknown,
    };
  }

  /** One Export request. */
  take(bytes: Buffer): void {
    const groups = new Fields(bytes, 0, bytes.length);
    while (groups.next()) this.#takeGroup(bytes, groups.start, groups.end);
  }

  #takeGroup(bytes: Buffer, start: number, end: number): void {
    const worker = this.#settings.isIdentified ? workerOfGroup(bytes, start, end) : undefined;
    this.#descend(bytes, start, end, 0, worker);
  }

  #descend(bytes: Buffer, start: number, end: number, depth: number, worker: Worker | undefined): void {
    const { path } = this.#fields;
    if (depth === path.length) return this.#takeRecord(bytes, start, end, worker);
    const fields = new Fields(bytes, start, end);
    while (fields.next()) {
      if (fields.number === path[depth]) this.#descend(bytes, fields.start, fields.end, depth + 1, worker);
    }
  }

  #takeRecord(bytes: Buffer, start: number, end: number, worker: Worker | undefined): void {
    const { shape, isIdentified } = this.#settings;
    const number = recordNumber(bytes, start, end, this.#fields.time);
    if (number === undefined || number >= this.#seen.length) {
      this.#unknown++;
      return;
    }
    if (this.#seen[number] !== 0) this.#duplicated++;
    else this.#received++;
    this.#seen[number] = 1;
    if (isIdentified && worker !== workerOfRecord(shape, number)) this.#unedited++;
    if (end - start !== this.#sizes[number % shape.recordsPerRequest]) this.#altered++;
  }
}

/** Walks protobuf's fields in any order, which the Collector makes use of: it writes them in descending order. */
export class Fields {
  readonly #bytes: Buffer;
  readonly #stop: number;
  #at: number;
  number = 0;
  /** Of the content, for length-delimited fields; of the value otherwise. */
  start = 0;
  end = 0;

  constructor(bytes: Buffer, start: number, stop: number) {
    this.#bytes = bytes;
    this.#at = start;
    this.#stop = stop;
  }

  next(): boolean {
    if (this.#at >= this.#stop) return false;
    const tag = this.#varint();
    this.number = tag >>> 3;
    const size = this.#sizeOf(tag & 7);
    this.start = this.#at;
    this.#at += size;
    this.end = this.#at;
    if (this.end > this.#stop) throw new Error(`a field runs past its message at offset ${this.start}`);
    return true;
  }

  #sizeOf(wireType: number): number {
    if (wireType === 2) return this.#varint();
    if (wireType === 1) return 8;
    if (wireType === 5) return 4;
    if (wireType !== 0) throw new Error(`wire type ${wireType} at offset ${this.#at}`);
    let size = 1;
    while (this.#bytes[this.#at + size - 1]! >= 128) size++;
    return size;
  }

  #varint(): number {
    let byte = this.#bytes[this.#at++]!;
    if (byte < 128) return byte;
    let value = byte & 127;
    for (let scale = 128; byte >= 128 && scale < 2 ** 35; scale *= 128) {
      byte = this.#bytes[this.#at++]!;
      value += (byte & 127) * scale;
    }
    return value;
  }
}

function recordNumber(bytes: Buffer, start: number, end: number, time: number): number | undefined {
  let number: number | undefined;
  const fields = new Fields(bytes, start, end);
  while (fields.next()) {
    if (fields.number !== time || bytes.readUInt32LE(fields.start + 4) !== TIME_HIGH) continue;
    number = bytes.readUInt32LE(fields.start);
  }
  return number;
}

/** The worker that the group's resource names in full and without contradiction. */
function workerOfGroup(bytes: Buffer, start: number, end: number): Worker | undefined {
  const found = new Map<Buffer, string>();
  const fields = new Fields(bytes, start, end);
  while (fields.next()) {
    if (fields.number !== RESOURCE) continue;
    const attributes = new Fields(bytes, fields.start, fields.end);
    while (attributes.next()) {
      if (attributes.number !== ATTRIBUTE) continue;
      const [key, value] = keyValueOf(bytes, attributes.start, attributes.end);
      const name = [MACHINE_ID, WORKER_ID, SERVICE_TYPE].find((wanted) => key?.equals(wanted));
      if (name === undefined) continue;
      if (found.has(name)) return undefined;
      found.set(name, value ?? "");
    }
  }
  return WORKERS.find(
    (worker) =>
      worker.machineId === found.get(MACHINE_ID) &&
      worker.workerId === found.get(WORKER_ID) &&
      worker.serviceType === found.get(SERVICE_TYPE),
  );
}

/** Key, and value where it is a string. */
function keyValueOf(bytes: Buffer, start: number, end: number): [Buffer | undefined, string | undefined] {
  let key: Buffer | undefined;
  let value: string | undefined;
  const fields = new Fields(bytes, start, end);
  while (fields.next()) {
    if (fields.number === 1) key = bytes.subarray(fields.start, fields.end);
    if (fields.number !== 2) continue;
    const any = new Fields(bytes, fields.start, fields.end);
    while (any.next()) if (any.number === 1) value = bytes.toString("utf8", any.start, any.end);
  }
  return [key, value];
}
