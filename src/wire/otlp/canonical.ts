/**
 * Group headers as texts that are equal exactly where two groups may become one: attributes in any order, known scalars
 * by value, and whatever else stands there byte by byte. When in doubt two headers differ: then two groups stand side
 * by side, which is only longer.
 */
import { FieldWalker, readInt64, readBool, readVarint32 } from "../protobuf/walker.ts";
import { asBuffer } from "../text.ts";
import { KEY_FIELD, VALUE_FIELD } from "./any-value.ts";
import { GROUP_HEADER_FIELD, GROUP_SCHEMA_URL_FIELD } from "./batch-index.ts";
import { fieldNumbers } from "./message-table.ts";

const RESOURCE = fieldNumbers("Resource", ["attributes", "droppedAttributesCount"]);
const SCOPE = fieldNumbers("InstrumentationScope", ["name", "version", "attributes", "droppedAttributesCount"]);
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

export const RESOURCE_ATTRIBUTES: number = RESOURCE.attributes;
export const SCOPE_ATTRIBUTES: number = SCOPE.attributes;

/** `header` holds the fields of a group without its children: field 1 is the Resource or scope, field 3 the schema URL. */
export function canonicalHeader(header: Uint8Array, attributes: number): string {
  let message = canonicalMessage(header, 0, 0, attributes);
  let schemaUrl = "";
  let rest = "";
  const walker = new FieldWalker(header, 0, header.length);
  while (walker.next()) {
    if (walker.number === GROUP_HEADER_FIELD) {
      message = canonicalMessage(header, walker.valueStart, walker.valueEnd, attributes);
    } else if (walker.number === GROUP_SCHEMA_URL_FIELD) {
      schemaUrl = raw(header, walker.valueStart, walker.valueEnd);
    } else {
      rest += raw(header, walker.fieldStart, walker.valueEnd);
    }
  }
  return join([message, schemaUrl, rest]);
}

/** A Resource or an InstrumentationScope. */
function canonicalMessage(bytes: Uint8Array, start: number, end: number, attributes: number): string {
  const isScope = attributes === SCOPE_ATTRIBUTES;
  const dropped = isScope ? SCOPE.droppedAttributesCount : RESOURCE.droppedAttributesCount;
  const pairs: [string, string][] = [];
  let name = "";
  let version = "";
  let droppedCount = 0;
  let rest = "";
  const walker = new FieldWalker(bytes, start, end);
  while (walker.next()) {
    const { number, valueStart, valueEnd } = walker;
    if (number === attributes) pairs.push(canonicalPair(bytes, valueStart, valueEnd));
    else if (number === dropped) droppedCount = readVarint32(bytes, valueStart);
    else if (isScope && number === SCOPE.name) name = raw(bytes, valueStart, valueEnd);
    else if (isScope && number === SCOPE.version) version = raw(bytes, valueStart, valueEnd);
    else rest += raw(bytes, walker.fieldStart, valueEnd);
  }
  return join([sorted(pairs), name, version, String(droppedCount), rest]);
}

/** By key; the sort is stable, so occurrences of one key keep their order. */
function sorted(pairs: readonly [string, string][]): string {
  return join(pairs.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)).flat());
}

function canonicalPair(bytes: Uint8Array, start: number, end: number): [string, string] {
  let key = "";
  let value = "";
  let rest = "";
  const walker = new FieldWalker(bytes, start, end);
  while (walker.next()) {
    if (walker.number === KEY_FIELD) key = raw(bytes, walker.valueStart, walker.valueEnd);
    else if (walker.number === VALUE_FIELD) value = canonicalValue(bytes, walker.valueStart, walker.valueEnd);
    else rest += raw(bytes, walker.fieldStart, walker.valueEnd);
  }
  return [key, join([value, rest])];
}

/** The content of an AnyValue. */
export function canonicalValue(bytes: Uint8Array, start: number, end: number): string {
  let value = "";
  let rest = "";
  const walker = new FieldWalker(bytes, start, end);
  while (walker.next()) {
    const known = canonicalMember(walker.number, bytes, walker.valueStart, walker.valueEnd);
    if (known === undefined) rest += raw(bytes, walker.fieldStart, walker.valueEnd);
    else value = `${walker.number}${known}`;
  }
  return join([value, rest]);
}

function canonicalMember(number: number, bytes: Uint8Array, start: number, end: number): string | undefined {
  switch (number) {
    case VALUE.stringValue:
    case VALUE.bytesValue:
    case VALUE.doubleValue:
      return raw(bytes, start, end);
    case VALUE.boolValue:
      return String(readBool(bytes, start));
    case VALUE.intValue:
      return String(readInt64(bytes, start));
    case VALUE.arrayValue:
      return canonicalArray(bytes, start, end);
    case VALUE.kvlistValue:
      return canonicalPairs(bytes, start, end);
    default:
      return undefined;
  }
}

function canonicalArray(bytes: Uint8Array, start: number, end: number): string {
  const items: string[] = [];
  let rest = "";
  const walker = new FieldWalker(bytes, start, end);
  while (walker.next()) {
    if (walker.number === LIST_VALUES) items.push(canonicalValue(bytes, walker.valueStart, walker.valueEnd));
    else rest += raw(bytes, walker.fieldStart, walker.valueEnd);
  }
  return join([join(items), rest]);
}

function canonicalPairs(bytes: Uint8Array, start: number, end: number): string {
  const pairs: [string, string][] = [];
  let rest = "";
  const walker = new FieldWalker(bytes, start, end);
  while (walker.next()) {
    if (walker.number === LIST_VALUES) pairs.push(canonicalPair(bytes, walker.valueStart, walker.valueEnd));
    else rest += raw(bytes, walker.fieldStart, walker.valueEnd);
  }
  return join([sorted(pairs), rest]);
}

function raw(bytes: Uint8Array, start: number, end: number): string {
  return asBuffer(bytes).toString("latin1", start, end);
}

/** Lengths in front, so that no value can pretend to be two. */
function join(parts: readonly string[]): string {
  let text = "";
  for (const part of parts) text += `${part.length}:${part}`;
  return text;
}
