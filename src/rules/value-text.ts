import { Buffer } from "node:buffer";
import type { AttributeValue } from "../wire/otlp/types.ts";
import { formatJsonFloat } from "./go-numbers.ts";

/**
 * Any AnyValue as text, as the Collector has it (Value.AsString() since opentelemetry-collector#14662): strings as they are, numbers as
 * JSON has them, bytes as base64, lists and maps as JSON with sorted keys, nothing as "".
 */
export function valueText(value: AttributeValue | undefined): string {
  if (typeof value === "string") return value;
  if (value === undefined || value === null) return "";
  if (typeof value === "number") return numberText(value);
  if (typeof value === "bigint" || typeof value === "boolean") return String(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  // JSON has no words for infinity and NaN: then all of it is no text, as there.
  return jsonText(value) ?? "";
}

function numberText(value: number): string {
  if (Number.isFinite(value)) return formatJsonFloat(value);
  return `json: unsupported value: ${Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf"}`;
}

/** undefined where JSON cannot say it. */
function jsonText(value: AttributeValue): string | undefined {
  if (value === null) return "null";
  if (typeof value === "string") return quoted(value);
  if (typeof value === "number") return Number.isFinite(value) ? formatJsonFloat(value) : undefined;
  if (typeof value === "bigint" || typeof value === "boolean") return String(value);
  if (value instanceof Uint8Array) return bytesText(value);
  return value instanceof Map ? mapText(value) : listText(value as readonly AttributeValue[]);
}

/** No bytes are null inside JSON, and "" where they stand alone: so it is there. */
function bytesText(value: Uint8Array): string {
  return value.length === 0 ? "null" : quoted(Buffer.from(value).toString("base64"));
}

function listText(values: readonly AttributeValue[]): string | undefined {
  const texts = values.map(jsonText);
  return texts.includes(undefined) ? undefined : `[${texts.join(",")}]`;
}

function mapText(map: ReadonlyMap<string, AttributeValue>): string | undefined {
  const texts: string[] = [];
  for (const key of [...map.keys()].toSorted(byBytes)) {
    const text = jsonText(map.get(key) ?? null);
    if (text === undefined) return undefined;
    texts.push(`${quoted(key)}:${text}`);
  }
  return `{${texts.join(",")}}`;
}

/** Go sorts by bytes of UTF-8, which is by code point; JavaScript by halves of surrogate pairs. */
function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** JavaScript leaves the line separators as they are, Go never does. */
function quoted(text: string): string {
  return JSON.stringify(text).replaceAll("\u2028", "\\u2028").replaceAll("\u2029", "\\u2029");
}
