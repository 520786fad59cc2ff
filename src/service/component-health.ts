import type { Clock } from "../core/clock.ts";
import type { ComponentState, ComponentStatus, Health } from "../core/health.ts";

/** The states of all components, and what they say of the whole. */
export class ComponentHealth implements Health {
  readonly #clock: Clock;
  readonly #statuses = new Map<string, ComponentStatus>();
  #isStopping = false;
  readySinceMs: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isReady(): boolean {
    return !this.#isStopping && [...this.#statuses.values()].every(({ state }) => state === "ok");
  }

  components(): readonly ComponentStatus[] {
    const all = [...this.#statuses.values()];
    return [...all.filter(({ state }) => state !== "ok"), ...all.filter(({ state }) => state === "ok")];
  }

  set(path: string, state: ComponentState, message?: string): void {
    const known = this.#statuses.get(path);
    // What has failed for good is well again with the next start alone: a component that goes on does not hide it.
    if (known?.state === "fatal_error" || (known?.state === "permanent_error" && state === "ok")) return;
    this.#statuses.set(path, message === undefined ? { path, state } : { path, state, message });
    if (this.isReady) this.readySinceMs ??= this.#clock.nowMs();
  }

  /** What there is now. What an older component was is forgotten with it. */
  replace(statuses: readonly ComponentStatus[]): void {
    this.#statuses.clear();
    for (const { path, state, message } of statuses) this.set(path, state, message);
  }

  /** From here on it is not ready, whatever its components are. */
  stop(): void {
    this.#isStopping = true;
  }
}
