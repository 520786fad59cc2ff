/**
 * The slow path for a request in which a singular message stands twice.
 *
 * Protobuf says that the two are one: their fields concatenate, and of a oneof the last member wins. No client writes
 * such bytes, but a value must not hide in the second half, so the request is rewritten once with each message in one
 * place (its first), and scanned again. Unknown fields and the order of all others are kept.
 */
import type { Signal } from "../../core/signal.ts";
import { FieldWalker } from "../protobuf/walker.ts";
import { ProtobufWriter } from "../protobuf/writer.ts";
import { isMessageName, MESSAGES, REQUEST_MESSAGES, type FieldSchema, type MessageName } from "./schema.ts";

/** `bytes` must have passed the scan. The result has no duplicates, is no longer than `bytes` and no deeper. */
export function mergeDuplicates(signal: Signal, bytes: Uint8Array): Uint8Array {
  const out = new ProtobufWriter(bytes.length);
  writeMerged(out, REQUEST_MESSAGES[signal], bytes);
  return out.toBytes();
}

interface Part {
  readonly number: number;
  /** The whole field, where it stays as it is. */
  readonly raw: Uint8Array;
  /** A known message: its type, and the contents of all its occurrences in order. */
  readonly message: MessageName | undefined;
  readonly contents: Uint8Array[];
}

function writeMerged(out: ProtobufWriter, message: MessageName, bytes: Uint8Array): void {
  for (const part of collectParts(message, bytes)) {
    if (part.message === undefined) {
      out.copy(part.raw);
      continue;
    }
    const content = part.contents.length === 1 ? part.contents[0]! : concatenate(part.contents);
    const mark = out.begin(part.number, content.length);
    writeMerged(out, part.message, content);
    out.end(mark);
  }
}

/** The fields of a message in the order of their first occurrence, duplicates gathered. */
function collectParts(message: MessageName, bytes: Uint8Array): readonly Part[] {
  const fields = new Map(MESSAGES[message].map((field) => [field.number, field]));
  const parts = new Set<Part>();
  const singular = new Map<string, Part>();
  const walker = new FieldWalker(bytes, 0, bytes.length);
  while (walker.next()) {
    const field = fields.get(walker.number);
    const raw = bytes.subarray(walker.fieldStart, walker.valueEnd);
    const slot = field === undefined ? undefined : slotOf(field);
    const before = slot === undefined ? undefined : singular.get(slot);
    const content = bytes.subarray(walker.valueStart, walker.valueEnd);
    const type = field !== undefined && isMessageName(field.type) ? field.type : undefined;
    if (before !== undefined && before.number === walker.number && type !== undefined) {
      before.contents.push(content);
      continue;
    }
    // Another member of the same oneof, or a scalar member again: the earlier one no longer counts.
    if (before !== undefined) parts.delete(before);
    const part: Part = { number: walker.number, raw, message: type, contents: [content] };
    parts.add(part);
    if (slot !== undefined) singular.set(slot, part);
  }
  return [...parts];
}

/** Fields of one slot exclude or complete each other. Plain scalars have none: of those the last wins wherever it is read. */
function slotOf(field: FieldSchema): string | undefined {
  if (field.repeated === true) return undefined;
  if (field.oneof !== undefined) return `oneof ${field.oneof}`;
  return isMessageName(field.type) ? field.name : undefined;
}

function concatenate(contents: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(contents.reduce((size, content) => size + content.length, 0));
  let position = 0;
  for (const content of contents) {
    whole.set(content, position);
    position += content.length;
  }
  return whole;
}
