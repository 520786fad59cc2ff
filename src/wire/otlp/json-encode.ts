/**
 * The encoded protobuf request as OTLP/JSON, the way the Collector writes it: ids as lower-case hex, 64-bit integers
 * as decimal strings, enum values as numbers, other bytes as base64, doubles that JSON cannot write as strings, default
 * values and unknown fields left out. Members stand in the order of the bytes, whatever that is.
 *
 * It writes while it walks, so a request needs its JSON in memory and no tree of values beside it. A message whose bytes
 * are in a form that no encoder writes (a field twice, a list in two pieces) is first put in order; see json-normalize.ts.
 *
 * https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
 */
import { constants, isUtf8 } from "node:buffer";
import type { Signal } from "../../core/signal.ts";
import { ByteSink } from "../byte-sink.ts";
import {
  FieldWalker,
  readBool,
  readDouble,
  readFixed32,
  readFixed64,
  readSint32,
  readUint64,
  readVarint32,
  skipVarint,
} from "../protobuf/walker.ts";
import { LENGTH_DELIMITED, VARINT } from "../protobuf/wire-type.ts";
import { asBuffer } from "../text.ts";
import { isInOrder, putInOrder } from "./json-normalize.ts";
import { jsonMessage, type JsonField, type JsonMessage } from "./json-schema.ts";
import { scanAccepted } from "./scan.ts";
import { REQUEST_MESSAGES } from "./schema.ts";

export type JsonValue = string | number | boolean | readonly JsonValue[] | JsonObject;

export interface JsonObject {
  readonly [name: string]: JsonValue;
}

/** Telemetry about doubles in JSON: the names of its fields weigh more than those of its attributes. */
const GROWTH_GUESS = 2;

/**
 * What fits in one string. Only bytes made for it come near: a request of 64 MiB whose every two bytes are a counter
 * with a long name is half a gigabyte as JSON. Beyond it: DecodeError.
 */
const JSON_BYTES_MAX = constants.MAX_STRING_LENGTH;

/** Throws DecodeError where the bytes are not a request of this signal. What is not UTF-8 in a string comes out as U+FFFD. */
export function encodeJsonRequest(signal: Signal, bytes: Uint8Array): string {
  return encode(signal, bytes).finishText();
}

/** How much is written before everything else that waits has its turn: some 10 ms. */
const SLICE_BYTES = 1024 * 1024;

/** A message above this is written in steps, between which a pause may be; the steps cost more than smaller ones do. */
const STEP_BYTES_MIN = 64 * 1024;

/** The same as UTF-8, for a body that is sent, with pauses in a large one; `end` is put behind it. */
export async function encodeJsonBytes(signal: Signal, bytes: Uint8Array, end = ""): Promise<Uint8Array> {
  const sink = openSink(signal, bytes);
  let pauseAt = SLICE_BYTES;
  for (const _ of new JsonEncoder(sink).steps(jsonMessage(REQUEST_MESSAGES[signal]), bytes, 0, bytes.length)) {
    if (sink.size < pauseAt) continue;
    await new Promise((resolve) => setImmediate(resolve));
    pauseAt = sink.size + SLICE_BYTES;
  }
  sink.ascii(end);
  return sink.finish();
}

/** The same as a tree of plain objects, for code that goes on with it; 64-bit integers stay decimal strings. */
export function jsonObjectOf(signal: Signal, bytes: Uint8Array): JsonObject {
  return JSON.parse(encodeJsonRequest(signal, bytes)) as JsonObject;
}

function encode(signal: Signal, bytes: Uint8Array): ByteSink {
  const sink = openSink(signal, bytes);
  new JsonEncoder(sink).writeMessage(jsonMessage(REQUEST_MESSAGES[signal]), bytes, 0, bytes.length);
  return sink;
}

/** The encoder reads without checks, and recurses no deeper than the scan allows. */
function openSink(signal: Signal, bytes: Uint8Array): ByteSink {
  scanAccepted(signal, bytes);
  const tooLarge = "the request, encoded as JSON, is larger than";
  return new ByteSink(bytes.length * GROWTH_GUESS, JSON_BYTES_MAX, tooLarge);
}

const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const COMMA = 0x2c;
const COLON = 0x3a;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** The punctuation of one object: names, commas, and the brackets around a list whose elements come one by one. */
class OpenObject {
  readonly #out: ByteSink;
  readonly #memberStart: number;
  #list: JsonField | undefined;

  constructor(out: ByteSink) {
    this.#out = out;
    out.byte(OPEN_BRACE);
    this.#memberStart = out.size;
  }

  /** What stands before the value of a member, or of the next element of a list. */
  next(field: JsonField): void {
    const out = this.#out;
    if (field === this.#list) return out.byte(COMMA);
    this.#closeList();
    if (out.size > this.#memberStart) out.byte(COMMA);
    out.byte(QUOTE);
    out.copy(field.nameBytes, 0, field.nameBytes.length);
    out.byte(QUOTE);
    out.byte(COLON);
    if (!field.repeated) return;
    out.byte(OPEN_BRACKET);
    this.#list = field;
  }

  close(): void {
    this.#closeList();
    this.#out.byte(CLOSE_BRACE);
  }

  #closeList(): void {
    if (this.#list !== undefined) this.#out.byte(CLOSE_BRACKET);
    this.#list = undefined;
  }
}

/** The lists of numbers in OTLP are of varints or of eight bytes each. */
const FIXED_SIZE = 8;

class JsonEncoder {
  readonly #out: ByteSink;

  constructor(out: ByteSink) {
    this.#out = out;
  }

  writeMessage(message: JsonMessage, bytes: Uint8Array, start: number, end: number): void {
    if (isInOrder(message, bytes, start, end)) return this.#writeObject(message, new FieldWalker(bytes, start, end));
    const ordered = putInOrder(message, bytes, start, end);
    this.#writeObject(message, new FieldWalker(ordered, 0, ordered.length));
  }

  /** writeMessage() in steps: what it yields says nothing but that there may be a pause. */
  *steps(message: JsonMessage, bytes: Uint8Array, start: number, end: number): Iterable<undefined> {
    if (end - start < STEP_BYTES_MIN) {
      this.writeMessage(message, bytes, start, end);
    } else if (isInOrder(message, bytes, start, end)) {
      yield* this.#objectSteps(message, new FieldWalker(bytes, start, end));
    } else {
      const ordered = putInOrder(message, bytes, start, end);
      yield* this.#objectSteps(message, new FieldWalker(ordered, 0, ordered.length));
    }
    yield;
  }

  *#objectSteps(message: JsonMessage, walker: FieldWalker): Iterable<undefined> {
    const object = new OpenObject(this.#out);
    while (walker.next()) {
      const field = message.byNumber[walker.number];
      if (field === undefined) continue;
      const isLongText = field.type === "string" && walker.valueEnd - walker.valueStart > LONG_TEXT_BYTES;
      if (field.message === undefined && !isLongText) this.#writeField(object, field, walker);
      else if (field.message === undefined) {
        object.next(field);
        yield* this.#textSteps(walker.bytes, walker.valueStart, walker.valueEnd);
      } else {
        object.next(field);
        yield* this.steps(field.message, walker.bytes, walker.valueStart, walker.valueEnd);
      }
    }
    object.close();
  }

  /** Fields of one list stand together, and nothing else stands twice. */
  #writeObject(message: JsonMessage, walker: FieldWalker): void {
    const object = new OpenObject(this.#out);
    while (walker.next()) {
      const field = message.byNumber[walker.number];
      if (field !== undefined) this.#writeField(object, field, walker);
    }
    object.close();
  }

  #writeField(object: OpenObject, field: JsonField, walker: FieldWalker): void {
    const isPacked = field.packed && walker.wireType === LENGTH_DELIMITED;
    // An empty packed field opens no list, and a default value is left out.
    if (isPacked && walker.valueStart === walker.valueEnd) return;
    if (!field.repeated && !field.keepsZero && field.message === undefined && isZero(field, walker)) return;
    object.next(field);
    if (isPacked) this.#writePacked(field, walker);
    else this.#writeValue(field, walker);
  }

  #writePacked(field: JsonField, { bytes, valueStart, valueEnd }: FieldWalker): void {
    let position = valueStart;
    while (position < valueEnd) {
      if (position > valueStart) this.#out.byte(COMMA);
      this.#writeNumber(field, bytes, position);
      position = field.wireType === VARINT ? skipVarint(bytes, position) : position + FIXED_SIZE;
    }
  }

  #writeValue(field: JsonField, { bytes, valueStart, valueEnd }: FieldWalker): void {
    if (field.message !== undefined) return this.writeMessage(field.message, bytes, valueStart, valueEnd);
    if (field.wireType !== LENGTH_DELIMITED) return this.#writeNumber(field, bytes, valueStart);
    this.#out.byte(QUOTE);
    if (field.type === "string") this.#writeText(bytes, valueStart, valueEnd);
    else this.#out.ascii(asBuffer(bytes).toString(field.type === "bytes" ? "base64" : "hex", valueStart, valueEnd));
    this.#out.byte(QUOTE);
  }

  #writeNumber(field: JsonField, bytes: Uint8Array, position: number): void {
    switch (field.type) {
      case "bool":
        return this.#out.ascii(readBool(bytes, position) ? "true" : "false");
      case "uint32":
        return this.#out.ascii(String(readVarint32(bytes, position)));
      case "int32":
      case "enum":
        return this.#out.ascii(String(readVarint32(bytes, position) | 0));
      case "sint32":
        return this.#out.ascii(String(readSint32(bytes, position)));
      case "fixed32":
        return this.#out.ascii(String(readFixed32(bytes, position)));
      case "int64":
        return this.#out.ascii(`"${BigInt.asIntN(64, readUint64(bytes, position))}"`);
      case "uint64":
        return this.#out.ascii(`"${readUint64(bytes, position)}"`);
      case "fixed64":
        return this.#out.ascii(`"${readFixed64(bytes, position)}"`);
      case "sfixed64":
        return this.#out.ascii(`"${BigInt.asIntN(64, readFixed64(bytes, position))}"`);
      case "double":
        return this.#out.ascii(formatDouble(readDouble(bytes, position)));
      case "string":
      case "bytes":
      case "traceId":
      case "spanId":
      case "message":
        throw new TypeError(`${field.name} is no number`);
    }
  }

  #writeText(bytes: Uint8Array, start: number, end: number): void {
    let plainStart = start;
    let isAscii = true;
    for (let offset = start; offset < end; offset++) {
      const byte = bytes[offset]!;
      if (byte >= 0x80) isAscii = false;
      if (byte >= 0x20 && byte !== QUOTE && byte !== BACKSLASH) continue;
      if (plainStart < offset) this.#writeSpan(bytes, plainStart, offset, isAscii);
      this.#out.ascii(ESCAPES[byte]!);
      plainStart = offset + 1;
      isAscii = true;
    }
    if (plainStart < end) this.#writeSpan(bytes, plainStart, end, isAscii);
  }

  /** Cut before a byte that begins a character, so that the parts read as the whole does, also where it is no UTF-8. */
  *#textSteps(bytes: Uint8Array, start: number, end: number): Iterable<undefined> {
    this.#out.makeRoom(escapedSize(bytes, start, end));
    this.#out.byte(QUOTE);
    for (let from = start; from < end;) {
      let to = Math.min(from + LONG_TEXT_BYTES, end);
      while (to < end && (bytes[to]! & 0xc0) === 0x80) to++;
      this.#writeText(bytes, from, to);
      from = to;
      yield;
    }
    this.#out.byte(QUOTE);
  }

  /** Characters that need no escape. No byte of a multi-byte character is below 0x80, so a span never cuts a valid one. */
  #writeSpan(bytes: Uint8Array, start: number, end: number, isAscii: boolean): void {
    if (isAscii || isUtf8(bytes.subarray(start, end))) this.#out.copy(bytes, start, end);
    else this.#out.utf8(asBuffer(bytes).toString("utf8", start, end));
  }
}

/** By byte: how JSON writes it, in the short form where there is one. */
const ESCAPES: readonly string[] = Array.from({ length: BACKSLASH + 1 }, (_, byte) =>
  JSON.stringify(String.fromCharCode(byte)).slice(1, -1),
);

/** A text above this is measured, because all of it may be escaped, which takes six times its bytes, and written in steps. */
const LONG_TEXT_BYTES = 1024 * 1024;

function escapedSize(bytes: Uint8Array, start: number, end: number): number {
  let size = end - start;
  for (let offset = start; offset < end; offset++) {
    const byte = bytes[offset]!;
    if (byte < 0x20 || byte === QUOTE || byte === BACKSLASH) size += ESCAPES[byte]!.length - 1;
  }
  return size;
}

/** String() would lose the sign of a zero; what is no number in JSON stands in quotes, where all of protobuf's parsers read it. */
function formatDouble(value: number): string {
  if (Object.is(value, -0)) return "-0";
  return Number.isFinite(value) ? String(value) : `"${value}"`;
}

/** Whether a scalar has its type's default value, which proto3 does not tell from absence. */
function isZero(field: JsonField, { bytes, valueStart, valueEnd }: FieldWalker): boolean {
  if (field.wireType === LENGTH_DELIMITED) return valueStart === valueEnd;
  for (let offset = valueStart; offset < valueEnd; offset++) if ((bytes[offset]! & zeroMask(field)) !== 0) return false;
  return true;
}

/** The high bit of a varint's byte says that another follows. */
function zeroMask(field: JsonField): number {
  return field.wireType === VARINT ? 0x7f : 0xff;
}
