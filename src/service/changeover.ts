import type { Clock } from "../core/clock.ts";
import { isHealthWatcher } from "../core/health.ts";
import type { Replaced } from "../queue/queues.ts";
import { disconnect, placesOf, type Graph } from "./graph.ts";
import type { Place, Premises } from "./place.ts";

/**
 * How long the open connections of a receiver that was replaced may stay silent. HTTP senders that export once a minute
 * keep one for that long, and to close it is to risk the request that is just on its way. Lost: that request fails.
 */
const DOOR_PATIENCE_MS = 65_000;

export interface ChangeoverSettings {
  readonly premises: Premises;
  readonly clock: Clock;
  /** In force. */
  readonly former: Graph;
  /** Created, and not started. */
  readonly next: Graph;
  /** How long processors and exporters that leave may take. */
  readonly patienceMs: number;
}

/**
 * From one graph to the next, in three steps. prepare() starts what is new beside what runs, and is the only step that can
 * fail: then nothing has changed. apply() swaps between two turns of the event loop. retire() ends what has left: receivers
 * first, and processors after the last admission that was opened on the former graph.
 */
export class Changeover {
  readonly #settings: ChangeoverSettings;
  readonly #stayers: ReadonlySet<Place>;
  readonly #started: Place[] = [];
  readonly #patience = new AbortController();
  #replaced: Replaced | undefined;

  constructor(settings: ChangeoverSettings) {
    this.#settings = settings;
    const formers = new Set(placesOf(settings.former));
    this.#stayers = new Set(placesOf(settings.next).filter((place) => formers.has(place)));
  }

  get next(): Graph {
    return this.#settings.next;
  }

  /** Receivers that were replaced, while retire() waits for them: a shutdown has less patience with them. */
  get leavingReceivers(): Place[] {
    return this.#leavers([...this.#settings.former.receivers.values()].map(({ place }) => place));
  }

  /** Rejects with why a component does not start, after those that did have ended again. */
  async prepare(): Promise<void> {
    const { premises, former, next } = this.#settings;
    const { extensions, exporters, receivers, processors } = next;
    premises.sockets.beginHandover(new Set(this.#leavers(placesOf(former)).map(({ path }) => path)));
    // Receivers before processors: they get nothing before the end, and a port that is taken costs no processor its start.
    const placed = [...receivers.values(), ...processors.values()].map(({ place }) => place);
    try {
      for (const place of [...extensions.values(), ...exporters.values(), ...placed]) await this.#start(place);
    } catch (error) {
      await this.abandon();
      throw error;
    }
  }

  /** After prepare(), instead of apply(): everything is as before. */
  async abandon(): Promise<void> {
    const { premises, next } = this.#settings;
    this.#expire();
    await Promise.all(this.#started.map((place) => place.stop(this.#patience.signal)));
    premises.sockets.endHandover();
    disconnect(next);
  }

  apply(): void {
    const { premises, former, next } = this.#settings;
    this.#replaced = premises.queues.replace(next.queues, this.#patience.signal);
    for (const place of this.#leavers(placesOf(former))) place.leave();
    for (const place of placesOf(next)) place.enter(next.queues);
    premises.health.replace(placesOf(next).map(({ status }) => status));
    premises.sockets.endHandover();
  }

  /** Never rejects. When `end` aborts, nobody is waited for any more. */
  async retire(end: AbortSignal): Promise<void> {
    const { former } = this.#settings;
    end.addEventListener("abort", () => this.#patience.abort(), { once: true });
    if (end.aborted) this.#patience.abort();
    await this.#retireDoors(end);
    this.#expire();
    const { signal } = this.#patience;
    await Promise.race([this.#replaced?.settled, aborted(signal)]);
    await stopAll(this.#leavers([...former.processors.values()].map(({ place }) => place)), signal);
    const { released } = this.#replaced ?? { released: new Map<string, Promise<void>>() };
    await Promise.all(released.values());
    await stopAll(this.#leavers([...former.exporters.values()]), signal);
    disconnect(former);
  }

  /** Where another has the socket, connections may end in peace. */
  async #retireDoors(end: AbortSignal): Promise<void> {
    const { former, next, clock } = this.#settings;
    const late = new AbortController();
    const timer = clock.after(DOOR_PATIENCE_MS, () => late.abort());
    const signal = AbortSignal.any([end, late.signal]);
    const paths = new Set(placesOf(next).map(({ path }) => path));
    const leavers = [...this.leavingReceivers, ...this.#leavers([...former.extensions.values()])];
    await Promise.all(leavers.map((place) => (paths.has(place.path) ? place.retire(signal) : place.stop(signal))));
    timer.cancel();
  }

  async #start(place: Place): Promise<void> {
    if (this.#stayers.has(place)) return;
    const { premises, next } = this.#settings;
    if (isHealthWatcher(place.component)) place.component.watchHealth(premises.health);
    // Before it starts: one that fails half way must be shut down like the others.
    this.#started.push(place);
    await place.start(premises, next.queues);
  }

  #expire(): void {
    const { clock, patienceMs } = this.#settings;
    clock.after(patienceMs, () => this.#patience.abort());
  }

  #leavers(places: readonly Place[]): Place[] {
    return places.filter((place) => !this.#stayers.has(place));
  }
}

export async function stopAll(places: readonly Place[], signal: AbortSignal): Promise<void> {
  await Promise.all(places.map((place) => place.stop(signal)));
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
