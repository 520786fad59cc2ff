/**
 * Where the groups and records of one request lie: what the scan leaves behind. Offsets only, in flat integer arrays:
 * 12 bytes a record, where a table of every field would be as large as the request.
 *
 *   request       repeated field 1: resource groups (ResourceLogs, ResourceSpans, ResourceMetrics)
 *   resource group  field 1: Resource, repeated field 2: scope groups, field 3: schema URL
 *   scope group     field 1: InstrumentationScope, repeated field 2: records (LogRecord, Span, Metric), field 3: schema URL
 */

/** Columns of `resources` and `scopes`. */
export const FIELD_START = 0;
export const CONTENT_START = 1;
export const CONTENT_END = 2;
/** Index of the group's first child; its last is the one before the next group's first. */
export const FIRST_CHILD = 3;
/** Content of the field `resource` or `scope`; both 0 where the field is absent. */
export const HEADER_START = 4;
export const HEADER_END = 5;
/** Scopes only: index of the resource group. */
export const PARENT = 6;
export const GROUP_COLUMNS = 7;

/** Columns of `records`: FIELD_START, CONTENT_START, CONTENT_END. */
export const RECORD_COLUMNS = 3;

export interface BatchIndex {
  readonly resourceCount: number;
  readonly scopeCount: number;
  readonly recordCount: number;
  /** Log records, spans or data points. */
  readonly itemCount: number;
  /** GROUP_COLUMNS a group, with one more group at the end whose FIRST_CHILD closes the last one. */
  readonly resources: Int32Array;
  readonly scopes: Int32Array;
  /** RECORD_COLUMNS a record. */
  readonly records: Int32Array;
}

/** The field number of the children in a request, and in a resource or scope group; the same for all signals. */
export const REQUEST_GROUP_FIELD = 1;
export const GROUP_HEADER_FIELD = 1;
export const GROUP_CHILD_FIELD = 2;
export const GROUP_SCHEMA_URL_FIELD = 3;

export function firstScope(index: BatchIndex, resource: number): number {
  return index.resources[resource * GROUP_COLUMNS + FIRST_CHILD]!;
}

export function firstRecord(index: BatchIndex, scope: number): number {
  return index.scopes[scope * GROUP_COLUMNS + FIRST_CHILD]!;
}
