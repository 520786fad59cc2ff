import type { Component, Host, Listening } from "../core/component.ts";
import type { ComponentState, ComponentStatus } from "../core/health.ts";
import type { Logger } from "../core/logger.ts";
import type { QueueGeneration } from "../queue/queue-generation.ts";
import type { Queues } from "../queue/queues.ts";
import type { SharedSockets } from "../net/shared-sockets.ts";
import type { ComponentHealth } from "./component-health.ts";

/** What outlives every configuration, and what components reach of it. */
export interface Premises {
  readonly queues: Queues;
  readonly sockets: SharedSockets;
  readonly health: ComponentHealth;
  readonly logger: Logger;
  readonly onFatal: (error: Error) => void;
}

let placeCount = 0;

/**
 * A component in its place, with the name that logs and errors give it: `exporters.otlp_grpc/dash0`. It starts and ends
 * the component, and is its host meanwhile. An unchanged component stays in its place over reloads.
 */
export class Place {
  readonly path: string;
  readonly component: Component;
  readonly listening: Listening[] = [];
  /** Two with one path may run at the same time, and each tells its own memory pressure. */
  readonly #number = ++placeCount;
  #premises: Premises | undefined;
  #generation: QueueGeneration | undefined;
  #status: ComponentStatus;
  /** In the configuration that is in force: then its health is the gateway's, and its end too. */
  #isInForce = false;

  constructor(path: string, component: Component) {
    this.path = path;
    this.component = component;
    this.#status = { path, state: "created" };
  }

  get status(): ComponentStatus {
    return this.#status;
  }

  /** Its own admissions are opened there from now on. */
  enter(generation: QueueGeneration): void {
    this.#generation = generation;
    this.#isInForce = true;
  }

  /** It is in the configuration no more. What it still admits ends where it began. */
  leave(): void {
    this.#isInForce = false;
  }

  /** Whatever the component says of why it cannot start, the error says whose it is: two may have a `tls` each. */
  async start(premises: Premises, generation: QueueGeneration): Promise<void> {
    this.#premises = premises;
    this.#generation ??= generation;
    this.#set("starting");
    try {
      await this.component.start(this.#host(premises));
      this.#set("ok");
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      throw message.startsWith(this.path) ? error : new Error(`${this.path}: ${message}`, { cause: error });
    }
  }

  /** Nothing where it was not started. Never rejects. */
  stop(signal: AbortSignal): Promise<void> {
    return this.#end((component) => component.shutdown(signal));
  }

  /** As stop(), where another has taken its place. */
  retire(signal: AbortSignal): Promise<void> {
    return this.#end((component) => component.retire?.(signal) ?? component.shutdown(signal));
  }

  async #end(end: (component: Component) => Promise<void>): Promise<void> {
    if (this.#premises === undefined) return;
    this.#set("stopping");
    try {
      await end(this.component);
      this.#set("stopped");
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#premises.logger.error(`${this.path}: shutdown failed: ${reason}`);
    }
  }

  #set(state: ComponentState, message?: string): void {
    const { state: known } = this.#status;
    // What has failed for good is well again with the next start alone.
    if (known === "fatal_error" || (known === "permanent_error" && state === "ok")) return;
    this.#status = { path: this.path, state, ...(message !== undefined && { message }) };
    if (this.#isInForce) this.#premises?.health.set(this.path, state, message);
  }

  #host(premises: Premises): Host {
    const { queues, sockets, logger } = premises;
    return {
      admit: (settings) => (this.#generation ?? queues).admit(settings),
      doors: queues.doors,
      stateOf: (owner) => queues.stateOf(owner),
      refusedUnread: (refusal) => queues.refusedUnread(refusal),
      sockets,
      reportPressure: (reporter, pressure) => queues.reportPressure(`${reporter} ${this.#number}`, pressure),
      reportListening: (listening) => void this.listening.push(listening),
      reportFatal: (_id, error) => this.#onFatal(premises, error),
      reportPermanent: (_id, error) => {
        this.#set("permanent_error", error.message);
        logger.error(`${this.path} does not work: ${error.message}`);
      },
    };
  }

  #onFatal({ logger, onFatal }: Premises, error: Error): void {
    this.#set("fatal_error", error.message);
    logger.error(`${this.path} cannot go on: ${error.message}`);
    if (this.#isInForce) onFatal(error);
  }
}
