import type { Batch } from "../../core/batch.ts";
import type { ProcessorFactory } from "../../core/component.ts";
import { type Signal, SIGNALS } from "../../core/signal.ts";
import { compileActions } from "../../rules/attribute-actions.ts";
import { editingProcessor } from "../../rules/editing-processor.ts";
import { matchProblems } from "../../rules/match-problems.ts";
import { visitAll } from "../../rules/slices.ts";
import type { RecordViews } from "../../wire/otlp/types.ts";
import { type AttributesConfig, attributesConfig } from "./config.ts";
import { ATTRIBUTE_LISTS } from "./attribute-lists.ts";
import { compileSelection, type Selection } from "./selection.ts";

export const attributesProcessorFactory: ProcessorFactory<AttributesConfig> = {
  kind: "processor",
  type: "attributes",
  config: attributesConfig,
  signals: SIGNALS,
  signalProblems: (signal, { include, exclude }) => [
    ...matchProblems(signal, include, "include"),
    ...matchProblems(signal, exclude, "exclude"),
  ],
  create: (signal, settings, config, next) => {
    const actions = compileActions(config.actions);
    const selection = compileSelection(signal, config);
    const listsOf = ATTRIBUTE_LISTS[signal];
    return editingProcessor(settings, next, (batch) => {
      const edit = actions(batch.context.client);
      const lists = listsOf(selection === undefined ? batch.view : selected(batch, selection));
      return visitAll(batch, lists, settings.clock, edit);
    });
  },
};

function* selected<S extends Signal>(batch: Batch<S>, selection: Selection<S>): Iterable<RecordViews[S]> {
  for (const group of batch.view.resourceGroups()) {
    for (const scope of group.scopes()) {
      const isSelected = selection(scope);
      if (isSelected === "none") continue;
      for (const record of scope.records()) if (isSelected === "all" || isSelected(record)) yield record;
    }
  }
}
