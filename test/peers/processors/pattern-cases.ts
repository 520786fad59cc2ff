import * as fc from "fast-check";
import { encodeReference } from "../../wire/otlp/reference.ts";
import type { ProcessorCase } from "./contrib-collector.ts";

/** Patterns in Go's syntax, written by hand for what JavaScript reads differently, and random ones. */

const BY_HAND = [
  "(?P<x>a)|(?<y>b)",
  "\\pL+",
  "\\p{Greek}",
  "\\p{^Greek}",
  "\\PN",
  "[\\p{Lu}\\d]+",
  "\\p{Han}|\\p{Latin}",
  "[[:alpha:]]+[[:^alpha:]]",
  "[[:word:]]{3}",
  "\\w+",
  "\\s",
  "\\bé",
  "\\Ba",
  "(?i)ÉÀ",
  "(?i)ß",
  "(?i)ſ",
  "(?i)K",
  "(?s)a.b",
  "a.b",
  "(?m)^b$",
  "^b$",
  "b$",
  "b\\z",
  "\\Aa",
  "(?U)a+",
  "(?U)a+?b",
  "a{2}",
  "a{2,}b{0,1}",
  "a{,2}",
  "{",
  "]",
  "[]a]",
  "[^]a]",
  "\\Qa.b\\E",
  "\\Q.*\\E",
  "\\x{1F600}",
  "\\x41",
  "\\101",
  "\\a|\\f|\\t|\\v",
  "😀",
  "[😀-😂]",
  "^.$",
  "^..$",
  "(?i:A)b",
  "(?-i)a",
  "((a)|b)*",
  "(a|ab)(c|bcd)(d*)",
  "(a*)*",
  "(a*)+b?",
  "(|a)+",
  "()",
  "",
  "\\.",
  "\\/",
  "\\_",
  "\\-",
  "[a\\-z]",
  "[\\^a]",
  "[a-]",
  "$^",
  "^*a",
];

const atom = fc.constantFrom(
  "a",
  "b",
  "c",
  ".",
  "\\d",
  "\\w",
  "\\s",
  "\\pL",
  "[a-c]",
  "[^a]",
  "é",
  "😀",
  "\\b",
  "^",
  "$",
  "[[:upper:]]",
  "(?:)",
);
const quantifier = fc.constantFrom("", "", "", "*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{0,3}?");

const { pattern: random } = fc.letrec<{ pattern: string; piece: string }>((tie) => ({
  piece: fc
    .tuple(
      fc.oneof(
        { maxDepth: 3 },
        atom,
        tie("pattern").map((inner) => `(?:${inner})`),
        tie("pattern").map((inner) => `(${inner})`),
        tie("pattern").map((inner) => `(?i:${inner})`),
      ),
      quantifier,
    )
    .map(([inner, times]) => inner + times),
  pattern: fc
    .array(
      fc.array(tie("piece"), { minLength: 1, maxLength: 3 }).map((pieces) => pieces.join("")),
      {
        minLength: 1,
        maxLength: 2,
      },
    )
    .map((branches) => branches.join("|")),
}));

const RANDOM_PATTERNS = 120;

function quoted(text: string): string {
  return JSON.stringify(text).replaceAll("$", "$$$$");
}

/** Two for each pattern: whether the body matches, and what a group around it all catches. */
export function patternCases(seed: number): ProcessorCase[] {
  const patterns = [...BY_HAND, ...fc.sample(random, { seed, numRuns: RANDOM_PATTERNS })];
  return patterns.flatMap((pattern) => {
    const include = `include: { match_type: regexp, log_bodies: [${quoted(pattern)}] }`;
    const hit = `{ ${include}, actions: [{ key: hit, value: true, action: insert }] }`;
    const extract = `{ actions: [{ key: text, pattern: ${quoted(named(pattern))}, action: extract }] }`;
    return [hit, extract].map((yaml): ProcessorCase => ({ signal: "logs", type: "attributes", yaml }));
  });
}

/** Every group needs a name; the same name for all, and the last one counts, is one of the things to compare. */
function named(pattern: string): string {
  return `(?P<all>${pattern.replaceAll(/(?<!\\)\((?!\?)/g, "(?P<part>")})`;
}

const character = fc.constantFrom(
  "a",
  "b",
  "c",
  "A",
  "B",
  " ",
  "\n",
  "1",
  "é",
  "É",
  "ß",
  "ſ",
  "k",
  "\u212a",
  "λ",
  "漢",
  "😀",
  "😁",
  ".",
  "-",
  "]",
  "{",
  "_",
  "\t",
);
const RANDOM_TEXTS = 150;

/** One log record for each text: as its body and as the attribute `text`. */
export function patternRequest(seed: number): Uint8Array {
  const texts = fc.sample(fc.string({ unit: character, maxLength: 8 }), { seed, numRuns: RANDOM_TEXTS });
  const logRecords = texts.map((text) => ({
    severityNumber: 9,
    body: { stringValue: text },
    attributes: [{ key: "text", value: { stringValue: text } }],
  }));
  return encodeReference("logs", { resourceLogs: [{ scopeLogs: [{ logRecords }] }] });
}
