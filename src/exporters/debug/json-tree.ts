import type { JsonObject, JsonValue } from "../../wire/otlp/json-encode.ts";

/**
 * Reading the tree of an OTLP/JSON request. A member that is left out has its default value, so every reader has one:
 * an empty list, an empty object, "" or 0.
 */

const EMPTY: JsonObject = {};

export function objectsOf(parent: JsonObject, name: string): readonly JsonObject[] {
  return valuesOf(parent, name).filter(isObject);
}

function valuesOf(parent: JsonObject, name: string): readonly JsonValue[] {
  const value = parent[name];
  return isList(value) ? value : [];
}

export function objectOf(parent: JsonObject, name: string): JsonObject {
  const value = parent[name];
  return value !== undefined && isObject(value) ? value : EMPTY;
}

/** Strings, ids and 64-bit integers. */
export function textOf(parent: JsonObject, name: string, whenAbsent = ""): string {
  const value = parent[name];
  return typeof value === "string" ? value : whenAbsent;
}

/** 32-bit integers, enum values and doubles; JSON writes what is no number as "NaN", "Infinity" and "-Infinity". */
export function numberOf(parent: JsonObject, name: string): number {
  return toNumber(parent[name]);
}

/** 64-bit integers in a list. */
export function textsOf(parent: JsonObject, name: string): readonly string[] {
  return valuesOf(parent, name).filter((value) => typeof value === "string");
}

export function numbersOf(parent: JsonObject, name: string): readonly number[] {
  return valuesOf(parent, name).map(toNumber);
}

export function has(parent: JsonObject, name: string): boolean {
  return parent[name] !== undefined;
}

function toNumber(value: JsonValue | undefined): number {
  return typeof value === "number" || typeof value === "string" ? Number(value) : 0;
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === "object" && !isList(value);
}

function isList(value: JsonValue | undefined): value is readonly JsonValue[] {
  return Array.isArray(value);
}
