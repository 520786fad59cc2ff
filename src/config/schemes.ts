/** What a scheme answers for the part after `scheme:`. A default (`:-`) is not its business. */
export type Retrieved =
  | { readonly state: "found"; readonly text: string }
  /** The default takes its place, or nothing, with a warning. */
  | { readonly state: "unset" }
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

/** `${env:NAME}`. As in the Collector, a variable that is set to nothing does not take the default. */
export class EnvironmentScheme implements Scheme {
  readonly #environment: Environment;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  retrieve(locator: string): Retrieved {
    if (!NAME_PATTERN.test(locator)) return INVALID_NAME;
    const text = Object.hasOwn(this.#environment, locator) ? this.#environment[locator] : undefined;
    return text === undefined ? { state: "unset" } : { state: "found", text };
  }
}

const INVALID_NAME: Retrieved = {
  state: "invalid",
  message: `found an environment variable with an invalid name, expected a match of ${NAME_PATTERN.source}`,
  fix: "write ${env:NAME} or ${env:NAME:-default}; a literal dollar sign is $$",
};

const SCHEME_PATTERN = /^([A-Za-z][A-Za-z0-9+.-]+):([^]*)$/;
const DEFAULT_SCHEME = "env";

/** `env:NAME` -> env, NAME. Without a scheme it is the environment. */
export function splitScheme(reference: string): { readonly scheme: string; readonly locator: string } {
  const match = SCHEME_PATTERN.exec(reference);
  return match === null ? { scheme: DEFAULT_SCHEME, locator: reference } : { scheme: match[1]!, locator: match[2]! };
}
