/** The six levels of the standard log record, each four severity numbers wide (OTLP logs data model, "SeverityNumber"). */
export const LEVEL_NAMES = ["trace", "debug", "info", "warn", "error", "fatal", "unset"] as const;
export type LevelName = (typeof LEVEL_NAMES)[number];

export const ERROR_SEVERITY_MIN = 17;
export const SEVERITY_MAX = 24;

/** Words that people and loggers write for a level. */
const ALIASES: Readonly<Record<string, LevelName>> = {
  verbose: "trace",
  information: "info",
  notice: "info",
  warning: "warn",
  err: "error",
  severe: "error",
  critical: "fatal",
  crit: "fatal",
  emergency: "fatal",
  alert: "fatal",
  panic: "fatal",
};

export interface SeverityRange {
  readonly min: number;
  readonly max: number;
}

/** The severity numbers of a level by its name or a common alias, in any case. */
export function parseLevel(text: string): SeverityRange | undefined {
  const word = text.toLowerCase();
  const name = Object.hasOwn(ALIASES, word) ? ALIASES[word]! : word;
  const index = (LEVEL_NAMES as readonly string[]).indexOf(name);
  if (index < 0) return undefined;
  return name === "unset" ? { min: 0, max: 0 } : { min: index * 4 + 1, max: index * 4 + 4 };
}

/** The level of a severity number; "unset" for 0 and for numbers that OTLP does not define. */
export function levelName(severity: number): LevelName {
  if (severity < 1 || severity > SEVERITY_MAX) return "unset";
  return LEVEL_NAMES[Math.floor((severity - 1) / 4)]!;
}

/** The number where it is set, else what the text says ("WARN"), else 0. */
export function effectiveSeverity(severityNumber: number, severityText: string): number {
  if (severityNumber >= 1 && severityNumber <= SEVERITY_MAX) return severityNumber;
  return severityText === "" ? 0 : (parseLevel(severityText)?.min ?? 0);
}
