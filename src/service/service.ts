import { systemClock, type Clock } from "../core/clock.ts";
import type { Listening } from "../core/component.ts";
import type { Logger } from "../core/logger.ts";
import type { Configuration } from "../config/configuration.ts";
import type { TelemetryConfig } from "../config/telemetry.ts";
import { formatProblems } from "../config/problem.ts";
import { isHealthWatcher } from "../core/health.ts";
import { SharedSockets } from "../net/shared-sockets.ts";
import type { LedgerSnapshot } from "../queue/ledger.ts";
import { createQueues } from "../queue/queues.ts";
import type { QueueStorage } from "../queue/storage.ts";
import { isStorageProvider } from "../queue/storage-provider.ts";
import { AdminDoor } from "./admin-door.ts";
import { storageFolderOf } from "./admin-socket.ts";
import { Changeover, stopAll } from "./changeover.ts";
import {
  describeChanges,
  isTelemetryChanged,
  restartProblems,
  startNotes,
  withUnchanged,
} from "./configuration-changes.ts";
import { buildEnds, buildGraph, placesOf, type Graph, type GraphEnds } from "./graph.ts";
import { deadLetterRoutes } from "./dead-letter-routes.ts";
import { ledgerRoute } from "./ledger-report.ts";
import { queueRoutes } from "./queue-routes.ts";
import { MetricsRegistry } from "./metrics-registry.ts";
import { ComponentHealth } from "./component-health.ts";
import { OwnTelemetry } from "./own-telemetry.ts";
import type { Place, Premises } from "./place.ts";
import { partitionHeaders, storageOf } from "./storages.ts";

export interface ServiceSettings {
  readonly configuration: Configuration;
  readonly logger: Logger;
  readonly clock?: Clock;
  /** A reload changed `service.telemetry.logs`: the logger should write as they say from now on. */
  readonly onLogsChanged?: (logs: TelemetryConfig["logs"]) => void;
  /** Called when a component that was up cannot go on; the gateway should then be shut down. */
  readonly onFatal: (error: Error) => void;
}

/**
 * A running gateway: the graph that is in force, and what outlives it: queues, listening sockets, its own metrics.
 *
 * Start: extensions, exporters, queues, processors, receivers: whoever takes data starts after all that it goes to.
 * Shutdown goes the other way, within one deadline: receivers stop accepting, processors flush, queues drain, exporters close.
 * Reload: the next graph is built and started beside this one, and takes over if it stands (changeover.ts).
 */
export class Service {
  readonly metrics: MetricsRegistry;
  readonly #settings: ServiceSettings;
  readonly #clock: Clock;
  readonly #premises: Premises;
  readonly #telemetry: OwnTelemetry;
  readonly #admin: AdminDoor;
  /** Given to the storage when it is made; grows with what reloads bring. */
  readonly #headerNames: string[];
  readonly #retiring = new Map<Changeover, Promise<void>>();
  /** Aborts when a shutdown's patience ends. */
  readonly #end = new AbortController();
  #graph: Graph;
  #starting: Promise<void> = Promise.resolve();
  #reloading: Promise<unknown> = Promise.resolve();
  #shutdown: Promise<void> | undefined;

  /** Creates all components and starts none. Throws an Error that names the component that cannot be created. */
  constructor(settings: ServiceSettings) {
    this.#settings = settings;
    const { configuration, logger, clock = systemClock, onFatal } = settings;
    this.#clock = clock;
    const config = configuration.service.telemetry;
    const { level } = config.metrics;
    this.metrics = new MetricsRegistry(level === "none" ? "basic" : level);
    this.#telemetry = new OwnTelemetry({ config, registry: this.metrics, clock, logger });
    this.#headerNames = partitionHeaders(configuration);
    const graphSettings = { configuration, clock, logger, meter: this.metrics };
    const ends = buildEnds(graphSettings, undefined);
    const storage = this.#createStorage(ends);
    const { destinations } = ends;
    const queues = createQueues({ clock, logger, meter: this.metrics, destinations, ...(storage && { storage }) });
    this.#graph = buildGraph(graphSettings, undefined, ends, queues.current, queues.ledger);
    this.#admin = new AdminDoor({ folder: storageFolderOf(configuration), logger });
    this.#admin.add(ledgerRoute(queues.ledger), ...deadLetterRoutes(queues, clock), ...queueRoutes(queues.desk()));
    const health = new ComponentHealth(clock);
    this.#premises = { queues, sockets: new SharedSockets(), health, logger, onFatal };
    const places = placesOf(this.#graph);
    for (const place of places) place.enter(queues.current);
    health.replace(places.map(({ status }) => status));
    for (const { component } of places) if (isHealthWatcher(component)) component.watchHealth(health);
  }

  get listening(): readonly Listening[] {
    return placesOf(this.#graph).flatMap(({ listening }) => listening);
  }

  get ledger(): LedgerSnapshot {
    return this.#premises.queues.ledger.snapshot();
  }

  /** Where the gateway's own metrics are served, with the real ports. */
  get metricsAddresses(): readonly string[] {
    return this.#telemetry.addresses;
  }

  /** Rejects with the error of the first component that does not start, after what had started is shut down again. */
  async start(): Promise<void> {
    const starting = this.#startInOrder();
    this.#starting = starting.catch(() => undefined);
    try {
      await starting;
    } catch (error) {
      await this.shutdown();
      throw error;
    }
  }

  /**
   * Puts this configuration in the place of the one that is in force; one reload after the other. Resolves with a line for
   * each thing that has changed. Rejects with why it cannot be, and then nothing has changed.
   */
  reload(configuration: Configuration): Promise<readonly string[]> {
    const reloaded = this.#reloading.then(() => this.#reload(configuration));
    this.#reloading = reloaded.catch(() => undefined);
    return reloaded;
  }

  /** Idempotent, and legal before start. Ends within `signalbox.shutdown_timeout` and a moment. Never rejects. */
  shutdown(): Promise<void> {
    this.#shutdown ??= this.#shutDown();
    return this.#shutdown;
  }

  async #startInOrder(): Promise<void> {
    const { extensions, exporters, processors, receivers } = this.#graph;
    const startPlaces = (places: Iterable<Place>): (() => Promise<void>)[] =>
      [...places].map((place) => () => place.start(this.#premises, this.#graph.queues));
    const steps = [
      () => this.#telemetry.start(),
      ...startPlaces(extensions.values()),
      ...startPlaces(exporters.values()),
      () => this.#premises.queues.start(),
      () => this.#admin.start(),
      ...startPlaces([...processors.values()].map(({ place }) => place)),
      ...startPlaces([...receivers.values()].map(({ place }) => place)),
    ];
    for (const step of steps) {
      // What starts after its shutdown would never end.
      if (this.#shutdown !== undefined) throw new Error("the gateway is stopping");
      await step();
    }
  }

  async #reload(written: Configuration): Promise<readonly string[]> {
    if (this.#shutdown !== undefined) throw new Error("the gateway is stopping");
    const { configuration: former } = this.#graph;
    const configuration = withUnchanged(former, written);
    const problems = restartProblems(former, configuration);
    if (problems.length > 0) throw new Error(formatProblems(problems));
    const changes = describeChanges(former, configuration);
    const { telemetry } = configuration.service;
    const outlets = await this.#telemetry.prepare(telemetry);
    const notes = this.#noteTelemetry(former, configuration);
    const changeover = await this.#prepareChangeover(configuration).catch(async (error: unknown) => {
      await this.#telemetry.abandon(outlets);
      throw error;
    });
    changeover.apply();
    this.#graph = changeover.next;
    this.#telemetry.apply(outlets, this.#end.signal);
    this.#settings.onLogsChanged?.(telemetry.logs);
    this.#retire(changeover);
    return [...changes, ...notes, ...startNotes(former, configuration)];
  }

  /** Started beside what is in force; rejects where it cannot be, and everything is as before. */
  async #prepareChangeover(configuration: Configuration): Promise<Changeover> {
    const { queues } = this.#premises;
    const settings = { configuration, clock: this.#clock, logger: this.#settings.logger, meter: this.metrics };
    const ends = buildEnds(settings, this.#graph);
    const next = buildGraph(settings, this.#graph, ends, queues.prepare(ends.destinations), queues.ledger);
    const patienceMs = this.#graph.configuration.signalbox.shutdown_timeout;
    this.#addHeaderNames(configuration);
    const former = this.#graph;
    const changeover = new Changeover({ premises: this.#premises, clock: this.#clock, former, next, patienceMs });
    await changeover.prepare();
    if (this.#shutdown === undefined) return changeover;
    // While it started, the gateway was told to stop.
    await changeover.abandon();
    throw new Error("the gateway is stopping");
  }

  /** Entries that are queued may be partitioned by names that are gone, so none is taken away. */
  #addHeaderNames(configuration: Configuration): void {
    const names = partitionHeaders(configuration).filter((name) => !this.#headerNames.includes(name));
    this.#headerNames.push(...names);
  }

  #retire(changeover: Changeover): void {
    const retired = changeover.retire(this.#end.signal).finally(() => this.#retiring.delete(changeover));
    this.#retiring.set(changeover, retired);
  }

  /** Metrics of a higher level are recorded by what is made from here on. */
  #noteTelemetry(former: Configuration, next: Configuration): string[] {
    if (!isTelemetryChanged(former, next)) return [];
    const { telemetry, telemetryPosition: position } = next.service;
    const { level } = telemetry.metrics;
    if (level === "none" || this.metrics.shows(level)) return ["service.telemetry changed"];
    this.metrics.raise(level);
    const path = "service.telemetry.metrics.level";
    const message = `${level} is in force for what is new; what stays as it is has these metrics after a restart`;
    return ["service.telemetry changed", formatProblems([{ position, path, message }])];
  }

  #createStorage({ extensions }: GraphEnds): QueueStorage | undefined {
    const provider = extensions.get(storageOf(this.#settings.configuration) ?? "")?.component;
    if (provider === undefined || !isStorageProvider(provider)) return undefined;
    return provider.createStorage({ headerNames: this.#headerNames });
  }

  async #shutDown(): Promise<void> {
    const patience = this.#end;
    this.#premises.health.stop();
    const timer = this.#clock.after(this.#graph.configuration.signalbox.shutdown_timeout, () => patience.abort());
    // What waits for room would hold its receiver until its own deadline; it is refused now, with a hint when to come back.
    this.#premises.queues.refuseWaiting();
    await this.#untilSettled(patience.signal);
    const { receivers, processors, exporters, extensions } = this.#graph;
    const leaving = [...this.#retiring.keys()].flatMap(({ leavingReceivers }) => leavingReceivers);
    const receiving = [...receivers.values()].map(({ place }) => place);
    await stopAll([...receiving, ...leaving], patience.signal);
    await stopAll(
      [...processors.values()].map(({ place }) => place),
      patience.signal,
    );
    await Promise.all([this.#premises.queues.shutdown(patience.signal), ...this.#retiring.values()]);
    await this.#admin.stop();
    await stopAll([...exporters.values()], patience.signal);
    await stopAll([...extensions.values()], patience.signal);
    await this.#telemetry.stop(patience.signal);
    timer.cancel();
  }

  /** A start or a reload that is under way gives up once the component has started that it is at, which may hang. */
  async #untilSettled(signal: AbortSignal): Promise<void> {
    const aborted = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    await Promise.race([Promise.all([this.#starting, this.#reloading]), aborted]);
  }
}
