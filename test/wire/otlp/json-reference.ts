import protobuf from "protobufjs";
import type { Signal } from "../../../src/core/signal.ts";
import {
  isEnumName,
  isMessageName,
  MESSAGES,
  REQUEST_MESSAGES,
  type FieldSchema,
  type MessageName,
} from "../../../src/wire/otlp/schema.ts";

/** OTLP as protobufjs reads it: the slow, full decode that the JSON codec is compared with. */

/** Every proto3 implementation decodes this into the same values, whatever the order and the pieces of the bytes. */
export type Tree = { readonly [name: string]: unknown };

const root = buildRoot();

function buildRoot(): protobuf.Root {
  const namespace = new protobuf.Namespace("otlp");
  for (const [name, fields] of Object.entries(MESSAGES)) namespace.add(buildType(name, fields));
  return new protobuf.Root().add(namespace).root;
}

function buildType(name: string, fields: readonly FieldSchema[]): protobuf.Type {
  const type = new protobuf.Type(name);
  const oneofs = new Map<string, string[]>();
  for (const field of fields) {
    const rule = field.repeated === true ? "repeated" : undefined;
    type.add(new protobuf.Field(field.name, field.number, protobufType(field.type), rule));
    const oneof = field.oneof ?? (field.optional === true ? `_${field.name}` : undefined);
    if (oneof !== undefined) oneofs.set(oneof, [...(oneofs.get(oneof) ?? []), field.name]);
  }
  for (const [oneof, members] of oneofs) type.add(new protobuf.OneOf(oneof, members));
  return type;
}

function protobufType(type: FieldSchema["type"]): string {
  if (isEnumName(type)) return "int32";
  return type === "traceId" || type === "spanId" ? "bytes" : type;
}

export function typeOf(name: MessageName): protobuf.Type {
  return root.lookupType(`otlp.${name}`);
}

/** Presence kept, so that a zero that was written differs from none; 64-bit integers and bytes as text, -0 as "-0". */
export function fullDecode(signal: Signal, bytes: Uint8Array): Tree {
  return treeOf(REQUEST_MESSAGES[signal], typeOf(REQUEST_MESSAGES[signal]).decode(bytes));
}

function treeOf(name: MessageName, message: protobuf.Message): Tree {
  const own = message as protobuf.Message & Record<string, unknown>;
  const tree: Record<string, unknown> = {};
  for (const field of MESSAGES[name]) {
    if (!Object.hasOwn(own, field.name) || own[field.name] === null) continue;
    const value = own[field.name];
    const plain = Array.isArray(value) ? value.map((entry) => plainOf(field, entry)) : plainOf(field, value);
    const isAbsent = Array.isArray(plain) ? plain.length === 0 : isImplicit(field) && isDefault(plain);
    if (!isAbsent) tree[field.name] = plain;
  }
  return tree;
}

function plainOf(field: FieldSchema, value: unknown): unknown {
  if (isMessageName(field.type)) return treeOf(field.type, value as protobuf.Message);
  if (value instanceof Uint8Array) return `0x${Buffer.from(value).toString("hex")}`;
  if (field.type.endsWith("64")) return String(value);
  return Object.is(value, -0) ? "-0" : value;
}

function isImplicit(field: FieldSchema): boolean {
  return field.oneof === undefined && field.optional !== true && !isMessageName(field.type);
}

function isDefault(plain: unknown): boolean {
  return plain === 0 || plain === false || plain === "" || plain === "0" || plain === "0x";
}
