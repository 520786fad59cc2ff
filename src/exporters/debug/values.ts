import type { JsonObject } from "../../wire/otlp/json-encode.ts";
import { numberOf, objectOf, objectsOf, textOf } from "./json-tree.ts";

/** An AnyValue with its type, as `detailed` shows it: `Str(x)`, `Int(-5)`, `Map({"k":"v"})`. */
export function formatTyped(value: JsonObject): string {
  const format = formatOf(value);
  return `${format.kind}(${format.plain(value)})`;
}

/** An AnyValue without its type, as `normal` shows it. */
export function formatPlain(value: JsonObject): string {
  return formatOf(value).plain(value);
}

interface ValueFormat {
  readonly kind: string;
  /** On its own: text is shown as it is. */
  readonly plain: (value: JsonObject) => string;
  /** Inside a list or a map, as Go writes JSON: keys in order, bytes as base64, no value as null. */
  readonly json: (value: JsonObject) => string;
}

const same = (kind: string, format: (value: JsonObject) => string): ValueFormat => ({
  kind,
  plain: format,
  json: format,
});

const FORMATS: Readonly<Record<string, ValueFormat>> = {
  stringValue: {
    kind: "Str",
    plain: (value) => textOf(value, "stringValue"),
    json: (value) => JSON.stringify(textOf(value, "stringValue")),
  },
  boolValue: same("Bool", (value) => (value["boolValue"] === true ? "true" : "false")),
  intValue: same("Int", (value) => textOf(value, "intValue", "0")),
  // Go and JavaScript agree on how a double is written in JSON.
  doubleValue: same("Double", (value) => String(numberOf(value, "doubleValue"))),
  arrayValue: same("Slice", (value) => `[${objectsOf(objectOf(value, "arrayValue"), "values").map(toJson).join(",")}]`),
  kvlistValue: same("Map", (value) => mapToJson(objectsOf(objectOf(value, "kvlistValue"), "values"))),
  bytesValue: {
    kind: "Bytes",
    plain: (value) => textOf(value, "bytesValue"),
    json: (value) => JSON.stringify(textOf(value, "bytesValue")),
  },
};

const EMPTY: ValueFormat = { kind: "Empty", plain: () => "", json: () => "null" };

function formatOf(value: JsonObject): ValueFormat {
  const member = Object.keys(value).find((name) => Object.hasOwn(FORMATS, name));
  return member === undefined ? EMPTY : FORMATS[member]!;
}

function toJson(value: JsonObject): string {
  return formatOf(value).json(value);
}

function mapToJson(entries: readonly JsonObject[]): string {
  const members = new Map(entries.map((entry) => [textOf(entry, "key"), toJson(objectOf(entry, "value"))]));
  const sorted = [...members].toSorted(([left], [right]) => (left < right ? -1 : 1));
  return `{${sorted.map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(",")}}`;
}
