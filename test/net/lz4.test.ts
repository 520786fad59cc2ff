import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeLz4, Lz4Error, lz4DecodedSize, xxHash32 } from "../../src/net/lz4.ts";
import { fuzz } from "../support/fuzz.ts";

/** What the lz4 command made of the recorded logs: once, and 300 times in linked and in independent blocks of 64 KiB. */
const sample = (name: string): Buffer => readFileSync(new URL(`../testdata/lz4/${name}.lz4`, import.meta.url));
const LOGS = readFileSync(new URL("../testdata/collector-otlp/logs.binpb", import.meta.url));
const MANY = Buffer.concat(Array.from({ length: 300 }, () => LOGS));
const SIZE_MAX = 10_000_000;

const SAMPLES: readonly (readonly [string, Buffer])[] = [
  ["logs", LOGS],
  ["many-linked", MANY],
  ["many-independent", MANY],
];

/** Header without checksums of blocks or content, one block as it is written here, and the end. */
function frameOf(block: readonly number[]): Buffer {
  return Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82, block.length, 0, 0, 0, ...block, 0, 0, 0, 0]);
}

describe("an LZ4 frame", () => {
  it.each(SAMPLES)("%s of the real encoder is decoded, and its size known before", async (name, expected) => {
    const bytes = sample(name);
    expect(lz4DecodedSize(bytes)).toBe(expected.length);
    expect((await decodeLz4(bytes, expected.length))?.equals(expected)).toBe(true);
    expect(await decodeLz4(bytes, expected.length - 1)).toBeUndefined();
  });

  it("may stand behind others, and behind one that is passed over", async () => {
    const passedOver = Buffer.from([0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
    const bytes = Buffer.concat([passedOver, sample("many-linked"), sample("logs")]);
    expect((await decodeLz4(bytes, SIZE_MAX))?.equals(Buffer.concat([MANY, LOGS]))).toBe(true);
  });

  it("repeats what a match has just written", async () => {
    // One literal "a", then 4 + 15 + 1 bytes from one byte back, then the literal "b".
    expect((await decodeLz4(frameOf([0x1f, 0x61, 1, 0, 1, 0x10, 0x62]), 100))?.toString()).toBe(`${"a".repeat(21)}b`);
  });

  it("that is a bomb is refused by its size alone", async () => {
    const block = [0x1f, 0x61, 1, 0, ...Array.from({ length: 200 }, () => 255), 0, 0x10, 0x62];
    const bytes = Buffer.from([...frameOf([]).subarray(0, 7), block.length, 0, 0, 0, ...block, 0, 0, 0, 0]);
    expect(lz4DecodedSize(bytes)).toBe(1 + 4 + 15 + 200 * 255 + 1);
    expect(await decodeLz4(bytes, 1_000)).toBeUndefined();
  });

  it.each(SAMPLES)("%s that is cut off anywhere is refused", async (name) => {
    const bytes = sample(name);
    for (let end = 0; end < bytes.length; end++) {
      await expect(decodeLz4(bytes.subarray(0, end), SIZE_MAX)).rejects.toThrow(Lz4Error);
    }
  });

  it("with any bit flipped gives no other bytes, where its content has a checksum", async () => {
    const bytes = sample("logs");
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const broken = Buffer.from(bytes);
      broken[bit >>> 3]! ^= 1 << (bit & 7);
      const outcome = await decodeLz4(broken, SIZE_MAX).catch((error: unknown) => error);
      // A match that is taken from another place with the same bytes is no fault.
      const isRight = outcome instanceof Buffer && outcome.equals(LOGS);
      expect(isRight || outcome === undefined || outcome instanceof Lz4Error).toBe(true);
    }
  });

  it("that reaches back before its beginning is refused", async () => {
    await expect(decodeLz4(frameOf([0x10, 0x61, 2, 0, 0x10, 0x62]), 100)).rejects.toThrow("before the frame does");
    await expect(decodeLz4(frameOf([0x10, 0x61, 0, 0, 0x10, 0x62]), 100)).rejects.toThrow("before the frame does");
  });

  it("of any bytes is decoded or refused, and nothing else", async () => {
    const anything = fc.oneof(
      fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
      fc.array(fc.nat(255), { maxLength: 60 }).map(frameOf),
    );
    await fc.assert(
      fc.asyncProperty(anything, async (bytes) => {
        const outcome = await decodeLz4(bytes, 100_000).catch((error: unknown) => error);
        if (outcome instanceof Buffer) expect(outcome).toHaveLength(lz4DecodedSize(bytes));
        else expect(outcome === undefined || outcome instanceof Lz4Error).toBe(true);
      }),
      fuzz(500),
    );
  });
});

describe("xxHash-32", () => {
  it("is that of the specification's examples", () => {
    expect(xxHash32(Buffer.alloc(0))).toBe(0x02cc5d05);
    expect(xxHash32(Buffer.from("a"))).toBe(0x550d7456);
    expect(xxHash32(Buffer.from("abc"))).toBe(0x32d153ff);
    expect(xxHash32(Buffer.from("Nobody inspects the spammish repetition"))).toBe(0xe2293b2f);
  });
});
