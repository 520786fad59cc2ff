import { brokenNode, listNode, mapNode, scalarNode } from "./located.ts";
import type { ExactNumber, Expansion, Located, LocatedEntry, LocatedScalar } from "./located.ts";
import type { SourceFile } from "./line-table.ts";
import { nestKeys } from "./merge.ts";
import { didYouMean } from "./nearest.ts";
import { formatPath } from "./problem.ts";
import type { Path, PathSegment, Problem } from "./problem.ts";
import { splitScheme } from "./schemes.ts";
import type { Scheme, Schemes } from "./schemes.ts";
import { parseTemplate, splitDefault, templateParts } from "./template.ts";
import type { Expression, TemplatePart } from "./template.ts";
import { NODE_COUNT_MAX, parseYaml, parseYamlValue } from "./yaml.ts";

/** The Collector's bound, for one value of the file with all that its variables refer to in turn. */
export const EXPANSIONS_MAX = 100;

export interface Expanded {
  readonly root: Located;
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
}

/** Replaces every `${...}` of a tree. What cannot be replaced becomes null, with a problem. */
export function expand(root: Located, schemes: Schemes): Expanded {
  const expander = new Expander(schemes);
  return { root: expander.node(root, []), problems: expander.problems, warnings: expander.warnings };
}

/**
 * Characters that variables and files may give in sum, each counted as often as it is read. The largest real one is a
 * certificate of some kilobytes; without the bound a file of a megabyte could ask for gigabytes.
 */
export const VALUE_LENGTH_MAX = 4 * 1024 * 1024;

/** One value of the file while it is being expanded. */
interface Task {
  readonly node: LocatedScalar;
  readonly path: Path;
  /** What stands in the file, for messages. */
  readonly written: string;
  /** The names that led here, to find a circle. */
  readonly trail: readonly string[];
  readonly budget: { left: number };
  /** Expressions that stood for nothing. */
  readonly empty: string[];
}

/** Leaves the recursion of one value; its message goes to the problems. */
class ExpansionError extends Error {
  readonly fix: string | undefined;
  constructor(message: string, fix?: string) {
    super(message);
    this.fix = fix;
  }
}

const TOO_DEEP = new ExpansionError(
  "found expressions that are nested too deeply",
  'nest fewer, or write "$${" for the characters themselves',
);

interface RetrievedValue {
  /** For the trail. */
  readonly name: string;
  /** Absent where a variable is not set. */
  readonly text?: string;
  /** The file that the text is from. */
  readonly file?: string;
  readonly isEmptyDefault?: boolean;
}

class Expander {
  readonly problems: Problem[] = [];
  readonly warnings: Problem[] = [];
  readonly #schemes: Schemes;
  // Nodes that came out of variables: each alone is bounded by the parser, this bounds their sum.
  #valueNodesLeft = NODE_COUNT_MAX;
  #valueLengthLeft = VALUE_LENGTH_MAX;

  constructor(schemes: Schemes) {
    this.#schemes = schemes;
  }

  node(node: Located, path: Path): Located {
    return this.#children(
      node,
      (child, segment) => this.node(child, [...path, segment]),
      (scalar) => this.#fileScalar(scalar, path),
    );
  }

  #children(
    node: Located,
    child: (node: Located, segment: PathSegment) => Located,
    scalar: (node: LocatedScalar) => Located,
    expansion?: Expansion,
  ): Located {
    if (node.kind === "scalar") return scalar(node);
    if (node.kind === "list") return listNode(node.items.map(child), node.position, expansion);
    const entries = new Map<string, LocatedEntry>();
    for (const [key, entry] of node.entries) entries.set(key, { ...entry, node: child(entry.node, key) });
    return mapNode(entries, node.position, expansion);
  }

  /** `trail` has the files that led to the one that the value stands in. */
  #fileScalar(node: LocatedScalar, path: Path, trail: readonly string[] = []): Located {
    if (typeof node.value !== "string" || !node.value.includes("$")) return node;
    const template = parseTemplate(node.value);
    if (template === undefined) return this.#fail(node, path, TOO_DEEP);
    const { parts, isUnclosed } = template;
    if (isUnclosed) this.#warnUnclosed(node, path);
    if (parts.every((part) => typeof part === "string")) return scalarNode(parts.join(""), node.position);
    const budget = { left: EXPANSIONS_MAX };
    const task: Task = { node, path, written: displayOf(parts), trail, budget, empty: [] };
    try {
      return this.#value(parts, task);
    } catch (error) {
      if (!(error instanceof ExpansionError)) throw error;
      return this.#fail(node, path, error);
    }
  }

  #fail(node: LocatedScalar, path: Path, { message, fix }: ExpansionError): Located {
    this.problems.push({ position: node.position, path: formatPath(path), message, ...(fix !== undefined && { fix }) });
    return brokenNode(node.position);
  }

  /** A value that is one expression takes the type of what it stands for; anything else is a string. */
  #value(parts: readonly TemplatePart[], task: Task): Located {
    const [first] = parts;
    if (parts.length === 1 && first !== undefined && typeof first !== "string") return this.#typed(first, task);
    return this.#scalar(this.#join(parts, task), undefined, task);
  }

  #typed(expression: Expression, task: Task): Located {
    const { text, name, file, isEmptyDefault } = this.#retrieve(expression, task);
    const inner: Task = { ...task, trail: [...task.trail, name] };
    if (text === undefined) return this.#scalar(null, "", inner);
    // `:-` with nothing behind it asks for an empty text, and not for nothing.
    if (isEmptyDefault === true) return this.#scalar("", "", inner);
    const parsed =
      file === undefined ? parseYamlValue(text, task.node.position) : this.#parseFile({ name: file, text }, task);
    const isText = parsed === undefined || (parsed.kind === "scalar" && typeof parsed.value === "string");
    if (isText) return this.#value(templateParts(text), inner);
    if (parsed.kind === "scalar") return this.#scalar(parsed.value, text, inner, parsed.exact);
    return file === undefined ? this.#tree(parsed, text, inner) : this.#included(parsed, text, inner);
  }

  /** As YAML, or undefined where it is none: then it is a text, as in the Collector, which is worth a word where it has lines. */
  #parseFile(file: SourceFile, task: Task): Located | undefined {
    const { root, problems } = parseYaml(file);
    const [first] = problems;
    if (first === undefined) return root ?? scalarNode(null, task.node.position);
    if (file.text.trimEnd().includes("\n")) {
      const message = `${first.message}; the file is taken as a text`;
      this.warnings.push({ ...first, path: formatPath(task.path), message });
    }
    return undefined;
  }

  /** What a file holds is configuration like any other: with its own places, and each value with a budget of its own. */
  #included(node: Located, text: string, task: Task): Located {
    this.#countNodes(node);
    if (task.trail.length > EXPANSIONS_MAX) throw tooManyExpressions();
    const walk = (child: Located, path: Path): Located =>
      this.#children(
        child,
        (inner, segment) => walk(inner, [...path, segment]),
        (scalar) => this.#fileScalar(scalar, path, task.trail),
      );
    return { ...walk(nestKeys(node), task.path), expansion: this.#expansion(text, task) };
  }

  #countNodes(node: Located): void {
    this.#valueNodesLeft -= node.nodeCount;
    if (this.#valueNodesLeft < 0)
      throw new ExpansionError(`the values of expressions hold more than ${NODE_COUNT_MAX} YAML values`);
  }

  /** A map or list that stood in a variable: all of it counts as coming from there. */
  #tree(node: Located, text: string, task: Task): Located {
    this.#countNodes(node);
    const inner = { written: task.written, empty: task.empty };
    const walk = (child: Located): Located =>
      this.#children(child, walk, (scalar) => this.#treeScalar(scalar, task), inner);
    return { ...walk(node), expansion: { ...inner, text } };
  }

  #treeScalar(scalar: LocatedScalar, task: Task): Located {
    if (typeof scalar.value !== "string")
      return this.#scalar(scalar.value, String(scalar.value ?? ""), task, scalar.exact);
    return this.#value(templateParts(scalar.value), task);
  }

  #join(parts: readonly TemplatePart[], task: Task): string {
    return parts.map((part) => (typeof part === "string" ? part : this.#text(part, task))).join("");
  }

  /** An expression inside a longer string: its text is inlined as written. */
  #text(expression: Expression, task: Task): string {
    const { text = "", name } = this.#retrieve(expression, task);
    return this.#join(templateParts(text), { ...task, trail: [...task.trail, name] });
  }

  #retrieve(expression: Expression, task: Task): RetrievedValue {
    if (--task.budget.left < 0) throw tooManyExpressions();
    const { reference, fallback } = this.#splitDefault(expression);
    const { scheme, locator } = splitScheme(this.#raw(reference, task));
    const name = `${scheme}:${locator}`;
    const shown = shownTo(expression, task);
    if (task.trail.includes(name)) throw circle(shown);
    const found = this.#scheme(scheme, shown);
    if (locator.includes("$"))
      throw new ExpansionError(`found a "$" inside ${shown}`, "write it without a dollar sign");
    const retrieved = found.retrieve(locator);
    if (retrieved.state === "invalid") throw new ExpansionError(`found ${shown}, ${retrieved.message}`, retrieved.fix);
    if (retrieved.state === "unset") return this.#fallback(fallback, name, shown, task);
    if (retrieved.text === "") task.empty.push(shown);
    const text = this.#counted(retrieved.text);
    // A path that came out of a variable stays out of messages.
    const isWritten = reference.every((part) => typeof part === "string") && task.trail.length === 0;
    return { name, text, ...(retrieved.state === "file" && { file: isWritten ? locator : shown }) };
  }

  #splitDefault({ content }: Expression): ReturnType<typeof splitDefault> {
    const [first] = content;
    const scheme = typeof first === "string" ? splitScheme(first).scheme : "env";
    return this.#schemes.get(scheme)?.takesDefault === false ? { reference: content } : splitDefault(content);
  }

  #fallback(parts: readonly TemplatePart[] | undefined, name: string, shown: string, task: Task): RetrievedValue {
    if (parts === undefined) this.#warnUnset(shown, task);
    const text = parts === undefined ? undefined : this.#counted(this.#raw(parts, task));
    if ((text ?? "") === "") task.empty.push(shown);
    return { name, ...(text !== undefined && { text, isEmptyDefault: text === "" }) };
  }

  #counted(text: string): string {
    this.#valueLengthLeft -= text.length;
    if (this.#valueLengthLeft >= 0) return text;
    throw new ExpansionError(`the values of expressions have more than ${VALUE_LENGTH_MAX} characters in sum`);
  }

  /** Text that is still to be read as a template: what expressions gave is escaped, so that it is read as it is. */
  #raw(parts: readonly TemplatePart[], task: Task): string {
    return parts.map((part) => (typeof part === "string" ? part : escapeDollars(this.#text(part, task)))).join("");
  }

  #scheme(name: string, shown: string): Scheme {
    const scheme = this.#schemes.get(name);
    if (scheme !== undefined) return scheme;
    const known = [...this.#schemes.keys()];
    const isInFile = shown.startsWith(`\${${name}:`);
    const fix = isInFile ? didYouMean(name, known) : undefined;
    throw new ExpansionError(
      isInFile
        ? `found an expression with the unknown scheme "${name}", expected ${known.join(", ")}`
        : `found an expression with an unknown scheme in the value of ${shown}, expected ${known.join(", ")}`,
      fix ?? 'write ${env:NAME}, or "$${" for the characters themselves',
    );
  }

  #warnUnclosed({ position }: LocatedScalar, path: Path): void {
    const message = 'found "${" without its "}"; it stands for itself';
    const fix = 'close it, or write "$${" for the characters themselves';
    this.warnings.push({ position, path: formatPath(path), message, fix });
  }

  #warnUnset(shown: string, task: Task): void {
    const message = `references unset environment variable ${shown}; it stands for nothing`;
    const fix = `set it, or write a default: ${shown.replace(/\}$/, ":-default}")}`;
    this.warnings.push({ position: task.node.position, path: formatPath(task.path), message, fix });
  }

  /** `text` is left out where the value is the text itself. */
  #scalar(value: LocatedScalar["value"], text: string | undefined, task: Task, exact?: ExactNumber): LocatedScalar {
    return scalarNode(value, task.node.position, this.#expansion(text ?? String(value ?? ""), task), exact);
  }

  #expansion(text: string, task: Task): Expansion {
    return { written: task.written, text, empty: task.empty };
  }
}

function escapeDollars(text: string): string {
  return text.replaceAll("$", "$$$$");
}

function circle(shown: string): ExpansionError {
  return new ExpansionError(`found variables that refer to each other in a circle, at ${shown}`, "break the circle");
}

function tooManyExpressions(): ExpansionError {
  return new ExpansionError(`found more than ${EXPANSIONS_MAX} expressions in one value`, "refer to fewer variables");
}

/** What stands in the file, with defaults left out: a default may be a secret in a secret's place. */
function displayOf(parts: readonly TemplatePart[]): string {
  return parts.map((part) => (typeof part === "string" ? part : displayExpression(part))).join("");
}

function displayExpression({ content }: Expression): string {
  return `\${${displayOf(splitDefault(content).reference)}}`;
}

/** An expression that stands in a variable's value is part of that value: what stands in the file is shown in its place. */
function shownTo(expression: Expression, task: Task): string {
  return task.trail.length === 0 ? displayExpression(expression) : task.written;
}
