import type { Signal } from "../../../src/core/signal.ts";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createBatch } from "../../../src/core/batch.ts";
import { ClientMetadata } from "../../../src/core/client-metadata.ts";
import { SIGNALS } from "../../../src/core/signal.ts";
import { joinSlices, mergePayloads } from "../../../src/wire/otlp/payload.ts";
import { scanRequest } from "../../../src/wire/otlp/scan.ts";
import { splitPayload } from "../../../src/wire/otlp/split-payload.ts";
import type { EncodedPayload } from "../../../src/wire/otlp/types.ts";
import { canonical, EditModel } from "./edit-model.ts";
import { decodeNaive, UNKNOWN, type NaiveMessage } from "./naive.ts";
import { Random, randomRequest, seeds } from "./random-request.ts";
import { REQUESTS } from "./reference.ts";
import { childOf, DATA, GROUPS, listOf, RECORDS, SCOPES, snapshotOfNaive, snapshotOfView } from "./view-snapshot.ts";
import { fuzz } from "../../support/fuzz.ts";

const context = { client: ClientMetadata.internal, arrivalUnixNano: 0n };

describe.each(SIGNALS)("random edits of %s", (signal) => {
  it("read and encode as the same edits on decoded objects", () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 25 }), (seed, size, edits) => {
        const bytes = randomRequest(signal, seed, { size, doubledMessages: seed % 4 === 0 });
        const before = Buffer.from(bytes);
        const random = new Random(seed);
        const batch = createBatch(signal, bytes, context);
        const model = new EditModel(signal, decodeNaive(REQUESTS[signal], bytes));
        for (let edit = 0; edit < edits; edit++) {
          model.edit(random, batch.view);
          if (random.chance(0.1)) batch.encode();
        }
        expect(snapshotOfView(signal, batch.view)).toEqual(snapshotOfNaive(signal, model.read()));
        const payload = batch.encode();
        checkPayload(signal, payload, batch.itemCount);
        const decoded = decodeNaive(REQUESTS[signal], joinSlices(payload));
        const expected = model.encode();
        // The order of a moved resource's attributes is not promised.
        const comparable = model.hasMoves ? canonical : (message: NaiveMessage) => message;
        expect(comparable(decoded)).toEqual(comparable(expected));
        expect(snapshotOfView(signal, batch.clone().view)).toEqual(snapshotOfNaive(signal, decoded));
        expect(Buffer.from(bytes)).toEqual(before);
      }),
      fuzz(40),
    );
  });

  it("survive being split and merged again", () => {
    fc.assert(
      fc.property(
        seeds,
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 2000 }),
        (seed, itemsMax, bytesMax) => {
          const bytes = randomRequest(signal, seed, { size: 4, doubledMessages: seed % 4 === 0 });
          const payload = createBatch(signal, bytes, context).encode();
          const limits = seed % 3 === 0 ? { itemsMax } : seed % 3 === 1 ? { bytesMax } : { itemsMax, bytesMax };
          const parts = splitPayload(signal, payload, limits);
          for (const part of parts) {
            checkPayload(signal, part, part.itemCount);
            expect(part.itemCount).toBeLessThanOrEqual(limits.itemsMax ?? Infinity);
            const isWithin = part.size <= (limits.bytesMax ?? Infinity);
            expect(isWithin || leavesOf(signal, part).length <= 1).toBe(true);
          }
          const merged = mergePayloads(parts);
          expect(merged.itemCount).toBe(payload.itemCount);
          expect(leavesOf(signal, merged)).toEqual(leavesOf(signal, payload));
        },
      ),
      fuzz(40),
    );
  });
});

function checkPayload(signal: Signal, payload: EncodedPayload, itemCount: number): void {
  const bytes = joinSlices(payload);
  expect(bytes).toHaveLength(payload.size);
  expect(payload.itemCount).toBe(itemCount);
  const scan = scanRequest(signal, bytes);
  expect(scan.hasDuplicates).toBe(false);
  expect(scan.index.itemCount).toBe(itemCount);
}

/** Every record or point with everything above it, groups without children and unknown fields of the request: what splitting must keep. */
function leavesOf(signal: Signal, payload: EncodedPayload): unknown[] {
  const request = decodeNaive(REQUESTS[signal], joinSlices(payload));
  const leaves: unknown[] = [];
  for (const group of listOf(request, GROUPS[signal])) {
    const { [SCOPES[signal]]: _scopes, ...groupHeader } = group;
    if (listOf(group, SCOPES[signal]).length === 0) leaves.push([groupHeader]);
    for (const scope of listOf(group, SCOPES[signal])) {
      const { [RECORDS[signal]]: _records, ...scopeHeader } = scope;
      if (listOf(scope, RECORDS[signal]).length === 0) leaves.push([groupHeader, scopeHeader]);
      for (const record of listOf(scope, RECORDS[signal])) {
        for (const leaf of recordLeaves(record)) leaves.push([groupHeader, scopeHeader, leaf]);
      }
    }
  }
  for (const field of (request[UNKNOWN] ?? []) as string[]) leaves.push(field);
  return leaves;
}

function recordLeaves(record: NaiveMessage): unknown[] {
  const field = DATA.find((name) => record[name] !== undefined);
  const points = field === undefined ? [] : listOf(childOf(record, field), "dataPoints");
  if (field === undefined || points.length === 0) return [record];
  const { dataPoints: _points, ...data } = childOf(record, field) ?? {};
  return points.map((point) => [{ ...record, [field]: data }, point]);
}
