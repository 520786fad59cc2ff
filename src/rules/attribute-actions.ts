import { ClientMetadata } from "../core/client-metadata.ts";
import type { AttributeInput, Attributes } from "../wire/otlp/types.ts";
import { type ActionConfig, type ConvertedType, isGiven } from "./action-config.ts";
import { contextText, convertedValue, hashOf } from "./action-values.ts";
import { compilePattern } from "./pattern.ts";
import { AnswerCache } from "./text-filter.ts";

/** Edits one list of attributes. What needs no change is not touched, so that its bytes stay. */
export type AttributeEdit = (attributes: Attributes) => void;

/** Compiled once, bound to the sender of each batch, of whom an action may write what is known. */
export type BoundActions = (client: ClientMetadata) => AttributeEdit;

/** The actions in their order: each sees what those before it have done. The configuration must be a checked one. */
export function compileActions(configs: readonly ActionConfig[]): BoundActions {
  const actions = configs.map(compileAction);
  const bind = (client: ClientMetadata): AttributeEdit => inOrder(actions.map((action) => action(client)));
  if (configs.some(({ from_context: name }) => name !== "")) return bind;
  const edit = bind(ClientMetadata.internal);
  return () => edit;
}

function inOrder(edits: readonly AttributeEdit[]): AttributeEdit {
  const [first] = edits;
  if (edits.length === 1 && first !== undefined) return first;
  return (attributes) => {
    for (const edit of edits) edit(attributes);
  };
}

function compileAction(config: ActionConfig): BoundActions {
  switch (config.action) {
    case "insert":
    case "update":
    case "upsert":
      return compileWrite(config);
    case "delete":
      return always(compileByKey(config, (attributes, key) => void attributes.delete(key)));
    case "hash":
      return always(compileByKey(config, hash));
    case "extract":
      return always(compileExtract(config));
    case "convert":
      // The configuration was checked: converted_type is one of the three.
      return always(compileConvert(config.key, config.converted_type as ConvertedType));
    default:
      return config.action satisfies never;
  }
}

function always(edit: AttributeEdit): BoundActions {
  return () => edit;
}

type WriteAction = "insert" | "update" | "upsert";

function compileWrite(config: ActionConfig): BoundActions {
  const { action, key, value, from_attribute: from, from_context: name, default_value: fallback } = config;
  const kind = action as WriteAction;
  if (isGiven(value)) return always(writeValue(kind, key, value));
  const orElse = isGiven(fallback) ? writeValue(kind, key, fallback) : NOTHING;
  if (from !== "") return always(writeCopy(kind, key, from, orElse));
  return (client) => {
    const text = name === "" ? undefined : contextText(client, name);
    return text === undefined ? orElse : writeValue(kind, key, text);
  };
}

const NOTHING: AttributeEdit = () => {};

function writeValue(action: WriteAction, key: string, value: AttributeInput): AttributeEdit {
  if (action === "insert") return (attributes) => void attributes.insert(key, value);
  if (action === "update") return (attributes) => void attributes.update(key, value);
  return (attributes) => attributes.set(key, value);
}

/** Copies the encoded value, so that nothing of it is lost; `orElse` where there is none. */
function writeCopy(action: WriteAction, key: string, from: string, orElse: AttributeEdit): AttributeEdit {
  const isWanted = wantedBefore(action, key);
  return (attributes) => {
    if (!attributes.has(from)) orElse(attributes);
    else if (from !== key && isWanted(attributes)) attributes.copy(from, key);
  };
}

function wantedBefore(action: WriteAction, key: string): (attributes: Attributes) => boolean {
  if (action === "insert") return (attributes) => !attributes.has(key);
  if (action === "update") return (attributes) => attributes.has(key);
  return () => true;
}

/** Names repeat from record to record; past this many they are values in the place of names, and each is matched anew. */
const KEYS_REMEMBERED = 1_000;

/** First the key, then every key that the pattern matches: one that is both is met twice, as in the Collector. */
function compileByKey(config: ActionConfig, edit: (attributes: Attributes, key: string) => void): AttributeEdit {
  const { key, pattern: source } = config;
  if (source === "") return (attributes) => edit(attributes, key);
  const pattern = compilePattern(source);
  const answers = new AnswerCache(KEYS_REMEMBERED, (name) => pattern.test(name));
  const matches = (name: string): boolean => answers.answer(name);
  return (attributes) => {
    edit(attributes, key);
    for (const name of attributes.findKeys(matches)) edit(attributes, name);
  };
}

function hash(attributes: Attributes, key: string): void {
  const text = hashOf(attributes, key);
  if (text !== undefined) attributes.set(key, text);
}

function compileExtract({ key, pattern: source }: ActionConfig): AttributeEdit {
  const pattern = compilePattern(source);
  const { groupNames } = pattern;
  return (attributes) => {
    const text = attributes.getString(key);
    const parts = text === undefined ? undefined : pattern.capture(text);
    parts?.forEach((part, index) => attributes.set(groupNames[index]!, part));
  };
}

function compileConvert(key: string, type: ConvertedType): AttributeEdit {
  return (attributes) => {
    const value = convertedValue(attributes, key, type);
    if (value !== undefined) attributes.set(key, value);
  };
}
