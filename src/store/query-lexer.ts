/**
 * The query language, drawn as a grammar (W3C EBNF; whitespace separates terms and means AND):
 *
 *   query      ::= term*
 *   term       ::= field | text
 *   field      ::= key operator value
 *   operator   ::= ":" | ">=" | "<=" | ">" | "<" | "="    ("=" means ":", after the store's own keys alone)
 *   text       ::= value
 *   value      ::= quoted | bare "*"?
 *   quoted     ::= '"' ( [^"\] | '\"' | '\\' | '\n' | '\t' | '\r' )* '"' "*"?
 *   key        ::= [A-Za-z_@] [A-Za-z0-9_.@/-]*
 *   bare       ::= [^ whitespace "]+
 *
 * Kept free for the rest of the language, and refused with a hint until then: a leading "-" (exclude), "(" and ")",
 * the bare word OR; operators such as "!=" and "=~" after a key of the store's own; a value in single quotes. Whoever searches for one of these characters puts it into quotes.
 */
import { QueryError } from "./query-error.ts";
import { isKnownKey } from "./spellings.ts";

export type Operator = ":" | ">=" | "<=" | ">" | "<";

export interface Value {
  readonly text: string;
  readonly isQuoted: boolean;
  /** Ends in an unescaped "*": everything that begins with `text`. */
  readonly isPrefix: boolean;
  readonly position: number;
  readonly length: number;
}

export interface Key {
  readonly text: string;
  readonly operator: Operator;
  readonly position: number;
}

const OPERATORS: ReadonlyMap<string, Operator> = new Map([
  [":", ":"],
  ["=", ":"],
  [">=", ">="],
  ["<=", "<="],
  [">", ">"],
  ["<", "<"],
]);

/** A cursor over the query; every read either moves it or throws a QueryError at the place it stands. */
export class QueryLexer {
  readonly text: string;
  #at = 0;

  constructor(text: string) {
    this.text = text;
  }

  get position(): number {
    return this.#at;
  }

  /** Moves to the next term. False at the end. */
  skipToTerm(): boolean {
    const gap = /[\s]*/y;
    gap.lastIndex = this.#at;
    this.#at += gap.exec(this.text)?.[0].length ?? 0;
    return this.#at < this.text.length;
  }

  /** Reads `key` and its operator, or nothing where a plain word stands. */
  readKey(): Key | undefined {
    const pattern = /([A-Za-z_@][A-Za-z0-9_.@/-]*)(:(?!\/\/)|>=|<=|>|<|[=!~][=~<>]?)/y;
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.text);
    if (match === null) return undefined;
    const [whole, text = "", operator = ""] = match;
    const read = OPERATORS.get(operator);
    // `steps=20` is text of many a log line; `machine_id=hm` is a slip for the field.
    if ((read === undefined || operator === "=") && !isKnownKey(text)) return undefined;
    if (read === undefined) throw unknownOperator(text, operator, this.#at);
    const key: Key = { text, operator: read, position: this.#at };
    this.#at += whole.length;
    return key;
  }

  readValue(): Value {
    return this.text[this.#at] === '"' ? this.#readQuoted() : this.#readBare();
  }

  #readBare(): Value {
    const position = this.#at;
    const pattern = /[^\s"]*/y;
    pattern.lastIndex = position;
    const raw = pattern.exec(this.text)?.[0] ?? "";
    this.#at += raw.length;
    const isPrefix = raw.endsWith("*");
    return { text: isPrefix ? raw.slice(0, -1) : raw, isQuoted: false, isPrefix, position, length: raw.length };
  }

  #readQuoted(): Value {
    const position = this.#at;
    let text = "";
    let at = position + 1;
    for (;;) {
      const char = this.text[at];
      if (char === undefined) throw unclosedQuote(position, this.text.length);
      if (char === '"') break;
      text += char === "\\" ? readEscape(this.text, at) : char;
      at += char === "\\" ? 2 : 1;
    }
    const isPrefix = this.text[at + 1] === "*";
    this.#at = at + (isPrefix ? 2 : 1);
    return { text, isQuoted: true, isPrefix, position, length: this.#at - position };
  }
}

function unknownOperator(key: string, operator: string, position: number): QueryError {
  return new QueryError(
    `${operator} is no operator`,
    position + key.length,
    operator.length,
    `write ${key}:value; level and duration_ms also take >=, <=, > and <; in quotes it is searched as text`,
  );
}

const ESCAPES: Readonly<Record<string, string>> = { '"': '"', "\\": "\\", n: "\n", t: "\t", r: "\r" };

function readEscape(text: string, at: number): string {
  const escaped = text[at + 1];
  if (escaped === undefined) throw unclosedQuote(text.lastIndexOf('"', at), text.length);
  if (Object.hasOwn(ESCAPES, escaped)) return ESCAPES[escaped]!;
  throw new QueryError(
    `"\\${escaped}" is no escape`,
    at,
    2,
    'inside quotes write \\" \\\\ \\n \\t or \\r; a backslash itself is \\\\',
  );
}

function unclosedQuote(position: number, end: number): QueryError {
  return new QueryError(
    "the quote that opens here is not closed",
    position,
    end - position,
    'add a closing ", or write \\" for a quote inside',
  );
}
