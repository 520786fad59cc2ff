/**
 * Random requests of any shape the wire allows: fields in any order, scalars that stand twice, attribute keys that
 * stand twice, unknown fields, packed and unpacked lists, lengths and tags longer than they need be, invalid UTF-8 and,
 * where wanted, messages that stand twice. Everything follows from one seed.
 */
import * as fc from "fast-check";
import protobuf from "protobufjs";
import type { Signal } from "../../../src/core/signal.ts";
import { REQUESTS } from "./reference.ts";

export const seeds: fc.Arbitrary<number> = fc.integer({ min: 0, max: 2 ** 31 - 1 });

export interface RandomRequestSettings {
  /** About how many records. */
  readonly size: number;
  readonly doubledMessages: boolean;
}

export function randomRequest(signal: Signal, seed: number, settings: RandomRequestSettings): Uint8Array {
  const writer = new RandomWriter(new Random(seed), settings);
  return writer.message(REQUESTS[signal], 0);
}

/** mulberry32: small, good enough, and the same everywhere. */
export class Random {
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

const TEXTS = ["", "a", "b", "job_id", "service.name", "näme ☃", "a\ufffd", "x".repeat(30), "long ".repeat(40)];
const INVALID_TEXTS = [Buffer.from([0x61, 0xff]), Buffer.from([0xc3]), Buffer.from([0xed, 0xa0, 0x80, 0x62])];
export const KEYS = ["", "a", "b", "c", "job_id", "service.name", "a\ufffd", "näme"];
const INTS = [0n, 1n, 127n, 128n, 300n, 2n ** 31n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 63n - 1n, -1n, -(2n ** 63n)];
const DOUBLES = [0, -0, 1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 1e-310, -1e300];
const UNKNOWN_NUMBERS = [17, 31, 32, 100, 19_999, 536_870_911];

/** How often each repeated message field occurs in its parent. */
const GROUP_FIELDS = new Set([
  "resourceLogs",
  "resourceSpans",
  "resourceMetrics",
  "scopeLogs",
  "scopeSpans",
  "scopeMetrics",
]);

class RandomWriter {
  readonly #random: Random;
  readonly #settings: RandomRequestSettings;

  constructor(random: Random, settings: RandomRequestSettings) {
    this.#random = random;
    this.#settings = settings;
  }

  message(type: protobuf.Type, depth: number): Buffer {
    const random = this.#random;
    const parts: Buffer[] = [];
    for (const field of type.fieldsArray) {
      const count = this.#count(field.resolve(), depth);
      for (let occurrence = 0; occurrence < count; occurrence++) parts.push(this.#field(field, depth));
    }
    if (random.chance(0.15)) parts.push(this.#unknown());
    this.#shuffle(parts);
    // Now and then a group comes again as it is, so that groups that are equal occur.
    const first = parts[0];
    if (first !== undefined && depth < 2 && random.chance(0.3) && type.fieldsArray[0]?.repeated) parts.push(first);
    return Buffer.concat(parts);
  }

  #count(field: protobuf.Field, depth: number): number {
    const random = this.#random;
    const isMessage = field.resolvedType instanceof protobuf.Type;
    if (field.repeated) {
      if (GROUP_FIELDS.has(field.name)) return random.chance(0.1) ? 0 : 1 + random.below(3);
      if (isMessage && depth > 9) return 0;
      return depth === 2 ? random.below(this.#settings.size + 1) : random.below(4);
    }
    if (isMessage) {
      if (depth > 9 || random.chance(0.25)) return 0;
      return this.#settings.doubledMessages && random.chance(0.1) ? 2 : 1;
    }
    if (field.partOf !== null) return random.chance(0.3) ? 1 : 0;
    return random.chance(0.1) ? 2 : random.below(2);
  }

  #field(field: protobuf.Field, depth: number): Buffer {
    if (field.resolvedType instanceof protobuf.Type)
      return this.#bytes(field.id, this.message(field.resolvedType, depth + 1));
    if (field.type === "string") return this.#bytes(field.id, this.#text(field.name === "key"));
    if (field.type === "bytes") return this.#bytes(field.id, this.#blob(field.name));
    if (field.repeated && this.#random.chance(0.7)) {
      const values = Array.from({ length: this.#random.below(4) }, () => this.#scalar(field.type).value);
      return this.#bytes(field.id, Buffer.concat(values));
    }
    const { wireType, value } = this.#scalar(field.type);
    return Buffer.concat([this.#varint((BigInt(field.id) << 3n) | BigInt(wireType)), value]);
  }

  #text(isKey: boolean): Buffer {
    if (this.#random.chance(0.05)) return this.#random.pick(INVALID_TEXTS);
    return Buffer.from(this.#random.pick(isKey ? KEYS : TEXTS));
  }

  #blob(name: string): Buffer {
    const size = name.endsWith("traceId") ? 16 : name.toLowerCase().endsWith("spanid") ? 8 : this.#random.below(5);
    return Buffer.from(Array.from({ length: this.#random.chance(0.1) ? 0 : size }, () => this.#random.below(256)));
  }

  #scalar(type: string): { readonly wireType: number; readonly value: Buffer } {
    const value = Buffer.alloc(8);
    switch (type) {
      case "double":
        value.writeDoubleLE(this.#random.pick(DOUBLES));
        return { wireType: 1, value };
      case "fixed64":
      case "sfixed64":
        value.writeBigUInt64LE(BigInt.asUintN(64, this.#random.pick(INTS)));
        return { wireType: 1, value };
      case "fixed32":
        value.writeUInt32LE(Number(BigInt.asUintN(32, this.#random.pick(INTS))));
        return { wireType: 5, value: value.subarray(0, 4) };
      case "bool":
        return { wireType: 0, value: this.#varint(BigInt(this.#random.below(2))) };
      case "int64":
      case "uint64":
        return { wireType: 0, value: this.#varint(this.#random.pick(INTS)) };
      case "uint32":
      case "sint32":
        return { wireType: 0, value: this.#varint(BigInt(this.#random.pick([0, 1, 5, 300, 2 ** 32 - 1]))) };
      default:
        return { wireType: 0, value: this.#varint(BigInt(this.#random.below(25))) };
    }
  }

  #unknown(): Buffer {
    const number = BigInt(this.#random.pick(UNKNOWN_NUMBERS)) << 3n;
    switch (this.#random.below(4)) {
      case 0:
        return Buffer.concat([this.#varint(number), this.#varint(this.#random.pick(INTS))]);
      case 1:
        return Buffer.concat([this.#varint(number | 1n), Buffer.alloc(8, 7)]);
      case 2:
        return Buffer.concat([this.#varint(number | 5n), Buffer.alloc(4, 7)]);
      default:
        return Buffer.concat([this.#varint(number | 2n), this.#varint(3n), Buffer.from("abc")]);
    }
  }

  #bytes(number: number, content: Buffer): Buffer {
    return Buffer.concat([this.#varint((BigInt(number) << 3n) | 2n), this.#varint(BigInt(content.length)), content]);
  }

  /** Sometimes with a byte more than needed, which every protobuf reader accepts. */
  #varint(value: bigint): Buffer {
    const bytes: number[] = [];
    let rest = BigInt.asUintN(64, value);
    for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
    bytes.push(Number(rest));
    if (bytes.length < 4 && this.#random.chance(0.03)) {
      bytes[bytes.length - 1]! |= 0x80;
      bytes.push(0);
    }
    return Buffer.from(bytes);
  }

  #shuffle(parts: Buffer[]): void {
    for (let index = parts.length - 1; index > 0; index--) {
      const other = this.#random.below(index + 1);
      [parts[index], parts[other]] = [parts[other]!, parts[index]!];
    }
  }
}
