import type { ContractPromise, ExtensionCase, Instance } from "./contract.ts";
import { lifecyclePromises } from "./lifecycle-promises.ts";
import type { Stage } from "./stage.ts";

function open({ factory, work }: ExtensionCase, stage: Stage, config: unknown, name?: string): Instance {
  const extension = factory.create(stage.settings(factory.type, name), factory.config.parse(config ?? {}));
  return { components: [extension], work: async () => work?.(stage) };
}

/** An extension stands beside the pipelines: its life is all that is asked of it. */
export const EXTENSION_PROMISES: readonly ContractPromise<ExtensionCase>[] = lifecyclePromises<ExtensionCase>({
  open: async (subject, stage, name) => ({ create: () => open(subject, stage, subject.config(stage), name) }),
  createWith: open,
});
