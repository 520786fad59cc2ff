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
  /** By field number: lists of KeyValue. */
  attributes: Map<number, AttributeEdits> | undefined;
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

export interface AttributeEdits {
  /** In the order of the first edit of each key. */
  readonly byKey: Map<string, AttributeEdit>;
  /** Every occurrence of an edited key in the bytes, by offset of its field. */
  readonly byFieldStart: Map<number, AttributeEdit>;
}

export function createAttributeEdits(): AttributeEdits {
  return { byKey: new Map(), byFieldStart: new Map() };
}
