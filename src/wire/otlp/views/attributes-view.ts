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
} from "../any-value.ts";
import { canonicalValue } from "../canonical.ts";
import { PairWalker } from "../pair-walker.ts";
import type { AnyValueKind, AttributeInput, Attributes, AttributeValue, FoundAttribute } from "../types.ts";
import { type AttributeMemo, Sight } from "./attribute-memo.ts";
import { AttributeEdits, type AttributeEdit, type MessageEdits, type Slice } from "./edits.ts";
import { encodePair } from "./encode-pair.ts";
import { findEdited, FoundPair, insertFound, valueOf } from "./found-pairs.ts";
import { keyPattern, keySet, matchesKey, type KeyPattern, type KeySet, type Without } from "./key-pattern.ts";
import type { MessageView } from "./message-view.ts";

/**
 * After this many walks over one list it is indexed by key, once: each further read or edit then costs a look-up, so that
 * touching every one of a million keys is not quadratic. Bets that processors ask one record for fewer keys than this.
 */
const WALKS_MAX = 24;

/** For walks during which nothing else runs: all views share one. */
const PAIRS = new PairWalker();
const SIGHT = new Sight();

const NOTHING_FOUND: readonly FoundPair[] = Object.freeze([]);

const NO_KEYS: readonly string[] = Object.freeze([]);
const NO_STARTS: readonly number[] = Object.freeze([]);

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
      if (!wanted.mayHave(bytes, pairs.keyStart, pairs.keyEnd)) continue;
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

  recall<T>(memo: AttributeMemo<T>): T | undefined {
    // Edits are written seldom before ids are read; then it is worked out anew.
    if (this.#peek() === undefined) {
      const { bytes } = this.#owner.state;
      this.#look(memo.wanted, memo.valueCount, bytes);
      if (!SIGHT.isTooLarge) return SIGHT.count === 0 ? undefined : memo.recall(bytes, SIGHT);
    }
    const found = this.find(memo.keys);
    return found.length === 0 ? undefined : memo.make(found);
  }

  /** Every occurrence of the wanted keys, in one walk that allocates nothing. */
  #look(wanted: KeySet, valueCount: number, bytes: Uint8Array): void {
    const { patterns } = wanted;
    const pairs = this.#openPairs();
    SIGHT.clear();
    while (pairs.next(bytes)) {
      if (!wanted.mayHave(bytes, pairs.keyStart, pairs.keyEnd)) continue;
      const candidates = wanted.candidates(pairs.keyEnd - pairs.keyStart);
      for (let at = 0; at < candidates.length; at++) {
        const index = candidates[at]!;
        if (!matchesKey(patterns[index]!, bytes, pairs.keyStart, pairs.keyEnd)) continue;
        SIGHT.add(bytes, index, pairs.valueStart, index < valueCount ? pairs.valueEnd : pairs.valueStart);
      }
    }
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

  deleteMany(keys: readonly string[]): void {
    const owner = this.#owner;
    if (this.#peek() !== undefined) for (const key of keys) this.delete(key);
    // Edits of a message that is absent would make it.
    else if (owner.start < owner.end) owner.openEdits().without = keySet(keys).without(this.#number);
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
    const edits = this.#owner.peekEdits();
    if (edits?.without !== undefined) this.#lookUp(edits, edits.without);
    return edits?.attributes;
  }

  /** Finds what deleteMany() has deleted, now that somebody asks. */
  #lookUp(edits: MessageEdits, { keys }: Without): void {
    const { bytes } = this.#owner.state;
    const starts = new Map<string, number[]>();
    const pairs = this.#openPairs();
    while (pairs.next(bytes)) {
      if (!keys.has(bytes, pairs.keyStart, pairs.keyEnd)) continue;
      const key = readText(bytes, pairs.keyStart, pairs.keyEnd);
      const known = starts.get(key);
      if (known === undefined) starts.set(key, [pairs.fieldStart]);
      else known.push(pairs.fieldStart);
    }
    edits.without = undefined;
    for (const [key, fieldStarts] of starts) this.#addEdit(key, fieldStarts);
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

function canonicalText({ bytes, start, end }: Slice): string {
  return canonicalValue(bytes, start, end);
}
