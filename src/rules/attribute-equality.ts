import { type AttributeInput, type Attributes, Double } from "../wire/otlp/types.ts";

/** Whether an attribute is there and equal to a configured value, types included: 1 is not 1.0, and not "1". */
export function isEqualTo(key: string, value: AttributeInput): (attributes: Attributes) => boolean {
  if (typeof value === "string") return (attributes) => attributes.getString(key) === value;
  if (typeof value === "boolean") return (attributes) => attributes.get(key) === value;
  if (typeof value === "bigint") return isNumber(key, "int", value);
  if (typeof value === "number") return isNumber(key, Number.isSafeInteger(value) ? "int" : "double", value);
  if (value instanceof Double) return isNumber(key, "double", value.value);
  return (attributes) => attributes.equals(key, value);
}

/** Numbers read as number or bigint by their size alone, so the kind is asked only where the value is right. */
function isNumber(key: string, kind: "int" | "double", value: number | bigint): (attributes: Attributes) => boolean {
  return (attributes) => attributes.get(key) === value && attributes.kindOf(key) === kind;
}
