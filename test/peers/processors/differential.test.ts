/**
 * The processors held against a real Collector's: one configuration, one request, both sides, equal record sets.
 * Everything follows from one seed; test/support/fuzz.ts has how to run longer, and from another.
 */
import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ClientMetadata } from "../../../src/core/client-metadata.ts";
import { type Signal, SIGNALS } from "../../../src/core/signal.ts";
import { fuzz, FUZZ_TIMES } from "../../support/fuzz.ts";
import { openProcessor, Refused, type RunProcessor } from "../../rules/run-processor.ts";
import { decodeReference, encodeReference } from "../../wire/otlp/reference.ts";
import { findContribCollector, PEER_HINT } from "../find.ts";
import { attributesYaml, requestOf, resourceYaml } from "./arbitraries.ts";
import { ContribCollector, type Headers, type ProcessorCase } from "./contrib-collector.ts";
import { DIFFERENT_RESULTS } from "./known-differences.ts";
import { recordsOf } from "./normal-form.ts";
import { patternCases, patternRequest } from "./pattern-cases.ts";
import { upstreamCases } from "./upstream-cases.ts";

const { seed: SEED, numRuns: RUNS } = fuzz(30);

/** Of the ordinary number of runs, on a slow machine; a longer run has as much more. */
const USUAL_RUN_MS = 120_000;
const RANDOM_CASES = { attributes: 30, resource: 12 };

const HEADERS: Headers = { "x-tenant": "tenant-7", "x-multi": ["one", "two"] };
const CLIENT = new ClientMetadata(
  "http",
  "127.0.0.1",
  new Map([
    ["x-tenant", ["tenant-7"]],
    ["x-multi", ["one", "two"]],
  ]),
  true,
);

function randomCases(signal: Signal): ProcessorCase[] {
  const sample = (arbitrary: fc.Arbitrary<string>, numRuns: number): string[] =>
    fc.sample(arbitrary, { seed: SEED, numRuns });
  return [
    ...sample(attributesYaml(signal), RANDOM_CASES.attributes).map((yaml) => ({ signal, type: "attributes", yaml })),
    ...sample(resourceYaml, RANDOM_CASES.resource).map((yaml) => ({ signal, type: "resource", yaml })),
  ];
}

/** Edits nothing that is there: what it gives is the request as the Collector writes it. */
const PLAIN = "{ attributes: [{ key: absent, action: delete }] }";

const binary = findContribCollector();

describe.skipIf(binary === undefined)(`the same configuration in the Collector and here (${PEER_HINT})`, () => {
  test(
    "gives equal records for random requests, also as the Collector writes them, and for recorded ones",
    async () => {
      const plain = SIGNALS.map((signal): ProcessorCase => ({ signal, type: "resource", yaml: PLAIN }));
      const ours = new Map<ProcessorCase, RunProcessor>();
      for (const one of [...plain, ...SIGNALS.flatMap(randomCases)]) ours.set(one, await open(one));
      for (const one of SIGNALS.flatMap(upstreamCases)) {
        const run = await openWhereAccepted(one);
        if (run !== undefined) ours.set(one, run);
      }
      const cases = [...ours.keys()];
      await using collector = await ContribCollector.start(binary ?? "", cases);
      let compared = 0;
      for (const signal of SIGNALS) {
        const random = fc.sample(requestOf(signal), { seed: SEED, numRuns: RUNS });
        const requests = [...random.map((request) => encodeReference(signal, request)), ...recordedRequests(signal)];
        for (const bytes of requests) {
          const theirs = await collector.send(signal, bytes, HEADERS);
          const rewritten = theirs.get(plain[SIGNALS.indexOf(signal)]!)!;
          // The Collector's receiver answers a request without items itself.
          if (rewritten.length === 0) continue;
          for (const [one, result] of theirs) {
            const run = ours.get(one)!;
            const wanted = recordsOf(signal, result);
            for (const input of [bytes, rewritten]) {
              expect(recordsOf(signal, await run(input, CLIENT)), explain(one, signal, input)).toEqual(wanted);
            }
            compared += 2;
          }
        }
      }
      expect(compared).toBeGreaterThan(cases.length * RUNS);
    },
    USUAL_RUN_MS * Math.max(1, FUZZ_TIMES),
  );

  test("reads patterns alike: what they match, and what their groups catch", async () => {
    const cases = patternCases(SEED);
    await using collector = await ContribCollector.start(binary ?? "", cases);
    const bytes = patternRequest(SEED);
    for (const [one, result] of await collector.send("logs", bytes, {})) {
      const run = await open(one);
      expect(recordsOf("logs", await run(bytes)), `${one.type}: ${one.yaml}`).toEqual(recordsOf("logs", result));
    }
  });

  test.for(DIFFERENT_RESULTS)("differs where it is known to: $what", async ({ actions, attributes, theirs, ours }) => {
    const one: ProcessorCase = { signal: "logs", type: "attributes", yaml: `{ actions: ${actions} }` };
    await using collector = await ContribCollector.start(binary ?? "", [one]);
    const bytes = logRequest(attributes).map((byte) => (byte === 0x7f ? 0xff : byte));
    const [result] = (await collector.send("logs", bytes, {})).values();
    const run = await open(one);
    expect(recordsOf("logs", result!)).toEqual(recordsOf("logs", logRequest(theirs)));
    expect(recordsOf("logs", await run(bytes))).toEqual(recordsOf("logs", logRequest(ours)));
  });
});

/** One record. */
function logRequest(attributes: readonly object[]): Uint8Array {
  const logRecords = [{ attributes, severityNumber: 9 }];
  return encodeReference("logs", { resourceLogs: [{ scopeLogs: [{ logRecords }] }] });
}

function open({ signal, type, yaml }: ProcessorCase): Promise<RunProcessor> {
  return openProcessor(signal, type, yaml);
}

/** What the upstream tests have for another signal is refused, by both: refusals.test.ts. */
async function openWhereAccepted(one: ProcessorCase): Promise<RunProcessor | undefined> {
  return open(one).catch((error: unknown) => {
    if (error instanceof Refused) return undefined;
    throw error;
  });
}

const RECORDED = ["collector", "collector-python", "python-sdk"];

function recordedRequests(signal: Signal): Uint8Array[] {
  return RECORDED.map((name) =>
    Uint8Array.from(readFileSync(new URL(`../../testdata/otlp/${name}-${signal}.bin`, import.meta.url))),
  );
}

function explain({ type, yaml }: ProcessorCase, signal: Signal, bytes: Uint8Array): string {
  return `${type}: ${yaml}\n${JSON.stringify(decodeReference(signal, bytes))}`;
}
