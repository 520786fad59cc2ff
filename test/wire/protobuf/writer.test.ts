import * as fc from "fast-check";
import protobuf from "protobufjs";
import { describe, expect, it } from "vitest";
import {
  FieldWalker,
  readBool,
  readDouble,
  readFixed64,
  readInt64,
  readSint32,
  readUint64,
  readVarint32,
} from "../../../src/wire/protobuf/walker.ts";
import { ProtobufWriter } from "../../../src/wire/protobuf/writer.ts";
import { readText } from "../../../src/wire/text.ts";
import { fuzz } from "../../support/fuzz.ts";

/** The first field of what `write` writes, by protobufjs' reader behind the tag, and by our walker. */
function written(write: (writer: ProtobufWriter) => void): {
  readonly reader: protobuf.Reader;
  readonly walker: FieldWalker;
} {
  const writer = new ProtobufWriter(16);
  write(writer);
  const bytes = writer.toBytes();
  const reader = protobuf.Reader.create(bytes);
  reader.uint32();
  const walker = new FieldWalker(bytes, 0, bytes.length);
  expect(walker.next()).toBe(true);
  expect(walker.valueEnd).toBe(bytes.length);
  return { reader, walker };
}

const INTS = [
  0n,
  1n,
  127n,
  128n,
  2n ** 31n,
  2n ** 32n,
  2n ** 49n - 1n,
  2n ** 49n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 63n - 1n,
  -1n,
  -128n,
  -(2n ** 53n),
  -(2n ** 63n),
];

function bigintOf(long: number | { toString(): string }): bigint {
  return BigInt(long.toString());
}

describe("ProtobufWriter and the readers", () => {
  it.each(INTS)("write and read the int64 %s", (value) => {
    const { reader, walker } = written((writer) => writer.varintField(3, value));
    expect(bigintOf(reader.int64())).toBe(value);
    const read = readInt64(walker.bytes, walker.valueStart);
    expect(BigInt(read)).toBe(value);
    expect(typeof read).toBe(Number.isSafeInteger(Number(value)) ? "number" : "bigint");
    expect(readUint64(walker.bytes, walker.valueStart)).toBe(BigInt.asUintN(64, value));
    expect(readVarint32(walker.bytes, walker.valueStart)).toBe(Number(BigInt.asUintN(32, value)));
    expect(readBool(walker.bytes, walker.valueStart)).toBe(value !== 0n);
  });

  it("write and read fixed values, doubles and zigzag numbers", () => {
    for (const value of [0n, 1n, 2n ** 64n - 1n]) {
      const { reader, walker } = written((writer) => writer.fixed64Field(1, value));
      expect(BigInt.asUintN(64, bigintOf(reader.fixed64()))).toBe(value);
      expect(readFixed64(walker.bytes, walker.valueStart)).toBe(value);
    }
    for (const value of [0, -0, 1.5, Number.NaN, Number.NEGATIVE_INFINITY, Number.MIN_VALUE]) {
      const { reader, walker } = written((writer) => writer.doubleField(1, value));
      expect(reader.double()).toBe(value);
      expect(readDouble(walker.bytes, walker.valueStart)).toBe(value);
    }
    for (const value of [0, -1, 1, 2 ** 31 - 1, -(2 ** 31)]) {
      const bytes = protobuf.Writer.create().sint32(value).finish();
      expect(readSint32(bytes, 0)).toBe(value);
    }
  });

  it("write text as UTF-8, a lone surrogate as U+FFFD", () => {
    for (const value of ["", "a", "é☃\u{1f600}", "x".repeat(63), "x".repeat(64), "é".repeat(70), "x".repeat(20_000)]) {
      const { reader, walker } = written((writer) => writer.stringField(1, value));
      expect(reader.string()).toBe(value);
      expect(readText(walker.bytes, walker.valueStart, walker.valueEnd)).toBe(value);
    }
    const { walker } = written((writer) => writer.stringField(1, "a\ud800b"));
    expect(readText(walker.bytes, walker.valueStart, walker.valueEnd)).toBe("a\ufffdb");
  });

  it("close nested fields right whatever size was guessed, across all sizes of the length, referenced bytes included", () => {
    const size = fc.constantFrom(0, 1, 126, 127, 128, 16_382, 16_383, 16_384);
    fc.assert(
      fc.property(size, size, size, fc.boolean(), (content, outerGuess, innerGuess, isReferenced) => {
        const bytes = new Uint8Array(content).fill(7);
        const writer = new ProtobufWriter(16);
        writer.begin(1, outerGuess);
        writer.varintField(2, 5);
        writer.begin(3, innerGuess);
        if (isReferenced) writer.reference(bytes, 0, content);
        else writer.copy(bytes);
        writer.end();
        writer.varintField(4, 6);
        writer.end();
        const total = writer.size;
        const whole = Buffer.concat(writer.finish());
        const inner = protobuf.Writer.create()
          .uint32(16)
          .uint32(5)
          .uint32(26)
          .bytes(bytes)
          .uint32(32)
          .uint32(6)
          .finish();
        expect(whole).toEqual(Buffer.from(protobuf.Writer.create().uint32(10).bytes(inner).finish()));
        expect(total).toBe(whole.length);
      }),
      fuzz(200),
    );
  });

  it("never keep a large buffer for a few bytes", () => {
    const writer = new ProtobufWriter(100_000);
    writer.stringField(1, "few");
    for (const slice of writer.finish()) expect(slice.buffer.byteLength).toBeLessThan(100);
  });
});

describe("FieldWalker", () => {
  it("reads tags and lengths that are longer than they need be", () => {
    const walker = new FieldWalker(Uint8Array.from([0x8a, 0x80, 0, 0x82, 0, 7, 8, 0x90, 0, 0xff, 1]), 0, 11);
    expect(walker.next()).toBe(true);
    expect([walker.number, walker.fieldStart, walker.valueStart, walker.valueEnd]).toEqual([1, 0, 5, 7]);
    expect(walker.next()).toBe(true);
    expect([walker.number, walker.fieldStart, walker.valueStart, walker.valueEnd]).toEqual([2, 7, 9, 11]);
    expect(walker.next()).toBe(false);
  });
});
