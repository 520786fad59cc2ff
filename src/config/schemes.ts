/** What a scheme answers for the part after `scheme:`. A default (`:-`) is not its business. */
export type Retrieved =
  | { readonly state: "found"; readonly text: string }
  /** The same, from a file: what it holds has places of its own. */
  | { readonly state: "file"; readonly text: string }
  /** The default takes its place, or nothing, with a warning. */
  | { readonly state: "unset" }
  /** An error; the message goes on from "found ${...}, " and never holds a value. */
  | { readonly state: "invalid"; readonly message: string; readonly fix: string };

/** Where values of `${scheme:locator}` come from. A new scheme is a new entry in the table given to expand(). */
export interface Scheme {
  /** `:-` begins a default; elsewhere it is part of the locator. */
  readonly takesDefault: boolean;
  retrieve(locator: string): Retrieved;
}

export type Schemes = ReadonlyMap<string, Scheme>;

export type Environment = Readonly<Record<string, string | undefined>>;

/** The Collector's rule for the name of a variable. */
const NAME_PATTERN = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

/** `${env:NAME}`. As in the Collector, a variable that is set to nothing does not take the default. */
export class EnvironmentScheme implements Scheme {
  readonly takesDefault = true;
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
  message: `an environment variable with an invalid name, expected a match of ${NAME_PATTERN.source}`,
  fix: "write ${env:NAME} or ${env:NAME:-default}; a literal dollar sign is $$",
};

/** Reads a text file, bounded; what went wrong is a few words that do not name the file. */
export type ReadText = (path: string) => { readonly text: string } | { readonly problem: string };

/** `${file:PATH}`, relative to the working directory, as in the Collector. */
export class FileScheme implements Scheme {
  readonly takesDefault = false;
  readonly #readText: ReadText;

  constructor(readText: ReadText) {
    this.#readText = readText;
  }

  retrieve(locator: string): Retrieved {
    const read = this.#readText(locator);
    if ("text" in read) return { state: "file", text: read.text };
    const fix = "a path is relative to the folder in which the gateway is started";
    return { state: "invalid", message: `which cannot be read: ${read.problem}`, fix };
  }
}

/** `${yaml:TEXT}`: the text itself, as YAML. */
export class YamlScheme implements Scheme {
  readonly takesDefault = false;

  retrieve(locator: string): Retrieved {
    return { state: "found", text: locator };
  }
}

/** Everything that an expression can read from. */
export interface SchemeSources {
  readonly env: Environment;
  readonly readText: ReadText;
}

export function createSchemes({ env, readText }: SchemeSources): Schemes {
  return new Map<string, Scheme>([
    ["env", new EnvironmentScheme(env)],
    ["file", new FileScheme(readText)],
    ["yaml", new YamlScheme()],
  ]);
}

/** Nothing can be read. */
export const NO_FILES: ReadText = () => ({ problem: "no files are read here" });

/** Of `${...}` and of `--config`. */
export function schemeNames(): readonly string[] {
  return [...createSchemes({ env: {}, readText: NO_FILES }).keys()];
}

const SCHEME_PATTERN = /^([A-Za-z][A-Za-z0-9+.-]+):([^]*)$/;
const DEFAULT_SCHEME = "env";

/** `env:NAME` -> env, NAME. Without a scheme it is the environment. */
export function splitScheme(reference: string): { readonly scheme: string; readonly locator: string } {
  const match = SCHEME_PATTERN.exec(reference);
  return match === null ? { scheme: DEFAULT_SCHEME, locator: reference } : { scheme: match[1]!, locator: match[2]! };
}
