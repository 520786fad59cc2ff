import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createBatch, type Batch } from "../../../src/core/batch.ts";
import { ClientMetadata } from "../../../src/core/client-metadata.ts";
import type { Signal } from "../../../src/core/signal.ts";
import { fuzz } from "../../support/fuzz.ts";
import { KEYS, randomRequest, seeds } from "./random-request.ts";

function batchOf<S extends Signal>(signal: S, seed: number): Batch<S> {
  return createBatch(signal, randomRequest(signal, seed, { size: 12, doubledMessages: false }), {
    client: ClientMetadata.internal,
    arrivalUnixNano: 0n,
  });
}

const wanted = fc.uniqueArray(fc.constantFrom(...KEYS), { maxLength: 4 });

describe("recordsHaving", () => {
  it.each(["logs", "traces"] as const)("passes over just those %s in which none of the keys stands", (signal) => {
    fc.assert(
      fc.property(seeds, wanted, (seed, keys) => {
        const { view } = batchOf<"logs" | "traces">(signal, seed);
        for (const group of view.resourceGroups()) {
          for (const scope of group.scopes()) {
            const expected = [...scope.records()].filter(({ attributes }) => attributes.find(keys).length > 0);
            const found = [...scope.recordsHaving(keys)];
            expect(found.map(({ attributes }) => [...attributes])).toEqual(
              expected.map(({ attributes }) => [...attributes]),
            );
          }
        }
      }),
      fuzz(300),
    );
  });

  it("gives every record that was edited, and none that was dropped", () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const { view } = batchOf("logs", seed);
        for (const group of view.resourceGroups()) {
          for (const scope of group.scopes()) {
            const records = [...scope.records()];
            records.forEach((record, index) => (index % 2 === 0 ? record.drop() : record.attributes.set("new", "one")));
            const found = [...scope.recordsHaving(["new"])];
            expect(found).toHaveLength(Math.floor(records.length / 2));
          }
        }
      }),
      fuzz(100),
    );
  });

  it("gives all metrics, whose attributes stand on their points", () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const { view } = batchOf("metrics", seed);
        for (const group of view.resourceGroups()) {
          for (const scope of group.scopes()) {
            expect([...scope.recordsHaving(["a"])]).toHaveLength([...scope.records()].length);
          }
        }
      }),
      fuzz(50),
    );
  });
});
