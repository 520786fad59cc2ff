/**
 * `signalbox/sdk/testing`: a processor in a test, through the same decoding, views and encoding as in the gateway.
 * processors/README.md has an example.
 */
import { createBatch } from "../core/batch.ts";
import { ClientMetadata, type Transport } from "../core/client-metadata.ts";
import { systemClock, type Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import { SIGNALS, type Signal } from "../core/signal.ts";
import { decodeJsonRequest } from "../wire/otlp/json-decode.ts";
import { encodeJsonRequest } from "../wire/otlp/json-encode.ts";
import { joinSlices } from "../wire/otlp/payload.ts";
import type { DefinedProcessor } from "./define.ts";
import type { LogsJson, MetricsJson, TracesJson } from "./otlp-json.ts";
import { openProcessor } from "./runner.ts";

export { contractOf } from "./contract/contract.ts";
export type { ContractCheck, ContractSettings, ExampleRequest } from "./contract/contract.ts";
export { ManualClock } from "./manual-clock.ts";
export { attributesOf } from "./otlp-json.ts";
export type { AnyValueJson, KeyValueJson, LogsJson, MetricsJson, TracesJson } from "./otlp-json.ts";

export interface RunSettings {
  /** As the YAML would give it; it goes through the processor's schema. Default: no settings. */
  readonly config?: unknown;
  /** Headers of the sender, in any case. */
  readonly client?: Readonly<Record<string, string>>;
  readonly transport?: Transport;
  /** Default: the type. */
  readonly id?: string;
  /** Default: the system's. */
  readonly clock?: Clock;
  /** Default: says nothing. */
  readonly logger?: Logger;
  /** Told what the processor counts. */
  readonly count?: (event: string, value: number) => void;
}

/**
 * Runs one request through a processor: OTLP/JSON in, OTLP/JSON out. One instance is made, started, given the request
 * and shut down. Rejects with what the processor throws, with zod's error where the configuration is wrong, and with
 * DecodeError where the input is no OTLP. Where everything was dropped the output is `{}`.
 */
export function runProcessor(
  processor: DefinedProcessor,
  run: RunSettings & { readonly logs: LogsJson },
): Promise<LogsJson>;
export function runProcessor(
  processor: DefinedProcessor,
  run: RunSettings & { readonly traces: TracesJson },
): Promise<TracesJson>;
export function runProcessor(
  processor: DefinedProcessor,
  run: RunSettings & { readonly metrics: MetricsJson },
): Promise<MetricsJson>;
export async function runProcessor(
  processor: DefinedProcessor,
  run: RunSettings & { readonly [S in Signal]?: object },
): Promise<object> {
  const [signal, ...more] = SIGNALS.filter((name) => run[name] !== undefined);
  if (signal === undefined || more.length > 0) throw new TypeError("runProcessor: give one of logs, traces, metrics");
  const request = decodeJsonRequest(signal, JSON.stringify(run[signal])).bytes;
  const output = await runEncoded(processor, signal, request, run);
  return JSON.parse(encodeJsonRequest(signal, output)) as object;
}

async function runEncoded(
  processor: DefinedProcessor,
  signal: Signal,
  request: Uint8Array,
  run: RunSettings,
): Promise<Uint8Array> {
  const clock = run.clock ?? systemClock;
  const running = openProcessor(processor, {
    id: run.id ?? processor.type,
    signal,
    config: processor.config.parse(run.config ?? {}),
    logger: run.logger ?? silentLogger,
    clock,
    count: (event, value = 1) => run.count?.(event, value),
  });
  await running.start();
  try {
    const batch = createBatch(signal, request, { client: clientOf(run), arrivalUnixNano: clock.nowUnixNano() });
    await running.call(batch);
    const output = joinSlices(batch.encode());
    batch.release();
    return output;
  } finally {
    await running.shutdown(AbortSignal.abort());
  }
}

function clientOf({ client = {}, transport = "grpc" }: RunSettings): ClientMetadata {
  const headers = Object.entries(client).map(([name, value]) => [name.toLowerCase(), [value]] as const);
  return new ClientMetadata(transport, "127.0.0.1", new Map(headers));
}

const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  with: () => silentLogger,
};
