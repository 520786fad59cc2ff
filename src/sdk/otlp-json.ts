/**
 * OTLP/JSON as tests write and read it, as far as tests name it; other fields pass too.
 * 64-bit integers are decimal strings, ids are hex: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
 */
export interface AnyValueJson {
  readonly stringValue?: string;
  readonly boolValue?: boolean;
  readonly intValue?: string | number;
  readonly doubleValue?: number | string;
  readonly arrayValue?: { readonly values?: readonly AnyValueJson[] };
  readonly kvlistValue?: { readonly values?: readonly KeyValueJson[] };
  readonly bytesValue?: string;
}

export interface KeyValueJson {
  readonly key: string;
  readonly value?: AnyValueJson;
}

interface Attributed {
  readonly attributes?: readonly KeyValueJson[];
  readonly [field: string]: unknown;
}

interface Scoped {
  readonly scope?: Attributed;
  readonly schemaUrl?: string;
}

interface Resourced {
  readonly resource?: Attributed;
  readonly schemaUrl?: string;
}

export interface LogsJson {
  readonly resourceLogs?: readonly (Resourced & {
    readonly scopeLogs?: readonly (Scoped & { readonly logRecords?: readonly Attributed[] })[];
  })[];
}

export interface TracesJson {
  readonly resourceSpans?: readonly (Resourced & {
    readonly scopeSpans?: readonly (Scoped & { readonly spans?: readonly Attributed[] })[];
  })[];
}

/** Field by field as in the protocol: a metric holds one of gauge, sum, histogram, exponentialHistogram, summary. */
export interface MetricsJson {
  readonly resourceMetrics?: readonly (Resourced & {
    readonly scopeMetrics?: readonly (Scoped & {
      readonly metrics?: readonly { readonly [field: string]: unknown }[];
    })[];
  })[];
}

/** A list of attributes as a plain object, for a comparison that does not care for their order. */
export function attributesOf(attributes: readonly KeyValueJson[] = []): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, plainValue(value ?? {})]));
}

/** Integers become numbers, or bigints where they are too large for one. */
function plainValue(value: AnyValueJson): unknown {
  if (value.intValue !== undefined) return plainInteger(String(value.intValue));
  if (value.arrayValue !== undefined) return (value.arrayValue.values ?? []).map(plainValue);
  if (value.kvlistValue !== undefined) return attributesOf(value.kvlistValue.values);
  const { stringValue, boolValue, doubleValue, bytesValue } = value;
  return stringValue ?? boolValue ?? doubleValue ?? bytesValue ?? null;
}

function plainInteger(digits: string): number | bigint {
  return Number.isSafeInteger(Number(digits)) ? Number(digits) : BigInt(digits);
}
