import type { Component, Exporter, Extension, Settings } from "../core/component.ts";
import type { ComponentId } from "../core/component-id.ts";
import type { Clock } from "../core/clock.ts";
import type { Consumer, SignalConsumers } from "../core/consumer.ts";
import { fanOut } from "../core/fan-out.ts";
import type { LogFields, Logger } from "../core/logger.ts";
import type { Meter } from "../core/meter.ts";
import type { Signal } from "../core/signal.ts";
import type { ConfiguredPipeline, Configuration } from "../config/configuration.ts";
import { createQueues, exporterEntry, type Queues } from "../queue/queues.ts";
import { isStorageProvider } from "../queue/storage-provider.ts";
import { partitionHeaders, storageOf } from "./storages.ts";
import { deliveryOf, keysOf, queueOf, requestBytesMaxOf } from "./destinations.ts";
import { ProcessorItems } from "./processor-items.ts";

export interface GraphSettings {
  readonly configuration: Configuration;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
}

/** A component in its place, with the name that logs and errors give it: `exporters.otlp_grpc/dash0`. */
export interface PlacedComponent {
  readonly path: string;
  readonly component: Component;
}

/**
 * The pipelines as components wired to each other: created, which has no side effects, and not started.
 *
 *   receiver -> fan-out over its pipelines -> processors -> fan-out -> entry of each exporter ... sending queue -> exporter
 *
 * A receiver and an exporter stand once, however many pipelines name them; a processor once in each pipeline.
 */
export interface Graph {
  readonly queues: Queues;
  readonly extensions: readonly PlacedComponent[];
  readonly exporters: readonly PlacedComponent[];
  readonly processors: readonly PlacedComponent[];
  readonly receivers: readonly PlacedComponent[];
}

export function buildGraph(settings: GraphSettings): Graph {
  return new GraphBuilder(settings).build();
}

class GraphBuilder {
  readonly #settings: GraphSettings;
  readonly #processors: PlacedComponent[] = [];

  constructor(settings: GraphSettings) {
    this.#settings = settings;
  }

  build(): Graph {
    const { configuration } = this.#settings;
    const extensions = this.#createExtensions();
    const exporters = this.#createExporters();
    const queues = this.#createQueues(exporters, extensions);
    const heads = new Map<string, Consumer>();
    for (const [id, pipeline] of configuration.pipelines) heads.set(id, this.#createPipeline(id, pipeline, queues));
    return {
      queues,
      extensions: [...extensions].map(([name, component]) => ({ path: `extensions.${name}`, component })),
      exporters: [...exporters].map(([name, component]) => ({ path: `exporters.${name}`, component })),
      processors: this.#processors,
      receivers: this.#createReceivers(heads),
    };
  }

  #createExtensions(): Map<string, Extension> {
    const { extensions, service } = this.#settings.configuration;
    return new Map(
      service.extensions.map((name) => {
        const { id, factory, config } = extensions.get(name)!;
        const path = `extensions.${name}`;
        return [name, placed(path, () => factory.create(this.#componentSettings(path, id), config))];
      }),
    );
  }

  /** Only those that a pipeline names: what nothing reaches is not started. */
  #createExporters(): Map<string, Exporter> {
    const { exporters, pipelines } = this.#settings.configuration;
    const used = new Set([...pipelines.values()].flatMap((pipeline) => pipeline.exporters));
    const created = new Map<string, Exporter>();
    for (const [name, { id, factory, config }] of exporters) {
      if (!used.has(name)) continue;
      const path = `exporters.${name}`;
      created.set(
        name,
        placed(path, () => factory.create(this.#componentSettings(path, id), config)),
      );
    }
    return created;
  }

  #createQueues(exporters: ReadonlyMap<string, Exporter>, extensions: ReadonlyMap<string, Extension>): Queues {
    const { configuration, clock, logger, meter } = this.#settings;
    const destinations = [...exporters].map(([id, sender]) => {
      const exporter = configuration.exporters.get(id)!;
      const { retry_on_failure: retry, timeout: timeoutMs } = keysOf(exporter);
      const queue = queueOf(id, configuration, logger);
      const requestBytesMax = requestBytesMaxOf(exporter.factory, queue);
      const signals = signalsOf(id, configuration);
      const delivery = deliveryOf(id, configuration);
      return { id, sender, queue, retry, timeoutMs, requestBytesMax, delivery, signals };
    });
    const provider = extensions.get(storageOf(configuration) ?? "");
    const storage =
      provider !== undefined && isStorageProvider(provider)
        ? provider.createStorage({ headerNames: partitionHeaders(configuration) })
        : undefined;
    return createQueues({ clock, logger, meter, destinations, ...(storage && { storage }) });
  }

  /** From the exporters backwards, so that each consumer is made knowing its next. */
  #createPipeline(id: string, pipeline: ConfiguredPipeline, queues: Queues): Consumer {
    const stages = pipeline.processors.map((processor) => ({ processor, shortfall: "dropped" as const }));
    const account = queues.ledger.pipeline(id, pipeline.signal, stages);
    let next: Consumer = fanOut(pipeline.exporters.map((exporter) => exporterEntry(queues, exporter)));
    next = account.at(stages.length, next);
    let mutatesData = false;
    for (const [position, name] of [...pipeline.processors.entries()].toReversed()) {
      const items = this.#itemsOf(name, pipeline.signal);
      const processor = this.#createProcessor(name, id, pipeline.signal, items.behind(next));
      // An editor anywhere in the pipeline edits the batch that the pipeline was given.
      mutatesData ||= processor.mutatesData;
      next = account.at(position, items.before(position === 0 ? processor : withMovesMade(processor)));
    }
    const head = next;
    return { mutatesData, consume: (batch, admission) => head.consume(batch, admission) };
  }

  #itemsOf(name: string, signal: Signal): ProcessorItems {
    const { id } = this.#settings.configuration.processors.get(name)!;
    return new ProcessorItems(this.#componentSettings(`processors.${name}`, id), signal);
  }

  #createProcessor(name: string, pipelineId: string, signal: Signal, next: Consumer): Component & Consumer {
    const { id, factory, config } = this.#settings.configuration.processors.get(name)!;
    const path = `processors.${name}`;
    const settings = this.#componentSettings(path, id, { pipeline: pipelineId });
    const processor = placed(path, () => factory.create(signal, settings, config, next));
    this.#processors.push({ path, component: processor });
    return processor;
  }

  #createReceivers(heads: ReadonlyMap<string, Consumer>): PlacedComponent[] {
    const { receivers, pipelines } = this.#settings.configuration;
    return [...receivers].flatMap(([name, { id, factory, config }]) => {
      const consumers: Partial<Record<Signal, Consumer>> = {};
      for (const signal of factory.signals) {
        const reached = [...pipelines].filter(
          ([, pipeline]) => pipeline.signal === signal && pipeline.receivers.includes(name),
        );
        if (reached.length > 0) consumers[signal] = fanOut(reached.map(([pipelineId]) => heads.get(pipelineId)!));
      }
      if (Object.keys(consumers).length === 0) return [];
      const path = `receivers.${name}`;
      const settings = this.#componentSettings(path, id);
      return [{ path, component: placed(path, () => factory.create(settings, config, consumers as SignalConsumers)) }];
    });
  }

  #componentSettings(path: string, id: ComponentId, fields: LogFields = {}): Settings {
    const { clock, logger, meter } = this.#settings;
    return { id, logger: logger.with({ component: path, ...fields }), meter, clock };
  }
}

/**
 * What one processor moved to another resource must stand there for the next one: `resource` behind `worker_identity`
 * edits the resources that the records have now, not those they came with. Costs an encoding and a scan, and only then.
 */
function withMovesMade(processor: Consumer): Consumer {
  if (processor.readsData === false) return processor;
  return {
    mutatesData: processor.mutatesData,
    consume: async (batch, admission) => {
      if (!batch.hasMoves) return processor.consume(batch, admission);
      const moved = batch.clone();
      try {
        await processor.consume(moved, admission);
      } finally {
        moved.release();
      }
    },
  };
}

/** A queue is made for each signal that reaches the exporter. */
function signalsOf(exporter: string, { pipelines }: Configuration): Signal[] {
  const reaching = [...pipelines.values()].filter(({ exporters }) => exporters.includes(exporter));
  return [...new Set(reaching.map(({ signal }) => signal))];
}

/** A factory that throws names its component. */
function placed<T>(path: string, create: () => T): T {
  try {
    return create();
  } catch (error) {
    throw new Error(`${path}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}
