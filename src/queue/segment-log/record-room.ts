import type { StoredRecord } from "../storage.ts";

/** Of a record beside its payloads: a few destinations, the ledger's counters, twice. */
const DESCRIPTION_BYTES = 1024;

export function estimateBytes(records: readonly StoredRecord[]): number {
  let bytes = 0;
  for (const record of records) {
    bytes += DESCRIPTION_BYTES;
    if (record.kind === "completion") continue;
    for (const { size } of new Set(record.entries.map(({ payload }) => payload))) bytes += size;
  }
  return bytes;
}

/** Whether the record waits for room. Completions make room, and dead letters have a bound of their own. */
export function isBoundedRecord(record: StoredRecord): boolean {
  if (record.kind !== "admission") return false;
  return record.entries.length === 0 || record.entries.some(({ deadLetter }) => deadLetter === undefined);
}
