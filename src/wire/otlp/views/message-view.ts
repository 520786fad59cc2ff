import { FieldWalker } from "../../protobuf/walker.ts";
import { encodeValue } from "../../protobuf/writer.ts";
import type { BatchState } from "./batch-state.ts";
import { createMessageEdits, type MessageEdits } from "./edits.ts";
import type { FieldReader, FieldWriter } from "./field-codecs.ts";

/**
 * One message in the bytes, with the edits beside it. Views are thin: several may stand for one message at the same
 * time, so whatever they know of edits they ask of the state, by position.
 */
export abstract class MessageView {
  readonly state: BatchState;
  /** Content in the batch's bytes; an empty range where the message is absent. */
  readonly start: number;
  readonly end: number;

  constructor(state: BatchState, start: number, end: number) {
    this.state = state;
    this.start = start;
    this.end = end;
  }

  /** The edits of this message, where there are any. */
  abstract peekEdits(): MessageEdits | undefined;

  /** The edits of this message, to be written to; marks everything above as edited. */
  abstract openEdits(): MessageEdits;

  walk(): FieldWalker {
    return new FieldWalker(this.state.bytes, this.start, this.end);
  }

  /** A scalar field: the last occurrence; the codec's value for an absent field where there is none. */
  protected read<T>(codec: FieldReader<T>, number: number): T {
    const bytes = this.state.bytes;
    const edit = this.peekEdits()?.scalars?.get(number);
    return edit === undefined
      ? readLast(codec, number, new FieldWalker(bytes, this.start, this.end))
      : readLast(codec, number, new FieldWalker(edit, 0, edit.length));
  }

  protected write<T>(codec: FieldWriter<T>, number: number, value: T): void {
    const field = encodeValue((out) => codec.write(out, number, value));
    const edits = this.openEdits();
    edits.scalars ??= new Map();
    edits.scalars.set(number, field);
  }
}

function readLast<T>(codec: FieldReader<T>, number: number, walker: FieldWalker): T {
  let start = -1;
  let end = 0;
  while (walker.next()) {
    if (walker.number !== number) continue;
    start = walker.valueStart;
    end = walker.valueEnd;
  }
  return start < 0 ? codec.absent : codec.read(walker.bytes, start, end);
}

/** A singular message inside another: resource, scope, status, metric data. */
export abstract class ChildView extends MessageView {
  readonly #parent: MessageView | GroupEdits;
  readonly #number: number;

  constructor(state: BatchState, parent: MessageView | GroupEdits, number: number, start: number, end: number) {
    super(state, start, end);
    this.#parent = parent;
    this.#number = number;
  }

  override peekEdits(): MessageEdits | undefined {
    return this.#parent.peekEdits()?.messages?.get(this.#number);
  }

  override openEdits(): MessageEdits {
    const parent = this.#parent.openEdits();
    parent.messages ??= new Map();
    return openChild(parent.messages, this.#number);
  }
}

/** What a child needs of the message above it. */
export interface GroupEdits {
  peekEdits(): MessageEdits | undefined;
  openEdits(): MessageEdits;
}

/** A member of a repeated message field: span event, span link, data point. */
export abstract class ItemView extends MessageView {
  readonly #parent: GroupEdits;

  constructor(state: BatchState, parent: GroupEdits, start: number, end: number) {
    super(state, start, end);
    this.#parent = parent;
  }

  override peekEdits(): MessageEdits | undefined {
    return this.#parent.peekEdits()?.items?.get(this.start);
  }

  override openEdits(): MessageEdits {
    const parent = this.#parent.openEdits();
    parent.items ??= new Map();
    return openChild(parent.items, this.start);
  }

  get isDropped(): boolean {
    return this.peekEdits()?.isDropped === true;
  }

  drop(): void {
    this.openEdits().isDropped = true;
  }
}

function openChild(map: Map<number, MessageEdits>, key: number): MessageEdits {
  let edits = map.get(key);
  if (edits === undefined) map.set(key, (edits = createMessageEdits()));
  return edits;
}

/** The content range of the last occurrence of a length-delimited field; an empty range where there is none. */
export function findMessage(view: MessageView, number: number): { readonly start: number; readonly end: number } {
  let start = 0;
  let end = 0;
  const walker = view.walk();
  while (walker.next()) {
    if (walker.number !== number) continue;
    start = walker.valueStart;
    end = walker.valueEnd;
  }
  return { start, end };
}
