/** The two spellings of bytes in OTLP/JSON: hex for trace and span ids, base64 for all others. */
import type { ByteSink } from "../byte-sink.ts";

const NO_DIGIT = 255;

const HEX_DIGITS = digitTable((code) => {
  const digit = Number.parseInt(String.fromCharCode(code), 16);
  return Number.isNaN(digit) ? NO_DIGIT : digit;
});

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** Standard and URL-safe digits alike, as the JSON mapping of protobuf asks of a parser. */
const BASE64_DIGITS = digitTable((code) => {
  const letter = { "-": "+", _: "/" }[String.fromCharCode(code)] ?? String.fromCharCode(code);
  const digit = ALPHABET.indexOf(letter);
  return digit < 0 ? NO_DIGIT : digit;
});

function digitTable(digitOf: (code: number) => number): Uint8Array {
  return Uint8Array.from({ length: 128 }, (_, code) => digitOf(code));
}

function digitAt(table: Uint8Array, text: string, index: number): number {
  const code = text.charCodeAt(index);
  return code < 128 ? table[code]! : NO_DIGIT;
}

/** False where a character is no hex digit; the sink then holds half of it. `text` has an even length. */
export function writeHex(sink: ByteSink, text: string): boolean {
  for (let index = 0; index < text.length; index += 2) {
    const high = digitAt(HEX_DIGITS, text, index);
    const low = digitAt(HEX_DIGITS, text, index + 1);
    if (high === NO_DIGIT || low === NO_DIGIT) return false;
    sink.byte((high << 4) | low);
  }
  return true;
}

/** Padding may be there or not, but not half. False where the text is not base64; the sink then holds part of it. */
export function writeBase64(sink: ByteSink, text: string): boolean {
  const end = base64End(text);
  if (end % 4 === 1 || (end < text.length && text.length % 4 !== 0)) return false;
  let bits = 0;
  let bitCount = 0;
  for (let index = 0; index < end; index++) {
    const digit = digitAt(BASE64_DIGITS, text, index);
    if (digit === NO_DIGIT) return false;
    bits = ((bits << 6) | digit) & 0xffff;
    bitCount += 6;
    if (bitCount < 8) continue;
    bitCount -= 8;
    sink.byte((bits >> bitCount) & 255);
  }
  return true;
}

/** Where the digits end: before at most two "=". */
function base64End(text: string): number {
  let end = text.length;
  while (end > 0 && text.length - end < 2 && text.charCodeAt(end - 1) === 0x3d) end--;
  return end;
}
