import { FieldWalker } from "../protobuf/walker.ts";
import { LENGTH_DELIMITED } from "../protobuf/wire-type.ts";
import { ProtobufWriter } from "../protobuf/writer.ts";
import { PairWalker } from "./pair-walker.ts";
import type { MessageEdits, Slice } from "./views/edits.ts";
import type { Without } from "./views/key-pattern.ts";

// A run of untouched bytes is referenced instead of copied where the copy would cost more than one more slice at the
// socket, and only if it is a good part of what it keeps alive: an output never pins more than four times its size.
export const REFERENCE_BYTES_MIN = 16 * 1024;
const REFERENCE_PART_MIN = 1 / 4;

/** For walks during which nothing else runs: all share one. */
const PAIRS = new PairWalker();

/**
 * Writes messages of one batch with their edits. What is untouched is kept as a range of the original bytes, and
 * neighbouring ranges join, so that a thousand untouched records are one copy.
 */
export class MessageEncoder {
  readonly #bytes: Uint8Array;
  readonly #out: ProtobufWriter;
  readonly #referenceMin: number;
  #runStart = 0;
  #runEnd = 0;

  constructor(bytes: Uint8Array, capacity: number) {
    this.#bytes = bytes;
    this.#out = new ProtobufWriter(capacity);
    this.#referenceMin = Math.max(REFERENCE_BYTES_MIN, bytes.length * REFERENCE_PART_MIN);
  }

  /** Original bytes, as they are. */
  keep(start: number, end: number): void {
    if (start === this.#runEnd) {
      this.#runEnd = end;
      return;
    }
    this.#flush();
    this.#runStart = start;
    this.#runEnd = end;
  }

  /** Bytes from elsewhere, without a length. */
  put(bytes: Uint8Array): void {
    this.#flush();
    this.#out.copy(bytes);
  }

  begin(number: number, sizeGuess: number): void {
    this.#flush();
    this.#out.begin(number, sizeGuess);
  }

  end(): void {
    this.#flush();
    this.#out.end();
  }

  finish(): { readonly slices: readonly Uint8Array[]; readonly size: number } {
    this.#flush();
    return { slices: this.#out.finish(), size: this.#out.size };
  }

  toBytes(): Uint8Array {
    this.#flush();
    return this.#out.toBytes();
  }

  #flush(): void {
    const size = this.#runEnd - this.#runStart;
    if (size >= this.#referenceMin) this.#out.reference(this.#bytes, this.#runStart, this.#runEnd);
    else if (size > 0) this.#out.copy(this.#bytes, this.#runStart, this.#runEnd);
    this.#runStart = this.#runEnd = -1;
  }

  /** A message field with its edits. */
  messageField(number: number, start: number, end: number, edits: MessageEdits): void {
    this.begin(number, end - start + 16);
    this.message(start, end, edits);
    this.end();
  }

  /** The content of a message with its edits. */
  message(start: number, end: number, edits: MessageEdits): void {
    if (onlyAppends(edits)) {
      this.keep(start, end);
      this.additions(edits, 0);
    } else if (onlyLeavesOut(edits)) {
      this.#fieldsWithout(start, end, edits.without);
    } else {
      this.additions(edits, this.fields(start, end, edits));
    }
  }

  /** The original fields, with edits in place of what they replace. Returns the set of edited singular messages met. */
  fields(start: number, end: number, edits: MessageEdits): number {
    const walker = new FieldWalker(this.#bytes, start, end);
    const { attributes, without } = edits;
    let met = 0;
    while (walker.next()) {
      const { number, fieldStart, valueStart, valueEnd } = walker;
      if (edits.scalars?.has(number) === true) continue;
      const child = edits.messages?.get(number) ?? edits.items?.get(valueStart);
      const attribute = number === attributes?.fieldNumber ? attributes.at(fieldStart) : undefined;
      if (child !== undefined && walker.wireType === LENGTH_DELIMITED) {
        if (number < 32) met |= 1 << number;
        if (!child.isDropped) this.messageField(number, valueStart, valueEnd, child);
      } else if (attribute === undefined) {
        if (without === undefined || !isLeftOut(walker, without)) this.keep(fieldStart, valueEnd);
      } else if (attribute.pair !== undefined && attribute.firstFieldStart === fieldStart) {
        this.#pair(number, attribute.pair);
      }
    }
    return met;
  }

  #fieldsWithout(start: number, end: number, { fieldNumber, keys }: Without): void {
    let position = start;
    PAIRS.open(start, end, fieldNumber);
    while (PAIRS.next(this.#bytes)) {
      if (!keys.has(this.#bytes, PAIRS.keyStart, PAIRS.keyEnd)) continue;
      this.keep(position, PAIRS.fieldStart);
      position = PAIRS.fieldEnd;
    }
    this.keep(position, end);
  }

  /** What edits add at the end of a message: written scalars, messages that were absent, new attributes. */
  additions(edits: MessageEdits, met: number): void {
    const { scalars, messages, attributes } = edits;
    if (scalars !== undefined) for (const field of scalars.values()) this.put(field);
    if (messages !== undefined) {
      for (const [number, child] of messages) {
        if ((met & (1 << number)) === 0) this.messageField(number, 0, 0, child);
      }
    }
    if (attributes === undefined) return;
    for (let edit = attributes.first; edit !== undefined; edit = edit.next) {
      if (edit.firstFieldStart < 0 && edit.pair !== undefined) this.#pair(attributes.fieldNumber, edit.pair);
    }
  }

  #pair(number: number, pair: Slice): void {
    this.#flush();
    this.#out.tag(number, LENGTH_DELIMITED);
    this.#out.bytes(pair.bytes, pair.start, pair.end);
  }
}

function onlyLeavesOut(edits: MessageEdits): edits is MessageEdits & { without: Without } {
  const { scalars, messages, items, attributes, without } = edits;
  return without !== undefined && (scalars ?? messages ?? items ?? attributes) === undefined;
}

function isLeftOut({ number, bytes, valueStart, valueEnd }: FieldWalker, { fieldNumber, keys }: Without): boolean {
  if (number !== fieldNumber) return false;
  PAIRS.read(bytes, valueStart, valueEnd);
  return keys.has(bytes, PAIRS.keyStart, PAIRS.keyEnd);
}

/** True where no original field changes: then the message is its bytes and what comes after them. */
function onlyAppends(edits: MessageEdits): boolean {
  if (
    edits.without !== undefined ||
    edits.scalars !== undefined ||
    edits.messages !== undefined ||
    edits.items !== undefined
  )
    return false;
  return edits.attributes === undefined || edits.attributes.isAppendOnly;
}
