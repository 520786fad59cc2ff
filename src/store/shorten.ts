import type { JsonValue } from "./json-value.ts";
import type { LogJson, RecordJsons, SpanJson } from "./record-json.ts";
import type { RecordTable } from "./segment-reader.ts";

/** A record beyond this is a dump: an answer of many shows its beginning. Eight hundred of them still fit into one. */
export const RECORD_BYTES_MAX = 10 * 1024;

/** What is left of a text in a shortened record; all texts together take at most RECORD_BYTES_MAX. */
const TEXT_CHARS_MAX = 4_096;

/** The record whole, or its beginning with `shortened_from`, its size in the store. */
export function shortenRecord<T extends RecordTable>(table: T, json: RecordJsons[T], size: number): RecordJsons[T] {
  if (size <= RECORD_BYTES_MAX) return json;
  const shorten: (json: RecordJsons[T], size: number) => RecordJsons[T] = SHORTENERS[table];
  return shorten(json, size);
}

const SHORTENERS: { readonly [T in RecordTable]: (json: RecordJsons[T], size: number) => RecordJsons[T] } = {
  log: shortenLog,
  span: shortenSpan,
};

function shortenLog(log: LogJson, size: number): LogJson {
  const room = new Room();
  const { body, ...rest } = log;
  return {
    ...rest,
    message: room.text(log.message),
    attributes: room.object(log.attributes),
    resource: room.object(log.resource),
    ...(body !== undefined && { body: room.value(body) }),
    shortened_from: size,
  };
}

function shortenSpan(span: SpanJson, size: number): SpanJson {
  const room = new Room();
  return {
    ...span,
    name: room.text(span.name),
    ...(span.status_message !== undefined && { status_message: room.text(span.status_message) }),
    // Exceptions first: of a span with a thousand events they are what one looks for.
    events: span.events
      .toSorted((left, right) => Number(right.name === "exception") - Number(left.name === "exception"))
      .flatMap((event) => (room.isUsedUp ? [] : [{ ...event, attributes: room.object(event.attributes) }]))
      .toSorted((left, right) => left.time_us - right.time_us),
    attributes: room.object(span.attributes),
    resource: room.object(span.resource),
    shortened_from: size,
  };
}

/** What an answer still has room for; whoever comes first gets it. */
class Room {
  #chars = RECORD_BYTES_MAX;

  get isUsedUp(): boolean {
    return this.#chars <= 0;
  }

  text(text: string): string {
    const length = Math.min(text.length, TEXT_CHARS_MAX, Math.max(0, this.#chars));
    this.#chars -= length;
    return length === text.length ? text : `${ownedText(text, length)}…`;
  }

  object(object: Readonly<Record<string, JsonValue>>): Readonly<Record<string, JsonValue>> {
    const kept: [string, JsonValue][] = [];
    for (const [key, value] of Object.entries(object)) {
      if (this.isUsedUp) break;
      kept.push([this.text(key), this.value(value)]);
    }
    return Object.fromEntries(kept);
  }

  value(value: JsonValue): JsonValue {
    if (typeof value === "string") return this.text(value);
    // A number, a bracket: about this much of JSON.
    this.#chars -= 8;
    if (typeof value !== "object" || value === null) return value;
    if (!isArray(value)) return this.object(value);
    const kept: JsonValue[] = [];
    for (const item of value) {
      if (this.isUsedUp) break;
      kept.push(this.value(item));
    }
    return kept;
  }
}

function isArray(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}

/** The beginning of a text as a text of its own: slice() alone would keep all of a large one in memory. */
export function ownedText(text: string, length: number): string {
  return text.length <= length ? text : Buffer.from(text.slice(0, length), "utf16le").toString("utf16le");
}
