import { encodeJsonRequest } from "../wire/otlp/json-encode.ts";
import { loadRecords, readJson } from "./record-json.ts";
import type { LogJson } from "./record-json.ts";
import { joinRequest } from "./request-pieces.ts";
import type { StoreReader } from "./store-reader.ts";

export interface SingleRecord {
  readonly record: LogJson;
  /** The record as it came: one OTLP/JSON logs request. */
  readonly otlp: unknown;
}

/** One log record by its place in the store. */
export function readRecord(reader: StoreReader, sequence: number, id: number): SingleRecord | undefined {
  let found: SingleRecord | undefined;
  reader.visitSegments((segment) => {
    if (segment.sequence !== sequence) return true;
    const [stored] = loadRecords(segment, "log", [id]);
    const [record] = readJson(segment, "log", [id]);
    if (stored !== undefined && record !== undefined) {
      found = { record, otlp: JSON.parse(encodeJsonRequest("logs", joinRequest([stored.piece]))) };
    }
    return false;
  });
  return found;
}
