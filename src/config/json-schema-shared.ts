import type { Json } from "./json-schema-values.ts";

/**
 * What stands in a JSON Schema several times (`tls`, `sending_queue`, a duration with its description) becomes a definition
 * that all places refer to. Whole schemas alone are replaced: draft 7 has editors ignore what stands beside a `$ref`.
 */

/** A reference costs about half of this in the file; shorter schemas are better read where they stand. */
const TEXT_LENGTH_MIN = 100;

/** The same document with one definition for what is equal. Names are of the key where it stands first: `shared.tls`. */
export function shareDefinitions(document: Json): Json {
  const { definitions, ...rest } = document;
  const own = definitions as Readonly<Record<string, Json>>;
  const sharing = new Sharing();
  sharing.count(rest);
  for (const schema of Object.values(own)) sharing.count(schema);
  const top = sharing.shareInside(rest, "configuration");
  const named = Object.entries(own).map(([name, schema]) => [name, sharing.shareInside(schema, name)] as const);
  return { ...top, definitions: { ...Object.fromEntries(named), ...sharing.definitions } };
}

class Sharing {
  readonly definitions: Record<string, Json> = {};
  /** How often a schema is used, as text; what is inside of one that is met again is not counted again. */
  readonly #uses = new Map<string, number>();
  readonly #names = new Map<string, string>();

  count(schema: Json): void {
    forEachInner(schema, "", (inner) => {
      const text = JSON.stringify(inner);
      const uses = (this.#uses.get(text) ?? 0) + 1;
      this.#uses.set(text, uses);
      if (uses === 1) this.count(inner);
      return inner;
    });
  }

  shareInside(schema: Json, key: string): Json {
    return forEachInner(schema, key, (inner, innerKey) => this.#share(inner, innerKey));
  }

  #share(schema: Json, key: string): Json {
    const text = JSON.stringify(schema);
    if (text.length < TEXT_LENGTH_MIN || this.#uses.get(text) === 1) return this.shareInside(schema, key);
    let name = this.#names.get(text);
    if (name === undefined) {
      name = this.#freeName(`shared.${key.replaceAll(/[^\w.]+/g, "_")}`);
      this.#names.set(text, name);
      this.definitions[name] = this.shareInside(schema, key);
    }
    return { $ref: `#/definitions/${name}` };
  }

  #freeName(wanted: string): string {
    const taken = new Set(this.#names.values());
    for (let count = 1; ; count++) {
      const name = count === 1 ? wanted : `${wanted}_${count}`;
      if (!taken.has(name)) return name;
    }
  }
}

type Change = (inner: Json, key: string) => Json;

/** A copy in which each schema directly inside has been changed; `key` is the property that it is the schema of. */
function forEachInner(schema: Json, key: string, change: Change): Json {
  return Object.fromEntries(Object.entries(schema).map(([word, value]) => [word, changed(word, value, key, change)]));
}

function changed(word: string, value: unknown, key: string, change: Change): unknown {
  if (typeof value !== "object" || value === null) return value;
  switch (word) {
    case "properties":
    case "patternProperties":
      return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, change(inner as Json, name)]));
    case "items":
    case "additionalProperties":
      return change(value as Json, key);
    case "anyOf":
    case "oneOf":
    case "allOf":
      return (value as Json[]).map((inner) => change(inner, key));
    default:
      return value;
  }
}
