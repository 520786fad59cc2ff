import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { closestName, editDistance } from "../../src/core/closest-name.ts";
import { fuzz } from "../support/fuzz.ts";

describe("closestName", () => {
  const names = ["endpoint", "timeout", "send_batch_size", "tls", "logs"];

  it.each([
    ["endpont", "endpoint"],
    ["enpdoint", "endpoint"],
    ["timout", "timeout"],
    ["sendBatchSize", "send_batch_size"],
    ["send-batch-size", "send_batch_size"],
    ["TLS", "tls"],
    ["log", "logs"],
    ["tsl", "tls"],
    ["TMIEOUT", "timeout"],
    ["end", "endpoint"],
    ["send_batch", "send_batch_size"],
  ])("knows that %s means %s", (typed, meant) => {
    expect(closestName(typed, names)).toBe(meant);
  });

  it.each(["colour", "x", "", "batch", "e".repeat(1_000)])("offers nothing for %s", (typed) => {
    expect(closestName(typed, names)).toBeUndefined();
  });
});

describe("editDistance", () => {
  it("is zero for equal texts, the same both ways, and at most one for one slip", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), fc.nat(11), (a, b, index) => {
        expect(editDistance(a, a)).toBe(0);
        expect(editDistance(a, b)).toBe(editDistance(b, a));
        expect(editDistance(a, b)).toBeLessThanOrEqual(Math.max(a.length, b.length));
        expect(editDistance(a, a.slice(0, index) + a.slice(index + 1))).toBeLessThanOrEqual(1);
        const swapped =
          a.slice(0, index) +
          a
            .slice(index, index + 2)
            .split("")
            .toReversed()
            .join("") +
          a.slice(index + 2);
        expect(editDistance(a, swapped)).toBeLessThanOrEqual(1);
      }),
      fuzz(),
    );
  });
});
