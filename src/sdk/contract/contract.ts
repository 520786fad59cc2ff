import assert from "node:assert/strict";
import type { Transport } from "../../core/client-metadata.ts";
import { SIGNALS, type Signal } from "../../core/signal.ts";
import { decodeJsonRequest } from "../../wire/otlp/json-decode.ts";
import { isDefinedProcessor, type DefinedProcessor } from "../define.ts";
import type { LogsJson, MetricsJson, TracesJson } from "../otlp-json.ts";
import { PROMISES } from "./promises.ts";
import { randomRequest } from "./random-request.ts";
import type { TrialSettings } from "./trial.ts";

/** Enough that every kind of field comes in most combinations, few enough that a promise takes well under a second. */
const RANDOM_COUNT = 20;

/** Real time. A processor that waits longer holds its sender, whose time is ten seconds as a rule. */
const PATIENCE_MS = 5_000;

export type ExampleRequest =
  | { readonly logs: LogsJson }
  | { readonly traces: TracesJson }
  | { readonly metrics: MetricsJson };

export interface ContractSettings {
  /** As the YAML would give it. Default: no settings, so every key of the schema must have a default. */
  readonly config?: unknown;
  /** Requests that the processor is made for, beside the random ones. */
  readonly requests?: readonly ExampleRequest[];
  /** Headers of the sender, in any case. */
  readonly client?: Readonly<Record<string, string>>;
  /** Default: grpc. */
  readonly transport?: Transport;
  /** false: it only reads, and every batch goes on byte by byte as it came. Default: true. */
  readonly mutatesData?: boolean;
  /**
   * It drops records (spans, data points) on purpose. The gateway counts that; the name of an event says that the processor
   * counts each under it as well, and is held to it. Default: false, and then none may be missing.
   */
  readonly drops?: boolean | string;
  /** It throws on purpose on some requests. Default: false, and then it takes everything that is valid OTLP. */
  readonly throws?: boolean;
  /** What it does with a request depends on those before, as in a sampler. Default: false. */
  readonly stateful?: boolean;
  /** What it made it leaves as it is, when it comes again: two gateways in a row do no more than one. Default: not asked. */
  readonly idempotent?: boolean;
  /** Real milliseconds for each function, start and shutdown. Default: 5000. */
  readonly patienceMs?: number;
}

/** One promise about one processor, to be run under any test runner. */
export interface ContractCheck {
  /** In plain present, with the processor as its subject. */
  readonly name: string;
  /** Rejects, with what was found, where the promise does not hold. Checks share nothing and may run in any order. */
  readonly check: () => Promise<void>;
}

export interface Subject {
  readonly processor: DefinedProcessor;
  readonly settings: ContractSettings;
  readonly trial: TrialSettings;
  /** The examples, then random ones, by signal. Made once for each check. */
  readonly requests: (signal: Signal) => readonly Uint8Array[];
}

/**
 * The promises that every processor keeps, for one of yours:
 *
 *     for (const { name, check } of contractOf(myProcessor)) test(name, check);
 *
 * A promise that a setting makes needless (`drops`, `stateful`, ...) is not in the list. Of what the gateway promises for
 * every processor (refusing after shutdown, flushing: a processor holds no batch), nothing is left to be tried here.
 */
export function contractOf(processor: DefinedProcessor, settings: ContractSettings = {}): readonly ContractCheck[] {
  if (!isDefinedProcessor(processor)) {
    throw new TypeError("contractOf: expected what defineProcessor returned; write contractOf(myProcessor)");
  }
  const subject = subjectOf(processor, settings);
  return PROMISES.filter(({ applies }) => applies?.(settings) ?? true).map(({ name, holds }) => ({
    name,
    check: () => holds(subject),
  }));
}

function subjectOf(processor: DefinedProcessor, settings: ContractSettings): Subject {
  const { config = {}, client = {}, transport = "grpc", patienceMs = PATIENCE_MS } = settings;
  const examples = (settings.requests ?? []).map((request) => encoded(processor, request));
  return {
    processor,
    settings,
    trial: { config, client, transport, patienceMs },
    requests: (signal) => [
      ...examples.filter((example) => example.signal === signal).map(({ bytes }) => Uint8Array.from(bytes)),
      ...Array.from({ length: RANDOM_COUNT }, (_, seed) => randomRequest(signal, seed)),
    ],
  };
}

function encoded(
  processor: DefinedProcessor,
  request: { readonly [S in Signal]?: object },
): { readonly signal: Signal; readonly bytes: Uint8Array } {
  const [signal, ...more] = SIGNALS.filter((name) => request[name] !== undefined);
  assert.ok(signal !== undefined && more.length === 0, "contractOf: each request has one of logs, traces, metrics");
  assert.ok(processor.signals.includes(signal), `contractOf: ${processor.type} has no ${signal}() for this request`);
  return { signal, bytes: decodeJsonRequest(signal, JSON.stringify(request[signal])).bytes };
}
