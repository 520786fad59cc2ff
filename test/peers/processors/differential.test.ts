/**
 * The processors held against a real Collector's: one configuration, one request, both sides, equal record sets.
 * Everything follows from one seed; PROCESSOR_SEED and PROCESSOR_RUNS give others, and longer runs.
 */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ClientMetadata } from "../../../src/core/client-metadata.ts";
import { type Signal, SIGNALS } from "../../../src/core/signal.ts";
import { openProcessor, Refused, type RunProcessor } from "../../rules/run-processor.ts";
import { decodeReference, encodeReference } from "../../wire/otlp/reference.ts";
import { findContribCollector, PEER_HINT } from "../find.ts";
import { attributesYaml, requestOf, resourceYaml } from "./arbitraries.ts";
import { ContribCollector, type Headers, type ProcessorCase } from "./contrib-collector.ts";
import { upstreamCases } from "./upstream-cases.ts";

const SEED = Number(process.env["PROCESSOR_SEED"] ?? 20_261_124);
const RUNS = Number(process.env["PROCESSOR_RUNS"] ?? 30);
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
  test("gives equal records for random requests, also as the Collector writes them, and for recorded ones", async () => {
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
  }, 120_000);
});

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

/**
 * A request with its attributes sorted: the Collector's delete moves the last one into the gap. What is left out on the
 * wire and what is written as empty is the same.
 */
function recordsOf(signal: Signal, bytes: Uint8Array): unknown {
  return normalized(decodeReference(signal, bytes));
}

function normalized(value: unknown): unknown {
  if (Array.isArray(value)) {
    const items = value.map(normalized);
    return items.every(isKeyed) ? items.toSorted((a, b) => byText(JSON.stringify(a), JSON.stringify(b))) : items;
  }
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([name, inner]) => [name, normalized(inner)] as const);
  return Object.fromEntries(entries.filter(([name, inner]) => !isDefault(name, inner)));
}

function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

interface KeyValue {
  readonly key?: string;
}

/** A KeyValue, of which an empty key is not written. */
function isKeyed(value: unknown): value is KeyValue {
  return (
    typeof value === "object" && value !== null && Object.keys(value).every((name) => /^(?:key|value)$/.test(name))
  );
}

/** Members of a oneof are there even where they are zero, and an empty list in a value is a value. */
function isDefault(name: string, value: unknown): boolean {
  if (/Value$|^asInt$|^asDouble$|^(?:gauge|sum|histogram|exponentialHistogram|summary)$/.test(name)) return false;
  if (value === "" || value === 0 || value === false || value === "0" || value === "hex:") return true;
  if (Array.isArray(value)) return value.length === 0;
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}
