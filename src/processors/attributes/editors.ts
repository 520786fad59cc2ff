import type { Signal } from "../../core/signal.ts";
import type { AttributeEdit } from "../../rules/attribute-actions.ts";
import type { RecordViews } from "../../wire/otlp/types.ts";

/** Where the attributes of each signal are: a metric has them on its data points. */
export const ATTRIBUTE_EDITORS: { readonly [S in Signal]: (record: RecordViews[S], edit: AttributeEdit) => void } = {
  logs: (record, edit) => edit(record.attributes),
  traces: (span, edit) => edit(span.attributes),
  metrics: (metric, edit) => {
    for (const point of metric.dataPoints()) edit(point.attributes);
  },
};
