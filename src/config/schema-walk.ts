import { z } from "zod";
import { notesOf } from "./notes.ts";
import type { SettingNotes } from "./notes.ts";
import type { Path, PathSegment } from "./problem.ts";

type AnySchema = z.core.$ZodType;

// A lazy schema may contain itself; nothing real is wrapped or nested as deep as this.
const DEPTH_MAX = 32;
const SETTINGS_DEPTH_MAX = 8;

/** A schema and all that is wrapped in it, outermost first: optional, default, pipe, the branches of a union. */
export function layersOf(schema: AnySchema): AnySchema[] {
  const layers: AnySchema[] = [];
  const visit = (layer: AnySchema, depth: number): void => {
    if (depth > DEPTH_MAX) return;
    layers.push(layer);
    for (const inner of wrappedIn(layer)) visit(inner, depth + 1);
  };
  visit(schema, 0);
  return layers;
}

function wrappedIn(schema: AnySchema): readonly AnySchema[] {
  if (schema instanceof z.ZodUnion) return schema.options;
  if (schema instanceof z.ZodPipe) return [schema.in, schema.out].filter((side) => !(side instanceof z.ZodTransform));
  if (schema instanceof z.ZodLazy) return [schema.def.getter()];
  const isWrapper =
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodNullable ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodNonOptional ||
    schema instanceof z.ZodCatch ||
    schema instanceof z.ZodReadonly;
  return isWrapper ? [schema.def.innerType] : [];
}

/** The schemas of one key or index; several where a union leaves it open. */
export function childrenAt(layers: readonly AnySchema[], segment: PathSegment): AnySchema[] {
  return layers.flatMap((layer) => {
    if (layer instanceof z.ZodObject && Object.hasOwn(layer.shape, segment)) return [layer.shape[segment]!];
    if (layer instanceof z.ZodRecord) return [layer.valueType];
    if (layer instanceof z.ZodArray) return [layer.element];
    if (layer instanceof z.ZodTuple) return [layer.def.items[Number(segment)]].filter((item) => item !== undefined);
    return [];
  });
}

/** Everything that may describe the value at a path. */
export interface SchemaPlace {
  /** Outermost first; empty where the schema knows nothing of the path. */
  readonly layers: readonly AnySchema[];
  /** The value, or something around it, is a secret. */
  readonly isSecret: boolean;
}

export function schemaAt(root: AnySchema, path: Path): SchemaPlace {
  let layers = layersOf(root);
  let isSecret = layers.some(hasSecretNote);
  for (const segment of path) {
    layers = childrenAt(layers, segment).flatMap(layersOf);
    isSecret ||= layers.some(hasSecretNote);
  }
  return { layers, isSecret };
}

function hasSecretNote(schema: AnySchema): boolean {
  return notesOf(schema).secret === true;
}

/** True where a value of this schema may hold a secret anywhere inside. */
export function holdsSecret(schema: AnySchema, seen = new Set<AnySchema>()): boolean {
  return layersOf(schema).some((layer) => {
    if (seen.has(layer)) return false;
    seen.add(layer);
    return hasSecretNote(layer) || innerOf(layer).some((inner) => holdsSecret(inner, seen));
  });
}

function innerOf(schema: AnySchema): readonly AnySchema[] {
  if (schema instanceof z.ZodObject) return Object.values(schema.shape);
  if (schema instanceof z.ZodRecord) return [schema.valueType];
  if (schema instanceof z.ZodArray) return [schema.element];
  if (schema instanceof z.ZodTuple) return schema.def.items;
  return [];
}

/** The notes of all layers, the outermost winning. */
export function notesAt(layers: readonly AnySchema[]): SettingNotes {
  let notes: SettingNotes = {};
  for (const layer of layers) notes = { ...notesOf(layer), ...notes };
  return notes;
}

/** The keys that an object at this place may have. */
export function keysAt(layers: readonly AnySchema[]): string[] {
  return [...new Set(layers.flatMap((layer) => (layer instanceof z.ZodObject ? Object.keys(layer.shape) : [])))];
}

/** One key of an object schema, for tables and walks over what is configured. */
export interface Setting {
  readonly path: Path;
  readonly schema: AnySchema;
}

/** The keys of the objects in a schema, parents before children, in the order they are declared. */
export function settingsOf(schema: AnySchema, path: Path = []): Setting[] {
  // A schema that contains itself would be listed for ever.
  if (path.length > SETTINGS_DEPTH_MAX) return [];
  return layersOf(schema).flatMap((layer) => {
    if (layer instanceof z.ZodArray) return settingsOf(layer.element, [...path.slice(0, -1), `${path.at(-1)}[]`]);
    if (layer instanceof z.ZodRecord) return settingsOf(layer.valueType, [...path, "<name>"]);
    if (!(layer instanceof z.ZodObject)) return [];
    return Object.entries<AnySchema>(layer.shape).flatMap(([key, child]) => {
      const setting = { path: [...path, key], schema: child };
      // What has a word for its type is one thing to the reader, whatever it is made of.
      const isWhole = notesAt(layersOf(child)).type !== undefined;
      return isWhole ? [setting] : [setting, ...settingsOf(child, setting.path)];
    });
  });
}

/** The places of objects that would let a mistyped key pass; the tidy test wants none. */
export function looseObjects(schema: AnySchema, path: Path = [], seen = new Set<AnySchema>()): Path[] {
  return layersOf(schema).flatMap((layer) => {
    if (seen.has(layer)) return [];
    seen.add(layer);
    const isLoose = layer instanceof z.ZodObject && !(layer.def.catchall instanceof z.ZodNever);
    const children = namedInnerOf(layer);
    return [
      ...(isLoose ? [path] : []),
      ...children.flatMap(([key, inner]) => looseObjects(inner, [...path, key], seen)),
    ];
  });
}

function namedInnerOf(schema: AnySchema): (readonly [string, AnySchema])[] {
  if (schema instanceof z.ZodObject) return Object.entries<AnySchema>(schema.shape);
  return innerOf(schema).map((inner) => ["*", inner] as const);
}
