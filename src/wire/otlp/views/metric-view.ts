import type { FieldWalker } from "../../protobuf/walker.ts";
import { fieldNumbers } from "../message-table.ts";
import type { Attributes, DataPointView, MetricType, MetricView } from "../types.ts";
import { AttributesView } from "./attributes-view.ts";
import type { BatchState } from "./batch-state.ts";
import { DATA_POINT_KINDS, DATA_POINTS_FIELD, DataPointNode, type DataPointKind } from "./data-point-view.ts";
import { BOOL, ENUM, TEXT } from "./field-codecs.ts";
import { ChildView } from "./message-view.ts";
import { RecordNode } from "./record-node.ts";

const METRIC = fieldNumbers("Metric", [
  "name",
  "description",
  "unit",
  "gauge",
  "sum",
  "histogram",
  "exponentialHistogram",
  "summary",
  "metadata",
]);

const TYPES: Readonly<Record<number, Exclude<MetricType, "none">>> = {
  [METRIC.gauge]: "gauge",
  [METRIC.sum]: "sum",
  [METRIC.histogram]: "histogram",
  [METRIC.exponentialHistogram]: "exponential_histogram",
  [METRIC.summary]: "summary",
};

/** The same numbers in all messages that have the field. */
const AGGREGATION_TEMPORALITY = fieldNumbers("Sum", ["aggregationTemporality"]).aggregationTemporality;
const IS_MONOTONIC = fieldNumbers("Sum", ["isMonotonic"]).isMonotonic;

export class MetricNode extends RecordNode<MetricView> implements MetricView {
  #metadata: AttributesView | undefined;
  #data: MetricDataNode | undefined;

  get name(): string {
    return this.read(TEXT, METRIC.name);
  }

  set name(value: string) {
    this.write(TEXT, METRIC.name, value);
  }

  get description(): string {
    return this.read(TEXT, METRIC.description);
  }

  set description(value: string) {
    this.write(TEXT, METRIC.description, value);
  }

  get unit(): string {
    return this.read(TEXT, METRIC.unit);
  }

  set unit(value: string) {
    this.write(TEXT, METRIC.unit, value);
  }

  get metadata(): Attributes {
    return (this.#metadata ??= new AttributesView(this, METRIC.metadata));
  }

  get type(): MetricType {
    return this.#openData()?.type ?? "none";
  }

  get aggregationTemporality(): number {
    return this.#openData()?.aggregationTemporality ?? 0;
  }

  get isMonotonic(): boolean {
    return this.#openData()?.isMonotonic ?? false;
  }

  *dataPoints(): Iterable<DataPointView> {
    yield* this.#openData()?.points() ?? [];
  }

  override itemsLeft(): number {
    return this.#openData()?.pointsLeft() ?? 0;
  }

  /** The member of the oneof; a metric with two was merged before any view was made. */
  #openData(): MetricDataNode | undefined {
    this.state.assertLive();
    if (this.#data !== undefined) return this.#data;
    const walker = this.walk();
    while (walker.next()) {
      const type = TYPES[walker.number];
      if (type === undefined) continue;
      this.#data = new MetricDataNode(this.state, this, walker.number, walker.valueStart, walker.valueEnd, type);
    }
    return this.#data;
  }
}

/** Gauge, Sum, Histogram, ExponentialHistogram or Summary. */
export class MetricDataNode extends ChildView {
  readonly type: Exclude<MetricType, "none">;
  readonly #metric: MetricNode;

  constructor(
    state: BatchState,
    metric: MetricNode,
    number: number,
    start: number,
    end: number,
    type: Exclude<MetricType, "none">,
  ) {
    super(state, metric, number, start, end);
    this.#metric = metric;
    this.type = type;
  }

  get aggregationTemporality(): number {
    return this.type === "gauge" || this.type === "summary" ? 0 : this.read(ENUM, AGGREGATION_TEMPORALITY);
  }

  get isMonotonic(): boolean {
    return this.type === "sum" && this.read(BOOL, IS_MONOTONIC);
  }

  *points(): Iterable<DataPointView> {
    const kind: DataPointKind = DATA_POINT_KINDS[this.type];
    const walker = this.walk();
    while (walker.next()) {
      if (walker.number !== DATA_POINTS_FIELD) continue;
      const point = new DataPointNode(this, kind, walker.valueStart, walker.valueEnd);
      if (!point.isDropped) yield point;
      this.state.assertLive();
    }
  }

  pointsLeft(): number {
    let count = 0;
    const walker: FieldWalker = this.walk();
    while (walker.next()) if (walker.number === DATA_POINTS_FIELD) count++;
    for (const { isDropped } of this.peekEdits()?.items?.values() ?? []) if (isDropped) count--;
    return count;
  }

  /** The last point takes its metric with it. */
  dropPoint(point: DataPointNode): void {
    const { state } = this;
    const { position, scopeGroup } = this.#metric;
    if (point.isDropped || state.isRecordDropped(position)) return;
    point.openEdits().isDropped = true;
    state.itemCount--;
    if (this.#left() === 0) state.dropRecord(position, scopeGroup.position, 0);
  }

  /** Counted once, then kept in the edits: dropping all of a metric's points one by one stays linear. */
  #left(): number {
    const edits = this.openEdits();
    edits.itemsLeft = edits.itemsLeft === undefined ? this.pointsLeft() : edits.itemsLeft - 1;
    return edits.itemsLeft;
  }
}
