import { CONTENT_END, CONTENT_START, FIELD_START, GROUP_CHILD_FIELD, RECORD_COLUMNS } from "./batch-index.ts";
import type { MessageEncoder } from "./encode-message.ts";
import type { BatchState } from "./views/batch-state.ts";
import type { MessageEdits } from "./views/edits.ts";

/** One record as it stands; nothing where it was dropped. */
export function writeRecord(state: BatchState, encoder: MessageEncoder, record: number): void {
  if (state.isRecordDropped(record)) return;
  const { records } = state.index;
  const row = record * RECORD_COLUMNS;
  const edits = state.recordEdits(record);
  if (edits === undefined) encoder.keep(records[row + FIELD_START]!, records[row + CONTENT_END]!);
  else encoder.messageField(GROUP_CHILD_FIELD, records[row + CONTENT_START]!, records[row + CONTENT_END]!, edits);
}

/** The fields of a group between two of its children. */
export function writeGap(encoder: MessageEncoder, start: number, end: number, edits: MessageEdits | undefined): number {
  if (edits !== undefined) return encoder.fields(start, end, edits);
  encoder.keep(start, end);
  return 0;
}
