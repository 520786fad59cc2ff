import { ERROR_SEVERITY_MIN } from "./levels.ts";
import type { RecordTable, SegmentReader, SqlValue } from "./segment-reader.ts";
import type { StoreReader } from "./store-reader.ts";

/** Which rows: a condition over `r` that names an index's columns, with its values. */
export interface RowSelection {
  /** The index that the condition walks. */
  readonly index: "job" | "trace" | "origin";
  readonly condition: string;
  readonly values: readonly SqlValue[];
}

/** A record by its place, with what decides whether an answer holds it. */
export interface FoundRow {
  readonly sequence: number;
  readonly id: number;
  readonly time: number;
  readonly isFailure: boolean;
  /** Bytes of the stored record. */
  readonly size: number;
}

export interface FoundRows {
  /** In time order, at most as many as were asked for: failures and both ends before the middle. */
  readonly rows: readonly FoundRow[];
  /** Of all rows that match, found or not. Times are microseconds; Infinity and 0 for none. */
  readonly total: number;
  readonly failures: number;
  readonly from: number;
  readonly to: number;
}

/** `selectionsOf` may look into the segment first; selections of one segment must not overlap. */
export type SelectRows = (segment: SegmentReader) => readonly RowSelection[];

/** Counts everything that matches over all segments, and finds as many rows as an answer can use. */
export function findRows(
  reader: StoreReader,
  table: RecordTable,
  selectionsOf: SelectRows,
  rowsMax: number,
): FoundRows {
  const sum = { total: 0, failures: 0, from: Infinity, to: 0 };
  let rows: FoundRow[] = [];
  reader.visitSegments((segment) => {
    const parts = selectionsOf(segment).map((selection) => findInSegment(segment, table, selection, rowsMax));
    for (const part of parts) {
      sum.total += part.total;
      sum.failures += part.failures;
      sum.from = Math.min(sum.from, part.from);
      sum.to = Math.max(sum.to, part.to);
      rows = rows.concat(part.rows);
    }
    // Cut as they come: a job that fills sixty segments must not stand in memory whole.
    if (rows.length > rowsMax) rows = chooseRows(sortedByTime(rows), { rowsMax, bytesMax: Infinity });
  });
  return { ...sum, rows: sortedByTime(rows) };
}

// Logs end when they begin. FILTER and sum() give null over no rows.
const COUNTS = { log: "max(r.time)", span: "max(r.end_time)" } as const satisfies Record<RecordTable, string>;

function findInSegment(
  segment: SegmentReader,
  table: RecordTable,
  selection: RowSelection,
  rowsMax: number,
): FoundRows {
  const where = `FROM ${table} AS r INDEXED BY ${table}_${selection.index} WHERE ${selection.condition} AND within_budget()`;
  const counts = segment.get(
    `SELECT count(*) AS total, count(*) FILTER (WHERE r.severity >= ${ERROR_SEVERITY_MIN}) AS failures,
      min(r.time) AS first, ${COUNTS[table]} AS last ${where}`,
    selection.values,
  );
  const total = Number(counts?.["total"] ?? 0);
  if (total === 0) return { rows: [], total, failures: 0, from: Infinity, to: 0 };
  return {
    total,
    failures: Number(counts?.["failures"]),
    from: Number(counts?.["first"]),
    to: Number(counts?.["last"]),
    rows: selectRows(segment, where, selection.values, total, rowsMax),
  };
}

/** All where they are few; else the failures and the others from both ends. length() of a blob is read from its header. */
function selectRows(
  segment: SegmentReader,
  where: string,
  values: readonly SqlValue[],
  total: number,
  rowsMax: number,
): FoundRow[] {
  const columns = "SELECT r.id AS id, r.time AS time, r.severity AS severity, length(r.bytes) AS size";
  const failing = `AND r.severity >= ${ERROR_SEVERITY_MIN}`;
  const first = "ORDER BY r.time, r.id LIMIT ?";
  const last = "ORDER BY r.time DESC, r.id DESC LIMIT ?";
  const tails = total <= rowsMax ? [first] : [`${failing} ${first}`, `${failing} ${last}`, first, last];
  const limit = total <= rowsMax ? rowsMax : Math.ceil(rowsMax / 2);
  const byId = new Map<number, FoundRow>();
  for (const row of tails.flatMap((tail) => segment.all(`${columns} ${where} ${tail}`, [...values, limit]))) {
    byId.set(Number(row["id"]), {
      sequence: segment.sequence,
      id: Number(row["id"]),
      time: Number(row["time"]),
      isFailure: Number(row["severity"]) >= ERROR_SEVERITY_MIN,
      size: Number(row["size"]),
    });
  }
  return [...byId.values()];
}

function sortedByTime(rows: readonly FoundRow[]): FoundRow[] {
  return rows.toSorted((left, right) => left.time - right.time || left.sequence - right.sequence || left.id - right.id);
}

interface Choosable {
  readonly isFailure: boolean;
  readonly size: number;
}

export interface ChoiceLimits<T> {
  readonly rowsMax: number;
  readonly bytesMax: number;
  /** What one row takes at most, where large ones are shortened. */
  readonly sizeMax?: number;
  /** What the answer cannot do without. */
  readonly isNeeded?: (row: T) => boolean;
}

/** This many records at each end stand before the failures: how it began and how it ended is the story's frame. */
const ENDS_KEPT = 20;

/**
 * As many of `rows`, which are in time order, as the limits let in, but always one; in time order again. First what is
 * needed and the ends, then failures (outer before inner), then what stands nearest to a failure or an end: the lines
 * before an error explain it, the thousands in between are progress.
 */
export function chooseRows<T extends Choosable>(rows: readonly T[], limits: ChoiceLimits<T>): T[] {
  const { rowsMax, bytesMax, sizeMax = Infinity } = limits;
  const chosen: number[] = [];
  let bytes = 0;
  for (const index of rankRows(rows, limits.isNeeded)) {
    if (chosen.length >= rowsMax) break;
    const size = Math.min(rows[index]!.size, sizeMax);
    // One that is too large does not keep out the smaller ones behind it.
    if (chosen.length > 0 && bytes + size > bytesMax) continue;
    bytes += size;
    chosen.push(index);
  }
  return chosen.toSorted((left, right) => left - right).map((index) => rows[index]!);
}

/** Indices, the most wanted first: four classes, each ordered within. */
function rankRows<T extends Choosable>(rows: readonly T[], isNeeded: (row: T) => boolean = () => false): number[] {
  const distances = distancesOf(rows);
  const ranks = rows.map((row, index) => {
    const toEnd = Math.min(index, rows.length - 1 - index);
    if (isNeeded(row)) return -2 * rows.length - 1;
    if (toEnd < ENDS_KEPT) return toEnd - 2 * rows.length;
    return row.isFailure ? toEnd - rows.length : distances[index]!;
  });
  return Array.from(rows.keys()).toSorted((left, right) => ranks[left]! - ranks[right]! || left - right);
}

/** How many rows lie between each and the nearest failure or end. */
function distancesOf(rows: readonly Choosable[]): Int32Array {
  const distances = new Int32Array(rows.length);
  let since = 0;
  rows.forEach((row, index) => (distances[index] = since = row.isFailure ? 0 : since + 1));
  since = 0;
  for (let index = rows.length - 1; index >= 0; index--) {
    since = rows[index]!.isFailure ? 0 : since + 1;
    distances[index] = Math.min(distances[index]!, since);
  }
  return distances;
}
