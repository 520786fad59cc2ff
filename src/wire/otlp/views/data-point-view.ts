import {
  FieldWalker,
  readDouble,
  readFixed64,
  readSint32,
  readUint64,
  skipVarint,
  toNumberWhereSafe,
} from "../../protobuf/walker.ts";
import { LENGTH_DELIMITED } from "../../protobuf/wire-type.ts";
import { fieldNumbers } from "../message-table.ts";
import type { MessageName } from "../schema.ts";
import type { Attributes, DataPointView, ExponentialBuckets, MetricType } from "../types.ts";
import { AttributesView } from "./attributes-view.ts";
import { OPTIONAL_DOUBLE, TIME, UINT32, type FieldReader } from "./field-codecs.ts";
import { findMessage, ItemView } from "./message-view.ts";
import type { MetricDataNode } from "./metric-view.ts";

/** Gauge, Sum, Histogram, ExponentialHistogram and Summary all keep their points here. */
export const DATA_POINTS_FIELD = fieldNumbers("Gauge", ["dataPoints"]).dataPoints;

/** The field numbers of one type of data point; undefined where the type has no such field. */
export interface DataPointKind {
  readonly attributes: number;
  readonly flags: number;
  readonly asDouble?: number;
  readonly asInt?: number;
  readonly count?: number;
  readonly sum?: number;
  /** A histogram's sum is optional; a summary's is not, so an absent one reads 0. */
  readonly isSumOptional?: true;
  readonly min?: number;
  readonly max?: number;
  readonly bucketCounts?: number;
  readonly explicitBounds?: number;
  readonly scale?: number;
  readonly zeroCount?: number;
  readonly positive?: number;
  readonly negative?: number;
  readonly quantileValues?: number;
}

const NUMBER_POINT: DataPointKind = fieldNumbers("NumberDataPoint", ["attributes", "flags", "asDouble", "asInt"]);

export const DATA_POINT_KINDS: Readonly<Record<Exclude<MetricType, "none">, DataPointKind>> = {
  gauge: NUMBER_POINT,
  sum: NUMBER_POINT,
  histogram: {
    ...fieldNumbers("HistogramDataPoint", [
      "attributes",
      "flags",
      "count",
      "sum",
      "min",
      "max",
      "bucketCounts",
      "explicitBounds",
    ]),
    isSumOptional: true,
  },
  exponential_histogram: {
    ...fieldNumbers("ExponentialHistogramDataPoint", [
      "attributes",
      "flags",
      "count",
      "sum",
      "min",
      "max",
      "scale",
      "zeroCount",
      "positive",
      "negative",
    ]),
    isSumOptional: true,
  },
  summary: fieldNumbers("SummaryDataPoint", ["attributes", "flags", "count", "sum", "quantileValues"]),
};

/** The times have the same numbers in all four point messages; checked when the module is loaded. */
const TIMES = sharedNumbers(
  ["NumberDataPoint", "HistogramDataPoint", "ExponentialHistogramDataPoint", "SummaryDataPoint"],
  ["startTimeUnixNano", "timeUnixNano"],
);
const BUCKETS = fieldNumbers("Buckets", ["offset", "bucketCounts"]);
const QUANTILE = fieldNumbers("ValueAtQuantile", ["quantile", "value"]);

const COUNT: FieldReader<bigint> = { absent: 0n, read: readFixed64 };
const SINT32: FieldReader<number> = { absent: 0, read: readSint32 };
const DOUBLE: FieldReader<number> = { absent: 0, read: readDouble };

export class DataPointNode extends ItemView implements DataPointView {
  readonly #data: MetricDataNode;
  readonly #kind: DataPointKind;
  #attributes: AttributesView | undefined;

  constructor(data: MetricDataNode, kind: DataPointKind, start: number, end: number) {
    super(data.state, data, start, end);
    this.#data = data;
    this.#kind = kind;
  }

  override drop(): void {
    this.#data.dropPoint(this);
  }

  get attributes(): Attributes {
    return (this.#attributes ??= new AttributesView(this, this.#kind.attributes));
  }

  get startTimeUnixNano(): bigint {
    return this.read(TIME, TIMES.startTimeUnixNano);
  }

  set startTimeUnixNano(value: bigint) {
    this.write(TIME, TIMES.startTimeUnixNano, value);
  }

  get timeUnixNano(): bigint {
    return this.read(TIME, TIMES.timeUnixNano);
  }

  set timeUnixNano(value: bigint) {
    this.write(TIME, TIMES.timeUnixNano, value);
  }

  get flags(): number {
    return this.read(UINT32, this.#kind.flags);
  }

  set flags(value: number) {
    this.write(UINT32, this.#kind.flags, value);
  }

  /** The last member of the oneof. */
  get value(): number | bigint | undefined {
    const { asDouble, asInt } = this.#kind;
    let value: number | bigint | undefined;
    if (asDouble === undefined) return value;
    const walker = this.walk();
    while (walker.next()) {
      if (walker.number === asDouble) value = readDouble(walker.bytes, walker.valueStart);
      else if (walker.number === asInt) {
        value = toNumberWhereSafe(BigInt.asIntN(64, readFixed64(walker.bytes, walker.valueStart)));
      }
    }
    return value;
  }

  get count(): bigint | undefined {
    return this.#readWhereKnown(COUNT, this.#kind.count);
  }

  get sum(): number | undefined {
    const { sum, isSumOptional } = this.#kind;
    return isSumOptional === true ? this.#readWhereKnown(OPTIONAL_DOUBLE, sum) : this.#readWhereKnown(DOUBLE, sum);
  }

  get min(): number | undefined {
    return this.#readWhereKnown(OPTIONAL_DOUBLE, this.#kind.min);
  }

  get max(): number | undefined {
    return this.#readWhereKnown(OPTIONAL_DOUBLE, this.#kind.max);
  }

  get bucketCounts(): readonly bigint[] | undefined {
    const { bucketCounts } = this.#kind;
    return bucketCounts === undefined ? undefined : readRepeated(this.walk(), bucketCounts, readFixed64, skipFixed64);
  }

  get explicitBounds(): readonly number[] | undefined {
    const { explicitBounds } = this.#kind;
    return explicitBounds === undefined
      ? undefined
      : readRepeated(this.walk(), explicitBounds, readDouble, skipFixed64);
  }

  get scale(): number | undefined {
    return this.#readWhereKnown(SINT32, this.#kind.scale);
  }

  get zeroCount(): bigint | undefined {
    return this.#readWhereKnown(COUNT, this.#kind.zeroCount);
  }

  get positive(): ExponentialBuckets | undefined {
    return this.#readBuckets(this.#kind.positive);
  }

  get negative(): ExponentialBuckets | undefined {
    return this.#readBuckets(this.#kind.negative);
  }

  get quantiles(): readonly { readonly quantile: number; readonly value: number }[] | undefined {
    const { quantileValues } = this.#kind;
    if (quantileValues === undefined) return undefined;
    const quantiles: { quantile: number; value: number }[] = [];
    const walker = this.walk();
    while (walker.next()) if (walker.number === quantileValues) quantiles.push(readQuantile(walker));
    return quantiles;
  }

  #readWhereKnown<T>(reader: FieldReader<T>, number: number | undefined): T | undefined {
    return number === undefined ? undefined : this.read(reader, number);
  }

  /** undefined also where the point has no such buckets at all. */
  #readBuckets(number: number | undefined): ExponentialBuckets | undefined {
    if (number === undefined) return undefined;
    const { start, end } = findMessage(this, number);
    if (start === 0) return undefined;
    const { bytes } = this.state;
    let offset = 0;
    const walker = new FieldWalker(bytes, start, end);
    while (walker.next()) if (walker.number === BUCKETS.offset) offset = readSint32(bytes, walker.valueStart);
    const counts = new FieldWalker(bytes, start, end);
    return { offset, bucketCounts: readRepeated(counts, BUCKETS.bucketCounts, readUint64, skipVarint) };
  }
}

function skipFixed64(_bytes: Uint8Array, position: number): number {
  return position + 8;
}

/** A repeated scalar, packed or one by one or both. */
function readRepeated<T>(
  walker: FieldWalker,
  number: number,
  read: (bytes: Uint8Array, position: number) => T,
  skip: (bytes: Uint8Array, position: number) => number,
): readonly T[] {
  const values: T[] = [];
  while (walker.next()) {
    if (walker.number !== number) continue;
    const end = walker.wireType === LENGTH_DELIMITED ? walker.valueEnd : walker.valueStart + 1;
    for (let position = walker.valueStart; position < end; position = skip(walker.bytes, position)) {
      values.push(read(walker.bytes, position));
    }
  }
  return values;
}

function readQuantile(point: FieldWalker): { readonly quantile: number; readonly value: number } {
  let quantile = 0;
  let value = 0;
  const walker = new FieldWalker(point.bytes, point.valueStart, point.valueEnd);
  while (walker.next()) {
    if (walker.number === QUANTILE.quantile) quantile = readDouble(walker.bytes, walker.valueStart);
    else if (walker.number === QUANTILE.value) value = readDouble(walker.bytes, walker.valueStart);
  }
  return { quantile, value };
}

function sharedNumbers<const Names extends readonly string[]>(
  messages: readonly [MessageName, ...MessageName[]],
  names: Names,
): Readonly<Record<Names[number], number>> {
  const [first, ...others] = messages.map((message) => fieldNumbers(message, names));
  const text = JSON.stringify(first);
  if (first === undefined || others.some((numbers) => JSON.stringify(numbers) !== text)) {
    throw new Error(`schema.ts gives ${names.join(", ")} different numbers in ${messages.join(", ")}`);
  }
  return first;
}
