import { QueryError } from "./query-error.ts";

/** Longer ago than any store reaches; guards the arithmetic. */
const RELATIVE_MS_MAX = 10 * 365 * 24 * 3_600_000;

const UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** `15m`, `1h30m`, `2d`: milliseconds; undefined where it is no such time. */
export function parseSpanMs(text: string): number | undefined {
  if (!/^(?:\d+(?:\.\d+)?(?:ms|[smhdw]))+$/.test(text)) return undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhdw])/g))
    total += Number(amount) * UNITS_MS[unit!]!;
  return total <= RELATIVE_MS_MAX ? total : undefined;
}

/**
 * A point in time as the API takes it: `-15m` before now, `now`, milliseconds since the epoch, or ISO 8601 (a date
 * without zone is UTC). Returns microseconds. Throws QueryError.
 */
export function parseTime(text: string, nowMs: number, name: string): number {
  const ms = readTimeMs(text.trim(), nowMs);
  if (ms !== undefined) return Math.round(ms * 1000);
  throw new QueryError(
    `${name} is no point in time: "${text.slice(0, 40)}"`,
    0,
    text.length,
    "write -15m, 2026-11-23T13:50:00Z, or milliseconds since 1970",
  );
}

// Eleven digits and more are milliseconds since the epoch; fewer are more likely a year or a slip.
const EPOCH_MS = /^\d{11,15}$/;
const ISO = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?))?(Z|[+-]\d{2}:\d{2})?$/;

function readTimeMs(text: string, nowMs: number): number | undefined {
  if (text === "now") return nowMs;
  if (text.startsWith("-")) {
    const span = parseSpanMs(text.slice(1));
    return span === undefined ? undefined : nowMs - span;
  }
  if (EPOCH_MS.test(text)) return Number(text);
  const iso = ISO.exec(text);
  if (iso === null) return undefined;
  const [, date, time = "00:00", zone = "Z"] = iso;
  const ms = Date.parse(`${date}T${time}${zone}`);
  return Number.isNaN(ms) ? undefined : ms;
}
