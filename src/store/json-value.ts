import type { AttributeValue } from "../wire/otlp/types.ts";

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/**
 * An attribute value in JSON for people and their scripts: natural types, not OTLP's tagged ones (the trace API gives
 * those). What JSON lacks becomes text: 64-bit integers beyond 2^53, NaN and the infinities, and bytes as base64.
 */
export function jsonValue(value: AttributeValue): JsonValue {
  if (typeof value === "bigint") return String(value);
  if (typeof value === "number") return Number.isFinite(value) ? value : String(value);
  if (value === null || typeof value !== "object") return value;
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.length).toString("base64");
  if (value instanceof Map) return jsonObject(value);
  return isList(value) ? value.map(jsonValue) : null;
}

// Array.isArray does not narrow a readonly array out of a union.
function isList(value: AttributeValue): value is readonly AttributeValue[] {
  return Array.isArray(value);
}

/** The first of equal keys wins, as everywhere else. fromEntries defines own properties, so "__proto__" is a key like any other. */
export function jsonObject(entries: Iterable<readonly [string, AttributeValue]>): {
  readonly [key: string]: JsonValue;
} {
  const seen = new Map<string, JsonValue>();
  for (const [key, value] of entries) if (!seen.has(key)) seen.set(key, jsonValue(value));
  return Object.fromEntries(seen);
}
