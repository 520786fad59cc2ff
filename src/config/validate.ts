import { z } from "zod";
import { fittingBranches, plainPath, problemsOf, thrownProblem } from "./issues.ts";
import type { BlockPlace } from "./issues.ts";
import { isNull, placeAt, toLiteral, toPlain } from "./located.ts";
import type { Located } from "./located.ts";
import { closestName } from "../core/closest-name.ts";
import { probesFor } from "./probes.ts";
import { formatPath } from "./problem.ts";
import type { Path, Problem } from "./problem.ts";
import { keysAt, layersOf, notesAt, schemaAt } from "./schema-walk.ts";

export interface Validated<C> {
  /** Absent where there are problems. */
  readonly value?: C;
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
}

export interface ValidateSettings<C> extends BlockPlace {
  readonly schema: z.ZodType<C>;
}

type Issue = z.core.$ZodIssue;

// Each pass shows what the one before hid: blocks nest a handful deep, and each level takes one or two.
const PASSES_MAX = 16;

// Each broken value is tried with some twenty others, so this bounds what a file full of faults costs.
const PROBED_MAX = 16;

/**
 * Validates one block of the YAML with its schema.
 *
 * Four things that YAML and the environment do are mended here, so that schemas need not know of them: a key without a
 * value counts as absent; a text where texts are listed is a list; a value from a variable that a field wants as text is given as it was written (`012` stays
 * "012"); and unknown keys are reported and set aside, so that they hide nothing else. Broken values are set aside
 * likewise once they are reported, because zod asks a check over several keys only when the keys themselves are right.
 * The schema is asked again after each mending.
 */
export function validate<C>(settings: ValidateSettings<C>): Validated<C> {
  const attempt = new Attempt(settings);
  const warnings = settingWarnings(settings);
  for (let pass = 1; ; pass++) {
    const answer = ask(settings.schema, attempt.plain);
    if ("thrown" in answer) return { problems: attempt.endWith(answer.thrown, settings), warnings };
    if ("value" in answer && attempt.found.length === 0) return { value: answer.value, problems: [], warnings };
    const issues = "issues" in answer ? answer.issues : [];
    const isMended = pass < PASSES_MAX && attempt.mend(issues);
    if (isMended) continue;
    attempt.note(issues);
    if (pass >= PASSES_MAX || !attempt.setAsideBroken(issues)) return { problems: attempt.found, warnings };
  }
}

type Answer<C> = { readonly value: C } | { readonly issues: readonly Issue[] } | { readonly thrown: unknown };

/** A check of a user's own may throw where it should refuse; that is a problem of this block alone. */
function ask<C>(schema: z.ZodType<C>, plain: unknown): Answer<C> {
  try {
    const result = schema.safeParse(plain);
    return result.success ? { value: result.data } : { issues: result.error.issues };
  } catch (thrown) {
    return { thrown };
  }
}

/** The plain value that the schema is asked about, and what was mended in it. */
class Attempt {
  readonly plain: unknown;
  readonly found: Problem[] = [];
  readonly #block: ValidateSettings<unknown>;
  /** Paths that an unknown key was probably meant to be: those are not missing as well. */
  readonly #meant = new Set<string>();
  /** Broken values that were taken out, so that their defaults stand there. */
  readonly #setAsidePaths: Path[] = [];

  constructor(block: ValidateSettings<unknown>) {
    this.#block = block;
    this.plain = isNull(block.root) ? {} : toPlain(block.root);
    this.#keepLiterals(block.root, []);
  }

  /** Where the schema wants a literal, numbers are given as they were written. */
  #keepLiterals(node: Located, path: Path): void {
    if (node.kind === "scalar") return;
    const children = node.kind === "list" ? node.items.entries() : node.entries;
    for (const [segment, child] of children) {
      const inner = "node" in child ? child.node : child;
      const at = [...path, segment];
      const parent = this.#valueAt(path);
      if (notesAt(schemaAt(this.#block.schema, at).layers).literal !== true) this.#keepLiterals(inner, at);
      else if (isContainer(parent)) Reflect.set(parent, segment, toLiteral(inner));
    }
  }

  /** True if anything changed, so that the schema should be asked again. */
  mend(issues: readonly Issue[]): boolean {
    return issues.map((issue) => this.#mendIssue(issue)).includes(true);
  }

  /** Keeps what is new, and is not of a stand-in's making. */
  note(issues: readonly Issue[]): void {
    const known = new Set(this.found.map(identity));
    const fresh = this.#problems(issues).filter((problem) => !known.has(identity(problem)));
    this.found.push(...(fresh.length === 0 ? fresh : this.#withoutFollowUps(fresh, issues)));
  }

  /** What broke off the validation, unless it was a default in a place where something else was written. */
  endWith(thrown: unknown, settings: ValidateSettings<unknown>): Problem[] {
    if (this.#setAsidePaths.length > 0) return this.found;
    const problem = thrownProblem(thrown, settings);
    const keys = keysAlone(settings.schema);
    const others = keys === undefined ? this.found : validate({ ...settings, schema: keys }).problems;
    return [...others.filter((other) => identity(other) !== identity(problem)), problem];
  }

  /** Takes out what is broken, itself where that is possible, else the list or block around it; true if anything was. */
  setAsideBroken(issues: readonly Issue[]): boolean {
    const paths = issues.map(({ path }) => plainPath(path));
    if (paths.map((path) => this.#takeOut(path)).includes(true)) return true;
    return paths.map((path) => this.#takeOutAround(path)).includes(true);
  }

  #takeOut(path: Path): boolean {
    const key = path.at(-1);
    const parent = this.#valueAt(path.slice(0, -1));
    // Without one of its items a list would count its others differently.
    if (key === undefined || !isContainer(parent) || Array.isArray(parent) || !Object.hasOwn(parent, key)) return false;
    this.#setAsidePaths.push(path);
    return Reflect.deleteProperty(parent, key);
  }

  #takeOutAround(path: Path): boolean {
    for (let length = path.length - 1; length > 0; length--) {
      if (this.#takeOut(path.slice(0, length))) return true;
    }
    return false;
  }

  #problems(issues: readonly Issue[]): Problem[] {
    const isSettled = (path: Path): boolean => this.#isStoodIn(path) || this.#isMeant(path);
    return issues
      .filter(({ path }) => !this.#isStoodIn(plainPath(path)))
      .flatMap((issue) => problemsOf(issue, this.#block, isSettled));
  }

  #isMeant(path: Path): boolean {
    return this.#meant.has(formatPath(path)) && this.#valueAt(path) === undefined;
  }

  #isStoodIn(path: Path): boolean {
    return this.#setAsidePaths.some((outer) => outer.every((segment, index) => path[index] === segment));
  }

  /** Drops what only the default of a broken value brought about: it goes away with another value in that place. */
  #withoutFollowUps(fresh: readonly Problem[], issues: readonly Issue[]): readonly Problem[] {
    const now = new Set(this.#problems(issues).map(identity));
    let kept = fresh;
    for (const path of this.#setAsidePaths.slice(0, PROBED_MAX)) {
      for (const probe of probesFor(schemaAt(this.#block.schema, path).layers)) {
        const then = this.#identitiesWith(path, probe);
        // A value that brings problems of its own may hide others, and tells nothing.
        if (then === undefined || [...then].some((problem) => !now.has(problem))) continue;
        kept = kept.filter((problem) => then.has(identity(problem)));
      }
    }
    return kept;
  }

  /** The problems that there are with this value in the place of a broken one; undefined where it does not fit either. */
  #identitiesWith(path: Path, probe: unknown): Set<string> | undefined {
    const key = path.at(-1);
    const parent = this.#valueAt(path.slice(0, -1));
    if (key === undefined || !isContainer(parent)) return undefined;
    Reflect.set(parent, key, structuredClone(probe));
    const answer = ask(this.#block.schema, this.plain);
    Reflect.deleteProperty(parent, key);
    if ("thrown" in answer) return undefined;
    const issues = "issues" in answer ? answer.issues : [];
    const isRefused = issues.some((issue) => path.every((segment, index) => issue.path[index] === segment));
    return isRefused ? undefined : new Set(this.#problems(issues).map(identity));
  }

  #mendIssue(issue: Issue): boolean {
    if (issue.code === "unrecognized_keys") return this.#setAside(issue);
    if (issue.code === "invalid_union") return this.#mendUnion(issue);
    if (issue.code === "invalid_type" && issue.expected === "array" && this.#mendList(issue.path)) return true;
    return (issue.code === "invalid_type" || issue.code === "invalid_value") && this.#mendValue(issue.path);
  }

  /** `allowed_origins: "*"`: where texts are listed a text is read as the Collector reads it, with commas between its parts. */
  #mendList(issuePath: readonly PropertyKey[]): boolean {
    const path = plainPath(issuePath);
    const key = path.at(-1);
    const parent = this.#valueAt(path.slice(0, -1));
    const value = this.#valueAt(path);
    if (key === undefined || !isContainer(parent) || typeof value !== "string" || !this.#listsTexts(path)) return false;
    return Reflect.set(parent, key, value === "" ? [] : value.split(","));
  }

  #listsTexts(path: Path): boolean {
    const lists = schemaAt(this.#block.schema, path).layers.filter((layer) => layer instanceof z.ZodArray);
    const items = lists.flatMap(({ element }) => layersOf(element));
    return items.some((layer) => layer instanceof z.ZodString || layer instanceof z.ZodEnum);
  }

  /** Unknown keys stay where more than one branch comes into question: another one may know them. */
  #mendUnion(issue: Extract<Issue, { code: "invalid_union" }>): boolean {
    const isOpen = fittingBranches(issue).length !== 1;
    const inner = issue.errors.flat().filter(({ code }) => code !== "unrecognized_keys" || !isOpen);
    const isMended = inner
      .map((branch) => this.#mendIssue({ ...branch, path: [...issue.path, ...branch.path] }))
      .includes(true);
    return this.#mendValue(issue.path) || isMended;
  }

  #setAside(issue: Extract<Issue, { code: "unrecognized_keys" }>): boolean {
    const parent = this.#valueAt(issue.path);
    if (!isContainer(parent) || !issue.keys.some((key) => Object.hasOwn(parent, key))) return false;
    this.found.push(...problemsOf(issue, this.#block));
    const path = plainPath(issue.path);
    const known = keysAt(schemaAt(this.#block.schema, path).layers);
    for (const key of issue.keys) {
      Reflect.deleteProperty(parent, key);
      const nearest = closestName(key, known);
      if (nearest !== undefined) this.#meant.add(formatPath([...path, nearest]));
    }
    return true;
  }

  /** A value from a variable becomes the text it was; a key without a value becomes an absent one. */
  #mendValue(issuePath: readonly PropertyKey[]): boolean {
    const path = plainPath(issuePath);
    const key = path.at(-1);
    const parent = this.#valueAt(path.slice(0, -1));
    if (key === undefined || !isContainer(parent)) return false;
    const value = Reflect.get(parent, key);
    const text = placeAt(this.#block.root, this.#block.position, path).node?.expansion?.text;
    const isNothing = value === null && ((text ?? "") === "" || !this.#isText(path));
    if (isNothing && this.#hasSetting(path)) return Reflect.deleteProperty(parent, key);
    if (text === undefined || value === undefined || typeof value === "string") return false;
    return Reflect.set(parent, key, text);
  }

  /** The setting is what was written, and nothing that is read out of it: `null` from a variable is four letters there. */
  #isText(path: Path): boolean {
    const { layers } = schemaAt(this.#block.schema, path);
    return layers.some((layer) => layer instanceof z.ZodString) && notesAt(layers).print === undefined;
  }

  /** The key is one that the schema names, so that it has a default or is missed; in a map of anything it has neither. */
  #hasSetting(path: Path): boolean {
    const key = path.at(-1);
    return typeof key === "string" && keysAt(schemaAt(this.#block.schema, path.slice(0, -1)).layers).includes(key);
  }

  #valueAt(path: readonly PropertyKey[]): unknown {
    let value = this.plain;
    for (const segment of path)
      value = isContainer(value) && Object.hasOwn(value, segment) ? Reflect.get(value, segment) : undefined;
    return value;
  }
}

/** The schema without what it does over all its keys; absent where that is nothing. */
function keysAlone(schema: z.ZodType): z.ZodType | undefined {
  const object = schemaAt(schema, []).layers.find((layer) => layer instanceof z.ZodObject);
  const isAlone = object === schema && (object.def.checks ?? []).length === 0;
  return object === undefined || isAlone ? undefined : z.strictObject(object.shape);
}

function identity({ path, message }: Problem): string {
  return `${path}\n${message}`;
}

function isContainer(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** A warning for every key that is set and whose schema has one (notes.ts). */
function settingWarnings(block: BlockPlace): Problem[] {
  const warnings: Problem[] = [];
  const visit = (node: Located, path: Path): void => {
    if (node.kind === "list") node.items.forEach((item, index) => visit(item, [...path, index]));
    if (node.kind !== "map") return;
    for (const [key, entry] of node.entries) {
      if (isNull(entry.node)) continue;
      const { warning } = notesAt(schemaAt(block.schema, [...path, key]).layers);
      if (warning === undefined) visit(entry.node, [...path, key]);
      else
        warnings.push({
          position: entry.keyPosition,
          path: formatPath([...block.path, ...path, key]),
          message: warning,
        });
    }
  };
  visit(block.root, []);
  return warnings;
}
