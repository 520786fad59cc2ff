import { z } from "zod";
import { quote } from "./problem.ts";
import { layersOf, notesAt, settingsOf } from "./schema-walk.ts";
import type { Setting } from "./schema-walk.ts";

type AnySchema = z.core.$ZodType;

/** The settings table of a component's README, as Markdown: one row for each key, blocks before what is in them. */
export function settingsTable(schema: AnySchema): string {
  const rows = settingsOf(schema).map(({ path, schema: setting }) =>
    row([`\`${path.join(".")}\``, typeWord(setting), defaultWord(setting), meaning(setting)]),
  );
  return [row(["key", "type", "default", "meaning"]), row(["---", "---", "---", "---"]), ...rows].join("\n");
}

/** The keys without a description: the tidy test wants none. */
export function undocumentedSettings(schema: AnySchema): Setting[] {
  return settingsOf(schema).filter((setting) => descriptionOf(setting.schema) === "");
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|").replaceAll(/\s*\n\s*/g, " ")).join(" | ")} |`;
}

function descriptionOf(schema: AnySchema): string {
  const described = layersOf(schema).map((layer) => z.globalRegistry.get(layer)?.description);
  return described.find((description) => description !== undefined) ?? "";
}

function meaning(schema: AnySchema): string {
  const { warning } = notesAt(layersOf(schema));
  return [descriptionOf(schema), ...(warning === undefined ? [] : [`(${warning})`])].join(" ").trim();
}

function defaultWord(schema: AnySchema): string {
  const layers = layersOf(schema);
  const defaulted = layers.find((layer) => layer instanceof z.ZodDefault || layer instanceof z.ZodPrefault);
  if (defaulted instanceof z.ZodDefault)
    return valueWord(notesAt(layers).print?.(defaulted.def.defaultValue) ?? defaulted.def.defaultValue);
  if (defaulted instanceof z.ZodPrefault) return valueWord(defaulted.def.defaultValue);
  if (!layers.some((layer) => layer instanceof z.ZodOptional)) return "required";
  return layers.some((layer) => layer instanceof z.ZodObject) ? "off" : "";
}

function valueWord(value: unknown): string {
  const isEmptyMap =
    typeof value === "object" && value !== null && !Array.isArray(value) && Object.keys(value).length === 0;
  if (value === undefined || isEmptyMap) return "";
  return `\`${typeof value === "string" && value !== "" ? value : JSON.stringify(value)}\``;
}

function typeWord(schema: AnySchema): string {
  const layers = layersOf(schema);
  const { type } = notesAt(layers);
  if (type !== undefined) return type;
  return [...new Set(layers.map(layerWord).filter((word) => word !== undefined))].join(" or ");
}

/** undefined for wrappers, which say nothing about the type. */
function layerWord(schema: AnySchema): string | undefined {
  if (schema instanceof z.ZodObject) return "block";
  if (schema instanceof z.ZodArray) return `list of ${typeWord(schema.element)}`;
  if (schema instanceof z.ZodRecord) return `map of ${typeWord(schema.valueType)}`;
  if (schema instanceof z.ZodEnum) return schema.options.map((option) => `\`${option}\``).join(", ");
  if (schema instanceof z.ZodLiteral)
    return [...schema.values].map((value) => (typeof value === "string" ? quote(value) : String(value))).join(", ");
  if (schema instanceof z.ZodString) return "string";
  if (schema instanceof z.ZodNumber) return schema.isInt ? "whole number" : "number";
  if (schema instanceof z.ZodBoolean) return "bool";
  if (schema instanceof z.ZodUnknown || schema instanceof z.ZodAny) return "any";
  return undefined;
}
