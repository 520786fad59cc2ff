import type { Component, Exporter, Extension, Processor, Settings } from "../core/component.ts";
import type { ComponentId } from "../core/component-id.ts";
import type { Clock } from "../core/clock.ts";
import type { Consumer, SignalConsumers } from "../core/consumer.ts";
import { fanOut } from "../core/fan-out.ts";
import type { LogFields, Logger } from "../core/logger.ts";
import type { Meter } from "../core/meter.ts";
import type { Signal } from "../core/signal.ts";
import type { ConfiguredPipeline, Configuration } from "../config/configuration.ts";
import type { Ledger } from "../queue/ledger.ts";
import type { QueueGeneration } from "../queue/queue-generation.ts";
import { exporterEntry, type DestinationSettings } from "../queue/queues.ts";
import { canStay } from "./configuration-changes.ts";
import { deliveryOf, keysOf, queueOf, requestBytesMaxOf } from "./destinations.ts";
import { Junction } from "./junction.ts";
import { Place } from "./place.ts";
import { ProcessorItems } from "./processor-items.ts";

export interface GraphSettings {
  readonly configuration: Configuration;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
}

/** A processor stands once in each pipeline. What is behind it may change while it stays. */
export interface PlacedProcessor {
  readonly place: Place;
  readonly processor: Processor;
  readonly next: Junction;
}

export interface PlacedReceiver {
  readonly place: Place;
  readonly nexts: ReadonlyMap<Signal, Junction>;
}

/** What is asked for its exporters before their queues can be made. */
export interface GraphEnds {
  readonly extensions: ReadonlyMap<string, Place>;
  readonly exporters: ReadonlyMap<string, Place>;
  readonly destinations: readonly DestinationSettings[];
}

/**
 * The pipelines of one configuration as components wired to each other: created, which has no side effects, and not started.
 *
 *   receiver -> junction -> fan-out over its pipelines -> processors, a junction behind each -> fan-out -> entry of each
 *   exporter ... sending queue -> exporter
 *
 * A receiver and an exporter stand once, however many pipelines name them; a processor once in each pipeline. Components
 * of the former graph that are unchanged stand in the next one as they are: only the wires are new.
 */
export interface Graph extends GraphEnds {
  readonly configuration: Configuration;
  readonly queues: QueueGeneration;
  /** By pipeline and id. */
  readonly processors: ReadonlyMap<string, PlacedProcessor>;
  readonly receivers: ReadonlyMap<string, PlacedReceiver>;
}

/** Extensions and exporters; `former` is the graph that is in force. */
export function buildEnds(settings: GraphSettings, former: Graph | undefined): GraphEnds {
  return new EndsBuilder(settings, former).build();
}

/** The rest, with the destinations that the ends need. */
export function buildGraph(
  settings: GraphSettings,
  former: Graph | undefined,
  ends: GraphEnds,
  queues: QueueGeneration,
  ledger: Ledger,
): Graph {
  return new GraphBuilder(settings, former, queues, ledger).build(ends);
}

/** In the order they start; ends first. */
export function placesOf({ extensions, exporters, processors, receivers }: Graph): Place[] {
  const others = [...processors.values(), ...receivers.values()].map(({ place }) => place);
  return [...extensions.values(), ...exporters.values(), ...others];
}

/** Nothing takes the ways of this graph any more. */
export function disconnect({ queues, processors, receivers }: Graph): void {
  for (const { next } of processors.values()) next.disconnect(queues);
  for (const { nexts } of receivers.values()) for (const next of nexts.values()) next.disconnect(queues);
}

class EndsBuilder {
  readonly #settings: GraphSettings;
  readonly #former: Graph | undefined;

  constructor(settings: GraphSettings, former: Graph | undefined) {
    this.#settings = settings;
    this.#former = former;
  }

  build(): GraphEnds {
    const extensions = this.#createExtensions();
    const exporters = this.#createExporters();
    return { extensions, exporters, destinations: this.#destinations(exporters) };
  }

  #createExtensions(): Map<string, Place> {
    const { extensions, service } = this.#settings.configuration;
    return new Map(
      service.extensions.map((name) => {
        const configured = extensions.get(name)!;
        const known = this.#former?.extensions.get(name);
        if (known !== undefined && canStay(this.#former?.configuration.extensions.get(name), configured))
          return [name, known];
        const { id, factory, config } = configured;
        const path = `extensions.${name}`;
        const create = (): Extension => factory.create(settingsOf(this.#settings, path, id), config);
        return [name, new Place(path, placed(path, create))];
      }),
    );
  }

  /** Only those that a pipeline names: what nothing reaches is not started. */
  #createExporters(): Map<string, Place> {
    const { exporters, pipelines } = this.#settings.configuration;
    const used = new Set([...pipelines.values()].flatMap((pipeline) => pipeline.exporters));
    return new Map(
      [...exporters].flatMap(([name, configured]) => {
        if (!used.has(name)) return [];
        const known = this.#former?.exporters.get(name);
        if (known !== undefined && canStay(this.#former?.configuration.exporters.get(name), configured))
          return [[name, known] as const];
        const { id, factory, config } = configured;
        const path = `exporters.${name}`;
        const create = (): Exporter => factory.create(settingsOf(this.#settings, path, id), config);
        return [[name, new Place(path, placed(path, create))] as const];
      }),
    );
  }

  #destinations(exporters: ReadonlyMap<string, Place>): DestinationSettings[] {
    const { configuration, logger } = this.#settings;
    // A reload does not say again what was said at the start.
    const notices = this.#former === undefined ? logger : { info: () => undefined };
    return [...exporters].map(([id, { component }]) => {
      const exporter = configuration.exporters.get(id)!;
      const { retry_on_failure: retry, timeout: timeoutMs } = keysOf(exporter);
      const queue = queueOf(id, configuration, notices);
      const requestBytesMax = requestBytesMaxOf(exporter.factory, queue);
      const signals = signalsOf(id, configuration);
      const delivery = deliveryOf(id, configuration);
      return { id, sender: component as Exporter, queue, retry, timeoutMs, requestBytesMax, delivery, signals };
    });
  }
}

class GraphBuilder {
  readonly #settings: GraphSettings;
  readonly #former: Graph | undefined;
  readonly #queues: QueueGeneration;
  readonly #ledger: Ledger;
  readonly #processors = new Map<string, PlacedProcessor>();

  constructor(settings: GraphSettings, former: Graph | undefined, queues: QueueGeneration, ledger: Ledger) {
    this.#settings = settings;
    this.#former = former;
    this.#queues = queues;
    this.#ledger = ledger;
  }

  build(ends: GraphEnds): Graph {
    const { configuration } = this.#settings;
    const heads = new Map<string, Consumer>();
    for (const [id, pipeline] of configuration.pipelines) heads.set(id, this.#createPipeline(id, pipeline));
    const receivers = this.#createReceivers(heads);
    return { ...ends, configuration, queues: this.#queues, processors: this.#processors, receivers };
  }

  /** From the exporters backwards, so that each consumer is made knowing its next. */
  #createPipeline(id: string, pipeline: ConfiguredPipeline): Consumer {
    const stages = pipeline.processors.map((processor) => ({ processor, shortfall: "dropped" as const }));
    const account = this.#ledger.pipeline(id, pipeline.signal, stages);
    let next: Consumer = fanOut(pipeline.exporters.map((exporter) => exporterEntry(this.#queues, exporter)));
    next = account.at(stages.length, next);
    let mutatesData = false;
    for (const [position, name] of [...pipeline.processors.entries()].toReversed()) {
      const items = this.#itemsOf(name, pipeline.signal);
      const { processor, next: junction } = this.#placeProcessor(name, id, pipeline.signal);
      junction.connect(this.#queues, items.behind(next));
      // An editor anywhere in the pipeline edits the batch that the pipeline was given.
      mutatesData ||= processor.mutatesData;
      next = account.at(position, items.before(position === 0 ? processor : withMovesMade(processor)));
    }
    const head = next;
    return { mutatesData, consume: (batch, admission) => head.consume(batch, admission) };
  }

  #itemsOf(name: string, signal: Signal): ProcessorItems {
    const { id } = this.#settings.configuration.processors.get(name)!;
    return new ProcessorItems(settingsOf(this.#settings, `processors.${name}`, id), signal);
  }

  #placeProcessor(name: string, pipelineId: string, signal: Signal): PlacedProcessor {
    const configured = this.#settings.configuration.processors.get(name)!;
    const key = `${pipelineId} ${name}`;
    const known = this.#former?.processors.get(key);
    const isSame = known !== undefined && this.#former?.configuration.processors.get(name) === configured;
    const standing = isSame ? known : this.#createProcessor(name, pipelineId, signal);
    this.#processors.set(key, standing);
    return standing;
  }

  #createProcessor(name: string, pipelineId: string, signal: Signal): PlacedProcessor {
    const { id, factory, config } = this.#settings.configuration.processors.get(name)!;
    const path = `processors.${name}`;
    const settings = settingsOf(this.#settings, path, id, { pipeline: pipelineId });
    const next = new Junction();
    const processor = placed(path, () => factory.create(signal, settings, config, next));
    return { place: new Place(path, processor), processor, next };
  }

  #createReceivers(heads: ReadonlyMap<string, Consumer>): Map<string, PlacedReceiver> {
    const { receivers } = this.#settings.configuration;
    return new Map(
      [...receivers.keys()].flatMap((name) => {
        const consumers = this.#consumersOf(name, heads);
        if (consumers.size === 0) return [];
        const standing = this.#placeReceiver(name, [...consumers.keys()]);
        for (const [signal, consumer] of consumers) standing.nexts.get(signal)!.connect(this.#queues, consumer);
        return [[name, standing] as const];
      }),
    );
  }

  #consumersOf(name: string, heads: ReadonlyMap<string, Consumer>): Map<Signal, Consumer> {
    const { receivers, pipelines } = this.#settings.configuration;
    const consumers = new Map<Signal, Consumer>();
    for (const signal of receivers.get(name)!.factory.signals) {
      const reached = [...pipelines].filter(
        ([, pipeline]) => pipeline.signal === signal && pipeline.receivers.includes(name),
      );
      if (reached.length > 0) consumers.set(signal, fanOut(reached.map(([pipelineId]) => heads.get(pipelineId)!)));
    }
    return consumers;
  }

  /** A receiver is told once which signals it serves: with others it is another one. */
  #placeReceiver(name: string, signals: readonly Signal[]): PlacedReceiver {
    const configured = this.#settings.configuration.receivers.get(name)!;
    const known = this.#former?.receivers.get(name);
    const isSame = this.#former?.configuration.receivers.get(name) === configured;
    if (known !== undefined && isSame && isSameSet([...known.nexts.keys()], signals)) return known;
    const { id, factory, config } = configured;
    const path = `receivers.${name}`;
    const nexts = new Map(signals.map((signal) => [signal, new Junction()]));
    const consumers = Object.fromEntries(nexts) as SignalConsumers;
    const create = (): Component => factory.create(settingsOf(this.#settings, path, id), config, consumers);
    return { place: new Place(path, placed(path, create)), nexts };
  }
}

function settingsOf(
  { clock, logger, meter, configuration }: GraphSettings,
  path: string,
  id: ComponentId,
  fields: LogFields = {},
): Settings {
  return { id, logger: logger.with({ component: path, ...fields }), meter, clock, proxy: configuration.proxy };
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
  return [...new Set(reaching.map(({ signal }) => signal))].toSorted();
}

function isSameSet(left: readonly Signal[], right: readonly Signal[]): boolean {
  return left.length === right.length && left.every((signal) => right.includes(signal));
}

/** A factory that throws names its component. */
function placed<T>(path: string, create: () => T): T {
  try {
    return create();
  } catch (error) {
    throw new Error(`${path}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}
