import { systemClock, type Clock } from "../core/clock.ts";
import type { Component, Host, Listening } from "../core/component.ts";
import type { Logger } from "../core/logger.ts";
import type { Configuration } from "../config/configuration.ts";
import { isHealthWatcher } from "../core/health.ts";
import type { LedgerSnapshot } from "../queue/ledger.ts";
import { AdminDoor } from "./admin-door.ts";
import { storageFolderOf } from "./admin-socket.ts";
import { buildGraph, type Graph, type PlacedComponent } from "./graph.ts";
import { MetricsRegistry } from "./metrics-registry.ts";
import { ComponentHealth } from "./component-health.ts";
import { OwnTelemetry } from "./own-telemetry.ts";

export interface ServiceSettings {
  readonly configuration: Configuration;
  readonly logger: Logger;
  readonly clock?: Clock;
  /** Called when a component that was up cannot go on; the gateway should then be shut down. */
  readonly onFatal: (error: Error) => void;
}

/**
 * A running gateway: the graph, what it listens on, its own metrics.
 *
 * Start: extensions, exporters, queues, processors, receivers: whoever takes data starts after all that it goes to.
 * Shutdown goes the other way, within one deadline: receivers stop accepting, processors flush, queues drain, exporters close.
 */
export class Service {
  readonly metrics: MetricsRegistry;
  readonly #settings: ServiceSettings;
  readonly #graph: Graph;
  readonly #listening: Listening[] = [];
  readonly #started: PlacedComponent[] = [];
  readonly #telemetry: OwnTelemetry;
  readonly #admin: AdminDoor;
  readonly #health: ComponentHealth;
  #shutdown: Promise<void> | undefined;

  /** Creates all components and starts none. Throws an Error that names the component that cannot be created. */
  constructor(settings: ServiceSettings) {
    this.#settings = settings;
    const { configuration, logger, clock = systemClock } = settings;
    const config = configuration.service.telemetry;
    const { level } = config.metrics;
    this.metrics = new MetricsRegistry(level === "none" ? "basic" : level);
    this.#telemetry = new OwnTelemetry({ config, registry: this.metrics, clock, logger });
    this.#graph = buildGraph({ configuration, clock, logger, meter: this.metrics });
    this.#admin = new AdminDoor({ folder: storageFolderOf(configuration), logger });
    this.#health = new ComponentHealth(clock);
    const { extensions, exporters, processors, receivers } = this.#graph;
    for (const { path } of [...extensions, ...exporters, ...processors, ...receivers])
      this.#health.set(path, "created");
    for (const { component } of extensions) if (isHealthWatcher(component)) component.watchHealth(this.#health);
  }

  get listening(): readonly Listening[] {
    return this.#listening;
  }

  get ledger(): LedgerSnapshot {
    return this.#graph.queues.ledger.snapshot();
  }

  /** Where the gateway's own metrics are served, with the real ports. */
  get metricsAddresses(): readonly string[] {
    return this.#telemetry.addresses;
  }

  /** Rejects with the error of the first component that does not start, after what had started is shut down again. */
  async start(): Promise<void> {
    try {
      await this.#telemetry.start();
      await this.#startAll(this.#graph.extensions);
      await this.#startAll(this.#graph.exporters);
      await this.#graph.queues.start();
      await this.#admin.start();
      await this.#startAll(this.#graph.processors);
      await this.#startAll(this.#graph.receivers);
    } catch (error) {
      await this.shutdown();
      throw error;
    }
  }

  /** Idempotent, and legal before start. Ends within `signalbox.shutdown_timeout` and a moment. Never rejects. */
  shutdown(): Promise<void> {
    this.#shutdown ??= this.#shutDown();
    return this.#shutdown;
  }

  async #shutDown(): Promise<void> {
    const { configuration, clock = systemClock } = this.#settings;
    const patience = new AbortController();
    const timer = clock.after(configuration.signalbox.shutdown_timeout, () => patience.abort());
    const { receivers, processors, exporters, extensions, queues } = this.#graph;
    this.#health.stop();
    // What waits for room would hold its receiver until its own deadline; it is refused now, with a hint when to come back.
    queues.refuseWaiting();
    await this.#stopAll(receivers, patience.signal);
    await this.#stopAll(processors, patience.signal);
    await queues.shutdown(patience.signal);
    await this.#admin.stop();
    await this.#stopAll(exporters, patience.signal);
    await this.#stopAll(extensions, patience.signal);
    await this.#telemetry.stop(patience.signal);
    timer.cancel();
  }

  async #startAll(placed: readonly PlacedComponent[]): Promise<void> {
    for (const place of placed) {
      // Before it starts: one that fails half way must be shut down like the others.
      this.#started.push(place);
      await this.#start(place);
    }
  }

  /** Whatever a component says of why it cannot start, the error says whose it is: two may have a `tls` each. */
  async #start({ path, component }: PlacedComponent): Promise<void> {
    this.#health.set(path, "starting");
    try {
      await component.start(this.#host(path));
      this.#health.set(path, "ok");
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      throw message.startsWith(path) ? error : new Error(`${path}: ${message}`, { cause: error });
    }
  }

  async #stopAll(placed: readonly PlacedComponent[], signal: AbortSignal): Promise<void> {
    const running = placed.filter((place) => this.#started.includes(place));
    await Promise.all(running.map(({ path, component }) => this.#stop(path, component, signal)));
  }

  async #stop(path: string, component: Component, signal: AbortSignal): Promise<void> {
    this.#health.set(path, "stopping");
    try {
      await component.shutdown(signal);
      this.#health.set(path, "stopped");
    } catch (error) {
      this.#settings.logger.error(
        `${path}: shutdown failed: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }

  #host(path: string): Host {
    const { queues } = this.#graph;
    return {
      admit: (settings) => queues.admit(settings),
      doors: queues.doors,
      reportPressure: (reporter, pressure) => queues.reportPressure(reporter, pressure),
      reportListening: (listening) => void this.#listening.push(listening),
      reportFatal: (_id, error) => {
        this.#health.set(path, "fatal_error", error.message);
        this.#settings.logger.error(`${path} cannot go on: ${error.message}`);
        this.#settings.onFatal(error);
      },
      reportPermanent: (_id, error) => {
        this.#health.set(path, "permanent_error", error.message);
        this.#settings.logger.error(`${path} does not work: ${error.message}`);
      },
    };
  }
}
