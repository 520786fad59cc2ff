/**
 * The Collector's expressions inside a YAML string.
 *
 *   ${env:NAME}   ${env:NAME:-default}   ${NAME}   ${NAME:-default}   $$ is a dollar sign
 *
 * A dollar sign before anything else stands for itself, and so does a `${` that is not closed. Expressions may hold
 * expressions: `${env:A:-${env:B}}`.
 */
export type TemplatePart = string | Expression;

export interface Expression {
  /** What stands between the braces; dollar signs in it are still doubled, as a default is read as a template again. */
  readonly content: readonly TemplatePart[];
}

// Each level is a call; nobody writes more than two.
const DEPTH_MAX = 20;

export interface Template {
  readonly parts: readonly TemplatePart[];
  /** Holds a `${` that is not closed, which stands for itself. */
  readonly isUnclosed: boolean;
}

/** undefined where the nesting is too deep. */
export function parseTemplate(text: string): Template | undefined {
  const parser = new TemplateParser(text);
  const parts = parser.parts("text", 0);
  return parser.isTooDeep ? undefined : { parts, isUnclosed: parser.isUnclosed };
}

/** What came out of a variable: what is no template in it is text. */
export function templateParts(text: string): readonly TemplatePart[] {
  return parseTemplate(text)?.parts ?? [text];
}

class TemplateParser {
  readonly #text: string;
  #offset = 0;
  isTooDeep = false;
  isUnclosed = false;

  constructor(text: string) {
    this.#text = text;
  }

  parts(where: "text" | "braces", depth: number): TemplatePart[] {
    const parts: TemplatePart[] = [];
    let literal = "";
    while (this.#offset < this.#text.length && !this.isTooDeep) {
      literal += this.#plainRun(where);
      const isExpression = this.#text.startsWith("${", this.#offset);
      if (!isExpression && this.#text[this.#offset] !== "$") break;
      if (!isExpression) {
        literal += this.#dollar(where);
        continue;
      }
      if (literal !== "") parts.push(literal);
      literal = "";
      parts.push(...this.#expression(where, depth + 1));
    }
    if (literal !== "") parts.push(literal);
    return parts;
  }

  /** Up to the next dollar sign, the brace that ends the expression, or the end. */
  #plainRun(where: "text" | "braces"): string {
    const special = where === "text" ? /\$/g : /[$}]/g;
    special.lastIndex = this.#offset;
    const start = this.#offset;
    this.#offset = special.exec(this.#text)?.index ?? this.#text.length;
    return this.#text.slice(start, this.#offset);
  }

  #dollar(where: "text" | "braces"): string {
    const isDoubled = this.#text.startsWith("$$", this.#offset);
    this.#offset += isDoubled ? 2 : 1;
    return isDoubled && where === "braces" ? "$$" : "$";
  }

  /** The expression, or what stands there as text where it is not closed: then the text has ended. */
  #expression(where: "text" | "braces", depth: number): TemplatePart[] {
    this.#offset += 2;
    if (depth > DEPTH_MAX) this.isTooDeep = true;
    const content = this.parts("braces", depth);
    if (this.#text[this.#offset] === "}") {
      this.#offset++;
      return [{ content }];
    }
    this.isUnclosed = true;
    const parts = ["${", ...content];
    return where === "text" ? parts.map(halveDollars) : parts;
  }
}

/** From the inside of braces to text. */
function halveDollars(part: TemplatePart): TemplatePart {
  return typeof part === "string" ? part.replaceAll("$$", "$") : part;
}

const DEFAULT_MARK = ":-";
const ENVIRONMENT = "env:";

/** `env:NAME:-default` -> `env:NAME` and `default`. The colon of `env:` begins no default: `env:-NAME` has a wrong name. */
export function splitDefault(content: readonly TemplatePart[]): {
  readonly reference: readonly TemplatePart[];
  readonly fallback?: readonly TemplatePart[];
} {
  const index = content.findIndex((part, at) => markIn(part, at) >= 0);
  const part = content[index];
  if (typeof part !== "string") return { reference: content };
  const mark = markIn(part, index);
  return {
    reference: [...content.slice(0, index), part.slice(0, mark)],
    fallback: [part.slice(mark + DEFAULT_MARK.length), ...content.slice(index + 1)],
  };
}

function markIn(part: TemplatePart, index: number): number {
  if (typeof part !== "string") return -1;
  return part.indexOf(DEFAULT_MARK, index === 0 && part.startsWith(ENVIRONMENT) ? ENVIRONMENT.length : 0);
}
