/** What a scheme answers for the part after `scheme:`. */
export type Retrieved =
  /** The value as text; `name` tells variables apart. */
  | { readonly state: "found"; readonly text: string; readonly name: string }
  /** Stands for nothing, with a warning. */
  | { readonly state: "unset"; readonly name: string }
  /** An error; its words never hold a value. */
  | { readonly state: "invalid"; readonly message: string; readonly fix: string };

/** Where values of `${scheme:locator}` come from. A new scheme is a new entry in the table given to expand(). */
export interface Scheme {
  retrieve(locator: string): Retrieved;
}

export type Schemes = ReadonlyMap<string, Scheme>;

export type Environment = Readonly<Record<string, string | undefined>>;

/** The Collector's rule for the name of a variable. */
const NAME_PATTERN = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
const DEFAULT_MARK = ":-";

/** `${env:NAME}` and `${env:NAME:-default}`. As in the Collector, a variable that is set to nothing does not take the default. */
export class EnvironmentScheme implements Scheme {
  readonly #environment: Environment;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  retrieve(locator: string): Retrieved {
    const mark = locator.indexOf(DEFAULT_MARK);
    const name = mark < 0 ? locator : locator.slice(0, mark);
    if (!NAME_PATTERN.test(name)) return invalidName();
    const value = Object.hasOwn(this.#environment, name) ? this.#environment[name] : undefined;
    if (value !== undefined) return { state: "found", text: value, name };
    if (mark >= 0) return { state: "found", text: locator.slice(mark + DEFAULT_MARK.length), name };
    return { state: "unset", name };
  }
}

function invalidName(): Retrieved {
  return {
    state: "invalid",
    message: `found an environment variable with an invalid name, expected a match of ${NAME_PATTERN.source}`,
    fix: "write ${env:NAME} or ${env:NAME:-default}; a literal dollar sign is $$",
  };
}

const SCHEME_PATTERN = /^([A-Za-z][A-Za-z0-9+.-]+):([^]*)$/;
export const DEFAULT_SCHEME = "env";

/** `env:NAME` -> env, NAME. `NAME` and `NAME:-default` belong to the default scheme. */
export function splitScheme(content: string): { readonly scheme: string; readonly locator: string } {
  const match = SCHEME_PATTERN.exec(content);
  const hasScheme = match !== null && !match[2]!.startsWith("-");
  return hasScheme ? { scheme: match[1]!, locator: match[2]! } : { scheme: DEFAULT_SCHEME, locator: content };
}
