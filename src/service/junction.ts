import type { Admission } from "../core/admission.ts";
import type { Batch } from "../core/batch.ts";
import type { Consumer } from "../core/consumer.ts";
import type { Signal } from "../core/signal.ts";
import { type AdmissionOffice, QueueAdmission } from "../queue/admission.ts";

/**
 * What a component hands its batches to, while the pipelines behind it come and go with reloads: a batch takes the way of
 * the generation that its admission was opened on.
 */
export class Junction<S extends Signal = Signal> implements Consumer<S> {
  /** Whoever is told so hands over a batch that may be edited; the pipelines behind decide whether they do. */
  readonly mutatesData = true;
  readonly #routes = new Map<AdmissionOffice, Consumer<S>>();

  connect(generation: AdmissionOffice, next: Consumer<S>): void {
    this.#routes.set(generation, next);
  }

  disconnect(generation: AdmissionOffice): void {
    this.#routes.delete(generation);
  }

  consume(batch: Batch<S>, admission: Admission): Promise<void> {
    return this.#routeOf(admission).consume(batch, admission);
  }

  #routeOf(admission: Admission): Consumer<S> {
    const route = admission instanceof QueueAdmission ? this.#routes.get(admission.office) : undefined;
    if (route === undefined) throw new Error("a batch came with an admission of a configuration that is gone");
    return route;
  }
}
