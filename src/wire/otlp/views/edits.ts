/**
 * Edits beside the bytes: a tree that follows the messages that were edited, and holds nothing for the others.
 * Every node stands for one message; encode.ts walks its original fields once and puts the edits in.
 */

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
}

// Most lists see one to five edits: comparing a few keys costs less than making a map for each edited record.
const COMPARED_EDITS_MAX = 8;

/** The edits of one list of KeyValue. */
export class AttributeEdits {
  /** Of the list in its message. */
  readonly fieldNumber: number;
  /** In the order of the first edit of each key. */
  readonly all: AttributeEdit[] = [];
  #byKey: Map<string, AttributeEdit> | undefined;
  #byFieldStart: Map<number, AttributeEdit> | undefined;

  constructor(fieldNumber: number) {
    this.fieldNumber = fieldNumber;
  }

  get(key: string): AttributeEdit | undefined {
    if (this.#byKey !== undefined) return this.#byKey.get(key);
    for (const edit of this.all) if (edit.key === key) return edit;
    return undefined;
  }

  /** The edit that replaces the original field at this offset. */
  at(fieldStart: number): AttributeEdit | undefined {
    return this.#byFieldStart?.get(fieldStart);
  }

  /** True where no original field is replaced: all edits stand behind them. */
  get isAppendOnly(): boolean {
    return this.#byFieldStart === undefined;
  }

  /** `fieldStarts`: every occurrence of the key in the bytes. */
  add(edit: AttributeEdit, fieldStarts: readonly number[]): void {
    this.all.push(edit);
    this.#byKey?.set(edit.key, edit);
    if (this.all.length > COMPARED_EDITS_MAX) this.#byKey ??= new Map(this.all.map((known) => [known.key, known]));
    for (const fieldStart of fieldStarts) (this.#byFieldStart ??= new Map()).set(fieldStart, edit);
  }
}
