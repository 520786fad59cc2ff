/**
 * `signalbox/sdk`: everything that a processor of your own may import. processors/README.md shows how to write one.
 */
export { z } from "zod";
export { byteSize, duration, Secret, secret } from "../config/types.ts";
export { ClientMetadata } from "../core/client-metadata.ts";
export type { Transport } from "../core/client-metadata.ts";
export type { Clock, Timer } from "../core/clock.ts";
export type { LogFields, Logger } from "../core/logger.ts";
export type { Signal } from "../core/signal.ts";
export { Double } from "../wire/otlp/types.ts";
export type {
  AnyValueKind,
  AttributeInput,
  Attributes,
  AttributeValue,
  BatchView,
  DataPointView,
  ExponentialBuckets,
  FoundAttribute,
  LogRecordView,
  MetricType,
  MetricView,
  RecordView,
  ResourceEdit,
  ResourceGroup,
  ResourceView,
  ScopeGroup,
  ScopeView,
  SpanEventView,
  SpanLinkView,
  SpanView,
} from "../wire/otlp/types.ts";
export { AttributeMemo } from "../wire/otlp/views/attribute-memo.ts";
export type { MakeOfAttributes, MemoKeys } from "../wire/otlp/views/attribute-memo.ts";
export type { BatchContext, ProcessorContext } from "./context.ts";
export { defineProcessor, isDefinedProcessor } from "./define.ts";
export type {
  DefinedProcessor,
  EmptyConfig,
  LogsBatch,
  MetricsBatch,
  ProcessorInstance,
  SignalFunctions,
  SimpleDefinition,
  StatefulDefinition,
  TracesBatch,
} from "./define.ts";

/** Every spelling of the identity and job keys that are known, canonical first. */
export { SPELLINGS } from "../core/spellings.ts";
