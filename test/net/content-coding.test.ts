import { deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { decodeContent, guessDecodedSize } from "../../src/net/content-coding.ts";

const TEXT = Buffer.from("a line of a worker\n".repeat(5_000));
const framed = readFileSync(new URL("../testdata/snappy/logs.snappy-framed", import.meta.url));
const block = readFileSync(new URL("../testdata/snappy/logs.snappy", import.meta.url));
const logs = readFileSync(new URL("../testdata/collector-otlp/logs.binpb", import.meta.url));

const SAMPLES: readonly (readonly [string, Buffer, Buffer])[] = [
  ["gzip", gzipSync(TEXT), TEXT],
  ["deflate", deflateSync(TEXT), TEXT],
  ["zstd", zstdCompressSync(TEXT), TEXT],
  ["zstd", Buffer.concat([zstdCompressSync(TEXT), zstdCompressSync(TEXT)]), Buffer.concat([TEXT, TEXT])],
  ["snappy", block, logs],
  ["snappy", framed, logs],
  ["x-snappy-framed", framed, logs],
];

describe("a content coding", () => {
  it.each(SAMPLES)("%s is taken off, and nothing is decoded past the bound", async (coding, wire, expected) => {
    expect((await decodeContent(coding, wire, expected.length))?.equals(expected)).toBe(true);
    expect(await decodeContent(coding, wire, expected.length - 1)).toBeUndefined();
  });

  it.each(SAMPLES)("%s that is cut off is refused", async (coding, wire) => {
    await expect(decodeContent(coding, wire.subarray(0, wire.length - 1), 1_000_000)).rejects.toMatchObject({
      kind: "permanent",
    });
  });

  it("of zstd says its size where the frame does", () => {
    for (const size of [0, 1, 255, 256, 65_791, 65_792, 200_000]) {
      const wire = zstdCompressSync(Buffer.alloc(size, "x"), { pledgedSrcSize: size });
      expect(wire.length < 18 || guessDecodedSize("zstd", wire) === size).toBe(true);
    }
  });

  it("of zstd that declares a window of more than 32 MiB is refused before it gets that memory", async () => {
    // Magic, a descriptor without a size, a window of 2^31 bytes, a last raw block of one byte.
    const wire = Buffer.from("28b52ffd00a8090000000000000000000000", "hex");
    await expect(decodeContent("zstd", wire, 100)).rejects.toThrow(/memory|window/i);
  });

  it("with a size in front that is none is refused before it is decoded", () => {
    expect(() => guessDecodedSize("snappy", Buffer.alloc(9, 0xff))).toThrow("Content-Encoding snappy");
  });
});
