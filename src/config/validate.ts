import { z } from "zod";
import { fittingBranches, plainPath, problemsOf } from "./issues.ts";
import type { BlockPlace } from "./issues.ts";
import { isNull, placeAt, toLiteral, toPlain } from "./located.ts";
import type { Located } from "./located.ts";
import { nearestName } from "./nearest.ts";
import { formatPath } from "./problem.ts";
import type { Path, Problem } from "./problem.ts";
import { keysAt, notesAt, schemaAt } from "./schema-walk.ts";

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

// Each pass mends all it can see; a value that only shows after another was mended needs one more. Real files need two.
const PASSES_MAX = 8;

/**
 * Validates one block of the YAML with its schema.
 *
 * Three things that YAML and the environment do are mended here, so that schemas need not know of them: a key without a
 * value counts as absent; a value from a variable that a field wants as text is given as it was written (`012` stays
 * "012"); and unknown keys are reported and set aside, so that they hide nothing else. The schema is asked again after
 * each mending.
 */
export function validate<C>(settings: ValidateSettings<C>): Validated<C> {
  const attempt = new Attempt(settings);
  const warnings = settingWarnings(settings);
  for (let pass = 1; ; pass++) {
    const result = settings.schema.safeParse(attempt.plain);
    if (result.success && attempt.unknownKeys.length === 0) return { value: result.data, problems: [], warnings };
    const issues = result.success ? [] : result.error.issues;
    const isMended = pass < PASSES_MAX && attempt.mend(issues);
    if (!isMended) return { problems: [...attempt.unknownKeys, ...attempt.problems(issues)], warnings };
  }
}

/** The plain value that the schema is asked about, and what was mended in it. */
class Attempt {
  readonly plain: unknown;
  readonly unknownKeys: Problem[] = [];
  readonly #block: BlockPlace;
  /** Paths that an unknown key was probably meant to be: those are not missing as well. */
  readonly #meant = new Set<string>();

  constructor(block: BlockPlace) {
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

  problems(issues: readonly Issue[]): Problem[] {
    const isMeant = (path: Path): boolean => this.#meant.has(formatPath(path)) && this.#valueAt(path) === undefined;
    return issues.flatMap((issue) => problemsOf(issue, this.#block, isMeant));
  }

  #mendIssue(issue: Issue): boolean {
    if (issue.code === "unrecognized_keys") return this.#setAside(issue);
    if (issue.code === "invalid_union") return this.#mendUnion(issue);
    return (issue.code === "invalid_type" || issue.code === "invalid_value") && this.#mendValue(issue.path);
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
    if (!isContainer(parent)) return false;
    this.unknownKeys.push(...problemsOf(issue, this.#block));
    const path = plainPath(issue.path);
    const known = keysAt(schemaAt(this.#block.schema, path).layers);
    for (const key of issue.keys) {
      Reflect.deleteProperty(parent, key);
      const nearest = nearestName(key, known);
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
