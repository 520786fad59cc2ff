import { formatRecordId, loadRecords, readJson } from "./record-json.ts";
import type { RecordJsons, StoredRecord } from "./record-json.ts";
import type { FoundRow } from "./row-choice.ts";
import type { RecordTable, SegmentReader } from "./segment-reader.ts";
import { shortenRecord } from "./shorten.ts";
import type { StoreReader } from "./store-reader.ts";

/** Read at once: what stands in memory encoded and decoded. A larger record is read alone. */
const CHUNK_BYTES_MAX = 2 * 1024 * 1024;

/** The rows as JSON, large ones shortened, in the order given. Of a segment that has gone or is damaged none come. */
export function loadJson<T extends RecordTable, V>(
  reader: StoreReader,
  table: T,
  rows: readonly FoundRow[],
  read: (json: RecordJsons[T]) => V,
): V[] {
  return loadRows(reader, table, rows, (segment, chunk) =>
    readJson(
      segment,
      table,
      chunk.map(({ id }) => id),
    ).map((json, index) => read(shortenRecord(table, json, chunk[index]!.size))),
  );
}

/** The rows as they are stored, in the order given. */
export function loadStored(reader: StoreReader, table: RecordTable, rows: readonly FoundRow[]): StoredRecord[] {
  return loadRows(reader, table, rows, (segment, chunk) =>
    loadRecords(
      segment,
      table,
      chunk.map(({ id }) => id),
    ),
  );
}

function loadRows<V>(
  reader: StoreReader,
  table: RecordTable,
  rows: readonly FoundRow[],
  load: (segment: SegmentReader, chunk: readonly FoundRow[]) => V[],
): V[] {
  const bySegment = Map.groupBy(rows, ({ sequence }) => sequence);
  const loaded = new Map<string, V>();
  reader.visitSegments((segment) => {
    const wanted = bySegment.get(segment.sequence) ?? [];
    const values = chunksOf(wanted).flatMap((chunk) => load(segment, chunk));
    values.forEach((value, index) => loaded.set(rowId(table, wanted[index]!), value));
  });
  return rows.flatMap((row) => {
    const value = loaded.get(rowId(table, row));
    return value === undefined ? [] : [value];
  });
}

export function rowId(table: RecordTable, row: FoundRow): string {
  return formatRecordId(table, row.sequence, row.id);
}

function chunksOf(rows: readonly FoundRow[]): FoundRow[][] {
  const chunks: FoundRow[][] = [];
  let bytes = Infinity;
  for (const row of rows) {
    bytes += row.size;
    if (bytes > CHUNK_BYTES_MAX) {
      chunks.push([]);
      bytes = row.size;
    }
    chunks.at(-1)!.push(row);
  }
  return chunks;
}
