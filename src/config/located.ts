import type { Double } from "../wire/otlp/types.ts";
import type { Path, Position } from "./problem.ts";

/**
 * A YAML value that knows where it stands. Immutable, so that an alias shares the node of its anchor.
 * What plain JavaScript values lose is kept here: positions, and which values came from a variable.
 */
export type Located = LocatedScalar | LocatedMap | LocatedList;

export type ExactNumber = Double | bigint;

interface LocatedBase {
  readonly position: Position;
  /** Nodes in this tree, aliases counted as often as they stand: the bound against alias bombs. */
  readonly nodeCount: number;
  /** Set on everything that an expression such as `${env:NAME}` gave. */
  readonly expansion?: Expansion;
}

export interface LocatedScalar extends LocatedBase {
  readonly kind: "scalar";
  readonly value: string | number | boolean | null;
  /** The number as written where `value` alone loses something: `1.0` is a double, and 2^53 + 1 has its own last digit. */
  readonly exact?: ExactNumber;
  /** Stands for something that was reported already, an alias or an expression: nothing more is said about it. */
  readonly isBroken?: true;
}

export interface LocatedMap extends LocatedBase {
  readonly kind: "map";
  readonly entries: ReadonlyMap<string, LocatedEntry>;
}

export interface LocatedList extends LocatedBase {
  readonly kind: "list";
  readonly items: readonly Located[];
}

export interface LocatedEntry {
  readonly keyPosition: Position;
  readonly node: Located;
}

export interface Expansion {
  /** What stands in the file; shown in messages in place of the value. */
  readonly written: string;
  /**
   * The value as text, for fields that want a string: `012` stays `012`, and a token `{x}` stays a token. May be a
   * secret. Absent on maps and lists inside a value, which have no text of their own.
   */
  readonly text?: string;
  /** The expressions in it that stood for nothing: variables not set, or set to nothing. */
  readonly empty: readonly string[];
}

export function scalarNode(
  value: LocatedScalar["value"],
  position: Position,
  expansion?: Expansion,
  exact?: ExactNumber,
): LocatedScalar {
  return {
    kind: "scalar",
    value,
    position,
    nodeCount: 1,
    ...(expansion !== undefined && { expansion }),
    ...(exact !== undefined && { exact }),
  };
}

export function brokenNode(position: Position): LocatedScalar {
  return { kind: "scalar", value: null, position, nodeCount: 1, isBroken: true };
}

export function isBroken(node: Located | undefined): boolean {
  return node?.kind === "scalar" && node.isBroken === true;
}

export function mapNode(
  entries: ReadonlyMap<string, LocatedEntry>,
  position: Position,
  expansion?: Expansion,
): LocatedMap {
  let nodeCount = 1;
  for (const { node } of entries.values()) nodeCount += node.nodeCount;
  return { kind: "map", entries, position, nodeCount, ...(expansion !== undefined && { expansion }) };
}

export function listNode(items: readonly Located[], position: Position, expansion?: Expansion): LocatedList {
  let nodeCount = 1;
  for (const item of items) nodeCount += item.nodeCount;
  return { kind: "list", items, position, nodeCount, ...(expansion !== undefined && { expansion }) };
}

export function isNull(node: Located | undefined): boolean {
  return node?.kind === "scalar" && node.value === null && node.isBroken === undefined;
}

/** A fresh plain value: the caller may change it. `__proto__` becomes a key like any other. */
export function toPlain(node: Located): unknown {
  return toValue(node, ({ value }) => value);
}

/** The same with exact numbers, for values that become attributes. */
export function toLiteral(node: Located): unknown {
  return toValue(node, ({ value, exact }) => exact ?? value);
}

/** As it was written, with what expressions gave as text: two nodes that are alike in it read alike. May hold secrets. */
export function toWritten(node: Located): unknown {
  return toValue(node, ({ value, exact, expansion }) => expansion?.text ?? exact ?? value);
}

function toValue(node: Located, scalar: (node: LocatedScalar) => unknown): unknown {
  if (node.kind === "scalar") return scalar(node);
  if (node.kind === "list") return node.items.map((item) => toValue(item, scalar));
  return Object.fromEntries(Array.from(node.entries, ([key, entry]) => [key, toValue(entry.node, scalar)]));
}

export interface Place {
  /** Absent where the path leads to nothing. */
  readonly node?: Located;
  /** The path leads to a broken node, or ends at one. */
  readonly isBroken: boolean;
  /** Of the deepest part of the path that exists: the key for a map, a list or nothing, the value for a scalar. */
  readonly position: Position;
}

/** Follows a path as far as it leads. */
export function placeAt(root: Located, rootPosition: Position, path: Path): Place {
  let node: Located = root;
  let position = rootPosition;
  for (const segment of path) {
    const child = childAt(node, segment);
    if (child === undefined) return { position, isBroken: isBroken(node) };
    node = child.node;
    position = node.kind === "scalar" && node.value !== null ? node.position : child.keyPosition;
  }
  return { node, position, isBroken: isBroken(node) };
}

function childAt(node: Located, segment: string | number): LocatedEntry | undefined {
  if (node.kind === "map") return node.entries.get(String(segment));
  // A text that a list is read from (validate.ts): each of its parts stands where it stands.
  if (node.kind === "scalar" && typeof segment === "number") return { node, keyPosition: node.position };
  if (node.kind !== "list") return undefined;
  const item = node.items[Number(segment)];
  return item === undefined ? undefined : { node: item, keyPosition: item.position };
}
