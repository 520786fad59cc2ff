import type { AttributeValue } from "../wire/otlp/types.ts";
import { jsonValue } from "./json-value.ts";

/** A body as one text: strings as they are, structures as JSON, bytes as base64, nothing as "". */
export function bodyText(body: AttributeValue | undefined): string {
  if (body === undefined || body === null) return "";
  const value = jsonValue(body);
  return typeof value === "string" ? value : JSON.stringify(value);
}
