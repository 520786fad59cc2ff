import { describe, expect, test } from "vitest";
import { encodeBody } from "../../../src/exporters/otlp_http/body.ts";
import { type Encoding, ENCODINGS } from "../../../src/net/content-encode.ts";
import { outgoing } from "../test-exporter.ts";
import { decompress } from "./http-backend.ts";

const INLINE_BYTES_MAX = 64 * 1024;

/** Bytes that neither repeat nor are random. */
function sample(size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, index) => (index * index) >> (index % 7));
}

async function compressed(compression: Encoding, bytes: Uint8Array, level: number): Promise<Buffer> {
  const cut = Math.floor(bytes.length / 3);
  const { payload } = outgoing("logs", [bytes.subarray(0, cut), bytes.subarray(cut)]);
  return Buffer.concat(await encodeBody("logs", payload, { encoding: "proto", compression, level }));
}

describe.each(ENCODINGS)("%s", (compression) => {
  test.each([0, 1, 1000, INLINE_BYTES_MAX, INLINE_BYTES_MAX + 1, 1_000_000])(
    "gives %i bytes back as they were",
    async (size) => {
      const bytes = sample(size);
      for (const level of [-1, 1, 9]) {
        const body = await compressed(compression, bytes, level);
        expect((await decompress(compression, body)).equals(bytes)).toBe(true);
      }
    },
  );

  test("on this thread and in the pool is the same, but for the byte that makes the difference", async () => {
    const inline = await compressed(compression, new Uint8Array(INLINE_BYTES_MAX), -1);
    const pooled = await compressed(compression, new Uint8Array(INLINE_BYTES_MAX + 1), -1);
    expect(Math.abs(inline.length - pooled.length)).toBeLessThan(16);
  });
});
