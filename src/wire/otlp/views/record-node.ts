import { CONTENT_END, CONTENT_START, RECORD_COLUMNS } from "../batch-index.ts";
import type { RecordView, ResourceEdit, ResourceView, ScopeView } from "../types.ts";
import type { MessageEdits } from "./edits.ts";
import type { ScopeGroupView } from "./group-views.ts";
import { MessageView } from "./message-view.ts";

/** What log records, spans and metrics have in common. */
export abstract class RecordNode<R extends RecordView> extends MessageView implements RecordView {
  readonly position: number;
  readonly scopeGroup: ScopeGroupView<R>;

  constructor(scopeGroup: ScopeGroupView<R>, position: number) {
    const { records } = scopeGroup.state.index;
    const row = position * RECORD_COLUMNS;
    super(scopeGroup.state, records[row + CONTENT_START]!, records[row + CONTENT_END]!);
    this.position = position;
    this.scopeGroup = scopeGroup;
  }

  override peekEdits(): MessageEdits | undefined {
    return this.state.recordEdits(this.position);
  }

  override openEdits(): MessageEdits {
    return this.state.openRecord(this.position, this.scopeGroup.position);
  }

  get resource(): ResourceView {
    return this.scopeGroup.group.resource;
  }

  get scope(): ScopeView {
    return this.scopeGroup.scope;
  }

  /** What the record counts for: 1, or a metric's data points that are left. */
  protected itemsLeft(): number {
    return 1;
  }

  drop(): void {
    this.state.dropRecord(this.position, this.scopeGroup.position, this.itemsLeft());
  }

  moveToResource(edit: ResourceEdit): boolean {
    const { group, position: scope } = this.scopeGroup;
    return this.state.openPlan().move(group.position, scope, this.position, this.position + 1, edit);
  }
}
