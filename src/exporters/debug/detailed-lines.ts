import type { JsonObject } from "../../wire/otlp/json-encode.ts";
import { objectOf, objectsOf, textOf } from "./json-tree.ts";
import { formatTyped } from "./values.ts";

/** How an entry of a list begins, and an entry of a list inside it. */
export const ENTRY = "     -> ";
export const DEEPER = `     ${ENTRY}`;

/** A title and a line per attribute; nothing where there are none. */
export function attributeLines(title: string, owner: JsonObject): string[] {
  const attributes = objectsOf(owner, "attributes");
  return attributes.length === 0 ? [] : [title, ...attributes.map((entry) => keyValueLine(ENTRY, entry))];
}

/** The same one level deeper, where the title is an entry itself. `member` is where the attributes stand. */
export function attributeLinesUnder(title: string, owner: JsonObject, member: string): string[] {
  const attributes = objectsOf(owner, member);
  if (attributes.length === 0) return [];
  return [`${ENTRY}${title}`, ...attributes.map((entry) => keyValueLine(DEEPER, entry))];
}

function keyValueLine(indent: string, entry: JsonObject): string {
  return `${indent}${textOf(entry, "key")}: ${formatTyped(objectOf(entry, "value"))}`;
}
