import type { Signal } from "../../../src/core/signal.ts";
import { decodeReference } from "../../wire/otlp/reference.ts";

/**
 * A request with its attributes sorted: the Collector's delete moves the last one into the gap. What is left out on the
 * wire and what is written as empty is the same.
 */
export function recordsOf(signal: Signal, bytes: Uint8Array): unknown {
  return normalized(decodeReference(signal, bytes));
}

function normalized(value: unknown): unknown {
  if (Array.isArray(value)) {
    const items = value.map(normalized);
    return items.every(isKeyed) ? items.toSorted((a, b) => byText(JSON.stringify(a), JSON.stringify(b))) : items;
  }
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([name, inner]) => [name, normalized(inner)] as const);
  return Object.fromEntries(entries.filter(([name, inner]) => !isDefault(name, inner)));
}

function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

interface KeyValue {
  readonly key?: string;
}

/** A KeyValue, of which an empty key is not written. */
function isKeyed(value: unknown): value is KeyValue {
  return (
    typeof value === "object" && value !== null && Object.keys(value).every((name) => /^(?:key|value)$/.test(name))
  );
}

/** Members of a oneof are there even where they are zero, and an empty list in a value is a value. */
function isDefault(name: string, value: unknown): boolean {
  if (/Value$|^asInt$|^asDouble$|^(?:gauge|sum|histogram|exponentialHistogram|summary)$/.test(name)) return false;
  if (value === "" || value === 0 || value === false || value === "0" || value === "hex:") return true;
  if (Array.isArray(value)) return value.length === 0;
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}
