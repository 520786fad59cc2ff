import type { Batch } from "../../core/batch.ts";
import type { ProcessorFactory } from "../../core/component.ts";
import { SIGNALS } from "../../core/signal.ts";
import { compileActions } from "../../rules/attribute-actions.ts";
import { editingProcessor } from "../../rules/editing-processor.ts";
import { visitAll } from "../../rules/slices.ts";
import type { Attributes } from "../../wire/otlp/types.ts";
import { type ResourceConfig, resourceConfig } from "./config.ts";

export const resourceProcessorFactory: ProcessorFactory<ResourceConfig> = {
  kind: "processor",
  type: "resource",
  config: resourceConfig,
  signals: SIGNALS,
  create: (_signal, settings, config, next) => {
    const actions = compileActions(config.attributes);
    return editingProcessor(settings, next, (batch) => {
      const edit = actions(batch.context.client);
      return visitAll(batch, resourceLists(batch), settings.clock, edit);
    });
  },
};

function* resourceLists(batch: Batch): Iterable<Attributes> {
  for (const group of batch.view.resourceGroups()) yield group.resource.attributes;
}
