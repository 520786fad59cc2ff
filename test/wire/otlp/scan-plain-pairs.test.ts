import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { scanRequest, type ScanLimits } from "../../../src/wire/otlp/scan.ts";
import { fuzz } from "../../support/fuzz.ts";

/** A length-delimited field with a one-byte tag. */
function field(number: number, content: readonly number[]): number[] {
  const size = content.length < 0x80 ? [content.length] : [(content.length & 0x7f) | 0x80, content.length >>> 7];
  return [(number << 3) | 2, ...size, ...content];
}

// Unknown, and so long that what holds it is read field by field: the slow path.
const PADDING = field(
  15,
  Array.from({ length: 130 }, () => 0),
);

function requestWith(pair: readonly number[]): Uint8Array {
  return Uint8Array.from(field(1, field(2, field(2, field(6, pair)))));
}

/** Everything that a scan may say of these bytes, but for places. */
function verdict(bytes: Uint8Array): object {
  const accepts = (limits: Partial<ScanLimits>): boolean => {
    try {
      scanRequest("logs", bytes, limits);
      return true;
    } catch {
      return false;
    }
  };
  return {
    isAccepted: accepts({}),
    depths: [4, 5, 6, 7].filter((depthMax) => accepts({ depthMax })),
    counts: [3, 4, 5, 6].filter((messagesMax) => accepts({ messagesMax })),
    hasDuplicates: accepts({}) && scanRequest("logs", bytes).hasDuplicates,
  };
}

const text = fc.array(fc.constantFrom(0x61, 0x0a, 0x12, 0x00, 0x80, 0xff), { maxLength: 9 });
const pair = fc
  .tuple(text, text, fc.boolean())
  .map(([key, value, isSwapped]) => [field(1, key), field(2, field(1, value)), isSwapped] as const)
  .map(([key, value, isSwapped]) => (isSwapped ? [...value, ...key] : [...key, ...value]));
const change = fc.tuple(fc.nat({ max: 30 }), fc.constantFrom(-1, 0, 1, 2, 3, 8, 0x0a, 0x12, 0x18, 0x7f, 0x80, 0xff));

/** Replaces a byte, or cuts the pair off there. */
function damaged(bytes: readonly number[], changes: readonly (readonly [number, number])[]): number[] {
  let result = [...bytes];
  for (const [at, byte] of changes) {
    if (byte < 0) result = result.slice(0, at);
    else if (at < result.length) result[at] = byte;
  }
  return result;
}

describe("the scan's fast path for plain attributes", () => {
  it("says what reading field by field says, of sound and of damaged ones", () => {
    fc.assert(
      fc.property(pair, fc.array(change, { maxLength: 3 }), (sound, changes) => {
        const given = damaged(sound, changes);
        expect(verdict(requestWith(given))).toEqual(verdict(requestWith([...PADDING, ...given])));
      }),
      fuzz(5_000),
    );
  });
});
