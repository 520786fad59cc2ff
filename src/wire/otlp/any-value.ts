/**
 * AnyValue between its bytes and JavaScript.
 *
 *   AnyValue      oneof value { string 1, bool 2, int64 3, double 4, ArrayValue 5, KeyValueList 6, bytes 7 }
 *   ArrayValue    repeated AnyValue values = 1
 *   KeyValueList  repeated KeyValue values = 1
 *   KeyValue      string key = 1; AnyValue value = 2
 *
 * https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/common/v1/common.proto
 */
import { MESSAGE_DEPTH_MAX } from "../limits.ts";
import { FieldWalker, readBool, readDouble, readInt64 } from "../protobuf/walker.ts";
import { LENGTH_DELIMITED } from "../protobuf/wire-type.ts";
import type { ProtobufWriter } from "../protobuf/writer.ts";
import { readText } from "../text.ts";
import { fieldNumbers } from "./message-table.ts";
import { Double, type AnyValueKind, type AttributeInput, type AttributeValue } from "./types.ts";

const VALUE = fieldNumbers("AnyValue", [
  "stringValue",
  "boolValue",
  "intValue",
  "doubleValue",
  "arrayValue",
  "kvlistValue",
  "bytesValue",
]);
const LIST_VALUES = 1;
export const KEY_FIELD = 1;
export const VALUE_FIELD = 2;
const KEY_TAG = (KEY_FIELD << 3) | LENGTH_DELIMITED;
const VALUE_TAG = (VALUE_FIELD << 3) | LENGTH_DELIMITED;

const KINDS: Readonly<Record<number, AnyValueKind>> = {
  [VALUE.stringValue]: "string",
  [VALUE.boolValue]: "bool",
  [VALUE.intValue]: "int",
  [VALUE.doubleValue]: "double",
  [VALUE.arrayValue]: "array",
  [VALUE.kvlistValue]: "kvlist",
  [VALUE.bytesValue]: "bytes",
};

/** The last member of the oneof; undefined where there is none that we know. */
function lastMember(bytes: Uint8Array, start: number, end: number): FieldWalker | undefined {
  const walker = new FieldWalker(bytes, start, end);
  // Nearly every AnyValue is one field and nothing else.
  if (!walker.next()) return undefined;
  if (walker.valueEnd === end) return walker.number in KINDS ? walker : undefined;
  return lastOfMany(bytes, start, end);
}

function lastOfMany(bytes: Uint8Array, start: number, end: number): FieldWalker | undefined {
  let last = -1;
  const walker = new FieldWalker(bytes, start, end);
  while (walker.next()) if (walker.number in KINDS) last = walker.fieldStart;
  if (last < 0) return undefined;
  const found = new FieldWalker(bytes, last, end);
  found.next();
  return found;
}

export function readAnyValueKind(bytes: Uint8Array, start: number, end: number): AnyValueKind {
  const member = lastMember(bytes, start, end);
  return member === undefined ? "empty" : (KINDS[member.number] ?? "empty");
}

const STRING_TAG = (VALUE.stringValue << 3) | LENGTH_DELIMITED;

/** The content of an AnyValue. Recursion is bounded by the scan, and by writeAnyValue for what we wrote. */
export function readAnyValue(bytes: Uint8Array, start: number, end: number): AttributeValue {
  // The fast path for one short string and nothing else; the same as readMember() finds.
  const size = bytes[start + 1]!;
  if (bytes[start] === STRING_TAG && size < 0x80 && start + 2 + size === end) return readText(bytes, start + 2, end);
  return readMember(bytes, start, end);
}

function readMember(bytes: Uint8Array, start: number, end: number): AttributeValue {
  const member = lastMember(bytes, start, end);
  if (member === undefined) return null;
  const { valueStart, valueEnd } = member;
  switch (member.number) {
    case VALUE.stringValue:
      return readText(bytes, valueStart, valueEnd);
    case VALUE.boolValue:
      return readBool(bytes, valueStart);
    case VALUE.intValue:
      return readInt64(bytes, valueStart);
    case VALUE.doubleValue:
      return readDouble(bytes, valueStart);
    case VALUE.arrayValue:
      return readArray(bytes, valueStart, valueEnd);
    case VALUE.kvlistValue:
      return readKeyValueList(bytes, valueStart, valueEnd);
    default:
      // A copy: a value may outlive its batch.
      return new Uint8Array(bytes.subarray(valueStart, valueEnd));
  }
}

/** The value where it is a string, without building any other. */
export function readStringValue(bytes: Uint8Array, start: number, end: number): string | undefined {
  const member = lastMember(bytes, start, end);
  if (member?.number !== VALUE.stringValue) return undefined;
  return readText(bytes, member.valueStart, member.valueEnd);
}

function readArray(bytes: Uint8Array, start: number, end: number): readonly AttributeValue[] {
  const values: AttributeValue[] = [];
  const walker = new FieldWalker(bytes, start, end);
  while (walker.next()) {
    if (walker.number === LIST_VALUES) values.push(readAnyValue(bytes, walker.valueStart, walker.valueEnd));
  }
  return values;
}

/** A key that stands twice reads as its first occurrence, like an attribute. */
function readKeyValueList(bytes: Uint8Array, start: number, end: number): ReadonlyMap<string, AttributeValue> {
  const values = new Map<string, AttributeValue>();
  const walker = new FieldWalker(bytes, start, end);
  const pair = new KeyValueReader();
  while (walker.next()) {
    if (walker.number !== LIST_VALUES) continue;
    pair.read(bytes, walker.valueStart, walker.valueEnd);
    const key = readText(bytes, pair.keyStart, pair.keyEnd);
    if (!values.has(key)) values.set(key, readAnyValue(bytes, pair.valueStart, pair.valueEnd));
  }
  return values;
}

/** Finds key and value of one KeyValue, in whichever order they stand (the Collector writes the value first). */
export class KeyValueReader {
  keyStart = 0;
  keyEnd = 0;
  /** Content of the AnyValue; an empty range where the field is absent. */
  valueStart = 0;
  valueEnd = 0;

  read(bytes: Uint8Array, start: number, end: number): void {
    this.keyStart = this.keyEnd = this.valueStart = this.valueEnd = start;
    let position = start;
    // The fast path for fields below 128 bytes, in a loop of their own; anything else is left to the walker.
    while (position < end) {
      const tag = bytes[position]!;
      const valueStart = position + 2;
      const valueEnd = valueStart + bytes[position + 1]!;
      if (bytes[position + 1]! >= 0x80) return this.#walk(bytes, position, end);
      if (tag === KEY_TAG) {
        this.keyStart = valueStart;
        this.keyEnd = valueEnd;
      } else if (tag === VALUE_TAG) {
        this.valueStart = valueStart;
        this.valueEnd = valueEnd;
      } else {
        return this.#walk(bytes, position, end);
      }
      position = valueEnd;
    }
  }

  #walk(bytes: Uint8Array, start: number, end: number): void {
    const walker = new FieldWalker(bytes, start, end);
    while (walker.next()) {
      if (walker.number === KEY_FIELD) {
        this.keyStart = walker.valueStart;
        this.keyEnd = walker.valueEnd;
      } else if (walker.number === VALUE_FIELD) {
        this.valueStart = walker.valueStart;
        this.valueEnd = walker.valueEnd;
      }
    }
  }
}

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

// The deepest place that can be written is an attribute of a data point: request, two groups, metric, gauge, point,
// KeyValue, AnyValue. What is written must be readable by our own scan.
const WRITE_DEPTH_START = 8;

/** Writes the content of an AnyValue. Throws a TypeError that names what cannot be written, and leaves nothing usable in `out`. */
export function writeAnyValue(out: ProtobufWriter, input: AttributeInput): void {
  writeValue(out, input, WRITE_DEPTH_START);
}

function writeValue(out: ProtobufWriter, input: AttributeInput, depth: number): void {
  switch (typeof input) {
    case "string":
      return out.stringField(VALUE.stringValue, input);
    case "boolean":
      return out.varintField(VALUE.boolValue, input ? 1 : 0);
    case "number":
      if (Number.isSafeInteger(input)) return out.varintField(VALUE.intValue, input);
      return out.doubleField(VALUE.doubleValue, input);
    case "bigint":
      if (input < INT64_MIN || input > INT64_MAX) throw new TypeError(`${input} does not fit into an int64 attribute`);
      return out.varintField(VALUE.intValue, input);
    case "object":
      return writeObject(out, input, depth);
    case "undefined":
    case "function":
    case "symbol":
    default:
      throw new TypeError(`an attribute cannot hold a value of type ${typeof input}`);
  }
}

function writeObject(
  out: ProtobufWriter,
  input: Exclude<AttributeInput, string | number | boolean | bigint>,
  depth: number,
): void {
  if (input === null) return;
  if (input instanceof Double) return out.doubleField(VALUE.doubleValue, input.value);
  if (input instanceof Uint8Array) return out.bytesField(VALUE.bytesValue, input);
  if (Array.isArray(input)) return writeArray(out, input, depth);
  const entries: Iterable<readonly [string, AttributeInput]> = isMap(input) ? input : Object.entries(input);
  writeKeyValueList(out, entries, depth);
}

function isMap(input: object): input is ReadonlyMap<string, AttributeInput> {
  return input instanceof Map;
}

function writeArray(out: ProtobufWriter, values: readonly AttributeInput[], depth: number): void {
  checkDepth(depth + 2);
  out.begin(VALUE.arrayValue, 64);
  for (const value of values) {
    out.begin(LIST_VALUES, 16);
    writeValue(out, value, depth + 2);
    out.end();
  }
  out.end();
}

function writeKeyValueList(
  out: ProtobufWriter,
  entries: Iterable<readonly [string, AttributeInput]>,
  depth: number,
): void {
  checkDepth(depth + 3);
  out.begin(VALUE.kvlistValue, 64);
  for (const [key, value] of entries) {
    out.begin(LIST_VALUES, 32);
    writeKeyValueAt(out, key, value, depth + 3);
    out.end();
  }
  out.end();
}

/** Writes the content of a KeyValue. */
export function writeKeyValue(out: ProtobufWriter, key: string, value: AttributeInput): void {
  writeKeyValueAt(out, key, value, WRITE_DEPTH_START);
}

function writeKeyValueAt(out: ProtobufWriter, key: string, value: AttributeInput, depth: number): void {
  out.stringField(KEY_FIELD, key);
  out.begin(VALUE_FIELD, 16);
  writeValue(out, value, depth);
  out.end();
}

function checkDepth(depth: number): void {
  if (depth > MESSAGE_DEPTH_MAX) {
    throw new TypeError(
      `an attribute value is nested too deeply, or contains itself; ${MESSAGE_DEPTH_MAX} messages are the limit`,
    );
  }
}
