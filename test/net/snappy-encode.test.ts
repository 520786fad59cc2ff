import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeSnappyBlock, encodeSnappyFramed } from "../../src/net/snappy-encode.ts";
import { decodeSnappy, isSnappyFramed } from "../../src/net/snappy.ts";
import { fuzz } from "../support/fuzz.ts";

const LOGS = readFileSync(new URL("../testdata/collector-otlp/logs.binpb", import.meta.url));

const FORMATS = [
  ["block", encodeSnappyBlock],
  ["framed", encodeSnappyFramed],
] as const;

/** Runs of earlier bytes between new ones: what makes copies of every length and distance. */
const repetitive = fc
  .array(
    fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 80 }).map((bytes) => ({ bytes, back: 0, length: 0 })),
      fc.record({
        bytes: fc.constant(new Uint8Array(0)),
        back: fc.integer({ min: 1, max: 70_000 }),
        length: fc.integer({ min: 1, max: 3000 }),
      }),
    ),
    { maxLength: 60 },
  )
  .map((parts) => {
    const out: number[] = [];
    for (const { bytes, back, length } of parts) {
      out.push(...bytes);
      for (let index = 0; index < length && out.length > 0; index++) out.push(out[Math.max(0, out.length - back)] ?? 0);
    }
    return Uint8Array.from(out);
  });

describe.each(FORMATS)("the snappy encoder, %s", (format, encode) => {
  it("gives any bytes back as they were", async () => {
    const inputs = fc.oneof(fc.uint8Array({ maxLength: 300 }), repetitive);
    await fc.assert(
      fc.asyncProperty(inputs, async (bytes) => {
        const encoded = await encode(bytes);
        expect(isSnappyFramed(encoded)).toBe(format === "framed");
        expect((await decodeSnappy(encoded, bytes.length))?.equals(bytes)).toBe(true);
      }),
      fuzz(300),
    );
  });

  it.each([0, 1, 3, 4, 15, 16, 17, 60, 61, 256, 257, 65_535, 65_536, 65_537, 600_000])(
    "gives %i bytes back that repeat, that grow and that are random",
    async (size) => {
      const random = Buffer.alloc(size);
      for (let index = 0, seed = 1; index < size; index++)
        random[index] = (seed = (seed * 48_271) % 2_147_483_647) >> 8;
      const growing = Buffer.from(Uint8Array.from({ length: size }, (_, index) => (index * index) >> (index % 7)));
      for (const bytes of [Buffer.alloc(size, "ab"), growing, random]) {
        const encoded = await encode(bytes);
        expect((await decodeSnappy(encoded, size))?.equals(bytes)).toBe(true);
        expect(encoded.length).toBeLessThan(size * 1.02 + 40);
      }
    },
  );

  it("makes telemetry smaller", async () => {
    const bytes = Buffer.concat(Array.from({ length: 100 }, () => LOGS));
    expect((await encode(bytes)).length).toBeLessThan(bytes.length / 5);
  });

  it("reads no byte beside its input", async () => {
    const around = Buffer.alloc(1000, 7);
    const view = around.subarray(300, 700);
    expect((await decodeSnappy(await encode(view), 400))?.equals(view)).toBe(true);
  });
});
