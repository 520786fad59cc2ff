/**
 * Integers of up to 64 bits from decimal text, exactly: the two halves of protobuf's wire form, without a BigInt on the
 * common path (a timestamp has 19 digits and stands twice in every record).
 */

export interface IntegerRange {
  readonly isSigned: boolean;
  readonly bits: 32 | 64;
}

/** A magnitude below 2^64 and its sign. */
export interface Integer {
  readonly isNegative: boolean;
  /** Unsigned 32 bits each. */
  readonly low: number;
  readonly high: number;
}

const DIGITS_MAX = 20;
const LOW_DIGITS = 9;
const BILLION = 1e9;
const TWO_16 = 2 ** 16;
const TWO_32 = 2 ** 32;

/** undefined: not an integer. "overflow": one whose magnitude is 2^64 or more. `text` may have a fraction or an exponent that come to a whole number. */
export function parseInteger(text: string): Integer | "overflow" | undefined {
  const isNegative = text.charCodeAt(0) === 0x2d;
  const start = isNegative ? 1 : 0;
  const digitCount = text.length - start;
  if (digitCount === 0) return undefined;
  if (digitCount > DIGITS_MAX) return parseDecimal(text);
  let head = 0;
  let tail = 0;
  const tailStart = text.length - LOW_DIGITS;
  for (let index = start; index < text.length; index++) {
    const digit = text.charCodeAt(index) - 0x30;
    if (digit < 0 || digit > 9) return parseDecimal(text);
    if (index < tailStart) head = head * 10 + digit;
    else tail = tail * 10 + digit;
  }
  return join(isNegative, head, tail);
}

/** head * 10^9 + tail as two halves. With at most 11 digits in head, every step here stays below 2^53. */
function join(isNegative: boolean, head: number, tail: number): Integer | "overflow" {
  const lowPart = (head % TWO_16) * BILLION + tail;
  const highPart = Math.floor(head / TWO_16) * BILLION + Math.floor(lowPart / TWO_16);
  const high = Math.floor(highPart / TWO_16);
  if (high >= TWO_32) return "overflow";
  return { isNegative, low: (highPart % TWO_16) * TWO_16 + (lowPart % TWO_16), high };
}

const DECIMAL_PATTERN = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;

/** 1.5e3, 10.0, 00000000000000000000001: rare, so by text. Linear in its length. */
function parseDecimal(text: string): Integer | "overflow" | undefined {
  const match = DECIMAL_PATTERN.exec(text);
  if (match === null) return undefined;
  const [, sign, whole = "", fraction = "", exponentText = "0"] = match;
  const digits = trimZeros(whole + fraction);
  if (digits.text === "") return { isNegative: sign === "-", low: 0, high: 0 };
  const zeros = Number(exponentText) - fraction.length + digits.droppedEnd;
  if (zeros < 0) return undefined;
  if (digits.text.length + zeros > DIGITS_MAX) return "overflow";
  return parseInteger(`${sign}${digits.text}${"0".repeat(zeros)}`);
}

/** By hand: /0+$/ tries every run of zeros anew and is quadratic on hostile text. */
function trimZeros(digits: string): { text: string; droppedEnd: number } {
  let start = 0;
  let end = digits.length;
  while (start < end && digits.charCodeAt(start) === 0x30) start++;
  while (end > start && digits.charCodeAt(end - 1) === 0x30) end--;
  return { text: digits.slice(start, end), droppedEnd: digits.length - end };
}

export function isInRange(value: Integer, range: IntegerRange): boolean {
  const { isNegative, low, high } = value;
  if (!range.isSigned) return isNegative ? low === 0 && high === 0 : range.bits === 64 || high === 0;
  const top = range.bits === 64 ? high : low;
  if (range.bits === 32 && high !== 0) return false;
  if (top < 0x80000000) return true;
  return isNegative && top === 0x80000000 && (range.bits === 32 || low === 0);
}

export function describeRange({ isSigned, bits }: IntegerRange): string {
  const size = BigInt(bits);
  return isSigned ? `from ${-(2n ** (size - 1n))} to ${2n ** (size - 1n) - 1n}` : `from 0 to ${2n ** size - 1n}`;
}
