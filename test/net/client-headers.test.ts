import { describe, expect, it } from "vitest";
import { boundedHeaders, plainAddress } from "../../src/net/client-headers.ts";

describe("a sender's headers", () => {
  it("are kept in lower case with all their values, without pseudo headers", () => {
    const headers = boundedHeaders([
      [":path", "/x"],
      ["X-Machine-Id", ["m1", "m2"]],
      ["absent", undefined],
      ["x-worker-id", "w"],
    ]);
    expect([...headers]).toEqual([
      ["x-machine-id", ["m1", "m2"]],
      ["x-worker-id", ["w"]],
    ]);
  });

  it("are at most 128, and at most 32 KiB, the first ones", () => {
    const many = Array.from({ length: 500 }, (_, index) => [`h${index}`, "v"] as const);
    expect([...boundedHeaders(many).keys()]).toEqual(many.slice(0, 128).map(([name]) => name));
    const large = Array.from({ length: 10 }, (_, index) => [`h${index}`, "v".repeat(10_000)] as const);
    expect([...boundedHeaders(large).keys()]).toEqual(["h0", "h1", "h2"]);
  });
});

describe("a peer's address", () => {
  it("is plain IPv4 where the socket maps it into IPv6", () => {
    expect([plainAddress("::ffff:10.0.0.1"), plainAddress("fd00::1"), plainAddress(undefined)]).toEqual([
      "10.0.0.1",
      "fd00::1",
      "",
    ]);
  });
});
