import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SIGNALS, type Signal } from "../../../src/core/signal.ts";
import { decodeJsonRequest } from "../../../src/wire/otlp/json-decode.ts";
import { encodeJsonBytes, encodeJsonRequest, jsonObjectOf } from "../../../src/wire/otlp/json-encode.ts";
import { requestBytes } from "./json-arbitrary.ts";
import { fullDecode } from "./json-reference.ts";
import { fuzz } from "../../support/fuzz.ts";

const recorded = (name: string): Buffer =>
  readFileSync(new URL(`../../testdata/collector-otlp/${name}`, import.meta.url));

describe.each(SIGNALS)("%s as OTLP/JSON", (signal: Signal) => {
  it("loses nothing on the way protobuf -> JSON -> protobuf", () => {
    fc.assert(
      fc.property(requestBytes(signal), (bytes) => {
        const { bytes: back, enumNames } = decodeJsonRequest(signal, encodeJsonRequest(signal, bytes));
        expect(fullDecode(signal, back)).toEqual(fullDecode(signal, bytes));
        expect(enumNames).toBe(0);
      }),
      fuzz(300),
    );
  });

  it("reads what the Collector wrote as JSON as the same request that the Collector wrote as protobuf", () => {
    const decoded = decodeJsonRequest(signal, recorded(`${signal}.json`));
    expect(fullDecode(signal, decoded.bytes)).toEqual(fullDecode(signal, recorded(`${signal}.binpb`)));
  });

  it("writes the Collector's protobuf, whose fields stand in descending order, as the Collector writes it in JSON", () => {
    const ours = jsonObjectOf(signal, recorded(`${signal}.binpb`));
    expect(ours).toEqual(JSON.parse(recorded(`${signal}.json`).toString("utf8")));
  });

  it("decodes to the same bytes from a string, from bytes, and from text with white space", () => {
    const text = recorded(`${signal}.json`).toString("utf8");
    const spaced = JSON.stringify(JSON.parse(text), null, "\t").replaceAll("\n", "\r\n");
    const expected = decodeJsonRequest(signal, text).bytes;
    expect(Buffer.compare(decodeJsonRequest(signal, Buffer.from(text)).bytes, expected)).toBe(0);
    expect(fullDecode(signal, decodeJsonRequest(signal, spaced).bytes)).toEqual(fullDecode(signal, expected));
  });

  it("writes the same JSON as text and as bytes", async () => {
    const bytes = recorded(`${signal}.binpb`);
    expect(Buffer.from(await encodeJsonBytes(signal, bytes)).toString("utf8")).toBe(encodeJsonRequest(signal, bytes));
  });

  it("takes an empty request in both directions", () => {
    expect(decodeJsonRequest(signal, "{}").bytes).toHaveLength(0);
    expect(encodeJsonRequest(signal, new Uint8Array())).toBe("{}");
  });
});
