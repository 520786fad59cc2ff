import { Buffer } from "node:buffer";

/** A Buffer over the same memory: the methods that decode text live there, and making one costs no copy. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

// Up to this size a loop over ASCII beats the call into native code, use of the string included; measured on Node 24.
const LOOP_SIZE_MAX = 8;

/** UTF-8 as a string; what is not UTF-8 reads as U+FFFD. */
export function readText(bytes: Uint8Array, start: number, end: number): string {
  if (end - start > LOOP_SIZE_MAX) return asBuffer(bytes).toString("utf8", start, end);
  let text = "";
  for (let position = start; position < end; position++) {
    const byte = bytes[position]!;
    if (byte >= 0x80) return asBuffer(bytes).toString("utf8", start, end);
    text += String.fromCharCode(byte);
  }
  return text;
}

export function readHex(bytes: Uint8Array, start: number, end: number): string {
  return asBuffer(bytes).toString("hex", start, end);
}
