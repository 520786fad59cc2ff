import type { StoredRecord } from "../storage.ts";

/** Of a record beside its payloads: a few destinations, the ledger's counters, twice. */
const DESCRIPTION_BYTES = 1024;

const MIB = 1024 * 1024;
const SEGMENT_BYTES = 32 * MIB;
const RESERVE_BYTES = MIB;
/** Of notes of completions: some thousand. A disk that cannot sync for seconds at a high rate fills it; what comes then is not noted. */
const RECENT_BYTES = MIB / 2;
/** Of `bytesMax`, for a segment and for the reserve: a full storage gives room back in steps of a sixteenth. */
const SHARE = 16;

/** What the files have where the settings do not say it, within `bytesMax`. */
export function fileSizes(bytesMax = Infinity): { segmentBytes: number; reserveBytes: number; recentBytes: number } {
  return {
    segmentBytes: Math.min(SEGMENT_BYTES, bytesMax / SHARE),
    reserveBytes: Math.floor(Math.min(RESERVE_BYTES, bytesMax / SHARE)),
    recentBytes: Math.floor(Math.min(RECENT_BYTES, bytesMax / (2 * SHARE))),
  };
}

/** The largest admission that finds room once all others are delivered: the segment that is written to stays. */
export function admissionBytesMaxOf(bytesMax: number): number {
  const { segmentBytes, reserveBytes, recentBytes } = fileSizes(bytesMax);
  return Math.floor(bytesMax - segmentBytes - reserveBytes - recentBytes) - DESCRIPTION_BYTES;
}

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
