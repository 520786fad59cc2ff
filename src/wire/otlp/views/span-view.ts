import { fieldNumbers } from "../message-table.ts";
import type { Attributes, SpanEventView, SpanLinkView, SpanView } from "../types.ts";
import { AttributesView } from "./attributes-view.ts";
import { ENUM, FLAGS, SPAN_ID, TEXT, TIME, TRACE_ID, UINT32 } from "./field-codecs.ts";
import { ChildView, findMessage, ItemView } from "./message-view.ts";
import { RecordNode } from "./record-node.ts";

const SPAN = fieldNumbers("Span", [
  "traceId",
  "spanId",
  "traceState",
  "parentSpanId",
  "flags",
  "name",
  "kind",
  "startTimeUnixNano",
  "endTimeUnixNano",
  "attributes",
  "droppedAttributesCount",
  "events",
  "droppedEventsCount",
  "links",
  "droppedLinksCount",
  "status",
]);
const EVENT = fieldNumbers("SpanEvent", ["timeUnixNano", "name", "attributes", "droppedAttributesCount"]);
const LINK = fieldNumbers("SpanLink", [
  "traceId",
  "spanId",
  "traceState",
  "attributes",
  "droppedAttributesCount",
  "flags",
]);
const STATUS = fieldNumbers("Status", ["message", "code"]);

export class SpanNode extends RecordNode<SpanView> implements SpanView {
  #attributes: AttributesView | undefined;
  #status: StatusNode | undefined;

  get attributes(): Attributes {
    return (this.#attributes ??= new AttributesView(this, SPAN.attributes));
  }

  get traceId(): string {
    return this.read(TRACE_ID, SPAN.traceId);
  }

  set traceId(value: string) {
    this.write(TRACE_ID, SPAN.traceId, value);
  }

  get spanId(): string {
    return this.read(SPAN_ID, SPAN.spanId);
  }

  set spanId(value: string) {
    this.write(SPAN_ID, SPAN.spanId, value);
  }

  get parentSpanId(): string {
    return this.read(SPAN_ID, SPAN.parentSpanId);
  }

  set parentSpanId(value: string) {
    this.write(SPAN_ID, SPAN.parentSpanId, value);
  }

  get traceState(): string {
    return this.read(TEXT, SPAN.traceState);
  }

  set traceState(value: string) {
    this.write(TEXT, SPAN.traceState, value);
  }

  get flags(): number {
    return this.read(FLAGS, SPAN.flags);
  }

  set flags(value: number) {
    this.write(FLAGS, SPAN.flags, value);
  }

  get name(): string {
    return this.read(TEXT, SPAN.name);
  }

  set name(value: string) {
    this.write(TEXT, SPAN.name, value);
  }

  get kind(): number {
    return this.read(ENUM, SPAN.kind);
  }

  set kind(value: number) {
    this.write(ENUM, SPAN.kind, value);
  }

  get startTimeUnixNano(): bigint {
    return this.read(TIME, SPAN.startTimeUnixNano);
  }

  set startTimeUnixNano(value: bigint) {
    this.write(TIME, SPAN.startTimeUnixNano, value);
  }

  get endTimeUnixNano(): bigint {
    return this.read(TIME, SPAN.endTimeUnixNano);
  }

  set endTimeUnixNano(value: bigint) {
    this.write(TIME, SPAN.endTimeUnixNano, value);
  }

  get statusCode(): number {
    return this.#openStatus().code;
  }

  set statusCode(value: number) {
    this.#openStatus().code = value;
  }

  get statusMessage(): string {
    return this.#openStatus().message;
  }

  set statusMessage(value: string) {
    this.#openStatus().message = value;
  }

  #openStatus(): StatusNode {
    if (this.#status === undefined) {
      const { start, end } = findMessage(this, SPAN.status);
      this.#status = new StatusNode(this.state, this, SPAN.status, start, end);
    }
    return this.#status;
  }

  *events(): Iterable<SpanEventView> {
    const walker = this.walk();
    while (walker.next()) {
      if (walker.number !== SPAN.events) continue;
      const event = new SpanEventNode(this.state, this, walker.valueStart, walker.valueEnd);
      if (!event.isDropped) yield event;
      this.state.assertLive();
    }
  }

  *links(): Iterable<SpanLinkView> {
    const walker = this.walk();
    while (walker.next()) {
      if (walker.number !== SPAN.links) continue;
      const link = new SpanLinkNode(this.state, this, walker.valueStart, walker.valueEnd);
      if (!link.isDropped) yield link;
      this.state.assertLive();
    }
  }

  get droppedAttributesCount(): number {
    return this.read(UINT32, SPAN.droppedAttributesCount);
  }

  set droppedAttributesCount(value: number) {
    this.write(UINT32, SPAN.droppedAttributesCount, value);
  }

  get droppedEventsCount(): number {
    return this.read(UINT32, SPAN.droppedEventsCount);
  }

  set droppedEventsCount(value: number) {
    this.write(UINT32, SPAN.droppedEventsCount, value);
  }

  get droppedLinksCount(): number {
    return this.read(UINT32, SPAN.droppedLinksCount);
  }

  set droppedLinksCount(value: number) {
    this.write(UINT32, SPAN.droppedLinksCount, value);
  }
}

class StatusNode extends ChildView {
  get code(): number {
    return this.read(ENUM, STATUS.code);
  }

  set code(value: number) {
    this.write(ENUM, STATUS.code, value);
  }

  get message(): string {
    return this.read(TEXT, STATUS.message);
  }

  set message(value: string) {
    this.write(TEXT, STATUS.message, value);
  }
}

class SpanEventNode extends ItemView implements SpanEventView {
  readonly attributes: Attributes = new AttributesView(this, EVENT.attributes);

  get name(): string {
    return this.read(TEXT, EVENT.name);
  }

  set name(value: string) {
    this.write(TEXT, EVENT.name, value);
  }

  get timeUnixNano(): bigint {
    return this.read(TIME, EVENT.timeUnixNano);
  }

  set timeUnixNano(value: bigint) {
    this.write(TIME, EVENT.timeUnixNano, value);
  }

  get droppedAttributesCount(): number {
    return this.read(UINT32, EVENT.droppedAttributesCount);
  }

  set droppedAttributesCount(value: number) {
    this.write(UINT32, EVENT.droppedAttributesCount, value);
  }
}

class SpanLinkNode extends ItemView implements SpanLinkView {
  readonly attributes: Attributes = new AttributesView(this, LINK.attributes);

  get traceId(): string {
    return this.read(TRACE_ID, LINK.traceId);
  }

  set traceId(value: string) {
    this.write(TRACE_ID, LINK.traceId, value);
  }

  get spanId(): string {
    return this.read(SPAN_ID, LINK.spanId);
  }

  set spanId(value: string) {
    this.write(SPAN_ID, LINK.spanId, value);
  }

  get traceState(): string {
    return this.read(TEXT, LINK.traceState);
  }

  set traceState(value: string) {
    this.write(TEXT, LINK.traceState, value);
  }

  get flags(): number {
    return this.read(FLAGS, LINK.flags);
  }

  set flags(value: number) {
    this.write(FLAGS, LINK.flags, value);
  }

  get droppedAttributesCount(): number {
    return this.read(UINT32, LINK.droppedAttributesCount);
  }

  set droppedAttributesCount(value: number) {
    this.write(UINT32, LINK.droppedAttributesCount, value);
  }
}
