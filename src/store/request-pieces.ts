/**
 * An OTLP request taken apart into the encoded messages it is made of, and put together again.
 * The three signals share one shape (collector/{logs,trace,metrics}/v1):
 *
 *   Export*ServiceRequest   1: Resource{Logs,Spans,Metrics}, repeated
 *   Resource{...}           1: Resource   2: Scope{...}, repeated   3: schema_url
 *   Scope{...}              1: InstrumentationScope   2: record, repeated   3: schema_url
 *
 * Other fields of these envelopes do not exist in v1.10; should a newer sender set one, it is skipped here. The
 * messages themselves stay byte for byte, with whatever unknown fields they carry.
 */
export interface ResourcePiece {
  readonly resource: Uint8Array;
  readonly schemaUrl: string;
  readonly scopes: readonly ScopePiece[];
}

export interface ScopePiece {
  readonly scope: Uint8Array;
  readonly schemaUrl: string;
  /** LogRecord, Span or Metric messages, in their order. */
  readonly records: readonly Uint8Array[];
}

/**
 * Takes apart a request whose structure was checked before (core/batch.ts scans it whole): anything malformed here is
 * our bug. The pieces are slices of `request`, in the order of the bytes. An envelope's singular message that occurs
 * twice is merged as protobuf merges it: by joining the occurrences.
 */
export function splitRequest(request: Uint8Array): ResourcePiece[] {
  return collectFields(request)
    .filter((field) => field.number === 1)
    .map((field) => splitResource(field.bytes));
}

function splitResource(bytes: Uint8Array): ResourcePiece {
  const fields = collectFields(bytes);
  const scopes = fields.filter((field) => field.number === 2).map((field) => splitScope(field.bytes));
  return { resource: mergedField(fields, 1), schemaUrl: lastText(fields, 3), scopes };
}

function splitScope(bytes: Uint8Array): ScopePiece {
  const fields = collectFields(bytes);
  const records = fields.filter((field) => field.number === 2).map((field) => field.bytes);
  return { scope: mergedField(fields, 1), schemaUrl: lastText(fields, 3), records };
}

interface Field {
  readonly number: number;
  readonly bytes: Uint8Array;
}

const LENGTH_DELIMITED = 2;

/** The length-delimited fields of one message; the envelopes have no others, so the rest is skipped. */
function collectFields(message: Uint8Array): Field[] {
  const fields: Field[] = [];
  let at = 0;
  while (at < message.length) {
    const tag = readVarint(message, at);
    at = tag.end;
    const wireType = tag.value % 8;
    const size = wireType === LENGTH_DELIMITED ? readVarint(message, at) : undefined;
    const start = size === undefined ? at : size.end;
    const end = size === undefined ? skipScalar(message, at, wireType) : start + size.value;
    if (end > message.length) throw new Error(`a field runs past the end of its message at offset ${at}`);
    if (size !== undefined) fields.push({ number: Math.floor(tag.value / 8), bytes: message.subarray(start, end) });
    at = end;
  }
  return fields;
}

function skipScalar(message: Uint8Array, at: number, wireType: number): number {
  if (wireType === 0) return readVarint(message, at).end;
  if (wireType === 1) return at + 8;
  if (wireType === 5) return at + 4;
  throw new Error(`wire type ${wireType} at offset ${at}`);
}

/** Lengths and tags stay under 2^35, so doubles are exact; longer varints are only skipped, where precision is no matter. */
function readVarint(message: Uint8Array, at: number): { value: number; end: number } {
  let value = 0;
  for (let index = 0; index < 10; index++) {
    const byte = message[at + index];
    if (byte === undefined) throw new Error(`a varint runs past the end of its message at offset ${at}`);
    value += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) return { value, end: at + index + 1 };
  }
  throw new Error(`a varint is longer than 10 bytes at offset ${at}`);
}

const EMPTY = new Uint8Array(0);
const decoder = new TextDecoder();
const encoder = new TextEncoder();

function mergedField(fields: readonly Field[], number: number): Uint8Array {
  const found = fields.filter((field) => field.number === number);
  if (found.length <= 1) return found[0]?.bytes ?? EMPTY;
  return Buffer.concat(found.map((field) => field.bytes));
}

function lastText(fields: readonly Field[], number: number): string {
  const last = fields.findLast((field) => field.number === number);
  return last === undefined ? "" : decoder.decode(last.bytes);
}

/** The inverse of splitRequest: one request as OTLP bytes. */
export function joinRequest(pieces: readonly ResourcePiece[]): Uint8Array {
  return Buffer.concat(pieces.flatMap((piece) => encodeField(1, joinResource(piece))));
}

function joinResource(piece: ResourcePiece): Uint8Array {
  const scopes = piece.scopes.flatMap((scope) => encodeField(2, joinScope(scope)));
  return Buffer.concat([...encodeField(1, piece.resource), ...scopes, ...textField(3, piece.schemaUrl)]);
}

function joinScope(piece: ScopePiece): Uint8Array {
  const records = piece.records.flatMap((record) => encodeField(2, record));
  return Buffer.concat([...encodeField(1, piece.scope), ...records, ...textField(3, piece.schemaUrl)]);
}

function encodeField(number: number, bytes: Uint8Array): Uint8Array[] {
  return [Uint8Array.of(number * 8 + LENGTH_DELIMITED, ...varint(bytes.length)), bytes];
}

function textField(number: number, text: string): Uint8Array[] {
  return text === "" ? [] : encodeField(number, encoder.encode(text));
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) + 0x80);
  bytes.push(rest);
  return bytes;
}
