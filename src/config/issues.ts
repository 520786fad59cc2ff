import type { z } from "zod";
import { describeFound, describeHidden } from "./found.ts";
import { genericFix, listValues, listWords } from "./generic-fix.ts";
import { isNull, placeAt } from "./located.ts";
import type { Located } from "./located.ts";
import { didYouMean } from "./nearest.ts";
import type { SettingNotes } from "./notes.ts";
import { formatPath, quote } from "./problem.ts";
import type { Path, PathSegment, Position, Problem } from "./problem.ts";
import { holdsSecret, keysAt, notesAt, schemaAt } from "./schema-walk.ts";

/**
 * Turns zod's issues into Problems: what was found comes from the located tree, what was expected and how to mend it
 * from the issue and from the notes of the schema at its path.
 */

type Issue = z.core.$ZodIssue;

/** What a block is validated with: its schema, its YAML and where it stands. */
export interface BlockPlace {
  readonly schema: z.core.$ZodType;
  readonly root: Located;
  /** Where the block's key stands. */
  readonly position: Position;
  /** `["exporters", "otlp_grpc/dash0"]` */
  readonly path: Path;
}

/** All that a message about one value needs. */
interface Subject {
  readonly block: BlockPlace;
  readonly path: Path;
  readonly node: Located | undefined;
  readonly position: Position;
  readonly isBroken: boolean;
  readonly notes: SettingNotes;
  readonly layers: readonly z.core.$ZodType[];
  readonly isSecret: boolean;
}

/** `isSettled` tells of a value that another message covers already. */
export function problemsOf(issue: Issue, block: BlockPlace, isSettled = (_path: Path): boolean => false): Problem[] {
  if (issue.code === "unrecognized_keys") return issue.keys.map((key) => unknownKey(subjectAt(block, issue.path), key));
  if (issue.code === "invalid_union") return unionProblems(issue, block, isSettled);
  const subject = subjectAt(block, issue.path);
  return subject.isBroken || isSettled(subject.path) ? [] : [problemOf(issue, subject)];
}

// Of an error that is none of ours.
const THROWN_LENGTH_MAX = 200;

/** A schema that throws instead of refusing: a mistake in a refine() or transform(), told where the block stands. */
export function thrownProblem(thrown: unknown, { root, position, path }: BlockPlace): Problem {
  const [line = ""] = withoutValues(String(thrown), root).split("\n");
  const type = String(path.at(-1)).split("/")[0];
  return {
    position,
    path: formatPath(path),
    message: `its schema threw: ${line.slice(0, THROWN_LENGTH_MAX)}`,
    fix: `mend the refine() or transform() in ${type}'s config`,
  };
}

function subjectAt(block: BlockPlace, issuePath: readonly PropertyKey[]): Subject {
  const path = plainPath(issuePath);
  const { layers, isSecret } = schemaAt(block.schema, path);
  const { node, position, isBroken } = placeAt(block.root, block.position, path);
  const mayHoldSecret = isSecret || layers.some((layer) => holdsSecret(layer));
  return { block, path, node, position, isBroken, notes: notesAt(layers), layers, isSecret: mayHoldSecret };
}

/** zod's paths may hold symbols, YAML's do not. */
export function plainPath(path: readonly PropertyKey[]): PathSegment[] {
  return path.map((segment) => (typeof segment === "number" ? segment : String(segment)));
}

function problem({ block, path, position }: Subject, message: string, fix: string): Problem {
  const shown = shownPath(block, path);
  return { position, path: formatPath([...block.path, ...shown]), message, fix };
}

/** Keys that came out of a variable are shown only where the schema knows them: a secret with a colon in it reads as a map. */
function shownPath({ schema, root, position }: BlockPlace, path: Path): Path {
  return path.map((segment, index) => {
    const parent = path.slice(0, index);
    const isFromVariable = placeAt(root, position, parent).node?.expansion !== undefined;
    const isKnown = typeof segment === "number" || keysAt(schemaAt(schema, parent).layers).includes(segment);
    return isFromVariable && !isKnown ? "<key>" : segment;
  });
}

function unknownKey(parent: Subject, key: string): Problem {
  const known = keysAt(parent.layers);
  const subject = { ...parent, path: [...parent.path, key], position: keyPosition(parent, key) };
  const keys = known.length === 0 ? "there are no keys here; leave it out" : `the keys are ${listWords(known)}`;
  const source = parent.node?.expansion?.written;
  if (source !== undefined) return problem(subject, `${source} holds an unknown key`, keys);
  return problem(subject, `has the unknown key ${quote(key)}`, didYouMean(key, known) ?? keys);
}

function keyPosition(parent: Subject, key: string): Position {
  const entry = parent.node?.kind === "map" ? parent.node.entries.get(key) : undefined;
  return entry?.keyPosition ?? parent.position;
}

function problemOf(issue: Exclude<Issue, { code: "unrecognized_keys" }>, subject: Subject): Problem {
  const params = issue.code === "custom" ? (issue.params as CustomParams | undefined) : undefined;
  if (issue.code === "custom" && params?.expected === undefined) {
    const message = withoutValues(issue.message, subject.block.root);
    return problem(subject, withFound(message, subject), fixFor(issue, subject, params?.fix));
  }
  const isEmpty = isEmptyText(subject.node) && (issue.code === "custom" || issue.code === "too_small");
  if (isEmpty || isMissing(subject)) return problem(subject, requires(subject), missingFix(issue, subject));
  const noted = issue.code === "invalid_type" ? subject.notes.expected : undefined;
  const expected = params?.expected ?? noted ?? expectation(issue);
  return problem(subject, `found ${foundIn(subject)}, expected ${expected}`, fixFor(issue, subject, params?.fix));
}

/** What refuse() in types.ts hands over. */
interface CustomParams {
  readonly expected?: string;
  readonly fix?: string;
}

/** A sentence of a schema's own says what should be; what is there stands behind it. */
function withFound(message: string, subject: Subject): string {
  const { node } = subject;
  const isScalar = node?.kind === "scalar" && !isNull(node);
  // A sentence that quotes the value, `unsupported action "delte"`, has said it.
  const isQuoted = isScalar && typeof node.value === "string" && message.includes(JSON.stringify(node.value));
  const isShown = isScalar && !isQuoted && !message.includes("found ");
  return isShown ? `${message}, found ${foundIn(subject)}` : message;
}

function foundIn({ node, isSecret }: Subject): string {
  return isSecret ? describeHidden(node) : describeFound(node);
}

/** A key that is absent, or stands without a value; an empty item of a list is there. */
function isMissing({ node, path }: Subject): boolean {
  return typeof path.at(-1) === "string" && (node === undefined || isNull(node));
}

function isEmptyText(node: Located | undefined): boolean {
  return node?.kind === "scalar" && node.value === "";
}

/** The Collector's words. */
function requires({ node, path }: Subject): string {
  const empty = node?.expansion?.empty ?? [];
  const reason = empty.length === 0 ? "" : `, but ${empty.join(" and ")} is not set, or empty`;
  return `requires a non-empty ${quote(String(path.at(-1)))}${reason}`;
}

function missingFix(issue: Issue, subject: Subject): string {
  const { fix } = subject.notes;
  if (issue.code === "invalid_value") return `write one of ${listValues(issue.values)}`;
  return exampleFix(subject) ?? (typeof fix === "string" ? fix : genericFix(subject.layers));
}

function fixFor(issue: Issue, subject: Subject, own: string | undefined): string {
  return writtenFix(issue, subject, own) ?? genericFix(subject.layers);
}

function writtenFix(issue: Issue, subject: Subject, own: string | undefined): string | undefined {
  const { node, notes, isSecret } = subject;
  const isShown = node?.kind === "scalar" && node.expansion === undefined && !isSecret;
  const shown = isShown ? node.value : undefined;
  if (own !== undefined) return withoutValues(own, subject.block.root);
  const noted = typeof notes.fix === "function" ? notes.fix(shown) : notes.fix;
  if (noted !== undefined) return noted;
  if (issue.code === "invalid_value")
    return typeof shown === "string" ? didYouMean(shown, issue.values.map(String)) : undefined;
  return issue.code === "invalid_type" ? typeFix(issue.expected, shown, subject) : exampleFix(subject);
}

const TRUE_WORDS = new Set(["yes", "on", "y", "true"]);
const FALSE_WORDS = new Set(["no", "off", "n", "false"]);

/** How a value that was written in one type is written in another. */
function typeFix(expected: string, shown: unknown, subject: Subject): string | undefined {
  const text = String(shown);
  if (expected === "boolean" && TRUE_WORDS.has(text.toLowerCase())) return "write true";
  if (expected === "boolean" && FALSE_WORDS.has(text.toLowerCase())) return "write false";
  if (["number", "int"].includes(expected) && typeof shown === "string" && /^-?\d+(\.\d+)?$/.test(shown))
    return `write ${shown} without quotes`;
  if (expected === "string" && (typeof shown === "number" || typeof shown === "boolean")) return `write "${text}"`;
  if (["array", "tuple"].includes(expected) && shown !== undefined && shown !== null)
    return `write it as a list: [${text}]`;
  const keys = keysAt(subject.layers);
  if (expected === "object" && keys.length > 0) return `write it as a map; the keys are ${listWords(keys)}`;
  return exampleFix(subject);
}

function exampleFix({ notes, path }: Subject): string | undefined {
  return notes.example === undefined ? undefined : `write ${String(path.at(-1))}: ${notes.example}`;
}

const TYPE_WORDS: Readonly<Record<string, string>> = {
  string: "a string",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  object: "a map",
  record: "a map",
  array: "a list",
  tuple: "a list",
  never: "nothing",
};

/** Completes "expected ..." from the issue alone. */
function expectation(issue: Issue): string {
  switch (issue.code) {
    case "invalid_type":
      return TYPE_WORDS[issue.expected] ?? `a ${issue.expected}`;
    case "invalid_value":
      return issue.values.length === 1 ? listValues(issue.values) : `one of ${listValues(issue.values)}`;
    case "too_small":
      return bound(issue.origin, issue.minimum, issue.inclusive === false ? "more than" : "at least");
    case "too_big":
      return bound(issue.origin, issue.maximum, issue.inclusive === false ? "less than" : "at most");
    case "not_multiple_of":
      return `a multiple of ${issue.divisor}`;
    case "invalid_format":
      return issue.pattern === undefined ? `a valid ${issue.format}` : `a match of ${issue.pattern}`;
    case "invalid_key":
      return issue.issues.map(expectation).join(" and ");
    case "unrecognized_keys":
    case "invalid_union":
    case "invalid_element":
    case "custom":
      return "another value";
    default:
      return issue satisfies never;
  }
}

function bound(origin: string, limit: number | bigint, words: string): string {
  if (Number(limit) >= Number.MAX_SAFE_INTEGER) return "a whole number below 2^53";
  if (origin === "string") return `${words} ${limit} characters`;
  if (origin === "array") return `${words} ${limit} entries`;
  return `${words} ${limit}`;
}

type UnionIssue = Extract<Issue, { code: "invalid_union" }>;

/** Of a union's branches, the one that the value nearly fits speaks; where none does, all are named. */
function unionProblems(issue: UnionIssue, block: BlockPlace, isSettled: (path: Path) => boolean): Problem[] {
  const subject = subjectAt(block, issue.path);
  if (subject.isBroken) return [];
  if ("options" in issue && issue.options !== undefined) {
    return [problemOf({ code: "invalid_value", values: issue.options, path: issue.path, message: "" }, subject)];
  }
  const [nearest] = fittingBranches(issue).toSorted((a, b) => a.length - b.length);
  const isAboutInside = nearest?.some((inner) => inner.path.length > 0 || inner.code === "unrecognized_keys") === true;
  if (nearest !== undefined && (isAboutInside || subject.notes.expected === undefined)) {
    return nearest.flatMap((inner) => problemsOf({ ...inner, path: [...issue.path, ...inner.path] }, block, isSettled));
  }
  const expected = subject.notes.expected ?? [...new Set(issue.errors.flat().map(expectation))].join(" or ");
  return [problemOf({ code: "custom", path: issue.path, message: "", params: { expected } }, subject)];
}

/** The branches whose type is right, so that only something inside them is wrong. */
export function fittingBranches(issue: UnionIssue): Issue[][] {
  return issue.errors.filter((branch) =>
    branch.every((inner) => inner.path.length > 0 || inner.code !== "invalid_type"),
  );
}

// Shorter texts are too likely to be ordinary words of the message.
const SCRUBBED_LENGTH_MIN = 6;

/** A component's own message may repeat a value; what came from a variable is replaced by the expression. */
function withoutValues(message: string, root: Located): string {
  let text = message;
  for (const { text: value, written } of expansionsIn(root)) {
    if (value !== undefined && value.length >= SCRUBBED_LENGTH_MIN) text = text.replaceAll(value, written);
  }
  return text;
}

function expansionsIn(node: Located): NonNullable<Located["expansion"]>[] {
  const own = node.expansion === undefined ? [] : [node.expansion];
  if (node.kind === "list") return [...own, ...node.items.flatMap(expansionsIn)];
  if (node.kind === "map")
    return [...own, ...Array.from(node.entries.values(), (entry) => expansionsIn(entry.node)).flat()];
  return own;
}
