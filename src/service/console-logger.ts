import type { TelemetryConfig } from "../config/telemetry.ts";
import type { Clock } from "../core/clock.ts";
import type { LogFields, Logger, LogLevel } from "../core/logger.ts";

export interface ConsoleLoggerSettings {
  readonly clock: Clock;
  /** Takes one whole line with its newline. */
  readonly write: (line: string) => void;
  /** Lines below it are not written. */
  readonly level: LogLevel;
  /** console: for people. json: one object a line, for machines. As `service.telemetry.logs.encoding`. */
  readonly encoding: "console" | "json";
  /** Of every entry. */
  readonly fields?: LogFields;
}

const RANKS: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

/**
 * The gateway's log: one line per event, to the stream that `write` stands for. The settings are read at each line: who
 * owns the object may change it, and all loggers that were made with it follow.
 */
export function createConsoleLogger(settings: ConsoleLoggerSettings, fields: LogFields = {}): Logger {
  const log = (level: LogLevel, message: string, extra: LogFields = {}): void => {
    if (RANKS[level] < RANKS[settings.level]) return;
    const time = new Date(settings.clock.nowMs()).toISOString();
    settings.write(formatLine(settings.encoding, time, level, message, { ...settings.fields, ...fields, ...extra }));
  };
  return {
    debug: (message, extra) => log("debug", message, extra),
    info: (message, extra) => log("info", message, extra),
    warn: (message, extra) => log("warn", message, extra),
    error: (message, extra) => log("error", message, extra),
    with: (more) => createConsoleLogger(settings, { ...fields, ...more }),
  };
}

function isPlain(value: unknown): value is string | number | boolean {
  return ["string", "number", "boolean"].includes(typeof value);
}

/** As `service.telemetry.logs` asks for. */
export function logSettingsOf({
  level,
  encoding,
  initial_fields: fields,
}: TelemetryConfig["logs"]): Required<Pick<ConsoleLoggerSettings, "level" | "encoding" | "fields">> {
  return { level, encoding, fields: toLogFields(fields) };
}

/** `initial_fields` of the configuration; what is no plain value is written as JSON. */
export function toLogFields(fields: Readonly<Record<string, unknown>>): LogFields {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [key, isPlain(value) ? value : JSON.stringify(value)]),
  );
}

function formatLine(
  encoding: "console" | "json",
  time: string,
  level: LogLevel,
  message: string,
  fields: LogFields,
): string {
  const present = Object.entries(fields).filter(([, value]) => value !== undefined);
  if (encoding === "json") {
    return `${JSON.stringify({ ts: time, level, msg: message, ...Object.fromEntries(present) })}\n`;
  }
  const tail = present.map(([key, value]) => `  ${key}=${formatValue(value)}`).join("");
  // A message can quote what a peer said: one event stays one line.
  return `${time}  ${level.padEnd(5)}  ${message.replaceAll(/\s*\n\s*/g, " | ")}${tail}\n`;
}

function formatValue(value: string | number | boolean | undefined): string {
  const text = String(value);
  return /[\s"=]/.test(text) ? JSON.stringify(text) : text;
}
