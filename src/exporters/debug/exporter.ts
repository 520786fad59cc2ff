import type { Exporter, Settings } from "../../core/component.ts";
import { ConsumeError } from "../../core/errors.ts";
import { type OutgoingRequest, SENT_WHOLE, type SendResult } from "../../core/sender.ts";
import type { Signal } from "../../core/signal.ts";
import { DecodeError } from "../../wire/decode-error.ts";
import { jsonObjectOf } from "../../wire/otlp/json-encode.ts";
import { scanAccepted } from "../../wire/otlp/scan.ts";
import type { DebugConfig } from "./config.ts";
import { formatDetailed } from "./detailed.ts";
import { formatNormal } from "./normal.ts";
import { Sampler } from "./sampler.ts";
import { countsOf, SHAPES } from "./shape.ts";
import type { TextSink } from "./text-sink.ts";

/**
 * Prints what passes, for people who look. It goes over the request's JSON tree rather than views, because it shows
 * every field there is; what that costs is bounded by sampling.
 */
export class DebugExporter implements Exporter {
  readonly #config: DebugConfig;
  readonly #settings: Settings;
  /** undefined: the gateway's own log. */
  readonly #sinks: readonly TextSink[] | undefined;
  readonly #samplers: Readonly<Record<Signal, Sampler>>;
  #isRunning = false;

  constructor(settings: Settings, config: DebugConfig, sinks: readonly TextSink[] | undefined) {
    this.#settings = settings;
    this.#config = config;
    this.#sinks = sinks;
    const create = (): Sampler => new Sampler(settings.clock, config.sampling_initial, config.sampling_thereafter);
    this.#samplers = { logs: create(), traces: create(), metrics: create() };
  }

  start(): Promise<void> {
    this.#isRunning = true;
    for (const sink of this.#sinks ?? []) sink.open();
    return Promise.resolve();
  }

  shutdown(): Promise<void> {
    this.#isRunning = false;
    for (const sink of this.#sinks ?? []) sink.close();
    return Promise.resolve();
  }

  async send(request: OutgoingRequest, signal: AbortSignal): Promise<SendResult> {
    if (!this.#isRunning) throw new ConsumeError("refused", "not shown: the exporter is not running");
    if (signal.aborted) throw new ConsumeError("retryable", "not shown: no time was left to write");
    if (!this.#samplers[request.signal].isNext()) return SENT_WHOLE;
    const bytes = Buffer.concat(request.payload.slices);
    const counts = decode(() => countsOf(request.signal, scanAccepted(request.signal, bytes).index));
    const dump = decode(() => this.#formatRecords(request.signal, bytes));
    if (this.#sinks === undefined) this.#log(SHAPES[request.signal].title, counts, dump);
    else for (const sink of this.#sinks) sink.write(`${formatCounts(request.signal, counts)}${dump}`);
    return SENT_WHOLE;
  }

  /** Only what shows records pays for a tree of them. */
  #formatRecords(signal: Signal, bytes: Uint8Array): string {
    if (this.#config.verbosity === "basic") return "";
    const format = this.#config.verbosity === "normal" ? formatNormal : formatDetailed;
    return `${format(signal, jsonObjectOf(signal, bytes))}\n`;
  }

  #log(title: string, counts: Readonly<Record<string, number>>, dump: string): void {
    this.#settings.logger.info(title, counts);
    if (dump !== "") this.#settings.logger.info(dump.trimEnd());
  }
}

/** As the Collector's console encoder writes it: `Logs	{"resource logs": 3, "log records": 6}`. */
function formatCounts(signal: Signal, counts: Readonly<Record<string, number>>): string {
  const members = Object.entries(counts).map(([name, count]) => `"${name}": ${count}`);
  return `${SHAPES[signal].title}\t{${members.join(", ")}}\n`;
}

function decode<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof DecodeError)) throw ConsumeError.from(error, "debug");
    throw new ConsumeError("permanent", `not shown: ${error.message}`, { cause: error });
  }
}
