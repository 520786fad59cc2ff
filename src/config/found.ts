import type { Located } from "./located.ts";
import { quote } from "./problem.ts";

// user:password@ in a URL.
const USER_INFO = /\/\/[^/?#\s]*@/g;

/** What stands in the file, in words: `10 (number)`, `"abc" (string)`, `a map`, `${env:NAME} (number)`. Never a value of a variable. */
export function describeFound(node: Located | undefined): string {
  if (node === undefined) return "nothing";
  const type = typeName(node);
  if (node.expansion !== undefined) return describeExpansion(node.expansion.written, node.expansion.empty, type);
  if (node.kind !== "scalar" || node.value === null) return type;
  const shown = typeof node.value === "string" ? quote(maskUserInfo(node.value)) : String(node.value);
  return `${shown} (${type})`;
}

const ONE_EXPRESSION = /^\$\{[^{}]*\}$/;

function describeExpansion(written: string, empty: readonly string[], type: string): string {
  const isOneExpression = ONE_EXPRESSION.test(written);
  const shown = isOneExpression ? written : quote(maskUserInfo(written));
  if (empty.length > 0) return `${shown}, where ${empty.join(" and ")} is not set, or empty`;
  return `${shown} (${type})`;
}

const EXPRESSION = /\$\{[^{}]*\}/g;

/** For a place that may hold a secret: the type, and which variables it came from. */
export function describeHidden(node: Located | undefined): string {
  if (node === undefined || node.kind !== "scalar" || node.value === null) return describeFound(node);
  if (node.expansion === undefined) return `a ${typeName(node)}`;
  const { written, empty } = node.expansion;
  return describeExpansion((written.match(EXPRESSION) ?? []).join(" and "), empty, typeName(node));
}

export function typeName(node: Located): string {
  if (node.kind !== "scalar") return `a ${node.kind}`;
  return node.value === null ? "nothing" : typeof node.value;
}

/** `https://user:password@host` -> `https://[REDACTED]@host`. */
export function maskUserInfo(text: string): string {
  return text.replaceAll(USER_INFO, "//[REDACTED]@");
}
