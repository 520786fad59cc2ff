/**
 * The Collector's expressions inside a YAML string.
 *
 *   ${env:NAME}   ${env:NAME:-default}   ${NAME}   ${NAME:-default}   $$ is a dollar sign
 *
 * A dollar sign before anything else stands for itself. Expressions may hold expressions: `${env:A:-${env:B}}`.
 */
export type TemplatePart = string | Expression;

export interface Expression {
  /** What stands between the braces; dollar signs in it are still doubled, as a default is read as a template again. */
  readonly content: readonly TemplatePart[];
}

// Each level is a call; nobody writes more than two.
const DEPTH_MAX = 20;

/** undefined where a `${` is not closed or the nesting is too deep. */
export function parseTemplate(text: string): readonly TemplatePart[] | undefined {
  const parser = new TemplateParser(text);
  const parts = parser.parts("text", 0);
  return parser.isBroken ? undefined : parts;
}

class TemplateParser {
  readonly #text: string;
  #offset = 0;
  isBroken = false;

  constructor(text: string) {
    this.#text = text;
  }

  parts(where: "text" | "braces", depth: number): TemplatePart[] {
    const parts: TemplatePart[] = [];
    let literal = "";
    while (this.#offset < this.#text.length && !this.isBroken) {
      literal += this.#plainRun(where);
      const isExpression = this.#text.startsWith("${", this.#offset);
      if (!isExpression && this.#text[this.#offset] !== "$") break;
      if (!isExpression) {
        literal += this.#dollar(where);
        continue;
      }
      if (literal !== "") parts.push(literal);
      literal = "";
      parts.push(this.#expression(depth + 1));
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

  #expression(depth: number): Expression {
    this.#offset += 2;
    if (depth > DEPTH_MAX) this.isBroken = true;
    const content = this.parts("braces", depth);
    if (this.#text[this.#offset] !== "}") this.isBroken = true;
    this.#offset++;
    return { content };
  }
}

const DEFAULT_MARK = ":-";

/** `env:NAME:-default` -> `env:NAME` and `default`. */
export function splitDefault(content: readonly TemplatePart[]): {
  readonly reference: readonly TemplatePart[];
  readonly fallback?: readonly TemplatePart[];
} {
  const index = content.findIndex((part) => typeof part === "string" && part.includes(DEFAULT_MARK));
  const part = content[index];
  if (typeof part !== "string") return { reference: content };
  const mark = part.indexOf(DEFAULT_MARK);
  return {
    reference: [...content.slice(0, index), part.slice(0, mark)],
    fallback: [part.slice(mark + DEFAULT_MARK.length), ...content.slice(index + 1)],
  };
}
