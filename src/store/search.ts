import { planSegment } from "./query-plan.ts";
import type { TimeRange } from "./query-plan.ts";
import type { Query } from "./query-parser.ts";
import { ANSWER_BYTES_MAX, readJson } from "./record-json.ts";
import type { RecordJsons } from "./record-json.ts";
import type { RecordTable, SegmentReader, SqlValue } from "./segment-reader.ts";
import type { StoreReader } from "./store-reader.ts";

/** Where a record stands in the one order of all answers: newest first, then the later segment, then the later row. */
export interface Place {
  readonly time: number;
  readonly sequence: number;
  readonly id: number;
}

export interface SearchRequest {
  readonly query: Query;
  readonly range: TimeRange;
  readonly limit: number;
  /** Goes on after this place. */
  readonly after?: Place;
}

export interface SearchResult<J> {
  readonly records: readonly J[];
  /** Where the next page goes on; undefined where this one holds all there is. */
  readonly next: Place | undefined;
}

interface Hit extends Place {
  /** Bytes of the stored record. */
  readonly size: number;
}

/** Newest first over all segments. A segment is asked only where it can still add to what the page holds. */
export function search<T extends RecordTable>(
  reader: StoreReader,
  table: T,
  request: SearchRequest,
): SearchResult<RecordJsons[T]> {
  const page = new Page<RecordJsons[T]>(request.limit);
  reader.visitSegments((segment) => {
    const range = narrowRange(request, segment, table, page.worst);
    if (range === undefined) return;
    const hits = findHits(segment, table, { ...request, range });
    page.add(hits, (wanted) =>
      readJson(
        segment,
        table,
        wanted.map(({ id }) => id),
      ),
    );
  });
  return page.finish();
}

/** The best hits so far, at most `limit` and ANSWER_BYTES_MAX together, but always one. */
class Page<J> {
  readonly #limit: number;
  readonly #jsons = new Map<Hit, J>();
  #hits: readonly Hit[] = [];
  #isCut = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** What a further hit must beat; undefined while there is room. */
  get worst(): Place | undefined {
    return this.#isCut || this.#hits.length >= this.#limit ? this.#hits.at(-1) : undefined;
  }

  /** Only what stays on the page is loaded. Where loading throws, the page is as it was before. */
  add(hits: readonly Hit[], load: (wanted: readonly Hit[]) => J[]): void {
    const sorted = [...this.#hits, ...hits].toSorted(newestFirst);
    const kept = sorted.slice(0, this.#fitting(sorted));
    const wanted = kept.filter((hit) => !this.#jsons.has(hit));
    const jsons = load(wanted);
    wanted.forEach((hit, index) => this.#jsons.set(hit, jsons[index]!));
    this.#isCut ||= kept.length < sorted.length;
    this.#hits = kept;
  }

  finish(): SearchResult<J> {
    const records = this.#hits.map((hit) => this.#jsons.get(hit)!);
    return { records, next: this.#isCut ? this.#hits.at(-1) : undefined };
  }

  #fitting(sorted: readonly Hit[]): number {
    let bytes = 0;
    const end = sorted.findIndex((hit, index) => {
      bytes += hit.size;
      return index >= this.#limit || (index > 0 && bytes > ANSWER_BYTES_MAX);
    });
    return end < 0 ? sorted.length : end;
  }
}

/** The part of the time range in which this segment can add something; undefined for none. */
function narrowRange(
  request: SearchRequest,
  segment: SegmentReader,
  table: RecordTable,
  worst: Place | undefined,
): TimeRange | undefined {
  const span = segment.timeSpan(table);
  if (span === undefined) return undefined;
  const from = Math.max(request.range.from, worst?.time ?? -Infinity);
  const to = Math.min(request.range.to, request.after?.time ?? Infinity);
  if (span.max < from || span.min > to || from > to) return undefined;
  return { from, to };
}

/** One more than the limit, to know whether there is more. length() of a blob is read from its header alone. */
function findHits(segment: SegmentReader, table: RecordTable, request: SearchRequest): Hit[] {
  const plan = planSegment(request.query, request.range, table, segment);
  if (plan === undefined) return [];
  const conditions = [...plan.conditions];
  const values: SqlValue[] = [...plan.values];
  if (request.after !== undefined) pushAfter(request.after, segment.sequence, conditions, values);
  const sql = `SELECT r.id AS id, r.time AS time, length(r.bytes) AS size FROM ${plan.source}
    WHERE ${conditions.join(" AND ")} ORDER BY r.time DESC, r.id DESC LIMIT ?`;
  return segment.all(sql, [...values, request.limit + 1]).map((row) => ({
    time: Number(row["time"]),
    sequence: segment.sequence,
    id: Number(row["id"]),
    size: Number(row["size"]),
  }));
}

function pushAfter(after: Place, sequence: number, conditions: string[], values: SqlValue[]): void {
  if (sequence === after.sequence) {
    conditions.push("(r.time < ? OR (r.time = ? AND r.id < ?))");
    values.push(after.time, after.time, after.id);
  } else {
    conditions.push(sequence < after.sequence ? "r.time <= ?" : "r.time < ?");
    values.push(after.time);
  }
}

export function newestFirst(left: Place, right: Place): number {
  return right.time - left.time || right.sequence - left.sequence || right.id - left.id;
}
