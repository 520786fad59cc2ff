import { encodeValue } from "../../protobuf/writer.ts";
import { LENGTH_DELIMITED } from "../../protobuf/wire-type.ts";
import { FieldWalker } from "../../protobuf/walker.ts";
import { readText } from "../../text.ts";
import {
  KEY_FIELD,
  KeyValueReader,
  readAnyValue,
  readAnyValueKind,
  readStringValue,
  VALUE_FIELD,
  writeKeyValue,
} from "../any-value.ts";
import { canonicalValue } from "../canonical.ts";
import type { AnyValueKind, AttributeInput, Attributes, AttributeValue } from "../types.ts";
import { AttributeEdits, type AttributeEdit, type Slice } from "./edits.ts";
import { keyPattern, keySet, matchesKey, type KeyPattern, type KeySet } from "./key-pattern.ts";
import type { MessageView } from "./message-view.ts";

/**
 * After this many walks over one list it is indexed by key, once: each further read or edit then costs a look-up, so that
 * touching every one of a million keys is not quadratic. Bets that processors ask one record for fewer keys than this.
 */
const WALKS_MAX = 24;

/** Where getMany() reads a KeyValue: nothing else runs between a read and the use of it, so all views share one. */
const PAIR = new KeyValueReader();

/** A search of several keys of which some have been answered by edits. */
interface BegunSearch {
  readonly edits: AttributeEdits;
  /** Keys that no edit answers. */
  readonly open: number;
  readonly result: (AttributeValue | undefined)[];
}

/** A list of KeyValue in one message, such as field 6 of a LogRecord. */
export class AttributesView implements Attributes {
  readonly #owner: MessageView;
  readonly #number: number;
  #walkCount = 0;
  /** Field offsets of each key; built after WALKS_MAX walks. */
  #occurrences: Map<string, number | number[]> | undefined;

  constructor(owner: MessageView, number: number) {
    this.#owner = owner;
    this.#number = number;
  }

  get(key: string): AttributeValue | undefined {
    const slice = this.#find(keyPattern(key));
    return slice === undefined ? undefined : readAnyValue(slice.bytes, slice.start, slice.end);
  }

  getString(key: string): string | undefined {
    const slice = this.#find(keyPattern(key));
    return slice === undefined ? undefined : readStringValue(slice.bytes, slice.start, slice.end);
  }

  kindOf(key: string): AnyValueKind | undefined {
    const slice = this.#find(keyPattern(key));
    return slice === undefined ? undefined : readAnyValueKind(slice.bytes, slice.start, slice.end);
  }

  has(key: string): boolean {
    return this.#find(keyPattern(key)) !== undefined;
  }

  equals(key: string, value: AttributeInput): boolean {
    const found = this.#find(keyPattern(key));
    return found !== undefined && canonicalText(found) === canonicalText(valueOf(encodePair(key, value)));
  }

  getMany(keys: readonly string[]): readonly (AttributeValue | undefined)[] {
    const wanted = keySet(keys);
    const edits = this.#peek();
    if (edits === undefined) return this.#findAll(wanted);
    const result = [...wanted.nothing];
    let open = result.length;
    for (let index = 0; index < result.length; index++) {
      const edit = edits.get(wanted.patterns[index]!.text);
      if (edit !== undefined) open--;
      if (edit?.pair !== undefined) result[index] = readPair(edit.pair);
    }
    return open === 0 ? result : this.#findAll(wanted, { edits, open, result });
  }

  /** One walk over the bytes that ends when every key is found. Most records have none: then nothing is allocated. */
  #findAll(wanted: KeySet, begun?: BegunSearch): readonly (AttributeValue | undefined)[] {
    let result = begun?.result;
    let open = begun?.open ?? wanted.patterns.length;
    const walker = this.#owner.walk();
    const { bytes } = walker;
    while (walker.next()) {
      if (walker.number !== this.#number) continue;
      PAIR.read(bytes, walker.valueStart, walker.valueEnd);
      for (const index of wanted.candidates(PAIR.keyEnd - PAIR.keyStart)) {
        const pattern = wanted.patterns[index]!;
        if (result?.[index] !== undefined || !matchesKey(pattern, bytes, PAIR.keyStart, PAIR.keyEnd)) continue;
        if (begun?.edits.get(pattern.text) !== undefined) continue;
        result ??= [...wanted.nothing];
        result[index] = readAnyValue(bytes, PAIR.valueStart, PAIR.valueEnd);
        if (--open === 0) return result;
      }
    }
    return result ?? wanted.nothing;
  }

  *keys(): Iterable<string> {
    for (const { key } of this.#entries()) yield key;
  }

  /** Every attribute in order, doubled keys included; an edited one stands where its key stood first, new ones at the end. */
  *[Symbol.iterator](): Iterator<readonly [string, AttributeValue]> {
    for (const { key, slice } of this.#entries()) yield [key, readAnyValue(slice.bytes, slice.start, slice.end)];
  }

  get size(): number {
    let size = 0;
    const walker = this.#owner.walk();
    const edits = this.#peek();
    while (walker.next()) {
      if (walker.number === this.#number && edits?.at(walker.fieldStart) === undefined) size++;
    }
    for (const { pair } of edits?.all ?? []) if (pair !== undefined) size++;
    return size;
  }

  /** Tolerates edits while it runs: each step looks at the edits as they are then. */
  *#entries(): Iterable<{ readonly key: string; readonly slice: Slice }> {
    const walker = this.#owner.walk();
    const pair = new KeyValueReader();
    const { bytes } = walker;
    while (walker.next()) {
      if (walker.number !== this.#number) continue;
      const edit = this.#peek()?.at(walker.fieldStart);
      if (edit === undefined) {
        pair.read(bytes, walker.valueStart, walker.valueEnd);
        yield entryOf(bytes, pair);
      } else if (edit.pair !== undefined && edit.firstFieldStart === walker.fieldStart) {
        yield { key: edit.key, slice: valueOf(edit.pair) };
      }
      this.#owner.state.assertLive();
    }
    // A copy: whoever writes a new attribute for each one it meets would otherwise never end.
    const added = Array.from(this.#peek()?.all ?? []);
    for (const { key, firstFieldStart, pair: edited } of added) {
      if (firstFieldStart < 0 && edited !== undefined) yield { key, slice: valueOf(edited) };
    }
  }

  set(key: string, value: AttributeInput): void {
    const pattern = keyPattern(key);
    const pair = encodePair(pattern.text, value);
    this.#edit(pattern).pair = pair;
  }

  insert(key: string, value: AttributeInput): boolean {
    const pattern = keyPattern(key);
    if (this.#find(pattern) !== undefined) return false;
    const pair = encodePair(pattern.text, value);
    // The walk just now found nothing, or a delete took it all: only the former still needs an entry.
    const edit = this.#peek()?.get(pattern.text) ?? this.#addEdit(pattern.text, []);
    this.#owner.openEdits();
    edit.pair = pair;
    return true;
  }

  update(key: string, value: AttributeInput): boolean {
    if (!this.has(key)) return false;
    this.set(key, value);
    return true;
  }

  delete(key: string): boolean {
    const pattern = keyPattern(key);
    if (this.#find(pattern) === undefined) return false;
    this.#edit(pattern).pair = undefined;
    return true;
  }

  copy(from: string, to: string): boolean {
    const slice = this.#find(keyPattern(from));
    if (slice === undefined) return false;
    const pattern = keyPattern(to);
    const bytes = encodeValue((out) => {
      out.stringField(KEY_FIELD, pattern.text);
      out.tag(VALUE_FIELD, LENGTH_DELIMITED);
      out.bytes(slice.bytes, slice.start, slice.end);
    });
    this.#edit(pattern).pair = { bytes, start: 0, end: bytes.length };
    return true;
  }

  /** Takes over what was written elsewhere: the content of a KeyValue, or undefined to delete. */
  put(key: string, pair: Slice | undefined): void {
    this.#edit(keyPattern(key)).pair = pair;
  }

  #peek(): AttributeEdits | undefined {
    this.#owner.state.assertLive();
    return this.#owner.peekEdits()?.attributes;
  }

  /** The content of the AnyValue: as edited, or of the first occurrence. */
  #find(pattern: KeyPattern): Slice | undefined {
    const edit = this.#peek()?.get(pattern.text);
    if (edit !== undefined) return edit.pair === undefined ? undefined : valueOf(edit.pair);
    const index = this.#indexAfterManyWalks();
    return index === undefined ? this.#findByWalk(pattern) : this.#valueAt(firstOf(index.get(pattern.text)));
  }

  #findByWalk(pattern: KeyPattern): Slice | undefined {
    const walker = this.#owner.walk();
    const pair = new KeyValueReader();
    const { bytes } = walker;
    while (walker.next()) {
      if (walker.number !== this.#number) continue;
      pair.read(bytes, walker.valueStart, walker.valueEnd);
      if (matchesKey(pattern, bytes, pair.keyStart, pair.keyEnd)) {
        return { bytes, start: pair.valueStart, end: pair.valueEnd };
      }
    }
    return undefined;
  }

  #valueAt(fieldStart: number | undefined): Slice | undefined {
    if (fieldStart === undefined) return undefined;
    const walker = new FieldWalker(this.#owner.state.bytes, fieldStart, this.#owner.end);
    walker.next();
    return valueOf({ bytes: walker.bytes, start: walker.valueStart, end: walker.valueEnd });
  }

  /** The edit of one key, made where there is none yet; the caller sets its pair. */
  #edit(pattern: KeyPattern): AttributeEdit {
    const known = this.#peek()?.get(pattern.text);
    if (known === undefined) return this.#addEdit(pattern.text, this.#fieldStarts(pattern));
    this.#owner.openEdits();
    return known;
  }

  #addEdit(key: string, fieldStarts: readonly number[]): AttributeEdit {
    const edits = this.#open();
    const edit: AttributeEdit = { key, pair: undefined, firstFieldStart: fieldStarts[0] ?? -1 };
    edits.add(edit, fieldStarts);
    return edit;
  }

  #open(): AttributeEdits {
    const owner = this.#owner.openEdits();
    return (owner.attributes ??= new AttributeEdits(this.#number));
  }

  #fieldStarts(pattern: KeyPattern): readonly number[] {
    const index = this.#indexAfterManyWalks();
    if (index !== undefined) return allOf(index.get(pattern.text));
    const walker = this.#owner.walk();
    const pair = new KeyValueReader();
    const found: number[] = [];
    while (walker.next()) {
      if (walker.number !== this.#number) continue;
      pair.read(walker.bytes, walker.valueStart, walker.valueEnd);
      if (matchesKey(pattern, walker.bytes, pair.keyStart, pair.keyEnd)) found.push(walker.fieldStart);
    }
    return found;
  }

  #indexAfterManyWalks(): Map<string, number | number[]> | undefined {
    if (this.#occurrences !== undefined || ++this.#walkCount <= WALKS_MAX) return this.#occurrences;
    return (this.#occurrences = this.#indexKeys());
  }

  #indexKeys(): Map<string, number | number[]> {
    const index = new Map<string, number | number[]>();
    const walker = this.#owner.walk();
    const pair = new KeyValueReader();
    while (walker.next()) {
      if (walker.number !== this.#number) continue;
      pair.read(walker.bytes, walker.valueStart, walker.valueEnd);
      const key = readText(walker.bytes, pair.keyStart, pair.keyEnd);
      const known = index.get(key);
      if (known === undefined) index.set(key, walker.fieldStart);
      else if (typeof known === "number") index.set(key, [known, walker.fieldStart]);
      else known.push(walker.fieldStart);
    }
    return index;
  }
}

function firstOf(starts: number | number[] | undefined): number | undefined {
  return typeof starts === "object" ? starts[0] : starts;
}

function allOf(starts: number | number[] | undefined): readonly number[] {
  if (starts === undefined) return [];
  return typeof starts === "object" ? starts : [starts];
}

function entryOf(bytes: Uint8Array, pair: KeyValueReader): { key: string; slice: Slice } {
  const key = readText(bytes, pair.keyStart, pair.keyEnd);
  return { key, slice: { bytes, start: pair.valueStart, end: pair.valueEnd } };
}

function valueOf(pair: Slice): Slice {
  const reader = new KeyValueReader();
  reader.read(pair.bytes, pair.start, pair.end);
  return { bytes: pair.bytes, start: reader.valueStart, end: reader.valueEnd };
}

function canonicalText({ bytes, start, end }: Slice): string {
  return canonicalValue(bytes, start, end);
}

function readPair(pair: Slice): AttributeValue {
  const value = valueOf(pair);
  return readAnyValue(value.bytes, value.start, value.end);
}

// The same attribute is often written to thousands of records, so the last few string pairs are kept encoded. Values
// come from data and may be large or secret: only short ones are kept, few, and the oldest make room.
const PAIRS_MAX = 32;
const PAIR_TEXT_MAX = 64;
const pairs = new Map<string, { readonly value: string; readonly pair: Slice }>();

/** The content of a KeyValue. Encoded at once, so that a later change of a map or array that was written changes nothing. */
export function encodePair(key: string, value: AttributeInput): Slice {
  if (typeof value !== "string" || value.length > PAIR_TEXT_MAX) return encodeNewPair(key, value);
  const kept = pairs.get(key);
  if (kept !== undefined && kept.value === value) return kept.pair;
  const pair = encodeNewPair(key, value);
  if (kept === undefined && pairs.size >= PAIRS_MAX) pairs.delete(pairs.keys().next().value ?? "");
  pairs.set(key, { value, pair });
  return pair;
}

function encodeNewPair(key: string, value: AttributeInput): Slice {
  const bytes = encodeValue((out) => writeKeyValue(out, key, value));
  return { bytes, start: 0, end: bytes.length };
}
