import type { Batch } from "../core/batch.ts";
import { formatComponentId } from "../core/component-id.ts";
import type { Processor, Settings } from "../core/component.ts";
import type { Consumer } from "../core/consumer.ts";
import { ConsumeError } from "../core/errors.ts";
import { ExitGate } from "../core/exit-gate.ts";
import type { Signal } from "../core/signal.ts";

/**
 * A processor that edits each batch in place and hands it on; what the edit throws costs that batch and nothing else.
 * An edit that returns a promise pauses in between.
 */
export function editingProcessor<S extends Signal>(
  { id }: Settings,
  next: Consumer<S>,
  edit: (batch: Batch<S>) => void | Promise<void>,
): Processor<S> {
  const name = `processors.${formatComponentId(id)}`;
  const exit = new ExitGate(next, name);
  return {
    mutatesData: true,
    start: async () => {},
    shutdown: async () => exit.close(),
    consume: async (batch, admission) => {
      try {
        const rest = edit(batch);
        if (rest !== undefined) await rest;
      } catch (thrown) {
        throw ConsumeError.from(thrown, name);
      }
      return exit.pass(batch, admission);
    },
  };
}
