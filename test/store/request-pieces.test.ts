import * as fc from "fast-check";
import { expect, test } from "vitest";
import { joinRequest, splitRequest } from "../../src/store/request-pieces.ts";
import type { ResourcePiece } from "../../src/store/request-pieces.ts";
import { fuzz } from "../support/fuzz.ts";

// Bytes of a message may be anything here: the envelope does not look into them.
const bytes = fc.uint8Array({ maxLength: 300 });
const scope = fc.record({ scope: bytes, schemaUrl: fc.string(), records: fc.array(bytes, { maxLength: 4 }) });
const piece: fc.Arbitrary<ResourcePiece> = fc.record({
  resource: bytes,
  schemaUrl: fc.string(),
  scopes: fc.array(scope, { maxLength: 3 }),
});

function plain(pieces: readonly ResourcePiece[]): unknown {
  return pieces.map((part) => ({
    ...part,
    resource: [...part.resource],
    scopes: part.scopes.map((inner) => ({
      ...inner,
      scope: [...inner.scope],
      records: inner.records.map((record) => [...record]),
    })),
  }));
}

test("a request put together comes apart into the same pieces", () => {
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 4 }), (pieces) => {
      expect(plain(splitRequest(joinRequest(pieces)))).toEqual(plain(pieces));
    }),
    fuzz(),
  );
});

test("unknown fields of an envelope are skipped, its doubled message is merged", () => {
  const request = Uint8Array.of(
    10, 18, // ResourceLogs, 18 bytes
    0x28, 0x96, 0x01, // field 5, a varint
    10, 2, 1, 2, // Resource
    0x31, 0, 0, 0, 0, 0, 0, 0, 0, // field 6, fixed64
    10, 0, // Resource again, empty
  ); // prettier-ignore
  expect(plain(splitRequest(request))).toEqual([{ resource: [1, 2], schemaUrl: "", scopes: [] }]);
});
