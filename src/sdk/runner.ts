import type { Batch } from "../core/batch.ts";
import type { Signal } from "../core/signal.ts";
import type { BatchView, RecordViews } from "../wire/otlp/types.ts";
import type { BatchContext, ProcessorContext } from "./context.ts";
import type { DefinedProcessor } from "./define.ts";

/** One instance of a defined processor at work on one signal; what the gateway and the test helper have in common. */
export interface RunningProcessor<S extends Signal> {
  /** Runs the user's function over the batch. What it throws comes out as it is; a promise means that it is not done. */
  call(batch: Batch<S>): void | Promise<void>;
  start(): void | Promise<void>;
  /** Idempotent, legal before start: the user's own shutdown runs once, and only where start was called. */
  shutdown(signal: AbortSignal): void | Promise<void>;
}

/** Throws what the user's `create` throws, and a TypeError where it returns no function for this signal. */
export function openProcessor<S extends Signal>(
  definition: DefinedProcessor,
  ctx: ProcessorContext & { readonly signal: S },
): RunningProcessor<S> {
  const instance = definition.instantiate(ctx);
  const { signal } = ctx;
  if (typeof instance?.[signal] !== "function") throw new TypeError(missingFunction(definition, signal));
  // The signal picks the function and the batch is of that signal; TypeScript does not see the two move together.
  const functions = instance as {
    [T in Signal]: (batch: BatchView<RecordViews[T]>, ctx: BatchContext) => void | Promise<void>;
  };
  let isStarted = false;
  return {
    call: (batch) => functions[signal](batch.view, batchContext(ctx, batch)),
    start: () => {
      isStarted = true;
      return instance.start?.();
    },
    shutdown: (patience) => {
      if (!isStarted) return;
      isStarted = false;
      return instance.shutdown?.(patience);
    },
  };
}

function missingFunction(definition: DefinedProcessor, signal: Signal): string {
  if (!definition.signals.includes(signal)) return `${definition.type} has no ${signal}() function`;
  const others = definition.signals.filter((name) => name !== signal).map((name) => `"${name}"`);
  return `create() returned no ${signal}() function; add one, or write signals: [${others.join(", ")}] beside create`;
}

function batchContext(ctx: ProcessorContext, batch: Batch): BatchContext {
  const { id, signal, config, logger, clock, count } = ctx;
  const { client, arrivalUnixNano } = batch.context;
  return { id, signal, config, logger, clock, count, client, arrivalUnixNano };
}
