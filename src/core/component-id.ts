/** `type[/name]`, the way a component is named in the YAML. */
export interface ComponentId {
  readonly type: string;
  /** Absent where the YAML key is the bare type. */
  readonly name?: string;
}

/** The five kinds of component; each is one section of the YAML (`receivers`, `processors`, ...). */
export type ComponentKind = "receiver" | "processor" | "exporter" | "connector" | "extension";

export function formatComponentId(id: ComponentId): string {
  return id.name === undefined ? id.type : `${id.type}/${id.name}`;
}

// The Collector's rule for a type: a letter, then letters, digits and underscores, at most 63 characters.
const TYPE_PATTERN = /^[a-zA-Z][0-9a-zA-Z_]{0,62}$/;
// And for a name: no spaces inside, nothing unprintable, no signs such as "+" or "$".
const NAME_PATTERN = /^[^\p{Z}\p{C}\p{S}]+$/u;
const NAME_LENGTH_MAX = 1024;

/** Parses `type[/name]`. Returns a sentence saying what is wrong instead of throwing, for the configuration's error list. */
export function parseComponentId(text: string): ComponentId | { readonly problem: string } {
  const slash = text.indexOf("/");
  const type = (slash < 0 ? text : text.slice(0, slash)).trim();
  if (!TYPE_PATTERN.test(type)) {
    return { problem: `the part before "/" must be a component type: a letter, then letters, digits or "_"` };
  }
  if (slash < 0) return { type };
  const name = text.slice(slash + 1).trim();
  if (name === "") return { problem: `the part after "/" must not be empty` };
  if (name.length > NAME_LENGTH_MAX)
    return { problem: `the part after "/" is longer than ${NAME_LENGTH_MAX} characters` };
  if (!NAME_PATTERN.test(name)) {
    return { problem: `the part after "/" must not hold spaces, control characters or signs such as "+", "=" and "$"` };
  }
  return { type, name };
}
