import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { GrpcMessageReader } from "../../src/net/grpc-message.ts";
import {
  encodeGrpcMessage,
  frameMessage,
  isGrpcContentType,
  parseGrpcTimeoutMs,
  senderHeaders,
  statusHeaders,
} from "../../src/net/grpc-wire.ts";
import { decodeStatus } from "../../src/net/rpc-status.ts";
import { fuzz } from "../support/fuzz.ts";

describe("grpc-timeout", () => {
  it("is read in every unit", () => {
    expect(["2H", "3M", "4S", "5m", "6000u", "7000000n"].map(parseGrpcTimeoutMs)).toEqual([
      7_200_000, 180_000, 4_000, 5, 6, 7,
    ]);
    expect([parseGrpcTimeoutMs("0n"), parseGrpcTimeoutMs("99999999H")]).toEqual([0, 99_999_999 * 3_600_000]);
  });

  it.each(["", "1", "S", "1s", "1.5S", "-1S", "123456789S", "1S ", "1SS", "0x1S"])("refuses %j", (text) => {
    expect(parseGrpcTimeoutMs(text)).toBeUndefined();
  });
});

describe("the content type of gRPC", () => {
  it.each(["application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8", "Application/gRPC ; x=y"])(
    "is %s",
    (type) => expect(isGrpcContentType(type)).toBe(true),
  );

  it.each([undefined, "", "application/grpc-web", "application/grpc+json", "application/json", "application/grpcx"])(
    "is not %s",
    (type) => expect(isGrpcContentType(type)).toBe(false),
  );
});

describe("grpc-message", () => {
  it("is printable ASCII, and reads back as what it was", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const encoded = encodeGrpcMessage(text);
        expect(encoded).toMatch(/^[ -~]*$/);
        expect(decodeURIComponent(encoded)).toBe(text);
      }),
      fuzz(),
    );
  });

  it("is bounded, and so are the details", () => {
    const headers = statusHeaders({ code: 14, message: "ä".repeat(100_000), retryDelayMs: 1000 });
    expect(String(headers["grpc-message"]).length).toBeLessThanOrEqual(6 * 1024);
    const details = String(headers["grpc-status-details-bin"]);
    expect(details).not.toContain("=");
    expect(decodeStatus(Buffer.from(details, "base64"))).toMatchObject({ code: 14, retryDelayMs: 1000 });
  });
});

describe("a sender's headers", () => {
  it("are those that say who it is, repeated ones as lists", () => {
    const raw = [":path", "/a", "te", "trailers", "grpc-timeout", "1S", "x-a", "1", "content-type", "c", "x-a", "2"];
    expect(senderHeaders(raw)).toEqual([["x-a", ["1", "2"]]]);
  });
});

describe("the message reader", () => {
  const SIZES = [1, 2, 4, 5, 6, 7, 1000];

  function read(
    bytes: Buffer,
    sizes: readonly number[],
    admitAfter: number,
    firstBytes = 1e6,
  ): Buffer | "part" | "over" {
    const reader = new GrpcMessageReader();
    let chunkIndex = 0;
    for (let at = 0; at < bytes.length; chunkIndex++) {
      const end = Math.min(bytes.length, at + sizes[chunkIndex % sizes.length]!);
      reader.push(bytes.subarray(at, end));
      at = end;
      if (reader.isOver) return "over";
      if (reader.declaredSize < 0 || chunkIndex < admitAfter) continue;
      if (chunkIndex === admitAfter) reader.admit(Math.min(firstBytes, reader.declaredSize));
      if (chunkIndex > admitAfter + 1 && reader.isShort) reader.admit(reader.declaredSize);
    }
    if (!reader.isWhole) return "part";
    if (reader.isShort) reader.admit(reader.declaredSize);
    return reader.take();
  }

  it("puts a message together from chunks of any size, wherever it is admitted between them, whole or in two steps", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.array(fc.constantFrom(...SIZES), { minLength: 1, maxLength: 5 }),
        fc.nat(400),
        fc.nat(400),
        (message, sizes, admitAfter, firstBytes) => {
          expect(read(frameMessage(message), sizes, admitAfter, firstBytes)).toEqual(Buffer.from(message));
        },
      ),
      fuzz(),
    );
  });

  it("knows a part of a message, and more than one", () => {
    const bytes = frameMessage(Buffer.from("a message"));
    for (let end = 0; end < bytes.length; end++) expect(read(bytes.subarray(0, end), [3], 0)).toBe("part");
    for (const size of SIZES) expect(read(Buffer.concat([bytes, Buffer.alloc(1)]), [size], 0)).toBe("over");
  });

  it("hands over a view of what came only where that pins little", () => {
    const packet = Buffer.alloc(64 * 1024);
    frameMessage(Buffer.alloc(200, 1)).copy(packet);
    const small = new GrpcMessageReader();
    small.push(packet.subarray(0, 205));
    small.admit(200);
    expect(small.take().buffer).not.toBe(packet.buffer);
    frameMessage(Buffer.alloc(60_000, 1)).copy(packet);
    const large = new GrpcMessageReader();
    large.push(packet.subarray(0, 60_005));
    large.admit(60_000);
    expect(large.take().buffer).toBe(packet.buffer);
  });

  it("keeps nothing of what comes past the declared length", () => {
    const reader = new GrpcMessageReader();
    reader.push(Buffer.concat([frameMessage(Buffer.from("ab")), Buffer.alloc(10)]));
    reader.push(Buffer.alloc(1_000_000));
    expect([reader.isOver, reader.isWhole]).toEqual([true, false]);
  });
});
