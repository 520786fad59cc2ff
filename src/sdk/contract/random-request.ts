/**
 * Random requests with what senders may send and examples do not show: fields in any order, scalars and attribute keys
 * that stand twice, messages that stand twice, unknown fields, text that is not UTF-8. Everything follows from one seed.
 *
 * The tests of wire/ have a generator of their own over protobufjs, which shares nothing with wire/otlp/schema.ts.
 */
import type { Signal } from "../../core/signal.ts";
import {
  isMessageName,
  MESSAGES,
  REQUEST_MESSAGES,
  type FieldSchema,
  type MessageName,
} from "../../wire/otlp/schema.ts";

/** Nested values go on below it with a chance that ends them soon; far from the 64 levels that a door takes. */
const DEPTH_MAX = 8;

const TEXTS = ["", "a", "b", "job_id", "name ☃", "long ".repeat(40)];
const KEYS = ["", "a", "b", "job_id", "machine.id", "service.name", "worker.id"];
const INVALID_TEXT = Buffer.from([0x61, 0xff]);
const INTEGERS = [0n, 1n, 127n, 300n, 2n ** 53n, 2n ** 63n - 1n];
const DOUBLES = [0, -0, 1.5, Number.NaN, Number.POSITIVE_INFINITY, -1e300];

export function randomRequest(signal: Signal, seed: number): Uint8Array {
  return Uint8Array.from(message(new Random(seed), REQUEST_MESSAGES[signal], 0));
}

/** mulberry32: small, good enough, and the same everywhere. */
class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }
}

function message(random: Random, name: MessageName, depth: number): Buffer {
  const parts: Buffer[] = [];
  for (const schema of MESSAGES[name]) {
    for (let left = occurrences(random, schema, depth); left > 0; left -= 1) parts.push(field(random, schema, depth));
  }
  if (random.chance(0.15)) parts.push(delimited(random.pick([17, 100, 19_999]), Buffer.from("unknown")));
  return Buffer.concat(shuffled(random, parts));
}

function occurrences(random: Random, schema: FieldSchema, depth: number): number {
  const isMessage = isMessageName(schema.type);
  if (isMessage && depth > DEPTH_MAX) return 0;
  // Resources, scopes and records: each request has some, now and then a group has none.
  if (schema.repeated) return depth < 3 && isMessage ? random.below(4) : random.below(3);
  // Of a oneof the last one counts; several at once are legal, and rare.
  if (schema.oneof !== undefined) return random.chance(0.3) ? 1 : 0;
  if (random.chance(0.05)) return 2;
  return random.chance(isMessage ? 0.75 : 0.5) ? 1 : 0;
}

function field(random: Random, { type, number, name }: FieldSchema, depth: number): Buffer {
  if (isMessageName(type)) return delimited(number, message(random, type, depth + 1));
  switch (type) {
    case "string":
      return delimited(number, text(random, name));
    case "bytes":
      return delimited(number, blob(random, random.below(5)));
    case "traceId":
      return delimited(number, blob(random, 16));
    case "spanId":
      return delimited(number, blob(random, 8));
    case "double":
      return Buffer.concat([tag(number, 1), double(random.pick(DOUBLES))]);
    case "fixed64":
    case "sfixed64":
      return Buffer.concat([tag(number, 1), fixed64(random.pick(INTEGERS))]);
    case "fixed32":
      return Buffer.concat([tag(number, 5), blob(random, 4)]);
    case "int64":
    case "uint64":
      return Buffer.concat([tag(number, 0), varint(random.pick(INTEGERS))]);
    case "bool":
      return Buffer.concat([tag(number, 0), varint(BigInt(random.below(2)))]);
    case "uint32":
    case "int32":
    case "sint32":
    case "SeverityNumber":
    case "SpanKind":
    case "StatusCode":
    case "AggregationTemporality":
      break;
  }
  // Also numbers that an enum has no name for.
  return Buffer.concat([tag(number, 0), varint(BigInt(random.below(25)))]);
}

function text(random: Random, name: string): Buffer {
  if (random.chance(0.03)) return INVALID_TEXT;
  return Buffer.from(random.pick(name === "key" ? KEYS : TEXTS));
}

function blob(random: Random, size: number): Buffer {
  return Buffer.from(Array.from({ length: size }, () => random.below(256)));
}

function double(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return bytes;
}

function fixed64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}

function delimited(number: number, content: Buffer): Buffer {
  return Buffer.concat([tag(number, 2), varint(BigInt(content.length)), content]);
}

function tag(number: number, wireType: number): Buffer {
  return varint(BigInt(number * 8 + wireType));
}

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

function shuffled(random: Random, parts: Buffer[]): Buffer[] {
  for (let index = parts.length - 1; index > 0; index -= 1) {
    const other = random.below(index + 1);
    [parts[index], parts[other]] = [parts[other]!, parts[index]!];
  }
  return parts;
}
