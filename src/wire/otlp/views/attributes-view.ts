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
import { PairWalker } from "../pair-walker.ts";
import {
  Double,
  type AnyValueKind,
  type AttributeInput,
  type Attributes,
  type AttributeValue,
  type FoundAttribute,
} from "../types.ts";
import { AttributeEdits, type AttributeEdit, type Slice } from "./edits.ts";
import { keyPattern, keySet, matchesKey, type KeyPattern, type KeySet } from "./key-pattern.ts";
import type { MessageView } from "./message-view.ts";

/**
 * After this many walks over one list it is indexed by key, once: each further read or edit then costs a look-up, so that
 * touching every one of a million keys is not quadratic. Bets that processors ask one record for fewer keys than this.
 */
const WALKS_MAX = 24;

/** For walks during which nothing else runs: all views share one. */
const PAIRS = new PairWalker();

const NOTHING_FOUND: readonly FoundPair[] = Object.freeze([]);

const NO_KEYS: readonly string[] = Object.freeze([]);
const NO_STARTS: readonly number[] = Object.freeze([]);

/** A KeyValue in the batch's bytes, or one that was written. */
class FoundPair implements FoundAttribute {
  readonly index: number;
  readonly #bytes: Uint8Array;
  readonly #start: number;
  readonly #end: number;

  constructor(index: number, bytes: Uint8Array, start: number, end: number) {
    this.index = index;
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
  }

  get value(): AttributeValue {
    return readAnyValue(this.#bytes, this.#start, this.#end);
  }
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
    const found = this.find(keys);
    const { nothing } = keySet(keys);
    if (found.length === 0) return nothing;
    const result = [...nothing];
    for (const { index, value } of found) result[index] = value;
    return result;
  }

  find(keys: readonly string[]): readonly FoundAttribute[] {
    const wanted = keySet(keys);
    const edits = this.#peek();
    const found = edits === undefined ? undefined : findEdited(wanted, edits);
    return this.#findOriginal(wanted, edits, found);
  }

  /** One walk over the bytes that ends when every key is found. Most records have none: then nothing is allocated. */
  #findOriginal(
    wanted: KeySet,
    edits: AttributeEdits | undefined,
    edited: FoundPair[] | undefined,
  ): readonly FoundPair[] {
    let found = edited;
    const { patterns } = wanted;
    const { bytes } = this.#owner.state;
    const pairs = this.#openPairs();
    while (pairs.next(bytes)) {
      const candidates = wanted.candidates(pairs.keyEnd - pairs.keyStart);
      for (let at = 0; at < candidates.length; at++) {
        const index = candidates[at]!;
        const pattern = patterns[index]!;
        if (!matchesKey(pattern, bytes, pairs.keyStart, pairs.keyEnd)) continue;
        if (edits?.get(pattern.text) !== undefined) continue;
        found ??= [];
        insertFound(found, new FoundPair(index, bytes, pairs.valueStart, pairs.valueEnd));
        if (found.length === patterns.length) return found;
      }
    }
    return found ?? NOTHING_FOUND;
  }

  findKeys(matches: (key: string) => boolean): readonly string[] {
    const edits = this.#peek();
    const { bytes } = this.#owner.state;
    // Not the shared one: what `matches` does is not ours to know.
    const pairs = new PairWalker();
    pairs.open(this.#owner.start, this.#owner.end, this.#number);
    let found: Set<string> | undefined;
    while (pairs.next(bytes)) {
      const edit = edits?.at(pairs.fieldStart);
      if (edit !== undefined && edit.pair === undefined) continue;
      const key = edit?.key ?? readText(bytes, pairs.keyStart, pairs.keyEnd);
      if (matches(key)) (found ??= new Set()).add(key);
    }
    for (let edit = edits?.first; edit !== undefined; edit = edit.next) {
      if (edit.firstFieldStart < 0 && edit.pair !== undefined && matches(edit.key)) (found ??= new Set()).add(edit.key);
    }
    return found === undefined ? NO_KEYS : [...found];
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
    for (let edit = edits?.first; edit !== undefined; edit = edit.next) if (edit.pair !== undefined) size++;
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
    // Up to the last one there is now: whoever writes a new attribute for each one it meets would otherwise never end.
    const last = this.#peek()?.last;
    for (let edit = this.#peek()?.first; edit !== undefined; edit = edit === last ? undefined : edit.next) {
      if (edit.firstFieldStart < 0 && edit.pair !== undefined) yield { key: edit.key, slice: valueOf(edit.pair) };
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
    const known = this.#peek()?.get(pattern.text);
    if (known !== undefined) return this.#deleteEdited(known);
    // One walk, which finds what is to be deleted and says whether there is anything.
    const fieldStarts = this.#fieldStarts(pattern);
    if (fieldStarts.length > 0) this.#addEdit(pattern.text, fieldStarts);
    return fieldStarts.length > 0;
  }

  #deleteEdited(edit: AttributeEdit): boolean {
    if (edit.pair === undefined) return false;
    this.#owner.openEdits();
    edit.pair = undefined;
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
    const { bytes } = this.#owner.state;
    const pairs = this.#openPairs();
    while (pairs.next(bytes)) {
      if (matchesKey(pattern, bytes, pairs.keyStart, pairs.keyEnd)) {
        return { bytes, start: pairs.valueStart, end: pairs.valueEnd };
      }
    }
    return undefined;
  }

  #openPairs(): PairWalker {
    const { start, end } = this.#owner;
    PAIRS.open(start, end, this.#number);
    return PAIRS;
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
    const edit: AttributeEdit = { key, pair: undefined, firstFieldStart: fieldStarts[0] ?? -1, next: undefined };
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
    const { bytes } = this.#owner.state;
    const pairs = this.#openPairs();
    let found: number[] | undefined;
    while (pairs.next(bytes)) {
      if (!matchesKey(pattern, bytes, pairs.keyStart, pairs.keyEnd)) continue;
      if (found === undefined) found = [pairs.fieldStart];
      else found.push(pairs.fieldStart);
    }
    return found ?? NO_STARTS;
  }

  #indexAfterManyWalks(): Map<string, number | number[]> | undefined {
    if (this.#occurrences !== undefined || ++this.#walkCount <= WALKS_MAX) return this.#occurrences;
    return (this.#occurrences = this.#indexKeys());
  }

  #indexKeys(): Map<string, number | number[]> {
    const index = new Map<string, number | number[]>();
    const { bytes } = this.#owner.state;
    const pairs = this.#openPairs();
    while (pairs.next(bytes)) {
      const key = readText(bytes, pairs.keyStart, pairs.keyEnd);
      const known = index.get(key);
      if (known === undefined) index.set(key, pairs.fieldStart);
      else if (typeof known === "number") index.set(key, [known, pairs.fieldStart]);
      else known.push(pairs.fieldStart);
    }
    return index;
  }
}

/** What edits say about the wanted keys. */
function findEdited({ patterns }: KeySet, edits: AttributeEdits): FoundPair[] | undefined {
  let found: FoundPair[] | undefined;
  for (let index = 0; index < patterns.length; index++) {
    const pair = edits.get(patterns[index]!.text)?.pair;
    if (pair === undefined) continue;
    const { bytes, start, end } = valueOf(pair);
    (found ??= []).push(new FoundPair(index, bytes, start, end));
  }
  return found;
}

/** Keeps the keys' order, and of a key that stands twice the first. Few are found, so they are looked through. */
function insertFound(found: FoundPair[], pair: FoundPair): void {
  let at = found.length;
  while (at > 0 && found[at - 1]!.index >= pair.index) {
    if (found[at - 1]!.index === pair.index) return;
    at--;
  }
  if (at === found.length) found.push(pair);
  else found.splice(at, 0, pair);
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

// The same attribute is often written to thousands of records, so the last few pairs are kept encoded, and one serves them
// all. Values come from data and may be large or secret: only scalars and short texts are kept, few, and the oldest make room.
const PAIRS_MAX = 32;
const PAIR_TEXT_MAX = 64;
const pairs = new Map<string, { readonly value: AttributeInput; readonly pair: Slice }>();

function isKept(value: AttributeInput): boolean {
  if (typeof value === "string") return value.length <= PAIR_TEXT_MAX;
  return typeof value !== "object" || value instanceof Double;
}

/** The content of a KeyValue. Encoded at once, so that a later change of a map or array that was written changes nothing. */
export function encodePair(key: string, value: AttributeInput): Slice {
  if (!isKept(value)) return encodeNewPair(key, value);
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
