import { fieldNumbers } from "../message-table.ts";
import type { AttributeInput, Attributes, AttributeValue, LogRecordView } from "../types.ts";
import { AttributesView } from "./attributes-view.ts";
import { ANY_VALUE, ENUM, FLAGS, SPAN_ID, TEXT, TIME, TRACE_ID, UINT32 } from "./field-codecs.ts";
import { RecordNode } from "./record-node.ts";

const LOG = fieldNumbers("LogRecord", [
  "timeUnixNano",
  "observedTimeUnixNano",
  "severityNumber",
  "severityText",
  "body",
  "attributes",
  "droppedAttributesCount",
  "flags",
  "traceId",
  "spanId",
  "eventName",
]);

export class LogRecordNode extends RecordNode<LogRecordView> implements LogRecordView {
  #attributes: AttributesView | undefined;

  get attributes(): Attributes {
    return (this.#attributes ??= new AttributesView(this, LOG.attributes));
  }

  get timeUnixNano(): bigint {
    return this.read(TIME, LOG.timeUnixNano);
  }

  set timeUnixNano(value: bigint) {
    this.write(TIME, LOG.timeUnixNano, value);
  }

  get observedTimeUnixNano(): bigint {
    return this.read(TIME, LOG.observedTimeUnixNano);
  }

  set observedTimeUnixNano(value: bigint) {
    this.write(TIME, LOG.observedTimeUnixNano, value);
  }

  get severityNumber(): number {
    return this.read(ENUM, LOG.severityNumber);
  }

  set severityNumber(value: number) {
    this.write(ENUM, LOG.severityNumber, value);
  }

  get severityText(): string {
    return this.read(TEXT, LOG.severityText);
  }

  set severityText(value: string) {
    this.write(TEXT, LOG.severityText, value);
  }

  get body(): AttributeValue | undefined {
    return this.read(ANY_VALUE, LOG.body);
  }

  set body(value: AttributeInput | undefined) {
    this.write(ANY_VALUE, LOG.body, value);
  }

  get traceId(): string {
    return this.read(TRACE_ID, LOG.traceId);
  }

  set traceId(value: string) {
    this.write(TRACE_ID, LOG.traceId, value);
  }

  get spanId(): string {
    return this.read(SPAN_ID, LOG.spanId);
  }

  set spanId(value: string) {
    this.write(SPAN_ID, LOG.spanId, value);
  }

  get flags(): number {
    return this.read(FLAGS, LOG.flags);
  }

  set flags(value: number) {
    this.write(FLAGS, LOG.flags, value);
  }

  get eventName(): string {
    return this.read(TEXT, LOG.eventName);
  }

  set eventName(value: string) {
    this.write(TEXT, LOG.eventName, value);
  }

  get droppedAttributesCount(): number {
    return this.read(UINT32, LOG.droppedAttributesCount);
  }

  set droppedAttributesCount(value: number) {
    this.write(UINT32, LOG.droppedAttributesCount, value);
  }
}
