import { listNode, mapNode, scalarNode } from "./located.ts";
import type { Expansion, Located, LocatedEntry, LocatedScalar } from "./located.ts";
import { didYouMean } from "./nearest.ts";
import { formatPath } from "./problem.ts";
import type { Path, PathSegment, Problem } from "./problem.ts";
import { splitScheme } from "./schemes.ts";
import type { Scheme, Schemes } from "./schemes.ts";
import { parseTemplate } from "./template.ts";
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

class Expander {
  readonly problems: Problem[] = [];
  readonly warnings: Problem[] = [];
  readonly #schemes: Schemes;
  // Nodes that came out of variables: each alone is bounded by the parser, this bounds their sum.
  #valueNodesLeft = NODE_COUNT_MAX;

  constructor(schemes: Schemes) {
    this.#schemes = schemes;
  }

  node(node: Located, path: Path): Located {
    return this.#children(
      node,
      path,
      (child, segment) => this.node(child, [...path, segment]),
      (scalar) => this.#fileScalar(scalar, path),
    );
  }

  #children(
    node: Located,
    path: Path,
    child: (node: Located, segment: PathSegment) => Located,
    scalar: (node: LocatedScalar) => Located,
    expansion?: Expansion,
  ): Located {
    if (node.kind === "scalar") return scalar(node);
    if (node.kind === "list")
      return listNode(
        node.items.map((item, index) => child(item, index)),
        node.position,
        expansion,
      );
    const entries = new Map<string, LocatedEntry>();
    for (const [key, entry] of node.entries) entries.set(key, { ...entry, node: child(entry.node, key) });
    return mapNode(entries, node.position, expansion);
  }

  #fileScalar(node: LocatedScalar, path: Path): Located {
    if (typeof node.value !== "string" || !node.value.includes("$")) return node;
    const parts = parseTemplate(node.value);
    if (parts === undefined) {
      return this.#fail(
        node,
        path,
        new ExpansionError('found "${" without its "}"', 'close it, or write "$${" for the characters themselves'),
      );
    }
    if (parts.every((part) => typeof part === "string")) return scalarNode(parts.join(""), node.position);
    const task: Task = {
      node,
      path,
      written: displayOf(parts),
      trail: [],
      budget: { left: EXPANSIONS_MAX },
      empty: [],
    };
    try {
      return this.#value(parts, task);
    } catch (error) {
      if (!(error instanceof ExpansionError)) throw error;
      return this.#fail(node, path, error);
    }
  }

  #fail(node: LocatedScalar, path: Path, { message, fix }: ExpansionError): Located {
    this.problems.push({ position: node.position, path: formatPath(path), message, ...(fix !== undefined && { fix }) });
    return scalarNode(null, node.position, { written: "an expression", text: "", empty: [] });
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
    const parsed = text === undefined ? scalarNode(null, task.node.position) : parseYamlValue(text, task.node.position);
    const isText = parsed === undefined || (parsed.kind === "scalar" && typeof parsed.value === "string");
    if (isText) return this.#value(parseTemplate(text!) ?? [text!], inner);
    this.#valueNodesLeft -= parsed.nodeCount;
    if (this.#valueNodesLeft < 0)
      throw new ExpansionError(`the values of variables hold more than ${NODE_COUNT_MAX} YAML values`);
    return parsed.kind === "scalar"
      ? this.#scalar(parsed.value, text ?? "", inner)
      : this.#tree(parsed, text ?? "", inner);
  }

  /** A map or list that stood in a variable: all of it counts as coming from there. */
  #tree(node: Located, text: string, task: Task): Located {
    const walk = (child: Located): Located =>
      this.#children(child, task.path, walk, (scalar) => this.#treeScalar(scalar, task), this.#expansion(text, task));
    return walk(node);
  }

  #treeScalar(scalar: LocatedScalar, task: Task): Located {
    if (typeof scalar.value !== "string") return this.#scalar(scalar.value, String(scalar.value ?? ""), task);
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
    if (--task.budget.left < 0)
      throw new ExpansionError(
        `found more than ${EXPANSIONS_MAX} expressions in one value`,
        "refer to fewer variables",
      );
    const content = expression.content
      .map((part) => (typeof part === "string" ? part : escapeDollars(this.#text(part, task))))
      .join("");
    const { scheme, locator } = splitScheme(content);
    const retrieved = this.#scheme(scheme).retrieve(locator);
    if (retrieved.state === "invalid") throw new ExpansionError(retrieved.message, retrieved.fix);
    const name = `${scheme}:${retrieved.name}`;
    const shown = displayExpression(expression);
    if (task.trail.includes(name)) throw circle(shown);
    if (retrieved.state === "unset") this.#warnUnset(shown, task);
    if (retrieved.state === "unset" || retrieved.text === "") task.empty.push(shown);
    return retrieved.state === "unset" ? { name } : { name, text: retrieved.text };
  }

  #scheme(name: string): Scheme {
    const scheme = this.#schemes.get(name);
    if (scheme !== undefined) return scheme;
    const known = [...this.#schemes.keys()];
    const fix = didYouMean(name, known) ?? 'write ${env:NAME}, or "$${" for the characters themselves';
    throw new ExpansionError(
      `found an expression with the unknown scheme "${name}", expected ${known.join(", ")}`,
      fix,
    );
  }

  #warnUnset(shown: string, task: Task): void {
    this.warnings.push({
      position: task.node.position,
      path: formatPath(task.path),
      message: `references ${shown}, an environment variable that is not set; it stands for nothing`,
      fix: `set it, or write a default: ${shown.slice(0, -1)}:-default}`,
    });
  }

  /** `text` is left out where the value is the text itself. */
  #scalar(value: LocatedScalar["value"], text: string | undefined, task: Task): LocatedScalar {
    return scalarNode(value, task.node.position, this.#expansion(text ?? String(value ?? ""), task));
  }

  #expansion(text: string, task: Task): Expansion {
    return { written: task.written, text, empty: task.empty };
  }
}

function escapeDollars(text: string): string {
  return text.replaceAll("$", "$$$$");
}

function circle(shown: string): ExpansionError {
  return new ExpansionError(
    `found variables that refer to each other in a circle, back to ${shown}`,
    "break the circle",
  );
}

/** What stands in the file, with defaults left out: a default may be a secret in a secret's place. */
function displayOf(parts: readonly TemplatePart[]): string {
  return parts.map((part) => (typeof part === "string" ? part : displayExpression(part))).join("");
}

function displayExpression({ content, source }: Expression): string {
  const [first = ""] = content;
  if (typeof first !== "string") return source.replace(/:-[^]*/, "}");
  const mark = first.indexOf(":-");
  return mark < 0 ? source : `\${${first.slice(0, mark)}}`;
}
