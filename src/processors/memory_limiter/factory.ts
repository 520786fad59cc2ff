import { formatComponentId } from "../../core/component-id.ts";
import type { Host, Processor, ProcessorFactory, Settings } from "../../core/component.ts";
import type { Consumer } from "../../core/consumer.ts";
import { ExitGate } from "../../core/exit-gate.ts";
import { ITEM_NAMES, ITEM_UNITS, type Signal, SIGNALS } from "../../core/signal.ts";
import { type MemoryLimiterConfig, memoryLimiterConfig } from "./config.ts";
import { MemoryLimiter } from "./limiter.ts";
import { type ProcessMemory, processMemory } from "./memory.ts";

/** The factory over another view of memory, for tests. */
export function createMemoryLimiterFactory(memory: ProcessMemory): ProcessorFactory<MemoryLimiterConfig> {
  // The service validates a component's configuration once, so its object stands for the id: pipelines that name
  // the same id share one limiter, as in the Collector.
  const limiters = new WeakMap<MemoryLimiterConfig, MemoryLimiter>();
  const limiterOf = (settings: Settings, config: MemoryLimiterConfig): MemoryLimiter => {
    const known = limiters.get(config);
    if (known !== undefined) return known;
    const { clock, logger } = settings;
    const limiter = new MemoryLimiter({ id: formatComponentId(settings.id), config, memory, clock, logger });
    limiters.set(config, limiter);
    return limiter;
  };
  return {
    kind: "processor",
    type: "memory_limiter",
    config: memoryLimiterConfig,
    signals: SIGNALS,
    create: (signal, settings, config, next) => createProcessor(signal, settings, limiterOf(settings, config), next),
  };
}

export const memoryLimiterProcessorFactory = createMemoryLimiterFactory(processMemory);

function createProcessor<S extends Signal>(
  signal: S,
  settings: Settings,
  limiter: MemoryLimiter,
  next: Consumer<S>,
): Processor<S> {
  const accepted = settings.meter.counter(
    `otelcol_processor_memory_limiter_accepted_${ITEM_NAMES[signal]}`,
    { processor: formatComponentId(settings.id) },
    {
      description: "Items that passed; what memory pressure held back was held back at the doors.",
      unit: ITEM_UNITS[signal],
    },
  );
  const exit = new ExitGate(next, `processors.${formatComponentId(settings.id)}`);
  let isStarted = false;
  return {
    mutatesData: false,
    readsData: false,
    start: async (host: Host) => {
      isStarted = true;
      limiter.start(host);
    },
    shutdown: async () => {
      exit.close();
      if (isStarted) limiter.stop();
      isStarted = false;
    },
    consume: (batch, admission) => {
      accepted.add(batch.itemCount);
      return exit.pass(batch, admission);
    },
  };
}
