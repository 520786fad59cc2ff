/**
 * Go's duration grammar, which the Collector's YAML uses: one or more decimal numbers, each with a unit, summed up.
 *
 *   10s   1m30s   200ms   1.5h   0   100us   +5s
 *
 * https://pkg.go.dev/time#ParseDuration; negative durations are refused, as no setting has a use for one.
 */
const UNIT_MS: ReadonlyMap<string, number> = new Map([
  ["ns", 1e-6],
  ["us", 1e-3],
  ["\u00b5s", 1e-3], // micro sign
  ["\u03bcs", 1e-3], // Greek letter mu
  ["ms", 1],
  ["s", 1_000],
  ["m", 60_000],
  ["h", 3_600_000],
]);

// Go counts nanoseconds in an int64, so nothing above 292 years can be written for a Collector either.
const DURATION_MS_MAX = 2 ** 63 / 1e6;

// A longer text is a mistake; the bound also keeps the pattern below from being fed a novel.
const TEXT_LENGTH_MAX = 64;

const TERM = /(\d+\.?\d*|\.\d+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/y;

/** Milliseconds, or undefined where the text is not a duration. */
export function parseDurationMs(text: string): number | undefined {
  const sign = text.startsWith("+") ? 1 : 0;
  if (text.slice(sign) === "0") return 0;
  if (text.length > TEXT_LENGTH_MAX) return undefined;
  let totalMs = 0;
  TERM.lastIndex = sign;
  let end = sign;
  while (end < text.length) {
    const term = TERM.exec(text);
    if (term === null) return undefined;
    totalMs += Number(term[1]) * UNIT_MS.get(term[2]!)!;
    end = TERM.lastIndex;
  }
  if (end === sign || totalMs > DURATION_MS_MAX) return undefined;
  return roundToNanoseconds(totalMs);
}

// 3.567 * 1000 is 3567.0000000000005 in floating point; above 11 days a double has no nanoseconds left to round to.
function roundToNanoseconds(ms: number): number {
  return ms < 1e9 ? Math.round(ms * 1e6) / 1e6 : ms;
}

/** The shortest usual way to write it: `10s`, `1m30s`, `200ms`. Reading it back gives the same number. */
export function formatDuration(ms: number): string {
  if (ms === 0) return "0s";
  if (ms < 1_000) return formatBelowSecond(ms);
  const hours = Math.floor(ms / 3_600_000);
  const minutes = Math.floor((ms % 3_600_000) / 60_000);
  const seconds = roundToNanoseconds(ms % 60_000) / 1_000;
  return [
    hours > 0 ? `${hours}h` : "",
    minutes > 0 ? `${minutes}m` : "",
    seconds > 0 ? `${formatDecimal(seconds, 9)}s` : "",
  ].join("");
}

function formatBelowSecond(ms: number): string {
  if (ms >= 1) return `${formatDecimal(ms, 6)}ms`;
  if (ms >= 1e-3) return `${formatDecimal(ms * 1e3, 3)}us`;
  return `${formatDecimal(ms * 1e6, 0)}ns`;
}

/** Never in exponent form, which the grammar does not know. */
function formatDecimal(value: number, digits: number): string {
  const text = value.toFixed(digits);
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}
