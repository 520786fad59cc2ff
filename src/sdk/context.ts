import type { ClientMetadata } from "../core/client-metadata.ts";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import type { Signal } from "../core/signal.ts";

/** What a processor knows as long as it lives: one instance for each signal whose pipelines name it. */
export interface ProcessorContext<Config = unknown> {
  /** As in the YAML: `my_processor` or `my_processor/second`. */
  readonly id: string;
  readonly signal: Signal;
  /** What the YAML says, after the schema: defaults are filled in. */
  readonly config: Config;
  /** The gateway's own log; lines carry the processor's id. Log once per change of state, count once per item. */
  readonly logger: Logger;
  /** The only way to tell the time; a test replaces it. */
  readonly clock: Clock;
  /**
   * Counts something under a name of your own, such as `ctx.count("moved")`: it becomes the metric
   * `signalbox_processor_events{processor, otel_signal, event="moved"}`. Use a handful of fixed names, never values from
   * the data: beyond 100 names per processor the rest are counted as `other`.
   */
  readonly count: (event: string, value?: number) => void;
}

/** What a processor knows while it works on one batch. Valid until its function has returned. */
export interface BatchContext<Config = unknown> extends ProcessorContext<Config> {
  /** Who sent the batch: `ctx.client.first("x-machine-id")`. Headers may hold secrets; do not log them. */
  readonly client: ClientMetadata;
  /** Nanoseconds since the epoch, when the request came in. */
  readonly arrivalUnixNano: bigint;
}
