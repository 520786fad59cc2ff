/**
 * Cuts one encoded request into several, each within a number of items and of bytes.
 *
 * A leaf is a field that is never cut: a log record, a span, a data point, or a group that came without children. The
 * levels above a leaf (resource group, scope group, metric, metric data) each have a header: all their fields but the
 * children. A level that is cut stands on both sides, with its header repeated.
 */
import type { Signal } from "../../core/signal.ts";
import { FieldWalker } from "../protobuf/walker.ts";
import { varint32Size } from "../protobuf/writer.ts";
import {
  CONTENT_END,
  CONTENT_START,
  FIELD_START,
  firstRecord,
  firstScope,
  GROUP_CHILD_FIELD,
  GROUP_COLUMNS,
  RECORD_COLUMNS,
  REQUEST_GROUP_FIELD,
  type BatchIndex,
} from "./batch-index.ts";
import { MessageEncoder } from "./encode-message.ts";
import { mergeDuplicates } from "./merge-duplicates.ts";
import { fieldNumbers } from "./message-table.ts";
import { joinSlices } from "./payload.ts";
import { scanAccepted } from "./scan.ts";
import type { EncodedPayload } from "./types.ts";

export interface SplitLimits {
  /** Log records, spans or data points. Default: no limit. */
  readonly itemsMax?: number;
  /** Size of one request. An item that is larger stands alone in a request that is larger. Default: no limit. */
  readonly bytesMax?: number;
}

const DATA_FIELDS: ReadonlySet<number> = new Set(
  Object.values(fieldNumbers("Metric", ["gauge", "sum", "histogram", "exponentialHistogram", "summary"])),
);
const DATA_POINTS_FIELD = fieldNumbers("Gauge", ["dataPoints"]).dataPoints;

/** In order, together equal to `payload`; the payload itself where it is within the limits. */
export function splitPayload(signal: Signal, payload: EncodedPayload, limits: SplitLimits): EncodedPayload[] {
  const { itemsMax = Infinity, bytesMax = Infinity } = limits;
  if (!(itemsMax >= 1 && bytesMax >= 1)) throw new RangeError("itemsMax and bytesMax must be at least 1");
  if (payload.itemCount <= itemsMax && payload.size <= bytesMax) return [payload];
  const joined = joinSlices(payload);
  const scan = scanAccepted(signal, joined);
  const bytes = scan.hasDuplicates ? mergeDuplicates(signal, joined) : joined;
  const index = scan.hasDuplicates ? scanAccepted(signal, bytes).index : scan.index;
  const splitter = new Splitter(bytes, itemsMax, bytesMax);
  for (const leaf of new LeafWalker(signal, bytes, index).leaves()) splitter.add(leaf);
  return splitter.finish();
}

interface Range {
  readonly start: number;
  readonly end: number;
}

interface Level {
  /** Its field number in the level above. */
  readonly number: number;
  readonly header: readonly Range[];
  readonly headerSize: number;
}

interface Leaf extends Range {
  /** From the outside in. Leaves of one group share the object. */
  readonly levels: readonly Level[];
  readonly items: number;
}

class LeafWalker {
  readonly #signal: Signal;
  readonly #bytes: Uint8Array;
  readonly #index: BatchIndex;

  constructor(signal: Signal, bytes: Uint8Array, index: BatchIndex) {
    this.#signal = signal;
    this.#bytes = bytes;
    this.#index = index;
  }

  *leaves(): Iterable<Leaf> {
    const { resources, resourceCount } = this.#index;
    let position = 0;
    for (let resource = 0; resource < resourceCount; resource++) {
      const row = resource * GROUP_COLUMNS;
      yield* fieldLeaves(this.#bytes, position, resources[row + FIELD_START]!);
      yield* this.#resource(resource);
      position = resources[row + CONTENT_END]!;
    }
    yield* fieldLeaves(this.#bytes, position, this.#bytes.length);
  }

  *#resource(resource: number): Iterable<Leaf> {
    const index = this.#index;
    const [first, end] = [firstScope(index, resource), firstScope(index, resource + 1)];
    const row = resource * GROUP_COLUMNS;
    const {
      [row + FIELD_START]: start,
      [row + CONTENT_START]: contentStart,
      [row + CONTENT_END]: contentEnd,
    } = index.resources;
    if (first === end) yield* leafOf([], start!, contentEnd!, 0);
    const header = headerOf(contentStart!, contentEnd!, index.scopes, GROUP_COLUMNS, first, end);
    const level = levelOf(REQUEST_GROUP_FIELD, header);
    for (let scope = first; scope < end; scope++) yield* this.#scope(level, scope);
  }

  *#scope(parent: Level, scope: number): Iterable<Leaf> {
    const index = this.#index;
    const [first, end] = [firstRecord(index, scope), firstRecord(index, scope + 1)];
    const row = scope * GROUP_COLUMNS;
    const {
      [row + FIELD_START]: start,
      [row + CONTENT_START]: contentStart,
      [row + CONTENT_END]: contentEnd,
    } = index.scopes;
    if (first === end) yield* leafOf([parent], start!, contentEnd!, 0);
    const header = headerOf(contentStart!, contentEnd!, index.records, RECORD_COLUMNS, first, end);
    const levels = [parent, levelOf(GROUP_CHILD_FIELD, header)];
    for (let record = first; record < end; record++) yield* this.#record(levels, record);
  }

  *#record(levels: readonly Level[], record: number): Iterable<Leaf> {
    const { records } = this.#index;
    const row = record * RECORD_COLUMNS;
    const { [row + FIELD_START]: start, [row + CONTENT_START]: contentStart, [row + CONTENT_END]: end } = records;
    if (this.#signal === "metrics") yield* metricLeaves(this.#bytes, levels, start!, contentStart!, end!);
    else yield* leafOf(levels, start!, end!, 1);
  }
}

/** Unknown fields of the request. */
function* fieldLeaves(bytes: Uint8Array, start: number, end: number): Iterable<Leaf> {
  const walker = new FieldWalker(bytes, start, end);
  while (walker.next()) yield* leafOf([], walker.fieldStart, walker.valueEnd, 0);
}

function* metricLeaves(
  bytes: Uint8Array,
  levels: readonly Level[],
  fieldStart: number,
  start: number,
  end: number,
): Iterable<Leaf> {
  const metric = separate(bytes, start, end, (number) => DATA_FIELDS.has(number));
  const [data] = metric.children;
  const points = data === undefined ? undefined : separate(bytes, data.start, data.end, isDataPoint);
  if (data === undefined || points === undefined || points.children.length === 0) {
    yield* leafOf(levels, fieldStart, end, 0);
    return;
  }
  const inner = [...levels, levelOf(GROUP_CHILD_FIELD, metric.header), levelOf(data.number, points.header)];
  for (const point of points.children) yield { levels: inner, start: point.fieldStart, end: point.end, items: 1 };
}

function isDataPoint(number: number): boolean {
  return number === DATA_POINTS_FIELD;
}

interface Child extends Range {
  readonly number: number;
  readonly fieldStart: number;
}

/** Tells the children of a message from all its other fields. */
function separate(
  bytes: Uint8Array,
  start: number,
  end: number,
  isChild: (number: number) => boolean,
): { readonly header: readonly Range[]; readonly children: readonly Child[] } {
  const header: Range[] = [];
  const children: Child[] = [];
  const walker = new FieldWalker(bytes, start, end);
  while (walker.next()) {
    const { number, fieldStart, valueStart, valueEnd } = walker;
    if (isChild(number)) children.push({ number, fieldStart, start: valueStart, end: valueEnd });
    else header.push({ start: fieldStart, end: valueEnd });
  }
  return { header, children };
}

function* leafOf(levels: readonly Level[], start: number, end: number, items: number): Iterable<Leaf> {
  if (start < end) yield { levels, start, end, items };
}

function levelOf(number: number, header: readonly Range[]): Level {
  return { number, header, headerSize: header.reduce((size, { start, end }) => size + end - start, 0) };
}

/** What lies between a group's children. */
function headerOf(
  start: number,
  end: number,
  rows: Int32Array,
  columns: number,
  first: number,
  last: number,
): readonly Range[] {
  const header: Range[] = [];
  let position = start;
  for (let child = first; child < last; child++) {
    const fieldStart = rows[child * columns + FIELD_START]!;
    if (fieldStart > position) header.push({ start: position, end: fieldStart });
    position = rows[child * columns + CONTENT_END]!;
  }
  if (end > position) header.push({ start: position, end });
  return header;
}

/** A level that may take more children, and the size of its header and the children that are closed. */
interface OpenLevel {
  readonly level: Level;
  size: number;
}

class Splitter {
  readonly #bytes: Uint8Array;
  readonly #itemsMax: number;
  readonly #bytesMax: number;
  readonly #payloads: EncodedPayload[] = [];
  #leaves: Leaf[] = [];
  #items = 0;
  /** Of what stands before the open levels. */
  #closedSize = 0;
  #open: OpenLevel[] = [];

  constructor(bytes: Uint8Array, itemsMax: number, bytesMax: number) {
    this.#bytes = bytes;
    this.#itemsMax = itemsMax;
    this.#bytesMax = bytesMax;
  }

  add(leaf: Leaf): void {
    const isFull = this.#items + leaf.items > this.#itemsMax || this.#sizeWith(leaf) > this.#bytesMax;
    if (isFull && this.#leaves.length > 0) this.#close();
    const common = this.#commonLevels(leaf);
    this.#closeLevels(common);
    for (const level of leaf.levels.slice(common)) this.#open.push({ level, size: level.headerSize });
    const size = leaf.end - leaf.start;
    const inner = this.#open.at(-1);
    if (inner === undefined) this.#closedSize += size;
    else inner.size += size;
    this.#leaves.push(leaf);
    this.#items += leaf.items;
  }

  finish(): EncodedPayload[] {
    if (this.#leaves.length > 0) this.#close();
    return this.#payloads;
  }

  /** Exact size of the request with one more leaf. */
  #sizeWith(leaf: Leaf): number {
    const common = this.#commonLevels(leaf);
    const closing = this.#sizeFrom(common);
    let size = leaf.end - leaf.start;
    for (let depth = leaf.levels.length - 1; depth >= 0; depth--) {
      const { number, headerSize } = leaf.levels[depth]!;
      const before = depth < common ? this.#open[depth]!.size : headerSize;
      size = fieldSize(number, before + (depth === common - 1 ? closing : 0) + size);
    }
    return this.#closedSize + (common === 0 ? closing : 0) + size;
  }

  /** Size of the open level at `depth` as a field, with everything open inside it. */
  #sizeFrom(depth: number): number {
    let size = 0;
    for (let at = this.#open.length - 1; at >= depth; at--) {
      const open = this.#open[at]!;
      size = fieldSize(open.level.number, open.size + size);
    }
    return size;
  }

  #commonLevels({ levels }: Leaf): number {
    let common = 0;
    while (common < levels.length && this.#open[common]?.level === levels[common]) common++;
    return common;
  }

  #closeLevels(depth: number): void {
    const size = this.#sizeFrom(depth);
    this.#open.length = depth;
    const inner = this.#open.at(-1);
    if (inner === undefined) this.#closedSize += size;
    else inner.size += size;
  }

  #close(): void {
    this.#closeLevels(0);
    const encoder = new MessageEncoder(this.#bytes, this.#closedSize);
    writeLeaves(encoder, this.#leaves);
    this.#payloads.push({ ...encoder.finish(), itemCount: this.#items });
    this.#leaves = [];
    this.#items = 0;
    this.#closedSize = 0;
  }
}

function writeLeaves(encoder: MessageEncoder, leaves: readonly Leaf[]): void {
  const open: Level[] = [];
  const closeTo = (depth: number): void => {
    for (; open.length > depth; open.pop()) encoder.end();
  };
  for (const { levels, start, end } of leaves) {
    let common = 0;
    while (common < open.length && open[common] === levels[common]) common++;
    closeTo(common);
    for (const level of levels.slice(common)) {
      // Most levels hold more than 127 bytes and less than 16 KiB.
      encoder.begin(level.number, 1024);
      open.push(level);
      for (const range of level.header) encoder.keep(range.start, range.end);
    }
    encoder.keep(start, end);
  }
  closeTo(0);
}

function fieldSize(number: number, contentSize: number): number {
  return varint32Size(number << 3) + varint32Size(contentSize) + contentSize;
}
