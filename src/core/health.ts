import type { Extension } from "./component.ts";

/**
 * What a component is doing. permanent_error: part of what it is for does not work, and will not without a person; it goes
 * on. fatal_error: it cannot go on, and the gateway stops.
 */
export type ComponentState = "created" | "starting" | "ok" | "permanent_error" | "fatal_error" | "stopping" | "stopped";

export interface ComponentStatus {
  /** As in the YAML: `exporters.otlp_grpc/dash0`. */
  readonly path: string;
  readonly state: ComponentState;
  /** Of an error, without secrets. */
  readonly message?: string;
}

/** How the gateway is, kept by the service. */
export interface Health {
  /** Everything has started, nothing has failed for good, and the gateway does not stop. */
  readonly isReady: boolean;
  /** Milliseconds since the epoch at which it was ready first; undefined before. */
  readonly readySinceMs: number | undefined;
  /** Every component that the graph has; those that are not ok first. */
  components(): readonly ComponentStatus[];
}

/** An extension that tells others how the gateway is. */
export interface HealthWatcher extends Extension {
  /** Called once, before start, by the service. */
  watchHealth(health: Health): void;
}

export function isHealthWatcher(extension: Extension): extension is HealthWatcher {
  return "watchHealth" in extension;
}
