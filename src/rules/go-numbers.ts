/**
 * Numbers from text and to text as Go's strconv has them, so that a value converted here equals one that a Collector
 * converted (https://pkg.go.dev/strconv).
 */

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;
const INTEGER_PATTERN = /^[+-]?[0-9]+$/;
/** The digits of an int64 are 19; the rest can only be leading zeros, of which no one writes many. */
const INTEGER_LENGTH_MAX = 1_000;

/** ParseInt(text, 10, 64); undefined where it gives an error. */
export function parseInt64(text: string): bigint | undefined {
  if (text.length > INTEGER_LENGTH_MAX || !INTEGER_PATTERN.test(text)) return undefined;
  const value = BigInt(text.startsWith("+") ? text.slice(1) : text);
  return value < INT64_MIN || value > INT64_MAX ? undefined : value;
}

const DECIMAL_PATTERN = /^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/;
const HEX_PATTERN = /^([+-]?)0[xX]([0-9a-fA-F]*)\.?([0-9a-fA-F]*)[pP]([+-]?[0-9]+)$/;
/** Go's underscores stand between digits, or between the prefix of a base and a digit. */
const UNDERSCORE_PATTERN = /(?<=[0-9a-fA-F]|0[xX])_(?=[0-9a-fA-F])/g;
const INFINITY_PATTERN = /^([+-]?)inf(?:inity)?$/i;
const FLOAT_LENGTH_MAX = 1_000;

/** ParseFloat(text, 64); undefined where it gives an error. */
export function parseFloat64(text: string): number | undefined {
  if (text.length > FLOAT_LENGTH_MAX) return undefined;
  if (/^nan$/i.test(text)) return Number.NaN;
  const infinity = INFINITY_PATTERN.exec(text);
  if (infinity !== null) return infinity[1] === "-" ? -Infinity : Infinity;
  const plain = text.replaceAll(UNDERSCORE_PATTERN, "");
  const value = DECIMAL_PATTERN.test(plain) ? Number(plain) : parseHexFloat(plain);
  return value === undefined || Math.abs(value) === Infinity ? undefined : value;
}

function parseHexFloat(text: string): number | undefined {
  const [, sign, whole = "", fraction = "", exponent = ""] = HEX_PATTERN.exec(text) ?? [];
  if (whole + fraction === "" || sign === undefined) return undefined;
  const size = scaled(BigInt(`0x${whole}${fraction}`), Number(exponent) - 4 * fraction.length);
  return sign === "-" ? -size : size;
}

/** mantissa * 2^exponent, rounded once, to even. */
function scaled(mantissa: bigint, exponent: number): number {
  if (mantissa === 0n) return 0;
  const bits = mantissa.toString(2).length;
  if (bits + exponent > 1024) return Infinity;
  // A double has 53 bits, fewer below 2^-1022, and none below half of 2^-1074.
  const dropped = Math.max(bits - 53, -1074 - exponent, 0);
  if (dropped > bits + 1) return 0;
  const kept = roundedShift(mantissa, BigInt(dropped));
  return Number(kept) * 2 ** Math.max(exponent + dropped, -1074);
}

function roundedShift(value: bigint, shift: bigint): bigint {
  if (shift === 0n) return value;
  const kept = value >> shift;
  const rest = value - (kept << shift);
  const half = 1n << (shift - 1n);
  const isUp = rest > half || (rest === half && (kept & 1n) === 1n);
  return isUp ? kept + 1n : kept;
}

/** int64(value) as amd64 has it: towards zero, and the smallest int64 for what does not fit. */
export function truncateToInt64(value: number): bigint {
  if (!(value >= -(2 ** 63) && value < 2 ** 63)) return INT64_MIN;
  return BigInt(Math.trunc(value));
}

/** FormatFloat(value, 'f', -1, 64): the shortest digits that read back the same, and never an exponent. */
export function formatPlainFloat(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  if (Object.is(value, -0)) return "-0";
  const [, sign = "", whole = "", fraction = "", exponent] =
    /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(String(value)) ?? [];
  if (exponent === undefined) return String(value);
  const digits = whole + fraction;
  const point = whole.length + Number(exponent);
  if (point <= 0) return `${sign}0.${"0".repeat(-point)}${digits}`;
  return `${sign}${digits.padEnd(point, "0")}`;
}

/** A double as JSON has it: the same as JavaScript but for the sign of zero. */
export function formatJsonFloat(value: number): string {
  return Object.is(value, -0) ? "-0" : String(value);
}
