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

  // From a bound of 1 MiB on it is put where it stays; up to there node:zlib joins pieces.
  const LARGE_BOUND = 2_000_000;

  it.each(SAMPLES)("%s gives the same in a large bound", async (coding, wire, expected) => {
    expect((await decodeContent(coding, wire, LARGE_BOUND))?.equals(expected)).toBe(true);
    const cut = decodeContent(coding, wire.subarray(0, wire.length - 1), LARGE_BOUND);
    await expect(cut).rejects.toMatchObject({ kind: "permanent" });
  });

  it.each([
    ["gzip", gzipSync],
    ["deflate", deflateSync],
    ["zstd", zstdCompressSync],
  ] as const)(
    "%s of several MiB is decoded up to its bound, in no more memory than twice its size",
    async (name, compress) => {
      const large = Buffer.alloc(3_000_000, TEXT);
      const wire = compress(large);
      expect((await decodeContent(name, wire, large.length))?.equals(large)).toBe(true);
      expect(await decodeContent(name, wire, large.length - 1)).toBeUndefined();
      expect((await decodeContent(name, wire, 60_000_000))?.buffer.byteLength).toBeLessThanOrEqual(2 * large.length);
    },
  );

  it.each(["gzip", "deflate", "zstd"])("%s is the same of odd bytes in a small and in a large bound", async (name) => {
    const compress = { gzip: gzipSync, deflate: deflateSync, zstd: zstdCompressSync }[name]!;
    const whole = compress(TEXT);
    const result = (bytes: Buffer, bound: number): Promise<string> =>
      decodeContent(name, bytes, bound).then(
        (output) => `${output?.length} bytes`,
        (error: Error) => error.message,
      );
    const odd = [
      Buffer.alloc(0),
      Buffer.from("no such thing"),
      Buffer.concat([whole, whole]),
      Buffer.concat([whole, Buffer.from("behind")]),
      Buffer.concat([whole, Buffer.alloc(100)]),
      ...[1, 3, 10, 18, whole.length - 4].map((end) => whole.subarray(0, end)),
    ];
    for (const bytes of odd) expect(await result(bytes, LARGE_BOUND)).toBe(await result(bytes, 1_000_000));
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
