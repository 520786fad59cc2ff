/**
 * OTLP/JSON to the encoded protobuf request, in one pass over the bytes and straight into the output: no tree of
 * JavaScript values stands in between, so strings are copied once and no integer passes through a double.
 *
 *   JSON object   -> message            number or string -> 64-bit integers, exactly
 *   JSON array    -> repeated field     hex string       -> trace and span ids      base64 string -> other bytes
 *   null          -> absent; in an array of messages an empty message, as the Collector reads it
 *
 * What the specification leaves open follows the Collector: a name that stands twice is written twice, which is
 * protobuf's own rule (the last scalar wins, messages merge, lists grow).
 *
 * https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding, https://protobuf.dev/programming-guides/json/
 */
import { REQUEST_BYTES_MAX } from "../../core/limits.ts";
import type { Signal } from "../../core/signal.ts";
import { ByteSink } from "../byte-sink.ts";
import { MESSAGE_DEPTH_MAX } from "../limits.ts";
import { LENGTH_DELIMITED } from "../protobuf/wire-type.ts";
import { writeBase64, writeHex } from "./json-bytes.ts";
import { describeRange, isInRange, parseInteger, type Integer, type IntegerRange } from "./json-integer.ts";
import { JsonReader } from "./json-reader.ts";
import { jsonMessage, type JsonField, type JsonMessage } from "./json-schema.ts";
import { REQUEST_MESSAGES } from "./schema.ts";

export interface JsonDecodeSettings {
  /** Refuse what the specification forbids and every Collector accepts: names of enum values. */
  readonly strict?: boolean;
}

export interface JsonDecoded {
  /** One Export*ServiceRequest, canonical where the JSON had no name twice. */
  readonly bytes: Uint8Array;
  /** How many enum values came by name instead of number. */
  readonly enumNames: number;
  /** Halves of surrogate pairs in strings, which no UTF-8 can hold: U+FFFD stands for each. */
  readonly loneSurrogates: number;
}

const UINT32: IntegerRange = { isSigned: false, bits: 32 };
const INT32: IntegerRange = { isSigned: true, bits: 32 };
const UINT64: IntegerRange = { isSigned: false, bits: 64 };
const INT64: IntegerRange = { isSigned: true, bits: 64 };

/** Throws DecodeError with the JSON path and offset where the text is not a request of this signal. */
export function decodeJsonRequest(
  signal: Signal,
  text: string | Uint8Array,
  settings: JsonDecodeSettings = {},
): JsonDecoded {
  const bytes = typeof text === "string" ? Buffer.from(text, "utf8") : text;
  return new JsonDecoder(bytes, settings.strict ?? false).decode(jsonMessage(REQUEST_MESSAGES[signal]));
}

class JsonDecoder {
  readonly #in: JsonReader;
  readonly #out: ByteSink;
  readonly #strict: boolean;
  #enumNames = 0;
  /** Per field, how many bytes its last length took: the guess for the next. Telemetry repeats itself, so it is nearly always right. */
  readonly #lengthSizes: number[] = [];

  constructor(bytes: Uint8Array, strict: boolean) {
    this.#in = new JsonReader(bytes);
    // Protobuf is smaller than JSON; only lists of small numbers in fixed64 are larger, and those grow the buffer.
    this.#out = new ByteSink(bytes.length, REQUEST_BYTES_MAX, "the request, encoded as protobuf, is larger than");
    this.#strict = strict;
  }

  decode(message: JsonMessage): JsonDecoded {
    this.#readMessage(message, 1);
    if (this.#in.peek() !== -1) this.#in.fail(this.#in.offset, "nothing after the request");
    return { bytes: this.#out.finish(), enumNames: this.#enumNames, loneSurrogates: this.#in.loneSurrogates };
  }

  /** Recursion is bounded by MESSAGE_DEPTH_MAX. */
  #readMessage(message: JsonMessage, depth: number): void {
    const reader = this.#in;
    if (depth > MESSAGE_DEPTH_MAX) reader.failDepth();
    if (!reader.openObject()) return;
    let seen = 0;
    do {
      reader.readName();
      const field = this.#fieldByName(message);
      if (field === undefined) reader.skipValue();
      else if (!reader.takeNull()) {
        const isAgain = (seen & field.bit) !== 0;
        seen |= field.bit;
        if (field.repeated) this.#readArray(field, depth);
        else if (field.message !== undefined) this.#readSubmessage(field, field.message, depth);
        else this.#readSingular(field, field.keepsZero || isAgain);
      }
    } while (reader.nextMember());
  }

  #fieldByName(message: JsonMessage): JsonField | undefined {
    const { bytes, stringStart, stringEnd, isEscaped } = this.#in;
    if (isEscaped) return message.byName.get(this.#in.stringText());
    const candidates = message.byNameLength[stringEnd - stringStart];
    if (candidates === undefined) return undefined;
    for (const field of candidates) if (isEqualAt(bytes, stringStart, field.nameBytes)) return field;
    return undefined;
  }

  #readSubmessage(field: JsonField, message: JsonMessage, depth: number): void {
    const mark = this.#open(field);
    this.#readMessage(message, depth + 1);
    this.#close(field, mark);
  }

  #open(field: JsonField): number {
    this.#out.varint32((field.number << 3) | LENGTH_DELIMITED);
    return this.#openLength(field);
  }

  #openLength(field: JsonField): number {
    return this.#out.open(this.#lengthSizes[field.index] ?? 1);
  }

  #close(field: JsonField, mark: number): void {
    this.#lengthSizes[field.index] = this.#out.close(mark);
  }

  #readArray(field: JsonField, depth: number): void {
    const reader = this.#in;
    if (!reader.openArray()) return;
    const mark = field.packed ? this.#open(field) : 0;
    do {
      if (field.packed) this.#readScalar(field);
      else if (field.message === undefined) this.#readSingular(field, true);
      else if (reader.takeNull()) this.#close(field, this.#open(field));
      else this.#readSubmessage(field, field.message, depth);
    } while (reader.nextElement());
    if (field.packed) this.#close(field, mark);
  }

  /** Tag and value; taken back where the value is the default one and the field does not keep it. */
  #readSingular(field: JsonField, keepsZero: boolean): void {
    const before = this.#out.size;
    this.#out.varint32((field.number << 3) | field.wireType);
    const isZero = this.#readScalar(field);
    if (isZero && !keepsZero) this.#out.size = before;
  }

  /** Writes the value without its tag. Returns whether it was the type's default. */
  #readScalar(field: JsonField): boolean {
    switch (field.type) {
      case "string":
        return this.#readString(field);
      case "bytes":
        return this.#readBytes(field);
      case "traceId":
        return this.#readId(16);
      case "spanId":
        return this.#readId(8);
      case "bool":
        return this.#readBool();
      case "double":
        return this.#readDouble();
      case "enum":
        return this.#readEnum(field);
      case "uint32":
        return this.#writeVarint(this.#readInteger(UINT32));
      case "int32":
        return this.#writeVarint(this.#readInteger(INT32));
      case "int64":
        return this.#writeVarint(this.#readInteger(INT64));
      case "uint64":
        return this.#writeVarint(this.#readInteger(UINT64));
      case "sint32":
        return this.#writeZigZag(this.#readInteger(INT32));
      case "fixed32":
        return this.#writeFixed32(this.#readInteger(UINT32));
      case "fixed64":
        return this.#writeFixed64(this.#readInteger(UINT64));
      case "sfixed64":
        return this.#writeFixed64(this.#readInteger(INT64));
      case "message":
        throw new TypeError(`${field.name} is no scalar`);
      default:
        return field.type satisfies never;
    }
  }

  #readString(field: JsonField): boolean {
    const reader = this.#in;
    reader.readString("a string");
    const size = reader.stringEnd - reader.stringStart;
    if (!reader.isEscaped) {
      this.#out.varint32(size);
      reader.writeString(this.#out);
      return size === 0;
    }
    const mark = this.#openLength(field);
    reader.writeString(this.#out);
    this.#close(field, mark);
    return false;
  }

  #readBytes(field: JsonField): boolean {
    const text = this.#readPlainString("a base64 string");
    const mark = this.#openLength(field);
    if (!writeBase64(this.#out, text)) this.#in.fail(this.#in.stringStart - 1, "a base64 string");
    this.#close(field, mark);
    return text === "";
  }

  #readId(size: 8 | 16): boolean {
    const expected = `${size * 2} hex digits, or "" for none`;
    const text = this.#readPlainString(expected);
    this.#out.varint32(text === "" ? 0 : size);
    if (text !== "" && (text.length !== size * 2 || !writeHex(this.#out, text))) {
      this.#in.fail(this.#in.stringStart - 1, expected);
    }
    return text === "";
  }

  /** A string of ids, numbers and base64: ASCII where it is right, so anything else may come out wrong and is then refused. */
  #readPlainString(expected: string): string {
    const reader = this.#in;
    reader.readString(expected);
    return reader.isEscaped ? reader.stringText() : reader.text(reader.stringStart, reader.stringEnd);
  }

  #readBool(): boolean {
    const value = this.#in.readBool();
    this.#out.byte(value ? 1 : 0);
    return !value;
  }

  #readDouble(): boolean {
    const reader = this.#in;
    const expected = 'a number, "NaN", "Infinity" or "-Infinity"';
    reader.peek();
    const start = reader.offset;
    const isString = reader.isString();
    const text = isString ? this.#readPlainString(expected) : reader.text(reader.readNumber(expected), reader.offset);
    const value = isString ? parseDouble(text) : Number(text);
    if (value === undefined) return reader.fail(start, expected);
    if (!isString || /\d/.test(text)) {
      if (!Number.isFinite(value)) reader.fail(start, "a number within the range of a double");
    }
    this.#out.double(value);
    return Object.is(value, 0);
  }

  /** A number, or its name in the .proto files, which the specification forbids to send. */
  #readEnum(field: JsonField): boolean {
    const reader = this.#in;
    if (!reader.isString()) return this.#writeVarint(this.#readInteger(INT32));
    const start = reader.offset;
    const name = this.#readPlainString("an integer");
    const values = field.enumValues ?? {};
    if (!Object.hasOwn(values, name)) reader.fail(start, `an integer (${describeEnum(values)})`);
    const value = values[name]!;
    if (this.#strict) reader.fail(start, `the integer ${value}: OTLP/JSON does not allow the names of enum values`);
    this.#enumNames++;
    this.#out.varint32(value);
    return value === 0;
  }

  #readInteger(range: IntegerRange): Integer {
    const reader = this.#in;
    const expected = range.bits === 64 ? "a decimal string or an integer" : "an integer";
    reader.peek();
    const start = reader.offset;
    const text = reader.isString()
      ? this.#readPlainString(expected)
      : reader.text(reader.readNumber(expected), reader.offset);
    const value = parseInteger(text);
    if (value === undefined) return reader.fail(start, expected);
    if (value === "overflow" || !isInRange(value, range))
      return reader.fail(start, `an integer ${describeRange(range)}`);
    return value;
  }

  #writeVarint({ isNegative, low, high }: Integer): boolean {
    if (isNegative) this.#out.varint64(negateLow(low), negateHigh(low, high));
    else if (high === 0) this.#out.varint32(low);
    else this.#out.varint64(low, high);
    return low === 0 && high === 0;
  }

  #writeZigZag({ isNegative, low }: Integer): boolean {
    this.#out.varint32(isNegative && low !== 0 ? (low * 2 - 1) >>> 0 : (low << 1) >>> 0);
    return low === 0;
  }

  #writeFixed32({ low }: Integer): boolean {
    this.#out.fixed32(low);
    return low === 0;
  }

  #writeFixed64({ isNegative, low, high }: Integer): boolean {
    if (isNegative) this.#out.fixed64(negateLow(low), negateHigh(low, high));
    else this.#out.fixed64(low, high);
    return low === 0 && high === 0;
  }
}

/** Two's complement of a 64-bit integer in halves. */
function negateLow(low: number): number {
  return -low >>> 0;
}

function negateHigh(low: number, high: number): number {
  return (low === 0 ? -high : ~high) >>> 0;
}

function isEqualAt(bytes: Uint8Array, start: number, name: Uint8Array): boolean {
  for (let index = 0; index < name.length; index++) if (bytes[start + index] !== name[index]) return false;
  return true;
}

const NOT_FINITE: Readonly<Record<string, number>> = { NaN, Infinity, "-Infinity": -Infinity };

/** A double in quotes. undefined where it is none; Number() alone would take "", " 1" and "0x10". */
function parseDouble(text: string): number | undefined {
  if (Object.hasOwn(NOT_FINITE, text)) return NOT_FINITE[text];
  return /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(text) ? Number(text) : undefined;
}

function describeEnum(values: Readonly<Record<string, number>>): string {
  const numbers = Object.values(values);
  return `${Math.min(...numbers)} to ${Math.max(...numbers)}`;
}
