import type { Signal } from "../../core/signal.ts";
import type { Attributes, RecordViews } from "../../wire/otlp/types.ts";

/** Where the attributes of each signal are: a metric has them on its data points. */
export const ATTRIBUTE_LISTS: {
  readonly [S in Signal]: (records: Iterable<RecordViews[S]>) => Iterable<Attributes>;
} = {
  logs: ownLists,
  traces: ownLists,
  metrics: function* (metrics) {
    for (const metric of metrics) for (const point of metric.dataPoints()) yield point.attributes;
  },
};

function* ownLists(records: Iterable<{ readonly attributes: Attributes }>): Iterable<Attributes> {
  for (const record of records) yield record.attributes;
}
