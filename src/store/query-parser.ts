import { closestName } from "../core/closest-name.ts";
import { canonicalKey } from "./spellings.ts";
import { LEVEL_NAMES, parseLevel, SEVERITY_MAX } from "./levels.ts";
import type { SeverityRange } from "./levels.ts";
import { QueryError } from "./query-error.ts";
import { QueryLexer } from "./query-lexer.ts";
import type { Key, Operator, Value } from "./query-lexer.ts";

/** `level:error` is exactly error (severity numbers 17 to 20); `level>=warn` is 13 and up. Both ends are included. */
export interface SeverityTerm {
  readonly kind: "severity";
  readonly min: number;
  readonly max: number;
}

/** Numbers that can be compared. Both ends are included; an open end is infinite. */
export interface RangeTerm {
  readonly kind: "range";
  readonly key: "duration_ms";
  readonly min: number;
  readonly max: number;
}

/** A key that has a column of its own, by its one canonical name. */
export interface ColumnTerm {
  readonly kind: "column";
  readonly key: ColumnKey;
  readonly value: string;
  readonly isPrefix: boolean;
}

/** Any other key: an attribute of the record or of its resource. */
export interface AttributeTerm {
  readonly kind: "attribute";
  readonly key: string;
  readonly value: string;
  readonly isPrefix: boolean;
}

/** Words that stand together in the body (of a span: its name, status message and events). */
export interface TextTerm {
  readonly kind: "text";
  readonly text: string;
  readonly isPrefix: boolean;
}

export type Term = SeverityTerm | RangeTerm | ColumnTerm | AttributeTerm | TextTerm;

export interface Query {
  /** All must hold. Empty: everything. */
  readonly terms: readonly Term[];
}

export const COLUMN_KEYS = [
  "job_id",
  "trace_id",
  "span_id",
  "machine_id",
  "worker_id",
  "service_type",
  "service_name",
  "instance_id",
] as const;
export type ColumnKey = (typeof COLUMN_KEYS)[number];

/** Longer than any query a person writes; a pasted log line fits. Beyond it the full-text engine would only be kept busy. */
export const QUERY_CHARS_MAX = 2_000;
/** Each term costs one index look-up in every segment. */
export const QUERY_TERMS_MAX = 32;

/** Reads a query; throws QueryError and nothing else. */
export function parseQuery(text: string): Query {
  if (text.length > QUERY_CHARS_MAX) {
    throw new QueryError(
      `the query has ${text.length} characters, at most ${QUERY_CHARS_MAX} are read`,
      QUERY_CHARS_MAX,
      1,
      "search for a part of it",
    );
  }
  const lexer = new QueryLexer(text);
  const terms: Term[] = [];
  while (lexer.skipToTerm()) {
    if (terms.length === QUERY_TERMS_MAX) {
      throw new QueryError(
        `more than ${QUERY_TERMS_MAX} terms`,
        lexer.position,
        1,
        "put words that stand together into quotes: they count as one term",
      );
    }
    terms.push(readTerm(lexer));
  }
  return { terms };
}

function readTerm(lexer: QueryLexer): Term {
  const key = lexer.readKey();
  const value = lexer.readValue();
  return key === undefined ? textTerm(value) : fieldTerm(key, value);
}

const KEPT_FREE = /^-|[()]|^(?:OR|AND|NOT)$/;

function textTerm(value: Value): TextTerm {
  const kept = value.isQuoted ? null : KEPT_FREE.exec(value.text);
  if (kept !== null) throw keptFree(kept[0], value.position + kept.index);
  return wordsTerm(value);
}

/** What unicode61, the tokenizer of the bodies, takes for part of a word; everything else separates. */
const WORD_CHAR = /[\p{L}\p{N}\p{Co}]/u;

function wordsTerm(value: Value): TextTerm {
  if (WORD_CHAR.test(value.text)) return { kind: "text", text: value.text, isPrefix: value.isPrefix };
  const what =
    value.text.trim() === "" ? "there is nothing to search for here" : `"${value.text}" has no letters or digits`;
  throw new QueryError(
    what,
    value.position,
    value.length,
    "the full text is searched by words: write one, or leave this out",
  );
}

function keptFree(found: string, position: number): QueryError {
  const meaning = found === "-" ? "excluding with" : found === "AND" ? "the word" : "grouping with";
  const fix =
    found === "AND"
      ? "terms beside each other already mean AND; leave it out"
      : `to search for it as text, put it into quotes: "${found}"`;
  return new QueryError(`${meaning} ${found} is not part of the query language`, position, found.length, fix);
}

function fieldTerm(key: Key, value: Value): Term {
  if (value.text === "" && !value.isPrefix) throw emptyValue(key, value);
  if (!value.isQuoted && value.text.startsWith("'")) throw singleQuotes(key, value);
  const name = canonicalKey(key.text);
  if (name === "level") return severityTerm(key, value);
  if (name === "duration_ms") return rangeTerm(key, value);
  if (key.operator !== ":") throw notComparable(key);
  if (name === "message") return wordsTerm(value);
  const found = { value: value.text, isPrefix: value.isPrefix };
  return isColumnKey(name)
    ? { kind: "column", key: name, ...readId(name, found, value) }
    : { kind: "attribute", key: name, ...found };
}

function emptyValue(key: Key, value: Value): QueryError {
  const fix = value.isQuoted
    ? `nothing has an empty ${key.text}; leave the term out`
    : `write ${key.text}${key.operator}something without a space in between, or "${key.text}${key.operator}" in quotes to search for the text`;
  return new QueryError(
    `${key.text}${key.operator} has no value`,
    key.position,
    value.position + value.length - key.position,
    fix,
  );
}

function notComparable(key: Key): QueryError {
  return new QueryError(
    `${key.text} cannot be compared with ${key.operator}`,
    key.position,
    key.text.length + key.operator.length,
    `only level and duration_ms can; write ${key.text}:value, or put the whole into quotes to search for the text`,
  );
}

export function isColumnKey(name: string): name is ColumnKey {
  return (COLUMN_KEYS as readonly string[]).includes(name);
}

function singleQuotes(key: Key, value: Value): QueryError {
  const inner = value.text.replaceAll("'", "");
  return new QueryError(
    "single quotes are part of the value here, they do not hold it together",
    value.position,
    value.length,
    `write ${key.text}:"${inner}", or ${key.text}:"${value.text}" where the value has them`,
  );
}

const HEX_DIGITS: Partial<Record<ColumnKey, number>> = { trace_id: 32, span_id: 16 };

/** Trace and span ids are lower-case hex in the store, whatever case or UUID dashes they are pasted in. */
function readId(
  key: ColumnKey,
  found: { value: string; isPrefix: boolean },
  { position, length }: Value,
): { value: string; isPrefix: boolean } {
  const digits = HEX_DIGITS[key];
  if (digits === undefined) return found;
  const value = found.value.toLowerCase().replaceAll("-", "");
  const isWhole = found.isPrefix ? value.length <= digits : value.length === digits;
  if (isWhole && /^[0-9a-f]*$/.test(value)) return { value, isPrefix: found.isPrefix };
  throw new QueryError(
    `a ${key} is ${digits} hex digits, this is not`,
    position,
    length,
    `paste it whole, or write its beginning with a star: ${key}:4bf9*`,
  );
}

function severityTerm(key: Key, value: Value): SeverityTerm {
  const level = parseLevel(value.text);
  if (level === undefined || value.isPrefix) throw unknownLevel(value);
  return { kind: "severity", ...SEVERITY_BOUNDS[key.operator](level) };
}

const SEVERITY_BOUNDS: Readonly<Record<Operator, (level: SeverityRange) => SeverityRange>> = {
  ":": (level) => level,
  ">=": ({ min }) => ({ min, max: SEVERITY_MAX }),
  ">": ({ max }) => ({ min: max + 1, max: SEVERITY_MAX }),
  "<=": ({ max }) => ({ min: 0, max }),
  "<": ({ min }) => ({ min: 0, max: min - 1 }),
};

function unknownLevel(value: Value): QueryError {
  const close = closestName(value.text.toLowerCase(), LEVEL_NAMES);
  const fix = close === undefined ? `one of ${LEVEL_NAMES.join(", ")}` : `did you mean ${close}?`;
  return new QueryError(`"${value.text}" is no level`, value.position, value.length, fix);
}

function rangeTerm(key: Key, value: Value): RangeTerm {
  const number = Number(value.text);
  if (value.text.trim() === "" || !Number.isFinite(number) || value.isPrefix) {
    throw new QueryError(
      `"${value.text}" is no number of milliseconds`,
      value.position,
      value.length,
      "write duration_ms>=1500",
    );
  }
  return { kind: "range", key: "duration_ms", ...NUMBER_BOUNDS[key.operator](number) };
}

const NUMBER_BOUNDS: Readonly<Record<Operator, (number: number) => { readonly min: number; readonly max: number }>> = {
  ":": (number) => ({ min: number, max: number }),
  ">=": (number) => ({ min: number, max: Infinity }),
  "<=": (number) => ({ min: -Infinity, max: number }),
  ">": (number) => ({ min: nextDouble(number, 1), max: Infinity }),
  "<": (number) => ({ min: -Infinity, max: nextDouble(number, -1) }),
};

/** The neighbouring double, so that an open end can be kept as a closed one. */
function nextDouble(number: number, direction: 1 | -1): number {
  if (number === 0) return direction * Number.MIN_VALUE;
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, number);
  bits.setBigInt64(0, bits.getBigInt64(0) + BigInt(number > 0 ? direction : -direction));
  return bits.getFloat64(0);
}
