import { z } from "zod";
import { block, literal, refuse } from "../config/types.ts";
import type { AttributeInput } from "../wire/otlp/types.ts";
import { encodePair } from "../wire/otlp/views/encode-pair.ts";
import { compilePattern, type Pattern, PatternError } from "./pattern.ts";

export const ACTION_NAMES = ["insert", "update", "upsert", "delete", "hash", "extract", "convert"] as const;
export type ActionName = (typeof ACTION_NAMES)[number];

export const CONVERTED_TYPES = ["int", "double", "string"] as const;
export type ConvertedType = (typeof CONVERTED_TYPES)[number];

const text = z.string().default("");

const actionKeys = block({
  key: text.describe("The attribute to act on. delete and hash may have a pattern instead."),
  action: z.string().describe("insert, update, upsert, delete, hash, extract or convert."),
  value: literal().describe("insert, update, upsert: the value, with the type it has in YAML."),
  from_attribute: text.describe("insert, update, upsert: the attribute whose value is copied."),
  from_context: text.describe(
    "insert, update, upsert: `metadata.<header>`, `client.address` or `auth.<attribute>` of the sender; a header sent several times is joined by `;`.",
  ),
  default_value: literal().describe("insert, update, upsert: the value where the source has none."),
  pattern: text.describe(
    "delete, hash: a regular expression for keys. extract: one whose named groups become attributes.",
  ),
  converted_type: text.describe("convert: `int`, `double` or `string`."),
});

type ActionKeys = z.output<typeof actionKeys>;

/** One action, with its words checked. */
export interface ActionConfig extends Omit<ActionKeys, "action"> {
  readonly action: ActionName;
}

/** The actions of `resource` and `attributes`: the Collector's keys, and what it refuses, in its words. */
export const actionConfig = actionKeys.transform((keys, context): ActionConfig => {
  const action = keys.action.toLowerCase();
  if (!isOneOf(ACTION_NAMES, action)) {
    refuse(context, {
      path: ["action"],
      message: `unsupported action ${JSON.stringify(action)}`,
      fix: `write one of ${ACTION_NAMES.join(", ")}`,
    });
    return z.NEVER;
  }
  const config = { ...keys, action };
  new ActionCheck(config, context).run();
  return config;
});

export function isOneOf<const T extends string>(words: readonly T[], word: string): word is T {
  return (words as readonly string[]).includes(word);
}

/** undefined and null both say that nothing was written. */
export function isGiven(value: AttributeInput | null | undefined): value is Exclude<AttributeInput, null> {
  return value !== undefined && value !== null;
}

class ActionCheck {
  readonly #config: ActionConfig;
  readonly #context: z.core.$RefinementCtx;

  constructor(config: ActionConfig, context: z.core.$RefinementCtx) {
    this.#config = config;
    this.#context = context;
  }

  run(): void {
    const { action } = this.#config;
    this.#checkKey();
    if (action === "extract") this.#checkExtract();
    else if (action === "convert") this.#checkConvert();
    else if (action === "delete" || action === "hash") this.#checkByKey();
    else this.#checkWrite();
  }

  #checkKey(): void {
    const { action, key, pattern } = this.#config;
    const hasPattern = action === "delete" || action === "hash";
    if (key !== "" || (hasPattern && pattern !== "")) return;
    const message = hasPattern
      ? 'missing required field (at least one of "key" and "pattern" have to be used)'
      : 'missing required field "key"';
    this.#refuse("key", message, "write key: the name of an attribute");
  }

  #checkWrite(): void {
    const { value, default_value: fallback } = this.#config;
    const sources = this.#sources();
    if (sources.length === 0 && !isGiven(fallback)) {
      const message = 'Either field "value", "from_attribute", "from_context", or "default_value" must be specified';
      this.#refuse("action", message, 'write value: "..."');
    }
    if (sources.length > 1) {
      this.#refuse(sources[1]!, `multiple value sources being set: ${sources.join(", ")}`, "leave all but one out");
    }
    this.#refuseUnused("pattern", "converted_type");
    if (isGiven(value)) this.#checkWritable("value", value);
    if (isGiven(fallback)) this.#checkWritable("default_value", fallback);
  }

  #checkByKey(): void {
    const { action, value, from_attribute: from, pattern } = this.#config;
    if (isGiven(value) || from !== "") {
      const message = `Action "${action}" does not use "value" or "from_attribute" field. These must not be specified`;
      this.#refuse(isGiven(value) ? "value" : "from_attribute", message, "leave it out");
    }
    this.#refuseUnused("converted_type");
    if (pattern !== "") this.#compile();
  }

  #checkExtract(): void {
    const [source] = this.#sources();
    if (source !== undefined) {
      const message = 'Action "extract" does not use a value source field. These must not be specified';
      this.#refuse(source, message, "leave it out");
    }
    this.#refuseUnused("converted_type");
    if (this.#config.pattern === "") {
      const message = 'missing required field "pattern" for action "extract"';
      this.#refuse("pattern", message, "write pattern: ^(?P<first>[a-z]+) (?P<second>[0-9]+)$");
      return;
    }
    const names = this.#compile()?.groupNames;
    if (names?.length === 0) {
      this.#refuse("pattern", 'Field "pattern" contains no named matcher groups', "name a group: (?P<name>...)");
    } else if (names?.includes("") === true) {
      const message = 'Field "pattern" contains at least one unnamed matcher group';
      this.#refuse("pattern", message, "name it, (?P<name>...), or make it no group, (?:...)");
    }
  }

  #checkConvert(): void {
    const { converted_type: type, pattern } = this.#config;
    const [source] = pattern === "" ? this.#sources() : ["pattern" as const];
    if (source !== undefined) {
      const message = 'Action "convert" does not use value sources or "pattern" field. These must not be specified';
      this.#refuse(source, message, "leave it out");
    }
    if (isOneOf(CONVERTED_TYPES, type)) return;
    const message =
      type === ""
        ? 'missing required field "converted_type" for action "convert"'
        : `invalid value "${type}" in field "converted_type" for action "convert"`;
    this.#refuse("converted_type", message, `write one of ${CONVERTED_TYPES.join(", ")}`);
  }

  #sources(): (keyof ActionConfig)[] {
    const { value, from_attribute: attribute, from_context: context } = this.#config;
    const given = { value: isGiven(value), from_attribute: attribute !== "", from_context: context !== "" };
    return (["value", "from_attribute", "from_context"] as const).filter((key) => given[key]);
  }

  #refuseUnused(...keys: readonly ("pattern" | "converted_type")[]): void {
    const { action } = this.#config;
    for (const key of keys) {
      if (this.#config[key] === "") continue;
      const message = `Action "${action}" does not use the "${key}" field. This must not be specified`;
      this.#refuse(key, message, "leave it out");
    }
  }

  #compile(): Pattern | undefined {
    try {
      return compilePattern(this.#config.pattern);
    } catch (thrown) {
      if (!(thrown instanceof PatternError)) throw thrown;
      const fix = "write it in Go's syntax: https://pkg.go.dev/regexp/syntax";
      this.#refuse("pattern", `Field "pattern" has invalid pattern: ${thrown.message}`, fix);
      return undefined;
    }
  }

  /** What cannot be an attribute is found here, and not with the first record. */
  #checkWritable(key: "value" | "default_value", value: AttributeInput): void {
    try {
      encodePair(this.#config.key, value);
    } catch (thrown) {
      if (!(thrown instanceof TypeError)) throw thrown;
      this.#refuse(key, thrown.message, "write a value that is nested less");
    }
  }

  #refuse(key: keyof ActionConfig, message: string, fix: string): void {
    refuse(this.#context, { path: [key], message, fix });
  }
}
