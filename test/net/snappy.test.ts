import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeSnappy, isSnappyFramed, snappyDecodedSize, SnappyError } from "../../src/net/snappy.ts";
import { fuzz } from "../support/fuzz.ts";

/** Written by Go's github.com/golang/snappy v1.0.0, in both formats. */
const read = (name: string): Buffer => readFileSync(new URL(`../testdata/${name}`, import.meta.url));

function lines(): string {
  let text = "";
  for (let index = 0; index < 2500; index++) {
    text += `line ${index} of job-${(index * 7919) % 1000} completed, all well\n`;
  }
  return text;
}

const SAMPLES: readonly (readonly [string, Buffer, Buffer])[] = [
  ["logs.snappy", read("snappy/logs.snappy"), read("collector-otlp/logs.binpb")],
  ["logs.snappy-framed", read("snappy/logs.snappy-framed"), read("collector-otlp/logs.binpb")],
  ["lines.snappy", read("snappy/lines.snappy"), Buffer.from(lines())],
  ["lines.snappy-framed", read("snappy/lines.snappy-framed"), Buffer.from(lines())],
];

describe("snappy that Go wrote", () => {
  it.each(SAMPLES)("is decoded, and its size is known before: %s", async (name, bytes, expected) => {
    expect(isSnappyFramed(bytes)).toBe(name.endsWith("-framed"));
    expect(snappyDecodedSize(bytes)).toBe(expected.length);
    expect((await decodeSnappy(bytes, expected.length))?.equals(expected)).toBe(true);
  });

  it.each(SAMPLES)("is not decoded past a bound: %s", async (_name, bytes, expected) => {
    expect(await decodeSnappy(bytes, expected.length - 1)).toBeUndefined();
  });

  it.each(SAMPLES.slice(0, 2))("fails with a SnappyError when it is cut off anywhere: %s", async (_name, bytes) => {
    for (let end = 0; end < bytes.length; end++) {
      const cut = decodeSnappy(bytes.subarray(0, end), 1_000_000);
      // The framing format has no end of its own: behind its first chunk it is whole, and empty.
      if (end === 10 && isSnappyFramed(bytes)) expect(await cut).toHaveLength(0);
      else await expect(cut, `cut at ${end}`).rejects.toThrow(SnappyError);
    }
  });

  it("fails with a SnappyError, or decodes to something within its size, when any bit is flipped", async () => {
    const [, bytes] = SAMPLES[0]!;
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      await decodeSnappy(flipped, 10_000).catch((error: unknown) => expect(error).toBeInstanceOf(SnappyError));
    }
  });

  it("is refused by its checksum when a bit of a framed chunk is flipped", async () => {
    const [, bytes, expected] = SAMPLES[1]!;
    for (let bit = 14 * 8; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      const decoded = await decodeSnappy(flipped, 10_000).catch((error: unknown) => {
        expect(error).toBeInstanceOf(SnappyError);
        return undefined;
      });
      // A copy may be written in two ways: what passes the checksum is what was sent.
      if (decoded !== undefined) expect(decoded.equals(expected)).toBe(true);
    }
  });
});

describe("the snappy decoder", () => {
  it("takes any bytes without a crash, a hang or a word other than SnappyError", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), fc.boolean(), async (tail, isFramed) => {
        const start = isFramed ? Buffer.from("ff060000734e61507059", "hex") : Buffer.alloc(0);
        await decodeSnappy(Buffer.concat([start, tail]), 100_000).catch((error: unknown) =>
          expect(error).toBeInstanceOf(SnappyError),
        );
      }),
      fuzz(),
    );
  });

  it("takes a copy that overlaps with what it writes", async () => {
    // 9 bytes: the literal "ab", then 7 bytes from 2 back.
    const bytes = Buffer.from([9, 1 << 2, 0x61, 0x62, (3 << 2) | 1, 2]);
    expect((await decodeSnappy(bytes, 9))?.toString()).toBe("ababababa");
  });

  it("takes literals with lengths of one to four bytes", async () => {
    for (const lengthBytes of [1, 2, 3, 4]) {
      const text = Buffer.alloc(200, "x");
      const length = [199, 0, 0, 0].slice(0, lengthBytes);
      const bytes = Buffer.concat([Buffer.from([200, 1, (59 + lengthBytes) << 2, ...length]), text]);
      expect((await decodeSnappy(bytes, 200))?.equals(text)).toBe(true);
    }
  });

  it("passes over padding and skippable chunks, and refuses unknown ones", async () => {
    const [, framed, expected] = SAMPLES[1]!;
    const skippable = Buffer.from([0xfe, 2, 0, 0, 1, 2, 0x80, 1, 0, 0, 9]);
    expect((await decodeSnappy(Buffer.concat([framed, skippable]), 1000))?.equals(expected)).toBe(true);
    await expect(decodeSnappy(Buffer.concat([framed, Buffer.from([2, 0, 0, 0])]), 1000)).rejects.toThrow(
      "unknown type 2",
    );
  });
});
