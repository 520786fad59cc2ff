import * as fc from "fast-check";
import protobuf from "protobufjs";
import { describe, expect, it } from "vitest";
import { SIGNALS, type Signal } from "../../../src/core/signal.ts";
import { DecodeError } from "../../../src/wire/decode-error.ts";
import { decodeJsonRequest } from "../../../src/wire/otlp/json-decode.ts";
import { encodeJsonRequest, jsonObjectOf } from "../../../src/wire/otlp/json-encode.ts";
import { isMessageName, MESSAGES, REQUEST_MESSAGES, type MessageName } from "../../../src/wire/otlp/schema.ts";
import { requestBytes } from "./json-arbitrary.ts";
import { fullDecode } from "./json-reference.ts";
import { fuzz } from "../../support/fuzz.ts";

/** A field of type bytes, string or message around these bytes. */
const field = (number: number, ...content: readonly Uint8Array[]): Uint8Array =>
  protobuf.Writer.create()
    .uint32((number << 3) | 2)
    .bytes(Buffer.concat(content))
    .finish();
const text = (number: number, value: string): Uint8Array => field(number, Buffer.from(value));
const varint = (number: number, value: number): Uint8Array =>
  protobuf.Writer.create()
    .uint32(number << 3)
    .uint32(value)
    .finish();

const request = (...record: readonly Uint8Array[]): Uint8Array => field(1, field(2, field(2, ...record)));
const inRecord = (record: unknown): unknown => ({ resourceLogs: [{ scopeLogs: [{ logRecords: [record] }] }] });

const BODY = 5;
const SEVERITY_NUMBER = 2;
const ATTRIBUTES = 6;
const [STRING_VALUE, INT_VALUE, KVLIST_VALUE] = [1, 3, 6];

/** A kvlist member of an AnyValue. */
const list = (key: string): Uint8Array => field(KVLIST_VALUE, field(1, text(1, key)));

describe("encodeJsonRequest", () => {
  it("follows the last of a scalar that stands twice, a zero too", () => {
    const bytes = request(varint(SEVERITY_NUMBER, 9), text(3, "a"), text(3, "b"), varint(SEVERITY_NUMBER, 0));
    expect(jsonObjectOf("logs", bytes)).toEqual(inRecord({ severityText: "b" }));
  });

  it("merges a message that stands twice", () => {
    expect(jsonObjectOf("logs", request(field(BODY, list("a")), field(BODY, list("b"))))).toEqual(
      inRecord({ body: { kvlistValue: { values: [{ key: "a" }, { key: "b" }] } } }),
    );
  });

  it("follows the last member of a oneof, without what stood before another member", () => {
    const body = field(BODY, list("gone"), text(STRING_VALUE, "gone"), list("a"), list("b"));
    expect(jsonObjectOf("logs", request(body))).toEqual(
      inRecord({ body: { kvlistValue: { values: [{ key: "a" }, { key: "b" }] } } }),
    );
    const overwritten = field(BODY, list("gone"), varint(INT_VALUE, 0));
    expect(jsonObjectOf("logs", request(overwritten))).toEqual(inRecord({ body: { intValue: "0" } }));
  });

  it("joins a list whose pieces stand apart", () => {
    const attribute = (key: string): Uint8Array => field(ATTRIBUTES, text(1, key));
    const bytes = request(attribute("a"), text(3, "between"), attribute("b"), varint(SEVERITY_NUMBER, 1));
    expect(jsonObjectOf("logs", bytes)).toEqual(
      inRecord({ severityText: "between", severityNumber: 1, attributes: [{ key: "a" }, { key: "b" }] }),
    );
  });

  it("reads lists of numbers packed, not packed, and both", () => {
    const packed = (...values: readonly number[]): Uint8Array => {
      const writer = protobuf.Writer.create();
      for (const value of values) writer.uint32(value);
      return field(2, writer.finish());
    };
    const point = field(8, packed(1, 300), packed(), varint(2, 0), packed(7));
    const bytes = field(1, field(2, field(2, field(10, field(1, point, field(9, packed()))))));
    const dataPoints = [{ positive: { bucketCounts: ["1", "300", "0", "7"] }, negative: {} }];
    expect(jsonObjectOf("metrics", bytes)).toEqual({
      resourceMetrics: [{ scopeMetrics: [{ metrics: [{ exponentialHistogram: { dataPoints } }] }] }],
    });
  });

  it("leaves out unknown fields, within a list too", () => {
    const attribute = (key: string): Uint8Array => field(ATTRIBUTES, text(1, key), text(99, "unknown"));
    const bytes = request(varint(98, 1), attribute("a"), text(97, "unknown"), attribute("b"));
    expect(jsonObjectOf("logs", bytes)).toEqual(inRecord({ attributes: [{ key: "a" }, { key: "b" }] }));
  });

  it("writes U+FFFD for what is not UTF-8, and escapes what JSON asks for", () => {
    const bytes = request(field(3, Buffer.from('a"\\\u0000\u007fé😀\u2028'), Buffer.from([0xff, 0xc3])));
    const json = encodeJsonRequest("logs", bytes);
    expect(json).toContain('"severityText":"a\\"\\\\\\u0000\u007fé😀\u2028\ufffd\ufffd"');
    expect(JSON.parse(json)).toEqual(inRecord({ severityText: 'a"\\\u0000\u007fé😀\u2028\ufffd\ufffd' }));
  });

  it("refuses bytes that are no request, with the scan's words", () => {
    expect(() => encodeJsonRequest("logs", Buffer.from([0x0a, 0x05, 0x01]))).toThrow(DecodeError);
  });
});

describe.each(SIGNALS)("encodeJsonRequest of %s, fields shuffled and cut into pieces", (signal: Signal) => {
  it("means what a full decode of the same bytes means", () => {
    const cases = fc.tuple(requestBytes(signal), requestBytes(signal), fc.infiniteStream(fc.nat(1000)));
    fc.assert(
      fc.property(cases, ([first, second, numbers]) => {
        const random = (): number => Number(numbers.next().value);
        // Requests and all messages in them merge by standing one after the other.
        const shuffled = shuffle(REQUEST_MESSAGES[signal], Buffer.concat([first, second]), random);
        const json = encodeJsonRequest(signal, shuffled);
        expect(fullDecode(signal, decodeJsonRequest(signal, json).bytes)).toEqual(fullDecode(signal, shuffled));
      }),
      fuzz(200),
    );
  });
});

/** Reorders the fields of every message, and now and then repeats one, which means something else to each kind of field. */
function shuffle(name: MessageName, bytes: Uint8Array, random: () => number): Uint8Array {
  const reader = protobuf.Reader.create(bytes);
  const pieces: Uint8Array[] = [];
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const tag = reader.uint32();
    const valueStart = reader.pos;
    reader.skipType(tag & 7);
    const schema = MESSAGES[name].find((entry) => entry.number === tag >>> 3);
    let piece: Uint8Array = bytes.subarray(start, reader.pos);
    if (schema !== undefined && isMessageName(schema.type)) {
      const content = protobuf.Reader.create(bytes.subarray(valueStart, reader.pos)).bytes();
      piece = field(schema.number, shuffle(schema.type, content, random));
    }
    pieces.push(piece);
    if (random() % 20 === 0) pieces.push(piece);
  }
  for (let index = pieces.length - 1; index > 0; index--) {
    const other = random() % (index + 1);
    [pieces[index], pieces[other]] = [pieces[other]!, pieces[index]!];
  }
  return Buffer.concat(pieces);
}
