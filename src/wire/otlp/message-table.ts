/**
 * schema.ts as integers: what the scan needs to know of a field, in one number, found by message and field number.
 */
import { FIXED32, FIXED64, LENGTH_DELIMITED, VARINT } from "../protobuf/wire-type.ts";
import { isEnumName, isMessageName, MESSAGES, type FieldSchema, type MessageName, type ScalarType } from "./schema.ts";

/** Highest field number of the tables, plus one; every number above is unknown. The scan's set of seen fields is one 32-bit integer. */
export const FIELDS_PER_MESSAGE = 32;

export const MESSAGE_NAMES = Object.keys(MESSAGES).filter((name): name is MessageName => Object.hasOwn(MESSAGES, name));

const MESSAGE_IDS = new Map(MESSAGE_NAMES.map((name, id) => [name, id]));

export function messageId(name: MessageName): number {
  const id = MESSAGE_IDS.get(name);
  if (id === undefined) throw new Error(`schema.ts has no message ${name}`);
  return id;
}

/*
 * An entry, from the low bit:
 *   3 bits  wire type of one value
 *   1 bit   known field
 *   1 bit   repeated scalar: may also come packed in a length-delimited field
 *   1 bit   message
 *   4 bits  role
 *   5 bits  once: which bit of the set of seen fields this singular message takes; 0 for all others
 *   1 bit   unused
 *   16 bits a message: its id; text and bytes: the one size that they may have beside 0, or 0 for any
 */
export const WIRE_TYPE_BITS = 7;
export const KNOWN = 1 << 3;
export const PACKABLE = 1 << 4;
export const MESSAGE = 1 << 5;
export const ROLE_SHIFT = 6;
export const ROLE_BITS = 15;
export const ONCE_SHIFT = 10;
export const ONCE_BITS = 31;
export const MESSAGE_SHIFT = 16;
export const SIZE_SHIFT = 16;

// Any other size is refused, as the Collector does: passed on, it would cost the whole batch at the next hop.
const ID_SIZES: Readonly<Partial<Record<FieldSchema["type"], number>>> = { traceId: 16, spanId: 8 };

/** What the index notes when it meets a field. */
export const ROLE_NONE = 0;
export const ROLE_RESOURCE_GROUP = 1;
export const ROLE_SCOPE_GROUP = 2;
export const ROLE_RECORD = 3;
export const ROLE_DATA_POINT = 4;
export const ROLE_RESOURCE = 5;
export const ROLE_SCOPE = 6;

const ROLES: Readonly<Partial<Record<MessageName, number>>> = {
  ResourceLogs: ROLE_RESOURCE_GROUP,
  ResourceSpans: ROLE_RESOURCE_GROUP,
  ResourceMetrics: ROLE_RESOURCE_GROUP,
  ScopeLogs: ROLE_SCOPE_GROUP,
  ScopeSpans: ROLE_SCOPE_GROUP,
  ScopeMetrics: ROLE_SCOPE_GROUP,
  LogRecord: ROLE_RECORD,
  Span: ROLE_RECORD,
  Metric: ROLE_RECORD,
  NumberDataPoint: ROLE_DATA_POINT,
  HistogramDataPoint: ROLE_DATA_POINT,
  ExponentialHistogramDataPoint: ROLE_DATA_POINT,
  SummaryDataPoint: ROLE_DATA_POINT,
  Resource: ROLE_RESOURCE,
  InstrumentationScope: ROLE_SCOPE,
};

const SCALAR_WIRE_TYPES: Readonly<Record<ScalarType, number>> = {
  string: LENGTH_DELIMITED,
  bytes: LENGTH_DELIMITED,
  traceId: LENGTH_DELIMITED,
  spanId: LENGTH_DELIMITED,
  bool: VARINT,
  uint32: VARINT,
  int32: VARINT,
  sint32: VARINT,
  int64: VARINT,
  uint64: VARINT,
  fixed32: FIXED32,
  fixed64: FIXED64,
  sfixed64: FIXED64,
  double: FIXED64,
};

export function wireTypeOf(type: FieldSchema["type"]): number {
  if (isMessageName(type)) return LENGTH_DELIMITED;
  return isEnumName(type) ? VARINT : SCALAR_WIRE_TYPES[type];
}

/**
 * The bit that a singular message sets when it is met. All members of Metric.data share one: two different members in
 * one metric need the slow path as well, since the points of the earlier one do not count.
 */
function onceBit(message: MessageName, field: FieldSchema): number {
  if (field.repeated === true || !isMessageName(field.type)) return 0;
  if (message !== "Metric") return field.number;
  return Math.min(...MESSAGES.Metric.filter(({ oneof }) => oneof === field.oneof).map(({ number }) => number));
}

function entryOf(message: MessageName, field: FieldSchema): number {
  const wireType = wireTypeOf(field.type);
  const base = wireType | KNOWN | (onceBit(message, field) << ONCE_SHIFT);
  if (isMessageName(field.type)) {
    return base | MESSAGE | ((ROLES[field.type] ?? ROLE_NONE) << ROLE_SHIFT) | (messageId(field.type) << MESSAGE_SHIFT);
  }
  if (wireType === LENGTH_DELIMITED) return base | ((ID_SIZES[field.type] ?? 0) << SIZE_SHIFT);
  return field.repeated === true ? base | PACKABLE : base;
}

function createTable(): Int32Array {
  const table = new Int32Array(MESSAGE_NAMES.length * FIELDS_PER_MESSAGE);
  MESSAGE_NAMES.forEach((message, id) => {
    for (const field of MESSAGES[message]) table[id * FIELDS_PER_MESSAGE + field.number] = entryOf(message, field);
  });
  return table;
}

/** `FIELD_TABLE[messageId * FIELDS_PER_MESSAGE + fieldNumber]`; 0 for unknown fields. */
export const FIELD_TABLE: Int32Array = createTable();

/** The field numbers of one message by name; fails when the module is loaded if schema.ts lacks one. */
export function fieldNumbers<const Names extends readonly string[]>(
  message: MessageName,
  names: Names,
): Readonly<Record<Names[number], number>> {
  const numbers = MESSAGES[message]
    .filter(({ name }) => names.includes(name))
    .map(({ name, number }) => [name, number]);
  if (numbers.length !== names.length) throw new Error(`schema.ts lacks a field of ${message}: ${names.join(", ")}`);
  return Object.fromEntries(numbers) as Record<Names[number], number>;
}
