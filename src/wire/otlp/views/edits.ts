/**
 * Edits beside the bytes: a tree that follows the messages that were edited, and holds nothing for the others.
 * Every node stands for one message; encode.ts walks its original fields once and puts the edits in.
 */

import type { Without } from "./key-pattern.ts";

/** Encoded bytes somewhere: of the batch, or of a value that was written. */
export interface Slice {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

export interface MessageEdits {
  /** By field number: the whole encoded field that replaces all occurrences; empty where the field is removed. */
  scalars: Map<number, Uint8Array> | undefined;
  /** By field number: singular messages. */
  messages: Map<number, MessageEdits> | undefined;
  /** Of its list of KeyValue; no message that can be edited has two. */
  attributes: AttributeEdits | undefined;
  /** Keys that are deleted from that list, and nobody has asked since whether they stood there; then nothing else of it is edited. */
  without: Without | undefined;
  /** By offset of their content: members of repeated messages. */
  items: Map<number, MessageEdits> | undefined;
  /** The message itself, as a member of a repeated field, is gone. */
  isDropped: boolean;
  /** A metric's data with dropped points: how many are left. */
  itemsLeft: number | undefined;
}

export function createMessageEdits(): MessageEdits {
  return {
    scalars: undefined,
    messages: undefined,
    attributes: undefined,
    without: undefined,
    items: undefined,
    isDropped: false,
    itemsLeft: undefined,
  };
}

export interface AttributeEdit {
  readonly key: string;
  /** Content of the KeyValue that replaces all occurrences; undefined where the key was deleted. */
  pair: Slice | undefined;
  /** Where `key` stands first in the bytes: the offset of the field; -1 where it does not stand there. */
  readonly firstFieldStart: number;
  /** In the order of the first edit of each key. */
  next: AttributeEdit | undefined;
}

// Most lists see one to five edits: comparing a few keys costs less than making a map for each edited record.
const COMPARED_EDITS_MAX = 8;

/**
 * The edits of one list of KeyValue. A request may hold a million records with such a list each, so it is as small as it
 * can be: the edits are chained, since an array that grows makes room for sixteen more, and maps come with the ninth.
 */
export class AttributeEdits {
  /** Of the list in its message. */
  readonly fieldNumber: number;
  first: AttributeEdit | undefined;
  last: AttributeEdit | undefined;
  #count = 0;
  #byKey: Map<string, AttributeEdit> | undefined;
  /** What the chain does not say: occurrences of doubled keys, and all of them where the edits are many. */
  #byFieldStart: Map<number, AttributeEdit> | undefined;
  #replaces = false;

  constructor(fieldNumber: number) {
    this.fieldNumber = fieldNumber;
  }

  get(key: string): AttributeEdit | undefined {
    if (this.#byKey !== undefined) return this.#byKey.get(key);
    for (let edit = this.first; edit !== undefined; edit = edit.next) if (edit.key === key) return edit;
    return undefined;
  }

  /** The edit that replaces the original field at this offset. */
  at(fieldStart: number): AttributeEdit | undefined {
    if (!this.#replaces) return undefined;
    if (this.#byFieldStart !== undefined) return this.#byFieldStart.get(fieldStart);
    for (let edit = this.first; edit !== undefined; edit = edit.next)
      if (edit.firstFieldStart === fieldStart) return edit;
    return undefined;
  }

  /** True where no original field is replaced: all edits stand behind them. */
  get isAppendOnly(): boolean {
    return !this.#replaces;
  }

  /** `fieldStarts`: every occurrence of the key in the bytes. */
  add(edit: AttributeEdit, fieldStarts: readonly number[]): void {
    if (this.last === undefined) this.first = edit;
    else this.last.next = edit;
    this.last = edit;
    this.#count++;
    this.#byKey?.set(edit.key, edit);
    if (fieldStarts.length > 0) this.#replaces = true;
    if (fieldStarts.length > 1 || this.#count > COMPARED_EDITS_MAX) this.#openMaps();
    if (this.#byFieldStart !== undefined) {
      for (const fieldStart of fieldStarts) this.#byFieldStart.set(fieldStart, edit);
    }
  }

  #openMaps(): void {
    if (this.#byFieldStart === undefined) {
      this.#byFieldStart = new Map();
      for (let edit = this.first; edit !== undefined; edit = edit.next) {
        if (edit.firstFieldStart >= 0) this.#byFieldStart.set(edit.firstFieldStart, edit);
      }
    }
    if (this.#count <= COMPARED_EDITS_MAX || this.#byKey !== undefined) return;
    this.#byKey = new Map();
    for (let edit = this.first; edit !== undefined; edit = edit.next) this.#byKey.set(edit.key, edit);
  }
}
