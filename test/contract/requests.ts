import { readFileSync } from "node:fs";
import { createBatch, type Batch } from "../../src/core/batch.ts";
import { ClientMetadata } from "../../src/core/client-metadata.ts";
import { SIGNALS, type Signal } from "../../src/core/signal.ts";
import { randomRequest } from "../wire/otlp/random-request.ts";

const RECORDED = ["python-sdk", "collector"];
/** More than any test of one component needs, few enough that each promise stays under a second. */
const RANDOM_COUNT = 12;

const made = new Map<Signal, readonly Uint8Array[]>();

/** Requests of one signal: recorded ones, and random ones with all that the wire allows. Each has at least one item. */
export function requestsOf(signal: Signal): readonly Uint8Array[] {
  const requests = made.get(signal) ?? makeRequests(signal);
  made.set(signal, requests);
  return requests;
}

function makeRequests(signal: Signal): readonly Uint8Array[] {
  const recorded = RECORDED.map((name) =>
    Uint8Array.from(readFileSync(new URL(`../testdata/otlp/${name}-${signal}.bin`, import.meta.url))),
  );
  const random = Array.from({ length: RANDOM_COUNT }, (_, seed) =>
    Uint8Array.from(randomRequest(signal, seed, { size: 3, doubledMessages: seed % 3 === 0 })),
  );
  return [...recorded, ...random].filter((bytes) => batchOf(signal, bytes).itemCount > 0);
}

export function oneRequest(signal: Signal): Uint8Array {
  return requestsOf(signal)[0]!;
}

export function batchOf<S extends Signal>(
  signal: S,
  bytes: Uint8Array,
  headers: Record<string, string> = {},
): Batch<S> {
  const fields = Object.entries(headers).map(([name, value]) => [name, [value]] as const);
  const client = new ClientMetadata("grpc", "127.0.0.1", new Map(fields), true);
  return createBatch(signal, bytes, { client, arrivalUnixNano: 1_767_225_600_000_000_000n });
}

/** Signals that a component serves, in the order of the pipelines. */
export function signalsOf({ signals }: { readonly signals: readonly Signal[] }): readonly Signal[] {
  return SIGNALS.filter((signal) => signals.includes(signal));
}
