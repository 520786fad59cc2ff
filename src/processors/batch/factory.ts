import { formatComponentId } from "../../core/component-id.ts";
import type { ProcessorFactory } from "../../core/component.ts";
import { ExitGate } from "../../core/exit-gate.ts";
import { SIGNALS } from "../../core/signal.ts";
import { type BatchConfig, batchConfig } from "./config.ts";

/**
 * Passes every batch through. Joining requests before they are admitted would tie one sender's answer to another's
 * data, and lose both at a crash; so the keys of this processor are moved to the sending queues behind it
 * (service/batch-defaults.ts), where batching happens after the answer.
 */
export const batchProcessorFactory: ProcessorFactory<BatchConfig> = {
  kind: "processor",
  type: "batch",
  config: batchConfig,
  signals: SIGNALS,
  create: (_signal, { id }, _config, next) => {
    const exit = new ExitGate(next, `processors.${formatComponentId(id)}`);
    return {
      mutatesData: false,
      readsData: false,
      start: async () => {},
      shutdown: async () => exit.close(),
      consume: (batch, admission) => exit.pass(batch, admission),
    };
  },
};
