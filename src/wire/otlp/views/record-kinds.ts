import type { Signal } from "../../../core/signal.ts";
import { fieldNumbers } from "../message-table.ts";
import type { RecordViews } from "../types.ts";
import type { RecordKind } from "./group-views.ts";
import { LogRecordNode } from "./log-record-view.ts";
import { MetricNode } from "./metric-view.ts";
import { SpanNode } from "./span-view.ts";

/** The one table in which the signals differ; everything else is shared. */
export const RECORD_KINDS: { readonly [S in Signal]: RecordKind<RecordViews[S]> } = {
  logs: {
    create: (scope, record) => new LogRecordNode(scope, record),
    attributesField: fieldNumbers("LogRecord", ["attributes"]).attributes,
    itemsLeft: () => 1,
  },
  traces: {
    create: (scope, record) => new SpanNode(scope, record),
    attributesField: fieldNumbers("Span", ["attributes"]).attributes,
    itemsLeft: () => 1,
  },
  metrics: {
    create: (scope, record) => new MetricNode(scope, record),
    attributesField: undefined,
    itemsLeft: (scope, record) => new MetricNode(scope, record).itemsLeft(),
  },
};
