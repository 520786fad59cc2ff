import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createBatch } from "../../../src/core/batch.ts";
import { ClientMetadata } from "../../../src/core/client-metadata.ts";
import { SIGNALS } from "../../../src/core/signal.ts";
import { decodeNaive } from "./naive.ts";
import { randomRequest, seeds } from "./random-request.ts";
import { REQUESTS } from "./reference.ts";
import { snapshotOfNaive, snapshotOfView } from "./view-snapshot.ts";
import { fuzz } from "../../support/fuzz.ts";

const context = { client: ClientMetadata.internal, arrivalUnixNano: 0n };

describe.each(SIGNALS)("views over random %s", (signal) => {
  it.each([false, true])("read what a full decode reads (doubled messages: %s)", (doubledMessages) => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 0, max: 4 }), (seed, size) => {
        const bytes = randomRequest(signal, seed, { size, doubledMessages });
        const batch = createBatch(signal, bytes, context);
        expect(snapshotOfView(signal, batch.view)).toEqual(
          snapshotOfNaive(signal, decodeNaive(REQUESTS[signal], bytes)),
        );
        expect(batch.merged || (batch.encode().slices[0] ?? bytes) === bytes).toBe(true);
      }),
      fuzz(40),
    );
  });
});
