import { isAlias, isMap, isScalar, isSeq, parseDocument } from "yaml";
import type { Alias, Document, Node, Pair, Scalar, YAMLError, YAMLMap, YAMLSeq } from "yaml";
import { Double } from "../wire/otlp/types.ts";
import { LineTable } from "./line-table.ts";
import type { SourceFile } from "./line-table.ts";
import { brokenNode, isBroken, listNode, mapNode, scalarNode } from "./located.ts";
import type { ExactNumber, Located, LocatedEntry, LocatedScalar } from "./located.ts";
import { formatPath, formatPosition, quote } from "./problem.ts";
import type { Path, Position, Problem } from "./problem.ts";

export type { SourceFile } from "./line-table.ts";

/** A configuration is a few hundred lines; more than this is the wrong file. */
export const FILE_BYTES_MAX = 1024 * 1024;
/** Aliases counted as often as they stand, so an alias bomb ends here and not in memory. */
export const NODE_COUNT_MAX = 50_000;
/** The parser itself gives up at about 800; nothing real is deeper than 20. */
export const DEPTH_MAX = 100;
// One broken line can make the parser complain about every line below it.
const SYNTAX_PROBLEMS_MAX = 20;

export interface ParsedYaml {
  /** Absent where the text is no YAML, or holds nothing. */
  readonly root?: Located;
  readonly problems: readonly Problem[];
}

/** Parses one file. Everything found wrong is in `problems`; where the text parses in spite of that, `root` is there too. */
export function parseYaml(file: SourceFile): ParsedYaml {
  const size = Buffer.byteLength(file.text);
  if (size > FILE_BYTES_MAX) {
    return { problems: [atStart(file, `the file has ${size} bytes, more than the limit of ${FILE_BYTES_MAX}`)] };
  }
  const lines = new LineTable(file);
  const locate = (offset: number): Position => lines.positionAt(offset);
  const document = parseDocument(file.text, {
    prettyErrors: false,
    logLevel: "error",
    schema: "core",
    resolveKnownTags: false,
    uniqueKeys: false, // checked below, to name both places
  });
  const faults = [...document.errors, ...document.warnings].toSorted((a, b) => a.pos[0] - b.pos[0]);
  if (faults.length > 0) return { problems: distinctLines(faults.map((fault) => syntaxProblem(fault, file, locate))) };
  return new TreeBuilder(locate, document).build();
}

/** Parses what an expression gave. undefined where it is not YAML; positions are all `position`. */
export function parseYamlValue(text: string, position: Position): Located | undefined {
  if (Buffer.byteLength(text) > FILE_BYTES_MAX) return undefined;
  const document = parseDocument(text, { prettyErrors: false, logLevel: "error", schema: "core", uniqueKeys: false });
  if (document.errors.length + document.warnings.length > 0) return undefined;
  const parsed = new TreeBuilder(() => position, document).build();
  return parsed.problems.length > 0 ? undefined : (parsed.root ?? scalarNode(null, position));
}

function atStart(file: SourceFile, message: string): Problem {
  return { position: { file: file.name, line: 1, column: 1 }, path: "", message };
}

function distinctLines(problems: readonly Problem[]): Problem[] {
  const seen = new Set<number>();
  const first = problems.filter(({ position }) => !seen.has(position.line) && seen.add(position.line));
  return first.slice(0, SYNTAX_PROBLEMS_MAX);
}

const SYNTAX_FIXES: Partial<Record<YAMLError["code"], string>> = {
  TAB_AS_INDENT: "replace the tab by spaces",
  BAD_INDENT: "check the indentation of this line, and that every bracket above it is closed",
  MULTIPLE_DOCS: 'leave out everything from the second "---" on, or put it into a file of its own',
  BLOCK_IN_FLOW: 'put a value that holds ": " into quotes',
  BAD_SCALAR_START: "put the value into quotes",
  BLOCK_AS_IMPLICIT_KEY: 'put a value that holds ": " into quotes',
  BAD_DQ_ESCAPE: "use single quotes, or double the backslash",
  MISSING_CHAR: "check the quotes and brackets around here",
  RESOURCE_EXHAUSTION: "write it with less nesting",
  TAG_RESOLVE_FAILED: "leave the tag out",
};

// A parser's message may quote the text, and the text may be a secret; these codes have messages of fixed words.
const SYNTAX_MESSAGES: Partial<Record<YAMLError["code"], string>> = {
  TAB_AS_INDENT: "found a tab in the indentation, expected spaces",
  MULTIPLE_DOCS: "found a second YAML document, expected one",
  RESOURCE_EXHAUSTION: "nested too deeply",
  TAG_RESOLVE_FAILED: "found a tag that is not known here",
  UNEXPECTED_TOKEN: "found something that cannot stand here",
  BAD_DQ_ESCAPE: "found an escape sequence that YAML does not know",
};

function syntaxProblem(fault: YAMLError, file: SourceFile, locate: (offset: number) => Position): Problem {
  const reason = SYNTAX_MESSAGES[fault.code] ?? fault.message;
  const position = locate(fault.pos[0]);
  const fix = isBareExpression(file.text, fault.pos[0]) ? EXPRESSION_FIX : SYNTAX_FIXES[fault.code];
  const message = `not valid YAML: ${reason.charAt(0).toLowerCase()}${reason.slice(1)}`;
  return { position, path: "", message, ...(fix !== undefined && { fix }) };
}

const EXPRESSION_FIX = 'put the expression into quotes: "${env:NAME}"';

/** YAML reads the brace of `[${env:NAME}]` as the start of a map; everyone falls into this once. */
function isBareExpression(text: string, offset: number): boolean {
  const lineStart = text.lastIndexOf("\n", offset - 1) + 1;
  return /[[{,:]\s*\$\{[^"']*$/.test(text.slice(lineStart, offset + 2));
}

/** Thrown inside TreeBuilder only, to leave the recursion when a bound is hit. */
class TooLarge extends Error {
  readonly problem: Problem;
  constructor(problem: Problem) {
    super(problem.message);
    this.problem = problem;
  }
}

/** Turns the parser's nodes into located ones: resolves aliases and merge keys, finds duplicate keys, keeps to the bounds. */
class TreeBuilder {
  readonly #locate: (offset: number) => Position;
  readonly #document: Document.Parsed;
  readonly #problems: Problem[] = [];
  // Filled in document order, so that an alias finds the last anchor above it and never the one it stands in.
  readonly #anchors = new Map<string, Located>();

  constructor(locate: (offset: number) => Position, document: Document.Parsed) {
    this.#locate = locate;
    this.#document = document;
  }

  build(): ParsedYaml {
    const { contents } = this.#document;
    if (contents === null) return { problems: [] };
    try {
      return { root: this.#node(contents, []), problems: this.#problems };
    } catch (error) {
      if (!(error instanceof TooLarge)) throw error;
      return { problems: [...this.#problems, error.problem] };
    }
  }

  #node(node: Node | null, path: Path): Located {
    if (path.length > DEPTH_MAX)
      throw new TooLarge(this.#problem(node, path.slice(0, 1), `nested more than ${DEPTH_MAX} levels deep`));
    const located = this.#convert(node, path);
    if (located.nodeCount > NODE_COUNT_MAX) {
      const message = `more than ${NODE_COUNT_MAX} values, aliases counted as often as they stand`;
      throw new TooLarge(this.#problem(node, path, message, "use fewer aliases"));
    }
    if (node !== null && "anchor" in node && node.anchor !== undefined) this.#anchors.set(node.anchor, located);
    return located;
  }

  #convert(node: Node | null, path: Path): Located {
    if (isMap(node)) return this.#map(node, path);
    if (isSeq(node)) return this.#list(node, path);
    if (isAlias(node)) return this.#alias(node, path);
    if (isScalar(node)) return scalarNode(this.#scalar(node), this.#positionOf(node), undefined, exactOf(node));
    return scalarNode(null, this.#positionOf(node));
  }

  #scalar(node: Scalar): LocatedScalar["value"] {
    const { value } = node;
    const isPlain =
      value === null || typeof value === "string" || typeof value === "number" || typeof value === "boolean";
    return isPlain ? value : (node.source ?? null);
  }

  #list(node: YAMLSeq, path: Path): Located {
    const items = node.items.map((item, index) => this.#node(item as Node | null, [...path, index]));
    return listNode(items, this.#positionOf(node));
  }

  #map(node: YAMLMap, path: Path): Located {
    const entries = new Map<string, LocatedEntry>();
    const merges: Located[] = [];
    for (const pair of node.items as Pair<Node | null, Node | null>[]) {
      if (isMergeKey(pair.key)) merges.push(...this.#mergeSources(pair, path));
      else this.#entry(pair, path, entries);
    }
    for (const source of merges) addMissing(entries, source);
    return mapNode(entries, this.#positionOf(node));
  }

  #entry(pair: Pair<Node | null, Node | null>, path: Path, entries: Map<string, LocatedEntry>): void {
    const key = this.#keyText(pair.key);
    if (key === undefined) {
      this.#report(pair.key, path, "found a key that is not plain text, expected a name", "put the key into quotes");
      return;
    }
    const node = this.#node(pair.value, [...path, key]);
    const first = entries.get(key);
    if (first === undefined) entries.set(key, { node, keyPosition: this.#positionOf(pair.key) });
    else this.#reportDuplicate(pair.key, [...path, key], key, first.keyPosition);
  }

  #reportDuplicate(key: Node | null, path: Path, name: string, first: Position): void {
    const message = `the key ${quote(name)} stands twice, first at ${formatPosition(first)}`;
    this.#report(key, path, message, "keep one of them, or rename one");
  }

  /** `1` and `null` as keys are the text that was written, as in a map with text keys. */
  #keyText(key: Node | null): string | undefined {
    if (!isScalar(key)) return undefined;
    return typeof key.value === "string" ? key.value : key.source === "" ? undefined : key.source;
  }

  #mergeSources(pair: Pair<Node | null, Node | null>, path: Path): Located[] {
    const source = this.#node(pair.value, [...path, "<<"]);
    const sources = source.kind === "list" ? source.items : [source];
    if (sources.every((item) => item.kind === "map" || isBroken(item))) return [...sources];
    this.#report(
      pair.key,
      [...path, "<<"],
      'found a value that is not a map, expected a map or an alias of one after "<<"',
    );
    return [];
  }

  #alias(node: Alias, path: Path): Located {
    const target = this.#anchors.get(node.source);
    if (target !== undefined) return target;
    const message = `the alias ${quote(`*${node.source}`)} has no anchor ${quote(`&${node.source}`)} above it`;
    this.#report(node, path, message, "define the anchor before it is used, and not around it");
    return brokenNode(this.#positionOf(node));
  }

  #positionOf(node: Node | null): Position {
    return this.#locate(node?.range?.[0] ?? 0);
  }

  #problem(node: Node | null, path: Path, message: string, fix?: string): Problem {
    return { position: this.#positionOf(node), path: formatPath(path), message, ...(fix !== undefined && { fix }) };
  }

  #report(node: Node | null, path: Path, message: string, fix?: string): void {
    this.#problems.push(this.#problem(node, path, message, fix));
  }
}

const INT64_MAX = 2n ** 63n - 1n;

/** What a JavaScript number does not keep: that it was written as a double, or the last digits of a long integer. */
function exactOf({ value, source = "" }: Scalar): ExactNumber | undefined {
  if (typeof value !== "number" || !Number.isInteger(value)) return undefined;
  const isInteger = /^(?:[-+]?[0-9]+|0[xo][0-9a-fA-F]+)$/.test(source);
  if (isInteger && Number.isSafeInteger(value)) return undefined;
  const exact = isInteger ? BigInt(source.replace(/^\+/, "")) : undefined;
  return exact !== undefined && exact <= INT64_MAX && exact >= -INT64_MAX - 1n ? exact : new Double(value);
}

function isMergeKey(key: Node | null): boolean {
  return isScalar(key) && key.type === "PLAIN" && key.source === "<<";
}

/** The map's own keys win over merged ones, and earlier sources over later ones (yaml.org/type/merge.html). */
function addMissing(entries: Map<string, LocatedEntry>, source: Located): void {
  if (source.kind !== "map") return;
  for (const [key, entry] of source.entries) if (!entries.has(key)) entries.set(key, entry);
}
