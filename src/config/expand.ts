import { brokenNode, listNode, mapNode, scalarNode } from "./located.ts";
import type { ExactNumber, Expansion, Located, LocatedEntry, LocatedScalar } from "./located.ts";
import { didYouMean } from "./nearest.ts";
import { formatPath } from "./problem.ts";
import type { Path, PathSegment, Problem } from "./problem.ts";
import { splitScheme } from "./schemes.ts";
import type { Scheme, Schemes } from "./schemes.ts";
import { parseTemplate, splitDefault } from "./template.ts";
import type { Expression, TemplatePart } from "./template.ts";
import { NODE_COUNT_MAX, parseYamlValue } from "./yaml.ts";

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
 * Characters that variables may give in sum, a variable counted as often as it is read. The largest real one is a
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

const UNCLOSED = new ExpansionError(
  'found "${" without its "}"',
  'close it, or write "$${" for the characters themselves',
);

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

  #fileScalar(node: LocatedScalar, path: Path): Located {
    if (typeof node.value !== "string" || !node.value.includes("$")) return node;
    const parts = parseTemplate(node.value);
    if (parts === undefined) return this.#fail(node, path, UNCLOSED);
    if (parts.every((part) => typeof part === "string")) return scalarNode(parts.join(""), node.position);
    const budget = { left: EXPANSIONS_MAX };
    const task: Task = { node, path, written: displayOf(parts), trail: [], budget, empty: [] };
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
    const { text, name } = this.#retrieve(expression, task);
    const inner: Task = { ...task, trail: [...task.trail, name] };
    if (text === undefined) return this.#scalar(null, "", inner);
    const parsed = parseYamlValue(text, task.node.position);
    const isText = parsed === undefined || (parsed.kind === "scalar" && typeof parsed.value === "string");
    if (isText) return this.#value(parseTemplate(text) ?? [text], inner);
    if (parsed.kind === "scalar") return this.#scalar(parsed.value, text, inner, parsed.exact);
    return this.#tree(parsed, text, inner);
  }

  /** A map or list that stood in a variable: all of it counts as coming from there. */
  #tree(node: Located, text: string, task: Task): Located {
    this.#valueNodesLeft -= node.nodeCount;
    if (this.#valueNodesLeft < 0)
      throw new ExpansionError(`the values of variables hold more than ${NODE_COUNT_MAX} YAML values`);
    const inner = { written: task.written, empty: task.empty };
    const walk = (child: Located): Located =>
      this.#children(child, walk, (scalar) => this.#treeScalar(scalar, task), inner);
    return { ...walk(node), expansion: { ...inner, text } };
  }

  #treeScalar(scalar: LocatedScalar, task: Task): Located {
    if (typeof scalar.value !== "string")
      return this.#scalar(scalar.value, String(scalar.value ?? ""), task, scalar.exact);
    return this.#value(parseTemplate(scalar.value) ?? [scalar.value], task);
  }

  #join(parts: readonly TemplatePart[], task: Task): string {
    return parts.map((part) => (typeof part === "string" ? part : this.#text(part, task))).join("");
  }

  /** An expression inside a longer string: its text is inlined as written. */
  #text(expression: Expression, task: Task): string {
    const { text = "", name } = this.#retrieve(expression, task);
    return this.#join(parseTemplate(text) ?? [text], { ...task, trail: [...task.trail, name] });
  }

  #retrieve(expression: Expression, task: Task): { readonly text?: string; readonly name: string } {
    if (--task.budget.left < 0) throw tooManyExpressions();
    const { reference, fallback } = splitDefault(expression.content);
    const { scheme, locator } = splitScheme(this.#raw(reference, task));
    const name = `${scheme}:${locator}`;
    const shown = shownTo(expression, task);
    if (task.trail.includes(name)) throw circle(shown);
    const retrieved = this.#scheme(scheme, shown).retrieve(locator);
    if (retrieved.state === "invalid") throw new ExpansionError(retrieved.message, retrieved.fix);
    const isUnset = retrieved.state === "unset" && fallback === undefined;
    if (isUnset) this.#warnUnset(shown, task);
    if (isUnset || (retrieved.state === "found" && retrieved.text === "")) task.empty.push(shown);
    if (retrieved.state === "unset" && fallback === undefined) return { name };
    return {
      name,
      text: this.#counted(retrieved.state === "found" ? retrieved.text : this.#raw(fallback ?? [], task)),
    };
  }

  #counted(text: string): string {
    this.#valueLengthLeft -= text.length;
    if (this.#valueLengthLeft >= 0) return text;
    throw new ExpansionError(`the values of variables have more than ${VALUE_LENGTH_MAX} characters in sum`);
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
