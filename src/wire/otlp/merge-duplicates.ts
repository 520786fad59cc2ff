/**
 * The slow path for a request in which a singular message stands twice.
 *
 * Protobuf says that the two are one: their fields concatenate, and of a oneof the last member wins. No client writes
 * such bytes, but a value must not hide in the second half, so the request is rewritten once with each message in one
 * place (its first), and scanned again. Unknown fields and the order of all others are kept.
 *
 * It walks each message twice and keeps a few numbers for each of its known fields, never a list of what it found, so
 * that hostile bytes cost no more memory than MERGE_BYTES_FACTOR_MAX says.
 */
import type { Signal } from "../../core/signal.ts";
import { DecodeError } from "../decode-error.ts";
import { MERGE_BYTES_FACTOR_MAX } from "../limits.ts";
import { FieldWalker } from "../protobuf/walker.ts";
import { ProtobufWriter } from "../protobuf/writer.ts";
import { isMessageName, MESSAGES, REQUEST_MESSAGES, type FieldSchema, type MessageName } from "./schema.ts";

/**
 * `bytes` must have passed the scan. The result has no duplicates, is no longer than `bytes` and no deeper.
 * Throws DecodeError where merging would copy more than the limit allows.
 */
export function mergeDuplicates(signal: Signal, bytes: Uint8Array): Uint8Array {
  const merger = new Merger(`otlp ${signal}`, bytes.length);
  merger.message(REQUEST_MESSAGES[signal], bytes, 0, bytes.length);
  return merger.out.toBytes();
}

interface KnownField {
  /** Known messages only. */
  readonly message: MessageName | undefined;
  /**
   * Fields of one slot exclude or complete each other: the members of a oneof, or the occurrences of a singular message.
   * undefined for lists, and for plain scalars, whose last occurrence wins wherever they are read.
   */
  readonly slot: number | undefined;
}

function knownField(message: MessageName, { number, type, repeated, oneof }: FieldSchema): KnownField {
  const inner = isMessageName(type) ? type : undefined;
  if (repeated === true) return { message: inner, slot: undefined };
  if (oneof === undefined) return { message: inner, slot: inner === undefined ? undefined : number };
  const members = MESSAGES[message].filter((field) => field.oneof === oneof);
  return { message: inner, slot: Math.min(...members.map((field) => field.number)) };
}

const knownFields = new Map<MessageName, ReadonlyMap<number, KnownField>>();

function fieldsOf(message: MessageName): ReadonlyMap<number, KnownField> {
  let fields = knownFields.get(message);
  if (fields === undefined) {
    fields = new Map(MESSAGES[message].map((field) => [field.number, knownField(message, field)]));
    knownFields.set(message, fields);
  }
  return fields;
}

/** What a slot holds in the end: of a message, all occurrences from `start` on. */
interface Slot {
  readonly number: number;
  /** Offset of the first field that counts; those before it in the same slot were replaced by it. */
  readonly start: number;
  count: number;
  /** Of all contents together. */
  size: number;
}

class Merger {
  readonly out: ProtobufWriter;
  readonly #format: string;
  #bytesLeft: number;

  constructor(format: string, size: number) {
    this.out = new ProtobufWriter(size);
    this.#format = format;
    this.#bytesLeft = size * MERGE_BYTES_FACTOR_MAX;
  }

  message(message: MessageName, bytes: Uint8Array, start: number, end: number): void {
    const fields = fieldsOf(message);
    const slots = collectSlots(fields, bytes, start, end);
    const walker = new FieldWalker(bytes, start, end);
    while (walker.next()) {
      const field = fields.get(walker.number);
      const slot = field?.slot === undefined ? undefined : slots.get(field.slot);
      if (slot !== undefined && walker.fieldStart !== slot.start) continue;
      if (field?.message === undefined) this.out.copy(bytes, walker.fieldStart, walker.valueEnd);
      else if (slot === undefined || slot.count === 1) this.#field(field.message, walker);
      else this.#merged(field.message, slot, bytes, end);
    }
  }

  #field(message: MessageName, { number, bytes, valueStart, valueEnd }: FieldWalker): void {
    this.out.begin(number, valueEnd - valueStart);
    this.message(message, bytes, valueStart, valueEnd);
    this.out.end();
  }

  #merged(message: MessageName, slot: Slot, bytes: Uint8Array, end: number): void {
    this.#bytesLeft -= slot.size;
    if (this.#bytesLeft < 0) {
      throw new DecodeError("", "messages stand twice on more levels than are merged", undefined, this.#format);
    }
    const content = gather(slot, bytes, end);
    this.out.begin(slot.number, content.length);
    this.message(message, content, 0, content.length);
    this.out.end();
  }
}

function collectSlots(
  fields: ReadonlyMap<number, KnownField>,
  bytes: Uint8Array,
  start: number,
  end: number,
): ReadonlyMap<number, Slot> {
  const slots = new Map<number, Slot>();
  const walker = new FieldWalker(bytes, start, end);
  while (walker.next()) {
    const { number, fieldStart, valueStart, valueEnd } = walker;
    const field = fields.get(number);
    if (field?.slot === undefined) continue;
    const before = slots.get(field.slot);
    if (before?.number === number && field.message !== undefined) {
      before.count++;
      before.size += valueEnd - valueStart;
    } else {
      // Another member of the same oneof, or a scalar member again: the earlier one no longer counts.
      slots.set(field.slot, { number, start: fieldStart, count: 1, size: valueEnd - valueStart });
    }
  }
  return slots;
}

function gather({ number, start, size }: Slot, bytes: Uint8Array, end: number): Uint8Array {
  const content = new Uint8Array(size);
  let position = 0;
  const walker = new FieldWalker(bytes, start, end);
  while (walker.next()) {
    if (walker.number !== number) continue;
    content.set(bytes.subarray(walker.valueStart, walker.valueEnd), position);
    position += walker.valueEnd - walker.valueStart;
  }
  return content;
}
