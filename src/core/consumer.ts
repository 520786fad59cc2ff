import type { Admission } from "./admission.ts";
import type { Batch } from "./batch.ts";
import type { Signal } from "./signal.ts";

/** Whatever takes batches: a processor, a fan-out, the entry of an exporter. */
export interface Consumer<S extends Signal = Signal> {
  /** True if consume() edits the batch; the fan-out then hands over a private copy. */
  readonly mutatesData: boolean;
  /** Set by a processor that looks at neither records nor resources (batch, memory_limiter): it is spared what readers need. */
  readonly readsData?: false;
  /**
   * Resolves once the batch is enlisted everywhere it goes; from then on the caller must not touch it, and the views
   * over it are invalid. Staying pending is backpressure. Rejects with ConsumeError and nothing else.
   * May be called again before an earlier call has settled.
   */
  consume(batch: Batch<S>, admission: Admission): Promise<void>;
}

/** The consumers of a component that serves several signals; absent where no pipeline of that signal uses it. */
export interface SignalConsumers {
  readonly traces?: Consumer<"traces">;
  readonly metrics?: Consumer<"metrics">;
  readonly logs?: Consumer<"logs">;
}
