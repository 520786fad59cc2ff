import { z } from "zod";
import { quote } from "./problem.ts";
import { keysAt } from "./schema-walk.ts";

type Layers = readonly z.core.$ZodType[];

/** How to mend a value when nobody has written it down: what the schema takes there. */
export function genericFix(layers: Layers): string {
  const kinds = [...new Set(layers.flatMap((layer) => kindOf(layer, layers)))];
  return kinds.length === 0 ? "write another value, or leave it out" : `write ${kinds.join(", or ")}`;
}

function kindOf(layer: z.core.$ZodType, layers: Layers): string[] {
  if (layer instanceof z.ZodEnum) return [oneOf(layer.options)];
  if (layer instanceof z.ZodLiteral) return [oneOf([...layer.values])];
  if (layer instanceof z.ZodBoolean) return ["true or false"];
  if (layer instanceof z.ZodNumber) return [numberOf(layer)];
  if (layer instanceof z.ZodString) return [`text, such as ${quote(defaultText(layers) ?? "abc")}`];
  if (layer instanceof z.ZodArray || layer instanceof z.ZodTuple) return ["a list: [...]"];
  if (layer instanceof z.ZodRecord) return ["a map of names to values"];
  if (layer instanceof z.ZodObject) return [mapOf(keysAt([layer]))];
  return [];
}

const LISTED_MAX = 24;

/** The first ones of a long list, and how many more there are. */
export function listWords(words: readonly string[]): string {
  const listed = words.slice(0, LISTED_MAX).join(", ");
  return words.length > LISTED_MAX ? `${listed} and ${words.length - LISTED_MAX} more` : listed;
}

export function listValues(values: readonly z.core.util.Primitive[]): string {
  return listWords(values.map((value) => (typeof value === "string" ? quote(value) : String(value))));
}

function oneOf(values: readonly z.core.util.Primitive[]): string {
  return values.length === 1 ? listValues(values) : `one of ${listValues(values)}`;
}

function mapOf(keys: readonly string[]): string {
  return keys.length === 0 ? "a map" : `a map; the keys are ${listWords(keys)}`;
}

function numberOf(schema: z.ZodNumber): string {
  const what = schema.isInt ? "a whole number" : "a number";
  const words = (schema.def.checks ?? []).flatMap((check) => {
    if (check instanceof z.core.$ZodCheckGreaterThan) return [limit(check, "at least", "above")];
    if (check instanceof z.core.$ZodCheckLessThan) return [limit(check, "at most", "below")];
    return [];
  });
  return words.length === 0 ? what : `${what}, ${words.join(" and ")}`;
}

type Limit = z.core.$ZodCheckGreaterThan | z.core.$ZodCheckLessThan;

function limit({ _zod: { def } }: Limit, inclusive: string, exclusive: string): string {
  return `${def.inclusive ? inclusive : exclusive} ${String(def.value)}`;
}

function defaultText(layers: Layers): string | undefined {
  const values = layers.map((layer) =>
    layer instanceof z.ZodDefault || layer instanceof z.ZodPrefault ? layer.def.defaultValue : undefined,
  );
  return values.find((value): value is string => typeof value === "string" && value !== "");
}
