import { systemClock } from "../../src/core/clock.ts";
import { ClientMetadata } from "../../src/core/client-metadata.ts";
import type { Host, Settings } from "../../src/core/component.ts";
import type { LogFields, Logger } from "../../src/core/logger.ts";
import type { OutgoingRequest } from "../../src/core/sender.ts";
import type { Signal } from "../../src/core/signal.ts";
import { MetricsRegistry } from "../../src/service/metrics-registry.ts";

export interface LoggedLine {
  readonly level: string;
  readonly message: string;
  readonly fields: LogFields;
}

/** Keeps what a component logs, so that a test can look for what must, or must not, be there. */
export function recordingLogger(lines: LoggedLine[] = []): Logger {
  const at =
    (level: string) =>
    (message: string, fields: LogFields = {}): void => {
      lines.push({ level, message, fields });
    };
  const logger: Logger = {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    with: () => logger,
  };
  return logger;
}

export function testSettings(type: string, overrides: Partial<Settings> = {}): Settings {
  return {
    id: { type },
    logger: recordingLogger(),
    meter: new MetricsRegistry(),
    clock: systemClock,
    ...overrides,
  };
}

/** An exporter needs nothing of the service that runs it. */
export const NO_HOST: Host = {
  admit: () => {
    throw new Error("an exporter opens no admission");
  },
  doors: {
    acquire: () => Promise.reject(new Error("an exporter is no door")),
    stepBytes: 0,
    pressure: "none",
  },
  stateOf: () => new Map(),
  reportPressure: () => {},
  reportListening: () => {},
  refusedUnread: () => undefined,
  reportFatal: (_id, error) => {
    throw error;
  },
  reportPermanent: (_id, error) => {
    throw error;
  },
};

export function outgoing(signal: Signal, slices: readonly Uint8Array[], itemCount = 1): OutgoingRequest {
  const size = slices.reduce((sum, slice) => sum + slice.byteLength, 0);
  return { signal, payload: { slices, size, itemCount }, client: ClientMetadata.internal };
}

/** For attempts that nothing ends. */
export const NEVER: AbortSignal = new AbortController().signal;
