import { z } from "zod";
import { notesOf } from "./notes.ts";

/** The JSON Schema of settings: zod's own, with what the notes know, and open to expressions. */
export interface Json {
  [key: string]: unknown;
}

/** Stands in the document's definitions, under `expression`. */
export const EXPRESSION_DEFINITION: Json = {
  type: "string",
  pattern: String.raw`\$\{`,
  description: "${env:NAME}, ${env:NAME:-default}, ${file:PATH} or ${yaml:TEXT}; $$ is a dollar sign.",
};

/** The same, or nothing at all: a key may stand alone, for its default. */
export const EXPRESSION_OR_NOTHING_DEFINITION: Json = {
  type: ["string", "null"],
  pattern: EXPRESSION_DEFINITION["pattern"],
  description: EXPRESSION_DEFINITION["description"],
};

const EXPRESSION: Json = { $ref: "#/definitions/expression" };
const EXPRESSION_OR_NOTHING: Json = { $ref: "#/definitions/expression_or_nothing" };
const NOTHING: Json = { type: "null" };

/** One block as one writes it. Not open to expressions yet. */
export function settingsJsonSchema(schema: z.core.$ZodType): Json {
  const { $schema: _, ...json } = z.toJSONSchema(schema, {
    target: "draft-7",
    io: "input",
    unrepresentable: "any",
    // A schema that contains itself would need names of its own; there is none yet, and this would say so.
    cycles: "throw",
    override: ({ zodSchema, jsonSchema }) => correct(zodSchema, jsonSchema),
  });
  return json;
}

/** Zod's schema of one value, made to allow all that the validator (validate.ts) and the building blocks (types.ts) read. */
function correct(schema: z.core.$ZodType, json: z.core.JSONSchema.BaseSchema): void {
  const instead = writtenInstead(schema, json);
  if (instead !== undefined) {
    for (const keyword of Object.keys(json)) if (!ABOUT.has(keyword)) Reflect.deleteProperty(json, keyword);
    Object.assign(json, { anyOf: instead });
  }
  if (schema instanceof z.ZodObject && json.required !== undefined) json.required = neededKeys(schema, json.required);
  Object.assign(json, noted(schema, json));
}

const ABOUT = new Set(["description", "default"]);

/** What may be written besides, or instead of, what zod says. */
function writtenInstead(schema: z.core.$ZodType, json: z.core.JSONSchema.BaseSchema): Json[] | undefined {
  const { type, numbersAreMs, anyCase } = notesOf(schema);
  if (type === "duration") {
    const number = numbersAreMs === true ? { type: "number", exclusiveMinimum: 0 } : { const: 0 };
    return [{ type: "string", pattern: DURATION_PATTERN }, number];
  }
  if (anyCase === true && json.enum !== undefined) {
    const words = json.enum.map(String);
    return [{ enum: words }, { type: "string", pattern: anyCasePattern(words) }];
  }
  // A text between commas is read as a list.
  const isListOfTexts = schema instanceof z.ZodArray && takesText(json.items);
  return isListOfTexts ? [{ ...json }, { type: "string" }] : undefined;
}

function takesText(items: unknown): boolean {
  return typeof items === "object" && items !== null && "type" in items && items.type === "string";
}

function anyCasePattern(words: readonly string[]): string {
  const letters = words.join("|").replaceAll(/[a-z]/g, (letter) => `[${letter.toUpperCase()}${letter}]`);
  return `^(${letters})$`;
}

/** Zod takes what begins with a preprocess() for needed, whatever default stands behind it. */
function neededKeys({ shape }: z.ZodObject, keys: readonly string[]): string[] {
  return keys.filter((key) => shape[key]?.safeParse(undefined).success === false);
}

// The grammars of duration.ts and byte-size.ts.
const DURATION_PATTERN = String.raw`^\+?(0|((\d+\.?\d*|\.\d+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h))+)$`;
const SIZE_PATTERN = String.raw`^\d{1,16}(\.\d{1,6})?\s?([KMGT]iB|[kKMGT]?B)?$`;

const ENABLED: Json = { type: "boolean", description: "false: as if the block were absent." };

/** What the notes of a schema say beyond its type. */
function noted(schema: z.core.$ZodType, { properties }: z.core.JSONSchema.BaseSchema): Json {
  const { type, warning, isSwitchable } = notesOf(schema);
  return {
    ...(type === "duration" && { examples: ["10s", "200ms", "1m30s"] }),
    ...(type === "size" && { pattern: SIZE_PATTERN, examples: ["64MiB", "512KiB"] }),
    ...(warning !== undefined && { deprecationMessage: warning }),
    ...(isSwitchable === true && { properties: { enabled: ENABLED, ...properties } }),
  };
}

/**
 * The schema of what stands under a key: where a value may stand an expression may stand, and a key may stand alone, for
 * its default.
 */
export function openSchema(schema: Json): Json {
  return opened(schema, [EXPRESSION_OR_NOTHING], [NOTHING]);
}

/** `more` are alternatives to what is written, `moreThanText` where any text may be written anyway. */
function opened(schema: Json, more: readonly Json[], moreThanText: readonly Json[]): Json {
  const { description, default: fallback, deprecationMessage, examples, ...value } = schema;
  const about = {
    ...(description !== undefined && { description }),
    ...(deprecationMessage !== undefined && { deprecationMessage }),
    ...(isTelling(fallback) && { default: fallback }),
    ...(examples !== undefined && { examples }),
  };
  const inner = openInside(value);
  if (Object.keys(inner).length === 0) return about;
  const { anyOf, ...rest } = inner;
  const written = Array.isArray(anyOf) && Object.keys(rest).length === 0 ? (anyOf as Json[]) : [inner];
  const alternatives = [...written, ...(written.some(takesAnyText) ? moreThanText : more)];
  return alternatives.length === 1 ? { ...about, ...alternatives[0] } : { ...about, anyOf: alternatives };
}

/** A default such as `{}` says nothing. */
function isTelling(fallback: unknown): boolean {
  if (fallback === undefined || fallback === null) return false;
  return typeof fallback !== "object" || Object.keys(fallback).length > 0;
}

function takesAnyText({ type, pattern, enum: values, const: only }: Json): boolean {
  const isText = type === "string" || (Array.isArray(type) && type.includes("string"));
  return isText && pattern === undefined && values === undefined && only === undefined;
}

/** The same for what is inside alone; leaves out bounds that every number keeps. */
export function openInside(schema: Json): Json {
  const entries = Object.entries(schema).flatMap(([keyword, value]): [string, unknown][] => {
    if (keyword === "propertyNames" || Math.abs(Number(value)) === Number.MAX_SAFE_INTEGER) return [];
    return [[keyword, mapKeyword(keyword, value)]];
  });
  return withPathKeys(Object.fromEntries(entries));
}

const PATH_KEY = "::";

/** `tls::insecure: true` is a path in one key; where one stands, a key that is needed may be in it. */
function withPathKeys({ required, ...schema }: Json): Json {
  if (schema["additionalProperties"] !== false) return { ...schema, ...(required !== undefined && { required }) };
  const patternProperties = { ...(schema["patternProperties"] as Json | undefined), [PATH_KEY]: {} };
  const hasPathKey = { not: { propertyNames: { not: { pattern: PATH_KEY } } } };
  const needed = { if: hasPathKey, else: { required } };
  return { ...schema, patternProperties, ...(required !== undefined && needed) };
}

function mapKeyword(keyword: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  switch (keyword) {
    case "properties":
    case "patternProperties":
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, openSchema(inner as Json)]));
    case "items":
    case "additionalProperties":
      return opened(value as Json, [EXPRESSION], []);
    case "anyOf":
    case "oneOf":
    case "allOf":
      return (value as Json[]).map(openInside);
    default:
      return value;
  }
}
