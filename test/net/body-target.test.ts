import { describe, expect, it } from "vitest";
import { BodyTarget } from "../../src/net/body-target.ts";

describe("a body's target", () => {
  it("hands on a body of one piece as that piece", () => {
    const target = new BodyTarget(5);
    const piece = Buffer.from("whole");
    target.push(piece);
    expect(target.take()).toBe(piece);
  });

  it("puts pieces together in memory of the declared size, of which no copy is made", () => {
    const target = new BodyTarget(6);
    for (const piece of ["ab", "c", "def"]) target.push(Buffer.from(piece));
    const body = target.take();
    expect(body.toString()).toBe("abcdef");
    expect(body.buffer.byteLength).toBe(6);
  });

  it("keeps what it has when it grows, before and after its second piece", () => {
    for (const growsAfter of [1, 2]) {
      const target = new BodyTarget(4);
      for (const [index, piece] of ["ab", "cd", "efgh"].entries()) {
        if (index === growsAfter) target.grow(16);
        target.push(Buffer.from(piece));
      }
      expect(target.take().toString()).toBe("abcdefgh");
    }
  });

  it("pins no more than twice its size", () => {
    const target = new BodyTarget(1_000_000);
    for (const piece of ["ab", "cd"]) target.push(Buffer.from(piece));
    const body = target.take();
    expect(body.toString()).toBe("abcd");
    expect(body.buffer.byteLength).toBeLessThan(100_000);
  });

  it("is empty where nothing came", () => {
    expect(new BodyTarget(0).take()).toHaveLength(0);
  });
});
