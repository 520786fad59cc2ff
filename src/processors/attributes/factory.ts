import type { Batch } from "../../core/batch.ts";
import type { ProcessorFactory } from "../../core/component.ts";
import { type Signal, SIGNALS } from "../../core/signal.ts";
import { compileActions } from "../../rules/attribute-actions.ts";
import { editingProcessor } from "../../rules/editing-processor.ts";
import { matchProblems } from "../../rules/match-problems.ts";
import type { RecordViews } from "../../wire/otlp/types.ts";
import { type AttributesConfig, attributesConfig } from "./config.ts";
import { ATTRIBUTE_EDITORS } from "./editors.ts";
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
    const editRecord = ATTRIBUTE_EDITORS[signal];
    return editingProcessor(settings, next, (batch) => {
      const edit = actions(batch.context.client);
      eachSelected(batch, selection, (record) => editRecord(record, edit));
    });
  },
};

function eachSelected<S extends Signal>(
  batch: Batch<S>,
  selection: Selection<S> | undefined,
  visit: (record: RecordViews[S]) => void,
): void {
  if (selection === undefined) {
    for (const record of batch.view) visit(record);
    return;
  }
  for (const group of batch.view.resourceGroups()) {
    for (const scope of group.scopes()) {
      const isSelected = selection(scope);
      if (isSelected === "none") continue;
      for (const record of scope.records()) if (isSelected === "all" || isSelected(record)) visit(record);
    }
  }
}
