import { RE2JS, RE2JSSyntaxException } from "re2js";

/**
 * Regular expressions of a configuration, in Go's syntax and with Go's meaning (https://pkg.go.dev/regexp/syntax).
 *
 * Patterns are the operator's, texts are anyone's: matching takes time in proportion to pattern and text, never more, so
 * that no text can hold up the gateway. That is what RE2's automata give and JavaScript's own engine does not.
 */
export interface Pattern {
  readonly source: string;
  /** Names of the groups in order, "" for one without; the whole match is not among them. */
  readonly groupNames: readonly string[];
  /** Whether any part of the text matches. */
  test(text: string): boolean;
  /** What the groups caught in the first match, "" where one took no part; undefined without a match. */
  capture(text: string): readonly string[] | undefined;
}

/** Compiling takes time in proportion too; no pattern that a person writes is longer. */
export const PATTERN_LENGTH_MAX = 16_384;

/** What is wrong with a pattern, in Go's words, and where. */
export class PatternError extends Error {
  override readonly name = "PatternError";
}

// Compiled again for every pipeline that uses it otherwise; the oldest make room, so that reloads do not pile up.
const COMPILED_MAX = 256;
const compiled = new Map<string, Pattern>();

export function compilePattern(source: string): Pattern {
  const known = compiled.get(source);
  if (known !== undefined) return known;
  const pattern = compileNew(source);
  if (compiled.size >= COMPILED_MAX) compiled.delete(compiled.keys().next().value ?? "");
  compiled.set(source, pattern);
  return pattern;
}

function compileNew(source: string): Pattern {
  if (source.length > PATTERN_LENGTH_MAX) {
    throw new PatternError(`the pattern has ${source.length} characters, more than the limit of ${PATTERN_LENGTH_MAX}`);
  }
  try {
    return new LinearPattern(source, RE2JS.compile(source), (name) => name);
  } catch (thrown) {
    if (!(thrown instanceof RE2JSSyntaxException)) throw thrown;
    if (thrown.error.startsWith("duplicate")) return compileWithDoubledNames(source);
    throw new PatternError(describe(source, thrown), { cause: thrown });
  }
}

/** What is quoted, escaped or in brackets, and the head of a named group. */
const GROUP_HEADS = /\\Q[\s\S]*?(?:\\E|$)|\\[\s\S]|\[\^?\]?(?:\[:\^?\w+:\]|\\[\s\S]|[^\]\\])*\]|\(\?P?<(?<name>\w+)>/g;

/** Go lets a name stand twice, the engine does not: each group gets a name of its own, and its old one back afterwards. */
function compileWithDoubledNames(source: string): Pattern {
  const names: string[] = [];
  const numbered = source.replaceAll(GROUP_HEADS, (part, name: string | undefined) => {
    if (name === undefined) return part;
    names.push(name);
    return `(?P<n${names.length - 1}>`;
  });
  return new LinearPattern(source, RE2JS.compile(numbered), (name) => names[Number(name.slice(1))] ?? "");
}

/** Go says which part is wrong; where it stands is found again. */
function describe(source: string, { error, input }: RE2JSSyntaxException): string {
  const part = input ?? "";
  const offset = source.indexOf(part);
  const isWhole = part === "" || part === source || offset < 0;
  return isWhole ? `${error}: ${quoted(source)}` : `${error}: ${quoted(part)} at character ${offset + 1}`;
}

const QUOTED_LENGTH_MAX = 80;

function quoted(text: string): string {
  return `\`${text.length > QUOTED_LENGTH_MAX ? `${text.slice(0, QUOTED_LENGTH_MAX)}...` : text}\``;
}

class LinearPattern implements Pattern {
  readonly source: string;
  readonly groupNames: readonly string[];
  readonly #compiled: RE2JS;

  constructor(source: string, compiledPattern: RE2JS, nameOf: (name: string) => string) {
    this.source = source;
    this.#compiled = compiledPattern;
    const groups = Object.entries(compiledPattern.namedGroups());
    const names = new Map(groups.map(([name, index]) => [index, nameOf(name)]));
    this.groupNames = Array.from({ length: compiledPattern.groupCount() }, (_, index) => names.get(index + 1) ?? "");
  }

  test(text: string): boolean {
    return this.#compiled.test(text);
  }

  capture(text: string): readonly string[] | undefined {
    // The automaton that only says yes or no is ten times as fast as the one that knows where: most texts end here.
    if (!this.#compiled.test(text)) return undefined;
    const matcher = this.#compiled.matcher(text);
    if (!matcher.find()) return undefined;
    return this.groupNames.map((_, index) => matcher.group(index + 1) ?? "");
  }
}
