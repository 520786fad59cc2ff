import {
  CONTENT_END,
  CONTENT_START,
  FIELD_START,
  firstRecord,
  firstScope,
  GROUP_CHILD_FIELD,
  GROUP_COLUMNS,
  RECORD_COLUMNS,
  REQUEST_GROUP_FIELD,
} from "./batch-index.ts";
import { MessageEncoder, REFERENCE_BYTES_MIN } from "./encode-message.ts";
import { writeGap, writeRecord } from "./encode-parts.ts";
import { encodeRegrouped } from "./regroup.ts";
import type { EncodedPayload } from "./types.ts";
import type { BatchState } from "./views/batch-state.ts";

// Room for what edits add, so that the output buffer seldom grows: a few attributes on the groups, and one on each edited record.
const ROOM_PER_BATCH = 1024;
const ROOM_PER_EDITED_RECORD = 64;

/**
 * Where only groups were edited, long runs of records are referenced: room for them would lie about unused, and bytes
 * outside V8's heap bring collections forward.
 */
function outputCapacity(state: BatchState): number {
  const copied = state.editedRecordCount === 0 ? Math.min(state.bytes.length, REFERENCE_BYTES_MIN) : state.bytes.length;
  return copied + ROOM_PER_BATCH + state.editedRecordCount * ROOM_PER_EDITED_RECORD;
}

/** The batch as it stands: edited fields and the lengths above them are new, all else is as it came, in its order. */
export function encodeBatch(state: BatchState): EncodedPayload {
  const { bytes, original, itemCount } = state;
  if (state.version === 0) return { slices: original.length === 0 ? [] : [original], size: original.length, itemCount };
  if (state.plan?.hasMoves === true) return encodeRegrouped(state, state.plan, outputCapacity(state));
  const encoder = new MessageEncoder(bytes, outputCapacity(state));
  writeRequest(state, encoder);
  return { ...encoder.finish(), itemCount };
}

function writeRequest(state: BatchState, encoder: MessageEncoder): void {
  const { resources, resourceCount } = state.index;
  let position = 0;
  for (let resource = 0; resource < resourceCount; resource++) {
    const row = resource * GROUP_COLUMNS;
    const fieldStart = resources[row + FIELD_START]!;
    const end = resources[row + CONTENT_END]!;
    encoder.keep(position, fieldStart);
    position = end;
    if (!state.isResourceDirty(resource)) encoder.keep(fieldStart, end);
    else if (!state.isResourceDropped(resource)) writeResourceGroup(state, encoder, resource);
  }
  encoder.keep(position, state.bytes.length);
}

function writeResourceGroup(state: BatchState, encoder: MessageEncoder, resource: number): void {
  const { index } = state;
  const row = resource * GROUP_COLUMNS;
  const edits = state.resourceEdits.get(resource);
  let position = index.resources[row + CONTENT_START]!;
  const end = index.resources[row + CONTENT_END]!;
  encoder.begin(REQUEST_GROUP_FIELD, end - position);
  const scopeEnd = firstScope(index, resource + 1);
  let met = 0;
  for (let scope = firstScope(index, resource); scope < scopeEnd; scope++) {
    const fieldStart = index.scopes[scope * GROUP_COLUMNS + FIELD_START]!;
    const fieldEnd = index.scopes[scope * GROUP_COLUMNS + CONTENT_END]!;
    met |= writeGap(encoder, position, fieldStart, edits);
    position = fieldEnd;
    if (!state.isScopeDirty(scope)) encoder.keep(fieldStart, fieldEnd);
    else if (!state.isScopeDropped(scope)) writeScopeGroup(state, encoder, scope);
  }
  met |= writeGap(encoder, position, end, edits);
  if (edits !== undefined) encoder.additions(edits, met);
  encoder.end();
}

function writeScopeGroup(state: BatchState, encoder: MessageEncoder, scope: number): void {
  const { index } = state;
  const row = scope * GROUP_COLUMNS;
  const edits = state.scopeEdits.get(scope);
  let position = index.scopes[row + CONTENT_START]!;
  const end = index.scopes[row + CONTENT_END]!;
  encoder.begin(GROUP_CHILD_FIELD, end - position);
  const recordEnd = firstRecord(index, scope + 1);
  let met = 0;
  for (let record = firstRecord(index, scope); record < recordEnd; record++) {
    const fieldStart = index.records[record * RECORD_COLUMNS + FIELD_START]!;
    if (position !== fieldStart) met |= writeGap(encoder, position, fieldStart, edits);
    position = index.records[record * RECORD_COLUMNS + CONTENT_END]!;
    writeRecord(state, encoder, record);
  }
  met |= writeGap(encoder, position, end, edits);
  if (edits !== undefined) encoder.additions(edits, met);
  encoder.end();
}
