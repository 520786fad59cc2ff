import * as fc from "fast-check";
import type { Signal } from "../../../src/core/signal.ts";
import {
  isEnumName,
  isMessageName,
  MESSAGES,
  REQUEST_MESSAGES,
  type FieldSchema,
  type MessageName,
  type ScalarType,
} from "../../../src/wire/otlp/schema.ts";
import { typeOf } from "./json-reference.ts";

/** Random requests of a signal, encoded by protobufjs. AnyValue nests until the depth is used up. */
export function requestBytes(signal: Signal): fc.Arbitrary<Uint8Array> {
  const type = typeOf(REQUEST_MESSAGES[signal]);
  return message(REQUEST_MESSAGES[signal], 9).map((value) => type.encode(type.create(value)).finish());
}

function message(name: MessageName, depth: number): fc.Arbitrary<Record<string, unknown>> {
  const entries = MESSAGES[name]
    .filter((field) => depth > 0 || !isMessageName(field.type))
    .map((field) => [field.name, fieldValue(field, depth)] as const);
  const all = fc.record(Object.fromEntries(entries), { requiredKeys: [] });
  return all.map((value) => keepOneMember(name, value));
}

/** protobufjs would write every member of a oneof that it is given. */
function keepOneMember(name: MessageName, value: Record<string, unknown>): Record<string, unknown> {
  const members = MESSAGES[name].filter((field) => field.oneof !== undefined && field.name in value);
  const dropped = new Set(members.slice(1).map((field) => field.name));
  return Object.fromEntries(Object.entries(value).filter(([key]) => !dropped.has(key)));
}

function fieldValue(field: FieldSchema, depth: number): fc.Arbitrary<unknown> {
  const { type } = field;
  const single = isMessageName(type) ? message(type, depth - 1) : isEnumName(type) ? INT32 : SCALARS[type];
  return field.repeated === true ? fc.array(single, { maxLength: 3 }) : single;
}

const INT32 = fc.oneof(fc.constantFrom(0, 1, -1, 2 ** 31 - 1, -(2 ** 31)), fc.integer());
const UINT32 = fc.oneof(fc.constantFrom(0, 1, 2 ** 32 - 1), fc.integer({ min: 0, max: 2 ** 32 - 1 }));
const INT64 = decimal(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }));
const UINT64 = decimal(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }));
/** Lengths on both sides of 127 and 16,383, where a length takes one more byte, need some long ones. */
const LONG_TEXT = fc.nat({ max: 20_000 }).map((length) => "x".repeat(length));
const TEXT = fc.oneof(
  { weight: 1, arbitrary: LONG_TEXT },
  {
    weight: 8,
    arbitrary: fc.oneof(fc.string(), fc.string({ unit: "binary" }), fc.constantFrom("", '"\\\u0000\n', "é😀\u2028")),
  },
);

const SCALARS: Readonly<Record<ScalarType, fc.Arbitrary<unknown>>> = {
  string: TEXT.map((text) => text.toWellFormed()),
  bytes: fc.uint8Array({ maxLength: 12 }),
  traceId: bytesOf(16),
  spanId: bytesOf(8),
  bool: fc.boolean(),
  uint32: UINT32,
  int32: INT32,
  sint32: INT32,
  int64: INT64,
  uint64: UINT64,
  fixed32: UINT32,
  fixed64: UINT64,
  sfixed64: INT64,
  double: fc.oneof(fc.double(), fc.constantFrom(0, -0, NaN, Infinity, -Infinity, 5e-324, 1e21)),
};

function bytesOf(size: number): fc.Arbitrary<Uint8Array> {
  return fc.oneof(fc.constant(new Uint8Array()), fc.uint8Array({ minLength: size, maxLength: size }));
}

/** protobufjs takes 64-bit integers as decimal text. */
function decimal(value: fc.Arbitrary<bigint>): fc.Arbitrary<string> {
  return fc.oneof(fc.constantFrom(0n, 1n, 2n ** 53n + 1n, 2n ** 63n - 1n), value).map(String);
}
