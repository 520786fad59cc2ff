/**
 * A full decode of OTLP that is as plain as can be: protobufjs' field descriptions and its Reader, nothing of src/wire.
 * Beside protobufjs' own decode it merges doubled messages as the protobuf specification says, and keeps unknown fields.
 *
 * In a NaiveMessage a string field is its raw bytes as latin1 (so that invalid UTF-8 is not lost), bytes are "0x..."
 * and 64-bit numbers are bigints. Scalars with implicit presence are absent where they are zero.
 */
import protobuf from "protobufjs";

export interface NaiveMessage {
  [field: string]: NaiveValue;
}

export type NaiveValue = string | number | boolean | bigint | NaiveMessage | NaiveValue[];

/** Raw bytes of unknown fields, in order, in hex. */
export const UNKNOWN = "$unknown";

interface Occurrence {
  readonly field: protobuf.Field;
  readonly value: NaiveValue | undefined;
  readonly contents: Uint8Array[];
}

export function decodeNaive(type: protobuf.Type, bytes: Uint8Array): NaiveMessage {
  const unknown: string[] = [];
  const slots = new Map<string, Occurrence>();
  const lists = new Map<string, NaiveValue[]>();
  const reader = protobuf.Reader.create(bytes);
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const tag = reader.uint32();
    const field = type.fieldsById[tag >>> 3]?.resolve();
    if (field === undefined) {
      reader.skipType(tag & 7);
      unknown.push(Buffer.from(bytes.subarray(start, reader.pos)).toString("hex"));
    } else if (field.repeated) {
      const list = lists.get(field.name) ?? [];
      lists.set(field.name, list);
      readRepeated(reader, tag & 7, field, list);
    } else {
      readSingular(reader, field, slots);
    }
  }
  return assemble(type, slots, lists, unknown);
}

function readRepeated(reader: protobuf.Reader, wireType: number, field: protobuf.Field, list: NaiveValue[]): void {
  if (field.resolvedType instanceof protobuf.Type) {
    list.push(decodeNaive(field.resolvedType, reader.bytes()));
  } else if (wireType === 2 && field.type !== "string" && field.type !== "bytes") {
    const end = reader.uint32() + reader.pos;
    while (reader.pos < end) list.push(readScalar(reader, field));
  } else {
    list.push(readScalar(reader, field));
  }
}

function readSingular(reader: protobuf.Reader, field: protobuf.Field, slots: Map<string, Occurrence>): void {
  const isRealOneof = field.partOf !== null && !field.options?.["proto3_optional"];
  const slot = isRealOneof ? `oneof ${field.partOf?.name}` : field.name;
  if (!(field.resolvedType instanceof protobuf.Type)) {
    slots.set(slot, { field, value: readScalar(reader, field), contents: [] });
    return;
  }
  const content = reader.bytes();
  const before = slots.get(slot);
  if (before?.field === field) before.contents.push(content);
  else slots.set(slot, { field, value: undefined, contents: [content] });
}

function assemble(
  type: protobuf.Type,
  slots: Map<string, Occurrence>,
  lists: Map<string, NaiveValue[]>,
  unknown: string[],
): NaiveMessage {
  const message: NaiveMessage = {};
  for (const { field, value, contents } of slots.values()) {
    const isExplicit = field.partOf !== null;
    if (value === undefined)
      message[field.name] = decodeNaive(field.resolvedType as protobuf.Type, Buffer.concat(contents));
    else if (isExplicit || !isZero(value)) message[field.name] = value;
  }
  for (const [name, list] of lists) if (list.length > 0) message[name] = list;
  if (unknown.length > 0) message[UNKNOWN] = unknown;
  return Object.fromEntries(Object.entries(message).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function isZero(value: NaiveValue): boolean {
  return value === "" || Object.is(value, 0) || value === 0n || value === false || value === "0x";
}

function readScalar(reader: protobuf.Reader, field: protobuf.Field): NaiveValue {
  switch (field.type) {
    case "string":
      return Buffer.from(reader.bytes()).toString("latin1");
    case "bytes":
      return `0x${Buffer.from(reader.bytes()).toString("hex")}`;
    case "bool":
      return reader.bool();
    case "double":
      return reader.double();
    case "uint32":
      return reader.uint32();
    case "sint32":
      return reader.sint32();
    case "fixed32":
      return reader.fixed32();
    case "int64":
      return bigintOf(reader.int64());
    case "uint64":
      return bigintOf(reader.uint64());
    case "fixed64":
      return BigInt.asUintN(64, bigintOf(reader.fixed64()));
    case "sfixed64":
      return bigintOf(reader.sfixed64());
    default:
      return reader.int32();
  }
}

function bigintOf(long: number | { toString(): string }): bigint {
  return BigInt(long.toString());
}

/** A raw string field; "" where it is absent. */
export function rawText(raw: NaiveValue | undefined): string {
  return typeof raw === "string" ? raw : "";
}

/** Raw string field to text, as a view reads it. */
export function textOf(raw: NaiveValue | undefined): string {
  return Buffer.from(rawText(raw), "latin1").toString("utf8");
}

/** Text to raw string field. */
export function rawOf(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}

/** A text that is equal for equal values; bigints and NaN included. */
export function describe(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (typeof inner === "bigint") return `${inner}n`;
    if (typeof inner === "number" && !Number.isFinite(inner)) return `number ${inner}`;
    return Object.is(inner, -0) ? "-0" : inner;
  });
}
