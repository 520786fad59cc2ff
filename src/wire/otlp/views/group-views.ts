import {
  CONTENT_END,
  CONTENT_START,
  firstRecord,
  firstScope,
  GROUP_COLUMNS,
  GROUP_HEADER_FIELD,
  GROUP_SCHEMA_URL_FIELD,
  HEADER_END,
  HEADER_START,
  RECORD_COLUMNS,
} from "../batch-index.ts";
import { fieldNumbers } from "../message-table.ts";
import type {
  Attributes,
  RecordView,
  ResourceEdit,
  ResourceGroup,
  ResourceView,
  ScopeGroup,
  ScopeView,
} from "../types.ts";
import { AttributesView } from "./attributes-view.ts";
import type { BatchState } from "./batch-state.ts";
import type { MessageEdits } from "./edits.ts";
import { TEXT, UINT32 } from "./field-codecs.ts";
import { hasKey } from "./has-key.ts";
import { keySet, type KeySet } from "./key-pattern.ts";
import { ChildView, MessageView } from "./message-view.ts";

const RESOURCE = fieldNumbers("Resource", ["attributes", "droppedAttributesCount"]);
const SCOPE = fieldNumbers("InstrumentationScope", ["name", "version", "attributes", "droppedAttributesCount"]);

/** What differs between the signals: how a record is viewed, and what it counts for. */
export interface RecordKind<R extends RecordView> {
  create(scope: ScopeGroupView<R>, record: number): R;
  /** Of a record's list of attributes; undefined where its kind has none. */
  readonly attributesField: number | undefined;
  /** 1, or a metric's data points that are left. */
  itemsLeft(scope: ScopeGroupView<R>, record: number): number;
}

export class ResourceNode extends ChildView implements ResourceView {
  readonly attributes: Attributes = new AttributesView(this, RESOURCE.attributes);

  get droppedAttributesCount(): number {
    return this.read(UINT32, RESOURCE.droppedAttributesCount);
  }

  set droppedAttributesCount(value: number) {
    this.write(UINT32, RESOURCE.droppedAttributesCount, value);
  }
}

export class ScopeNode extends ChildView implements ScopeView {
  readonly attributes: Attributes = new AttributesView(this, SCOPE.attributes);

  get name(): string {
    return this.read(TEXT, SCOPE.name);
  }

  set name(value: string) {
    this.write(TEXT, SCOPE.name, value);
  }

  get version(): string {
    return this.read(TEXT, SCOPE.version);
  }

  set version(value: string) {
    this.write(TEXT, SCOPE.version, value);
  }

  get droppedAttributesCount(): number {
    return this.read(UINT32, SCOPE.droppedAttributesCount);
  }

  set droppedAttributesCount(value: number) {
    this.write(UINT32, SCOPE.droppedAttributesCount, value);
  }
}

export class ResourceGroupView<R extends RecordView> extends MessageView implements ResourceGroup<R> {
  readonly position: number;
  readonly resource: ResourceNode;
  readonly #kind: RecordKind<R>;

  constructor(state: BatchState, kind: RecordKind<R>, position: number) {
    const { resources } = state.index;
    const row = position * GROUP_COLUMNS;
    super(state, resources[row + CONTENT_START]!, resources[row + CONTENT_END]!);
    this.position = position;
    this.#kind = kind;
    const { [row + HEADER_START]: start, [row + HEADER_END]: end } = resources;
    this.resource = new ResourceNode(state, this, GROUP_HEADER_FIELD, start!, end!);
  }

  override peekEdits(): MessageEdits | undefined {
    return this.state.resourceEdits.get(this.position);
  }

  override openEdits(): MessageEdits {
    return this.state.openResource(this.position);
  }

  get schemaUrl(): string {
    return this.read(TEXT, GROUP_SCHEMA_URL_FIELD);
  }

  set schemaUrl(value: string) {
    this.write(TEXT, GROUP_SCHEMA_URL_FIELD, value);
  }

  *scopes(): Iterable<ScopeGroupView<R>> {
    const { state, position } = this;
    state.assertLive();
    const end = firstScope(state.index, position + 1);
    for (let scope = firstScope(state.index, position); scope < end; scope++) {
      if (!state.isScopeDropped(scope)) yield new ScopeGroupView(this, this.#kind, scope);
      state.assertLive();
    }
  }

  *records(): Iterable<R> {
    for (const scope of this.scopes()) yield* scope.records();
  }

  drop(): void {
    for (const scope of this.scopes()) scope.drop();
    this.state.dropResource(this.position);
  }
}

export class ScopeGroupView<R extends RecordView> extends MessageView implements ScopeGroup<R> {
  readonly group: ResourceGroupView<R>;
  readonly position: number;
  readonly scope: ScopeNode;
  readonly #kind: RecordKind<R>;

  constructor(group: ResourceGroupView<R>, kind: RecordKind<R>, position: number) {
    const { scopes } = group.state.index;
    const row = position * GROUP_COLUMNS;
    super(group.state, scopes[row + CONTENT_START]!, scopes[row + CONTENT_END]!);
    this.group = group;
    this.#kind = kind;
    this.position = position;
    const { [row + HEADER_START]: start, [row + HEADER_END]: end } = scopes;
    this.scope = new ScopeNode(this.state, this, GROUP_HEADER_FIELD, start!, end!);
  }

  override peekEdits(): MessageEdits | undefined {
    return this.state.scopeEdits.get(this.position);
  }

  override openEdits(): MessageEdits {
    return this.state.openScope(this.position);
  }

  get schemaUrl(): string {
    return this.read(TEXT, GROUP_SCHEMA_URL_FIELD);
  }

  set schemaUrl(value: string) {
    this.write(TEXT, GROUP_SCHEMA_URL_FIELD, value);
  }

  *records(): Iterable<R> {
    const { state, recordEnd } = this;
    state.assertLive();
    for (let record = this.recordStart; record < recordEnd; record++) {
      if (!state.isRecordDropped(record)) yield this.#kind.create(this, record);
      state.assertLive();
    }
  }

  *recordsHaving(keys: readonly string[]): Iterable<R> {
    const { state, recordEnd } = this;
    const { attributesField } = this.#kind;
    if (attributesField === undefined) {
      yield* this.records();
      return;
    }
    const wanted = keySet(keys);
    state.assertLive();
    for (let record = this.recordStart; record < recordEnd; record++) {
      if (state.isRecordDropped(record)) continue;
      const mayHave = state.recordEdits(record) !== undefined || this.#hasKey(record, attributesField, wanted);
      if (!mayHave) continue;
      yield this.#kind.create(this, record);
      state.assertLive();
    }
  }

  #hasKey(record: number, attributesField: number, wanted: KeySet): boolean {
    const { records } = this.state.index;
    const row = record * RECORD_COLUMNS;
    return hasKey(
      this.state.bytes,
      records[row + CONTENT_START]!,
      records[row + CONTENT_END]!,
      attributesField,
      wanted,
    );
  }

  get recordStart(): number {
    return firstRecord(this.state.index, this.position);
  }

  get recordEnd(): number {
    return firstRecord(this.state.index, this.position + 1);
  }

  moveToResource(edit: ResourceEdit): boolean {
    return this.state.openPlan().move(this.group.position, this.position, this.recordStart, this.recordEnd, edit);
  }

  drop(): void {
    const { state, position, recordEnd } = this;
    for (let record = this.recordStart; record < recordEnd; record++) {
      if (!state.isRecordDropped(record)) state.dropRecord(record, position, this.#kind.itemsLeft(this, record));
    }
    state.dropScope(position);
  }
}
