/**
 * Protobuf lets the fields of one message stand in any number of pieces: a scalar twice (the last one counts), a message
 * twice (the two are merged), a list with other fields in between, a oneof with several members (the last one counts).
 * JSON has one place for each. Encoders write none of these forms, so the check is cheap and the cure need not be.
 */
import { FieldWalker } from "../protobuf/walker.ts";
import { ProtobufWriter } from "../protobuf/writer.ts";
import type { JsonField, JsonMessage } from "./json-schema.ts";

/** Looks at this message only, not into the messages in it, so that a walk over all levels stays linear. */
export function isInOrder(message: JsonMessage, bytes: Uint8Array, start: number, end: number): boolean {
  const walker = new FieldWalker(bytes, start, end);
  let seen = 0;
  let oneof: string | undefined;
  let last: JsonField | undefined;
  while (walker.next()) {
    const field = message.byNumber[walker.number];
    if (field === undefined) continue;
    if ((seen & field.bit) !== 0 && !(field.repeated && field === last)) return false;
    // No message of OTLP has two oneofs.
    if (field.oneof !== undefined && oneof !== undefined && field !== last) return false;
    seen |= field.bit;
    oneof ??= field.oneof;
    last = field;
  }
  return true;
}

/** One occurrence of a field. */
interface Occurrence {
  readonly field: JsonField;
  readonly fieldStart: number;
  readonly valueStart: number;
  readonly valueEnd: number;
}

/** The same message with its fields in the schema's order, lists in one piece, and nothing else twice. Unknown fields are dropped. */
export function putInOrder(message: JsonMessage, bytes: Uint8Array, start: number, end: number): Uint8Array {
  const occurrences = collect(message, bytes, start, end);
  const writer = new ProtobufWriter(end - start);
  for (const field of message.fields) writeField(writer, field, bytes, occurrences.get(field) ?? []);
  return writer.toBytes();
}

function collect(
  message: JsonMessage,
  bytes: Uint8Array,
  start: number,
  end: number,
): Map<JsonField, readonly Occurrence[]> {
  const byField = new Map<JsonField, Occurrence[]>();
  let member: JsonField | undefined;
  const walker = new FieldWalker(bytes, start, end);
  while (walker.next()) {
    const field = message.byNumber[walker.number];
    if (field === undefined) continue;
    if (field.oneof !== undefined && member !== undefined && member !== field) byField.delete(member);
    if (field.oneof !== undefined) member = field;
    const { fieldStart, valueStart, valueEnd } = walker;
    const entries = byField.get(field);
    if (entries === undefined) byField.set(field, [{ field, fieldStart, valueStart, valueEnd }]);
    else entries.push({ field, fieldStart, valueStart, valueEnd });
  }
  return byField;
}

function writeField(
  writer: ProtobufWriter,
  field: JsonField,
  bytes: Uint8Array,
  occurrences: readonly Occurrence[],
): void {
  const last = occurrences.at(-1);
  if (last === undefined) return;
  if (field.repeated || occurrences.length === 1) {
    for (const { fieldStart, valueEnd } of occurrences) writer.copy(bytes, fieldStart, valueEnd);
  } else if (field.message === undefined) {
    writer.copy(bytes, last.fieldStart, last.valueEnd);
  } else {
    // Reading two messages one after the other is protobuf's definition of merging them.
    const size = occurrences.reduce((sum, { valueStart, valueEnd }) => sum + valueEnd - valueStart, 0);
    writer.begin(field.number, size);
    for (const { valueStart, valueEnd } of occurrences) writer.copy(bytes, valueStart, valueEnd);
    writer.end();
  }
}
