import { isUtf8 } from "node:buffer";
import type { ByteSink } from "../byte-sink.ts";
import { DecodeError } from "../decode-error.ts";
import { MESSAGE_DEPTH_MAX } from "../limits.ts";
import { asBuffer } from "../text.ts";
import { jsonPathAt } from "./json-path.ts";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

/** Arrays and objects of fields that we ignore; a message in an array is two of them, so this is the depth of what we read. */
const SKIP_DEPTH_MAX = 2 * MESSAGE_DEPTH_MAX;

/** What an error quotes of the text it refuses; the sender knows the rest. */
const FOUND_LENGTH_MAX = 32;

/** JSON's one-letter escapes: \n and the like. */
const ESCAPES: ReadonlyMap<number, number> = new Map(
  Array.from('"\\/bfnrt', (letter, index) => [letter.charCodeAt(0), '"\\/\b\f\n\r\t'.charCodeAt(index)]),
);

/**
 * A cursor over JSON (RFC 8259) in UTF-8. It makes no values: strings are spans of bytes, numbers their source text,
 * so that no digit is lost and nothing is allocated for what is only copied.
 */
export class JsonReader {
  readonly bytes: Uint8Array;
  offset = 0;
  /** Halves of surrogate pairs that writeString has replaced. */
  loneSurrogates = 0;
  /** Of the string that readString found last: content between the quotes, and whether it has escapes. */
  stringStart = 0;
  stringEnd = 0;
  isEscaped = false;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    if (!isUtf8(bytes)) this.fail(firstInvalidUtf8(bytes), "UTF-8");
  }

  /** The next byte that is not white space, not consumed; -1 at the end. */
  peek(): number {
    const { bytes } = this;
    let offset = this.offset;
    while (offset < bytes.length) {
      const byte = bytes[offset]!;
      if (byte > 0x20 || !(byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09)) {
        this.offset = offset;
        return byte;
      }
      offset++;
    }
    this.offset = offset;
    return -1;
  }

  /** Consumes `byte`, or fails naming what was expected. */
  expect(byte: number, expected: string): void {
    if (this.peek() !== byte) this.fail(this.offset, expected);
    this.offset++;
  }

  /** Consumes an opening brace. Returns whether members follow; an empty object is consumed whole. */
  openObject(): boolean {
    this.expect(OPEN_BRACE, "an object");
    return !this.#take(CLOSE_BRACE);
  }

  openArray(): boolean {
    this.expect(OPEN_BRACKET, "an array");
    return !this.#take(CLOSE_BRACKET);
  }

  /** After a member: true if another follows, false if the object ended here. */
  nextMember(): boolean {
    if (this.#take(COMMA)) return true;
    this.expect(CLOSE_BRACE, '"," or "}"');
    return false;
  }

  nextElement(): boolean {
    if (this.#take(COMMA)) return true;
    this.expect(CLOSE_BRACKET, '"," or "]"');
    return false;
  }

  /** Reads a member's name as a string span, and its colon. */
  readName(): void {
    this.readString("a name in quotes");
    this.expect(COLON, '":"');
  }

  takeNull(): boolean {
    return this.peek() === 0x6e && this.#takeWord("null");
  }

  readBool(): boolean {
    this.peek();
    if (this.#takeWord("true")) return true;
    if (!this.#takeWord("false")) this.fail(this.offset, "true or false");
    return false;
  }

  /** Whether the next value is a string. */
  isString(): boolean {
    return this.peek() === QUOTE;
  }

  readString(expected: string): void {
    this.expect(QUOTE, expected);
    const { bytes } = this;
    const start = this.offset;
    let offset = start;
    this.isEscaped = false;
    for (;;) {
      const byte = bytes[offset];
      if (byte === QUOTE) break;
      if (byte === BACKSLASH) {
        this.isEscaped = true;
        offset += 2;
      } else if (byte === undefined || byte < 0x20) {
        this.fail(Math.min(offset, bytes.length), byte === undefined ? "the end of a string" : "an escape (\\u00..)");
      } else offset++;
    }
    this.stringStart = start;
    this.stringEnd = offset;
    this.offset = offset + 1;
  }

  /** Writes the string that readString found, escapes resolved. Half of a surrogate pair becomes U+FFFD, as in the Collector. */
  writeString(sink: ByteSink): void {
    if (!this.isEscaped) {
      sink.copy(this.bytes, this.stringStart, this.stringEnd);
      return;
    }
    let plainStart = this.stringStart;
    let offset = plainStart;
    while (offset < this.stringEnd) {
      if (this.bytes[offset] !== BACKSLASH) {
        offset++;
        continue;
      }
      sink.copy(this.bytes, plainStart, offset);
      offset = this.#writeEscape(sink, offset);
      plainStart = offset;
    }
    sink.copy(this.bytes, plainStart, this.stringEnd);
  }

  /** Returns the offset after the escape, which is six bytes further for a surrogate pair. */
  #writeEscape(sink: ByteSink, offset: number): number {
    const letter = this.bytes[offset + 1]!;
    const simple = ESCAPES.get(letter);
    if (simple !== undefined) {
      sink.byte(simple);
      return offset + 2;
    }
    if (letter !== 0x75) this.fail(offset, "an escape of JSON");
    const unit = this.#hexUnit(offset + 2);
    const isHigh = unit >= 0xd800 && unit < 0xdc00;
    if (isHigh && this.bytes[offset + 6] === BACKSLASH && this.bytes[offset + 7] === 0x75) {
      const low = this.#hexUnit(offset + 8);
      if (low >= 0xdc00 && low < 0xe000) {
        sink.utf8(String.fromCharCode(unit, low));
        return offset + 12;
      }
    }
    if (unit >= 0xd800 && unit < 0xe000) this.loneSurrogates++;
    // A lone half becomes U+FFFD on the way to UTF-8, by definition of the encoder.
    sink.utf8(String.fromCharCode(unit));
    return offset + 6;
  }

  #hexUnit(offset: number): number {
    const text = offset + 4 <= this.stringEnd ? this.text(offset, offset + 4) : "";
    if (!/^[0-9a-fA-F]{4}$/.test(text)) this.fail(offset - 2, "\\u and four hex digits");
    return Number.parseInt(text, 16);
  }

  /** The string that readString found, escapes resolved. */
  stringText(): string {
    const raw = asBuffer(this.bytes).toString("utf8", this.stringStart, this.stringEnd);
    if (!this.isEscaped) return raw;
    try {
      return JSON.parse(`"${raw}"`) as string;
    } catch {
      return this.fail(this.stringStart - 1, "a string with the escapes of JSON");
    }
  }

  /** Consumes a number and returns where it began; `offset` is its end. */
  readNumber(expected: string): number {
    const first = this.peek();
    if (first !== 0x2d && !isDigit(first)) this.fail(this.offset, expected);
    const start = this.offset;
    if (first === 0x2d) this.offset++;
    if (this.bytes[this.offset] === 0x30) this.offset++;
    else this.#readDigits(start);
    if (this.bytes[this.offset] === 0x2e) {
      this.offset++;
      this.#readDigits(start);
    }
    if ((this.bytes[this.offset]! | 0x20) === 0x65) {
      this.offset++;
      const sign = this.bytes[this.offset];
      if (sign === 0x2b || sign === 0x2d) this.offset++;
      this.#readDigits(start);
    }
    return start;
  }

  #readDigits(numberStart: number): void {
    const start = this.offset;
    while (isDigit(this.bytes[this.offset] ?? -1)) this.offset++;
    if (this.offset === start) this.fail(numberStart, "a number as JSON writes it");
  }

  /** Consumes a value of any kind, checking that it is JSON. No recursion: the open containers are a list of closing bytes. */
  skipValue(): void {
    const closers: number[] = [];
    for (;;) {
      const isOpen = this.#skipOpening(closers);
      if (isOpen) continue;
      for (;;) {
        const closer = closers.at(-1);
        if (closer === undefined) return;
        const hasMore = closer === CLOSE_BRACE ? this.nextMember() : this.nextElement();
        if (hasMore) break;
        closers.pop();
      }
      if (closers.at(-1) === CLOSE_BRACE) this.readName();
    }
  }

  /** One scalar or empty container, consumed; or the opening of a container with content, noted in `closers`. */
  #skipOpening(closers: number[]): boolean {
    const byte = this.peek();
    if (byte !== OPEN_BRACE && byte !== OPEN_BRACKET) {
      this.#skipScalar(byte);
      return false;
    }
    if (closers.length === SKIP_DEPTH_MAX) this.failDepth();
    if (byte === OPEN_BRACE) {
      if (!this.openObject()) return false;
      closers.push(CLOSE_BRACE);
      this.readName();
      return true;
    }
    if (!this.openArray()) return false;
    closers.push(CLOSE_BRACKET);
    return true;
  }

  #skipScalar(byte: number): void {
    if (byte === QUOTE) {
      this.readString("a string");
      // Resolving them is the check that they are escapes; an ignored field must still be JSON.
      if (this.isEscaped) this.stringText();
    } else if (byte === 0x2d || isDigit(byte)) this.readNumber("a number");
    else if (!this.#takeWord("true") && !this.#takeWord("false") && !this.#takeWord("null")) {
      this.fail(this.offset, "a JSON value");
    }
  }

  #take(byte: number): boolean {
    if (this.peek() !== byte) return false;
    this.offset++;
    return true;
  }

  #takeWord(word: string): boolean {
    const end = this.offset + word.length;
    if (end > this.bytes.length || this.text(this.offset, end) !== word) return false;
    this.offset = end;
    return true;
  }

  /** ASCII source text. */
  text(start: number, end: number): string {
    return asBuffer(this.bytes).toString("latin1", start, end);
  }

  fail(offset: number, expected: string): never {
    this.failWith(offset, `found ${describeAt(this.bytes, offset)}, expected ${expected}`);
  }

  failDepth(): never {
    this.failWith(this.offset, `nests deeper than ${MESSAGE_DEPTH_MAX} messages`);
  }

  failWith(offset: number, problem: string): never {
    throw new DecodeError(jsonPathAt(this.bytes, offset), `${problem} (offset ${offset})`, offset);
  }
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

/** What stands at an offset, for people: the start of a string or number, or what kind of thing it is. */
function describeAt(bytes: Uint8Array, offset: number): string {
  const byte = bytes[offset];
  if (byte === undefined) return "the end of the text";
  if (byte === OPEN_BRACE) return "an object";
  if (byte === OPEN_BRACKET) return "an array";
  // Four bytes a character at most; the slice may cut one, which toString shows as U+FFFD.
  const text = Buffer.from(bytes.subarray(offset, offset + 4 * FOUND_LENGTH_MAX + 4)).toString("utf8");
  const token = /^(?:"(?:[^"\\]|\\.)*"?|[-+.\w]+|.)/s.exec(text)?.[0] ?? "";
  if (byte < 0x20 || byte === 0x7f) return `the control character 0x${byte.toString(16).padStart(2, "0")}`;
  if (byte >= 0x80 && !isUtf8(bytes.subarray(offset, offset + 1)) && token.startsWith("\uFFFD")) {
    return `the byte 0x${byte.toString(16)}`;
  }
  const shown = token.length > FOUND_LENGTH_MAX ? `${token.slice(0, FOUND_LENGTH_MAX)}…` : token;
  return /^["\w-]/.test(shown) ? shown : `"${shown}"`;
}

/** By halves, then one character at a time: a prefix that ends on a character boundary is valid while all bad bytes lie behind it. */
function firstInvalidUtf8(bytes: Uint8Array): number {
  let valid = 0;
  let invalid = bytes.length;
  while (invalid - valid > 16) {
    const middle = boundaryBefore(bytes, (valid + invalid) >> 1);
    if (isUtf8(bytes.subarray(valid, middle))) valid = middle;
    else invalid = middle;
  }
  for (;;) {
    const size = [1, 2, 3, 4].find(
      (count) => valid + count <= bytes.length && isUtf8(bytes.subarray(valid, valid + count)),
    );
    if (size === undefined) return valid;
    valid += size;
  }
}

/** Steps back over the continuation bytes of one character, three at most. */
function boundaryBefore(bytes: Uint8Array, offset: number): number {
  let at = offset;
  for (let step = 0; step < 3 && bytes[at]! >> 6 === 2; step++) at--;
  return at;
}
