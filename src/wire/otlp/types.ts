/**
 * The public shape of the views over encoded OTLP: what processors, exporters and the store read and edit.
 *
 * A view reads a field from the bytes when asked and keeps edits beside them; reads see earlier edits. A view is valid
 * until its batch is released (its request has been answered or handed on): any use after that throws, so that a
 * forgotten reference is found at once instead of pinning megabytes. Copy what must outlive the batch.
 *
 * Field meanings: https://github.com/open-telemetry/opentelemetry-proto, opentelemetry/proto/{logs,trace,metrics,common}/v1.
 */

import type { AttributeMemo } from "./views/attribute-memo.ts";

/**
 * An OTLP AnyValue in JavaScript. `null` is an AnyValue without a value (legal, and different from an absent attribute).
 * An int64 within ±(2^53 - 1) reads as a number, a larger one as a bigint; `Attributes.kindOf` tells int from double.
 */
export type AttributeValue =
  | string
  | boolean
  | number
  | bigint
  | Uint8Array
  | null
  | readonly AttributeValue[]
  | ReadonlyMap<string, AttributeValue>;

/**
 * What can be written: also plain objects (as kvlist). A number with no fraction in the safe range becomes an int,
 * any other a double; write `new Double(1)` for a double without a fraction. A bigint outside int64 is a TypeError.
 */
export type AttributeInput =
  | string
  | boolean
  | number
  | bigint
  | Uint8Array
  | null
  | Double
  | readonly AttributeInput[]
  | ReadonlyMap<string, AttributeInput>
  | { readonly [key: string]: AttributeInput };

/** Forces the double encoding of a number that has no fraction. */
export class Double {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

export type AnyValueKind = "string" | "bool" | "int" | "double" | "bytes" | "array" | "kvlist" | "empty";

/**
 * A list of KeyValue. Protobuf lets a key stand twice; reading follows the Collector (first occurrence),
 * and an edit rewrites or removes all occurrences, so that nothing hides behind a duplicate.
 */
export interface Attributes extends Iterable<readonly [string, AttributeValue]> {
  get(key: string): AttributeValue | undefined;
  /**
   * All wanted keys in one walk over the bytes: result[i] belongs to keys[i]. Use it where more than one key is read; a
   * frozen array of keys is prepared once for all calls.
   */
  getMany(keys: readonly string[]): readonly (AttributeValue | undefined)[];
  /**
   * Those of the keys that are there, in the keys' order, as getMany() reads them: for many keys of which a record has
   * few. A value is read when it is asked for; ask before the batch is handed on or edited.
   */
  find(keys: readonly string[]): readonly FoundAttribute[];
  /** What the memo makes of what stands under its keys, made once for equal values; undefined where none of them is there. */
  recall<T>(memo: AttributeMemo<T>): T | undefined;
  /** The value where it is a string, else undefined: the common case, without a branch at the caller. */
  getString(key: string): string | undefined;
  kindOf(key: string): AnyValueKind | undefined;
  has(key: string): boolean;
  /** Whether the value is this one, types included, also inside; lists in order, maps in any. For lists and maps: scalars are compared faster by hand. */
  equals(key: string, value: AttributeInput): boolean;
  keys(): Iterable<string>;
  /** The keys for which `matches` says yes, each once, in order: keys() in one walk that costs nothing where there are none. */
  findKeys(matches: (key: string) => boolean): readonly string[];
  readonly size: number;
  /** Upsert. */
  set(key: string, value: AttributeInput): void;
  /** Sets where the key is absent. Returns whether it did. */
  insert(key: string, value: AttributeInput): boolean;
  /** Sets where the key is present. Returns whether it did. */
  update(key: string, value: AttributeInput): boolean;
  /** Returns whether the key was there. */
  delete(key: string): boolean;
  /** Each of the keys, in one walk over the bytes, which is made when the batch is encoded. A frozen array is prepared once for all calls. */
  deleteMany(keys: readonly string[]): void;
  /** Copies the encoded value as it is (type, precision and unknown fields kept). Returns whether `from` was there. */
  copy(from: string, to: string): boolean;
}

export interface FoundAttribute {
  /** Of its key among those that were asked for. */
  readonly index: number;
  readonly value: AttributeValue;
}

export interface ResourceView {
  readonly attributes: Attributes;
  droppedAttributesCount: number;
}

export interface ScopeView {
  name: string;
  version: string;
  readonly attributes: Attributes;
  droppedAttributesCount: number;
}

/** ResourceLogs, ResourceSpans or ResourceMetrics. */
export interface ResourceGroup<R extends RecordView = RecordView> {
  readonly resource: ResourceView;
  schemaUrl: string;
  scopes(): Iterable<ScopeGroup<R>>;
  /** All records of all scopes. */
  records(): Iterable<R>;
  drop(): void;
}

/** ScopeLogs, ScopeSpans or ScopeMetrics. */
export interface ScopeGroup<R extends RecordView = RecordView> {
  readonly group: ResourceGroup<R>;
  readonly scope: ScopeView;
  schemaUrl: string;
  records(): Iterable<R>;
  /**
   * Those of records() that may have an attribute under one of `keys`: every log record or span that has one, and every
   * one that was edited. The others cost a walk over their bytes and no view. All metrics, which have no attributes.
   * A frozen list is prepared once.
   */
  recordsHaving(keys: readonly string[]): Iterable<R>;
  /** Moves every record of this scope; see RecordView.moveToResource. */
  moveToResource(edit: ResourceEdit): boolean;
  drop(): void;
}

/** The difference between a record's resource and the one it moves to. */
export interface ResourceEdit {
  readonly set?: Readonly<Record<string, AttributeInput>>;
  readonly delete?: readonly string[];
}

/** What log records, spans and metrics have in common. */
export interface RecordView {
  /** Its resource as it stands before any move of this record. Editing it edits it for all records under it. */
  readonly resource: ResourceView;
  readonly scope: ScopeView;
  /** Removes the record (a metric: with all its points) from the batch. Legal while iterating. */
  drop(): void;
  /**
   * Moves the record under a resource equal to its own plus this edit. Records that end under an equal resource
   * (canonical attributes, schema URL) and an equal scope are grouped when the batch is encoded; groups stand in
   * first-seen order and keep their records' order. Returns false, and changes nothing, where the batch's bounds on
   * regrouping are reached (limits.ts: resources, bytes): the keys then stay on the record, and that is counted.
   */
  moveToResource(edit: ResourceEdit): boolean;
}

/** Times are nanoseconds since the Unix epoch, 0n for unset. Ids are lower-case hex, "" for unset; setting a wrong length throws a TypeError. */
export interface LogRecordView extends RecordView {
  readonly attributes: Attributes;
  timeUnixNano: bigint;
  observedTimeUnixNano: bigint;
  /** 0 (unspecified) to 24. */
  severityNumber: number;
  severityText: string;
  /** undefined where the record has no body field. */
  get body(): AttributeValue | undefined;
  set body(value: AttributeInput | undefined);
  traceId: string;
  spanId: string;
  flags: number;
  eventName: string;
  droppedAttributesCount: number;
}

export interface SpanView extends RecordView {
  readonly attributes: Attributes;
  traceId: string;
  spanId: string;
  parentSpanId: string;
  traceState: string;
  flags: number;
  name: string;
  /** SpanKind: 0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  kind: number;
  startTimeUnixNano: bigint;
  endTimeUnixNano: bigint;
  /** StatusCode: 0 unset, 1 ok, 2 error. */
  statusCode: number;
  statusMessage: string;
  events(): Iterable<SpanEventView>;
  links(): Iterable<SpanLinkView>;
  droppedAttributesCount: number;
  droppedEventsCount: number;
  droppedLinksCount: number;
}

export interface SpanEventView {
  readonly attributes: Attributes;
  name: string;
  timeUnixNano: bigint;
  droppedAttributesCount: number;
  drop(): void;
}

export interface SpanLinkView {
  readonly attributes: Attributes;
  traceId: string;
  spanId: string;
  traceState: string;
  flags: number;
  droppedAttributesCount: number;
  drop(): void;
}

export type MetricType = "gauge" | "sum" | "histogram" | "exponential_histogram" | "summary" | "none";

export interface MetricView extends RecordView {
  name: string;
  description: string;
  unit: string;
  /** Metric.metadata. */
  readonly metadata: Attributes;
  readonly type: MetricType;
  /** 0 unspecified, 1 delta, 2 cumulative; 0 where the type has none. */
  readonly aggregationTemporality: number;
  readonly isMonotonic: boolean;
  /** Dropping all points of a metric drops the metric. */
  dataPoints(): Iterable<DataPointView>;
}

/** One data point of any type; a field that the type does not have reads undefined. */
export interface DataPointView {
  readonly attributes: Attributes;
  startTimeUnixNano: bigint;
  timeUnixNano: bigint;
  flags: number;
  /** Number points only. */
  readonly value: number | bigint | undefined;
  readonly count: bigint | undefined;
  readonly sum: number | undefined;
  readonly min: number | undefined;
  readonly max: number | undefined;
  readonly bucketCounts: readonly bigint[] | undefined;
  readonly explicitBounds: readonly number[] | undefined;
  readonly scale: number | undefined;
  readonly zeroCount: bigint | undefined;
  readonly positive: ExponentialBuckets | undefined;
  readonly negative: ExponentialBuckets | undefined;
  readonly quantiles: readonly { readonly quantile: number; readonly value: number }[] | undefined;
  drop(): void;
}

export interface ExponentialBuckets {
  readonly offset: number;
  readonly bucketCounts: readonly bigint[];
}

export interface RecordViews {
  readonly logs: LogRecordView;
  readonly traces: SpanView;
  readonly metrics: MetricView;
}

/** A whole request: iterate it for its records, or go by resource. */
export interface BatchView<R extends RecordView = RecordView> extends Iterable<R> {
  resourceGroups(): Iterable<ResourceGroup<R>>;
  /** Log records, spans or data points left after drops. */
  readonly itemCount: number;
}

/** Encoded bytes as a list of slices; together they are one Export*ServiceRequest. */
export interface EncodedPayload {
  readonly slices: readonly Uint8Array[];
  /** Sum of the slices' lengths. */
  readonly size: number;
  readonly itemCount: number;
}
