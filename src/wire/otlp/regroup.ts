/**
 * Encoding a batch in which records moved to another resource.
 *
 * Every record goes, in order, to the group whose resource and scope equal its own: the resource with its edits and the
 * record's patch, the schema URLs, and all other fields of the headers. Groups stand in the order in which their first
 * record was met, and start with the header of that first record; a group without records is not made, except where it
 * came without any.
 */
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
import { RESOURCE_ATTRIBUTES, SCOPE_ATTRIBUTES } from "./canonical.ts";
import { writeGap, writeRecord } from "./encode-parts.ts";
import { MessageEncoder } from "./encode-message.ts";
import { GroupHeaders, type GroupHeader } from "./group-headers.ts";
import { patchHeader } from "./patch-resource.ts";
import { asBuffer } from "../text.ts";
import type { EncodedPayload } from "./types.ts";
import type { BatchState } from "./views/batch-state.ts";
import type { MessageEdits } from "./views/edits.ts";
import type { RegroupPlan } from "./views/regroup-plan.ts";

// The first room for a header; it grows.
const HEADER_CAPACITY = 512;

const NO_BYTES = new Uint8Array(0);

const RESOURCE_HEADERS = new GroupHeaders(RESOURCE_ATTRIBUTES);
const SCOPE_HEADERS = new GroupHeaders(SCOPE_ATTRIBUTES);

interface OutputScope {
  readonly header: Uint8Array;
  readonly records: number[];
}

interface OutputGroup {
  readonly header: Uint8Array;
  readonly scopes: OutputScope[];
  readonly scopeByKey: Map<string, OutputScope>;
}

export function encodeRegrouped(state: BatchState, plan: RegroupPlan, capacity: number): EncodedPayload {
  plan.checkBytes();
  const groups = new Regrouping(state, plan).run();
  const encoder = new MessageEncoder(state.bytes, capacity);
  writeRequestGaps(state, encoder);
  for (const group of groups) {
    encoder.begin(REQUEST_GROUP_FIELD, sizeOfGroup(state, group));
    encoder.put(group.header);
    for (const scope of group.scopes) writeScope(state, encoder, scope);
    encoder.end();
  }
  return { ...encoder.finish(), itemCount: state.itemCount };
}

/** Unknown fields of the request itself. */
function writeRequestGaps(state: BatchState, encoder: MessageEncoder): void {
  const { resources, resourceCount } = state.index;
  let position = 0;
  for (let resource = 0; resource < resourceCount; resource++) {
    encoder.keep(position, resources[resource * GROUP_COLUMNS + FIELD_START]!);
    position = resources[resource * GROUP_COLUMNS + CONTENT_END]!;
  }
  encoder.keep(position, state.bytes.length);
}

function writeScope(state: BatchState, encoder: MessageEncoder, scope: OutputScope): void {
  encoder.begin(GROUP_CHILD_FIELD, sizeOfScope(state, scope));
  encoder.put(scope.header);
  for (const record of scope.records) writeRecord(state, encoder, record);
  encoder.end();
}

function sizeOfScope(state: BatchState, { header, records }: OutputScope): number {
  let size = header.length;
  for (const record of records) {
    const row = record * RECORD_COLUMNS;
    size += state.index.records[row + CONTENT_END]! - state.index.records[row + FIELD_START]!;
  }
  return size;
}

function sizeOfGroup(state: BatchState, group: OutputGroup): number {
  let size = group.header.length;
  for (const scope of group.scopes) size += sizeOfScope(state, scope) + 4;
  return size;
}

interface BareHeader {
  readonly resource: number;
  readonly header: Uint8Array;
  readonly text: string;
}

class Regrouping {
  readonly #state: BatchState;
  readonly #plan: RegroupPlan;
  readonly #groups: OutputGroup[] = [];
  readonly #groupByKey = new Map<string, OutputGroup>();
  /** By resource and target, and by scope: what was worked out already. */
  readonly #groupBySource = new Map<string, OutputGroup>();
  readonly #scopeHeaders = new Map<number, GroupHeader>();
  /** The resource group without its children and without any patch, and the same as a text. */
  #bare: BareHeader = { resource: -1, header: NO_BYTES, text: "" };

  constructor(state: BatchState, plan: RegroupPlan) {
    this.#state = state;
    this.#plan = plan;
  }

  run(): readonly OutputGroup[] {
    const { resourceCount } = this.#state.index;
    for (let resource = 0; resource < resourceCount; resource++) {
      if (!this.#state.isResourceDropped(resource)) this.#resource(resource);
    }
    return this.#groups;
  }

  #resource(resource: number): void {
    const { index } = this.#state;
    const end = firstScope(index, resource + 1);
    const first = firstScope(index, resource);
    if (first === end) this.#openGroup(resource, undefined);
    for (let scope = first; scope < end; scope++) if (!this.#state.isScopeDropped(scope)) this.#scope(resource, scope);
  }

  #scope(resource: number, scope: number): void {
    const { index } = this.#state;
    const end = firstRecord(index, scope + 1);
    const first = firstRecord(index, scope);
    if (first === end) this.#openScope(this.#openGroup(resource, undefined), scope);
    let home: OutputScope | undefined;
    const places: (OutputScope | undefined)[] = [];
    for (let record = first; record < end; record++) {
      if (this.#state.isRecordDropped(record)) continue;
      const target = this.#plan.targetOf(record);
      let place = target === undefined ? home : places[target];
      if (place === undefined) {
        place = this.#openScope(this.#openGroup(resource, target), scope);
        if (target === undefined) home = place;
        else places[target] = place;
      }
      place.records.push(record);
    }
  }

  #openGroup(resource: number, target: number | undefined): OutputGroup {
    const source = `${resource},${target ?? ""}`;
    const known = this.#groupBySource.get(source);
    if (known !== undefined) return known;
    const { bytes: header, key } = this.#resourceHeader(resource, target);
    let group = this.#groupByKey.get(key);
    if (group === undefined) {
      group = { header, scopes: [], scopeByKey: new Map() };
      this.#groups.push(group);
      this.#groupByKey.set(key, group);
    }
    this.#groupBySource.set(source, group);
    return group;
  }

  #openScope(group: OutputGroup, scope: number): OutputScope {
    const { bytes: header, key } = this.#scopeHeader(scope);
    let place = group.scopeByKey.get(key);
    if (place === undefined) {
      place = { header, records: [] };
      group.scopes.push(place);
      group.scopeByKey.set(key, place);
    }
    return place;
  }

  #resourceHeader(resource: number, target: number | undefined): GroupHeader {
    const { header, text } = this.#bareHeader(resource);
    if (target === undefined) return RESOURCE_HEADERS.get(text, () => header);
    const patch = this.#plan.patchOf(target);
    return RESOURCE_HEADERS.get(text + this.#plan.patchText(target), () => patchHeader(header, patch));
  }

  #bareHeader(resource: number): BareHeader {
    if (this.#bare.resource === resource) return this.#bare;
    const { bytes, index, resourceEdits } = this.#state;
    const row = resource * GROUP_COLUMNS;
    const start = index.resources[row + CONTENT_START]!;
    const end = index.resources[row + CONTENT_END]!;
    const encoder = new MessageEncoder(bytes, HEADER_CAPACITY);
    const children = { rows: index.scopes, columns: GROUP_COLUMNS };
    const edits = resourceEdits.get(resource);
    writeHeader(encoder, start, end, children, firstScope(index, resource), firstScope(index, resource + 1), edits);
    const header = encoder.toBytes();
    // With its length in front, so that no header can pretend to be another with a patch.
    return (this.#bare = { resource, header, text: `${header.length}:${latin1(header)}` });
  }

  #scopeHeader(scope: number): GroupHeader {
    const known = this.#scopeHeaders.get(scope);
    if (known !== undefined) return known;
    const { bytes, index, scopeEdits } = this.#state;
    const row = scope * GROUP_COLUMNS;
    const start = index.scopes[row + CONTENT_START]!;
    const end = index.scopes[row + CONTENT_END]!;
    const encoder = new MessageEncoder(bytes, HEADER_CAPACITY);
    const children = { rows: index.records, columns: RECORD_COLUMNS };
    const edits = scopeEdits.get(scope);
    writeHeader(encoder, start, end, children, firstRecord(index, scope), firstRecord(index, scope + 1), edits);
    const header = encoder.toBytes();
    const made = SCOPE_HEADERS.get(latin1(header), () => header);
    this.#scopeHeaders.set(scope, made);
    return made;
  }
}

function latin1(bytes: Uint8Array): string {
  return asBuffer(bytes).toString("latin1");
}

/** The fields of a group without its children. */
function writeHeader(
  encoder: MessageEncoder,
  start: number,
  end: number,
  children: { readonly rows: Int32Array; readonly columns: number },
  first: number,
  last: number,
  edits: MessageEdits | undefined,
): void {
  let position = start;
  let met = 0;
  for (let child = first; child < last; child++) {
    const row = child * children.columns;
    met |= writeGap(encoder, position, children.rows[row + FIELD_START]!, edits);
    position = children.rows[row + CONTENT_END]!;
  }
  met |= writeGap(encoder, position, end, edits);
  if (edits !== undefined) encoder.additions(edits, met);
}
