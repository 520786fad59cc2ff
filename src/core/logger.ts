/** Structured fields of a log line. Never put a header, a token or a body into them: logs are read by many. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

export type LogLevel = "debug" | "info" | "warn" | "error";

/**
 * The gateway's own log. Log once per change of state (a destination went away, it came back), count once per item:
 * a line per failed request would bury what matters and cost more than the request.
 */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger that adds these fields to every line, as each component gets one with its own kind and id. */
  with(fields: LogFields): Logger;
}
