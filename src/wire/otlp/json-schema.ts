/** The schema's tables in the form that the JSON codec reads: names as bytes, tags encoded, messages linked. */
import { LENGTH_DELIMITED } from "../protobuf/wire-type.ts";
import { wireTypeOf } from "./message-table.ts";
import {
  ENUMS,
  isEnumName,
  isMessageName,
  MESSAGES,
  type FieldSchema,
  type MessageName,
  type ScalarType,
} from "./schema.ts";

export interface JsonField {
  readonly number: number;
  readonly name: string;
  readonly nameBytes: Uint8Array;
  /** A scalar's type; "enum" and "message" for what the next two name. */
  readonly type: ScalarType | "enum" | "message";
  readonly enumValues: Readonly<Record<string, number>> | undefined;
  readonly message: JsonMessage | undefined;
  readonly repeated: boolean;
  /** A repeated number stands in one length-delimited field. */
  readonly packed: boolean;
  readonly oneof: string | undefined;
  /** A zero is data: members of a oneof, `optional` fields. */
  readonly keepsZero: boolean;
  readonly wireType: number;
  /** 1 << position in its message. */
  readonly bit: number;
  /** Unique over all messages; indexes tables of per-field hints. */
  readonly index: number;
}

export interface JsonMessage {
  readonly name: MessageName;
  readonly fields: readonly JsonField[];
  readonly byName: ReadonlyMap<string, JsonField>;
  /** Names of one length are few: the hot look-up compares bytes with these only. */
  readonly byNameLength: readonly (readonly JsonField[] | undefined)[];
  readonly byNumber: readonly (JsonField | undefined)[];
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const compiled = new Map<MessageName, Mutable<JsonMessage>>();
let fieldCount = 0;

/** Messages refer to each other in circles (AnyValue), so each is entered before its fields are made. */
export function jsonMessage(name: MessageName): JsonMessage {
  const known = compiled.get(name);
  if (known !== undefined) return known;
  const message: Mutable<JsonMessage> = { name, fields: [], byName: new Map(), byNameLength: [], byNumber: [] };
  compiled.set(name, message);
  const fields = MESSAGES[name].map((schema, position) => compileField(schema, position));
  message.fields = fields;
  message.byName = new Map(fields.map((field) => [field.name, field]));
  message.byNameLength = indexBy(fields, (field) => field.name.length);
  const byNumber: (JsonField | undefined)[] = [];
  for (const field of fields) byNumber[field.number] = field;
  message.byNumber = Array.from(byNumber);
  return message;
}

function compileField(schema: FieldSchema, position: number): JsonField {
  const { type, oneof, repeated = false } = schema;
  const isMessage = isMessageName(type);
  const isEnum = isEnumName(type);
  const wireType = wireTypeOf(type);
  return {
    number: schema.number,
    name: schema.name,
    nameBytes: Buffer.from(schema.name),
    type: isMessage ? "message" : isEnum ? "enum" : type,
    enumValues: isEnum ? ENUMS[type] : undefined,
    message: isMessage ? jsonMessage(type) : undefined,
    repeated,
    packed: repeated && wireType !== LENGTH_DELIMITED,
    oneof,
    keepsZero: oneof !== undefined || schema.optional === true,
    wireType,
    bit: 1 << position,
    index: fieldCount++,
  };
}

function indexBy(fields: readonly JsonField[], key: (field: JsonField) => number): (JsonField[] | undefined)[] {
  const index: (JsonField[] | undefined)[] = [];
  for (const field of fields) (index[key(field)] ??= []).push(field);
  return Array.from(index);
}
