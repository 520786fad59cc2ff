import type { Admission } from "./admission.ts";
import type { Batch } from "./batch.ts";
import type { Consumer } from "./consumer.ts";
import { ConsumeError } from "./errors.ts";
import type { Signal } from "./signal.ts";

/**
 * What stands behind a processor, until the processor's shutdown. What comes later is refused for now: its sender still
 * has it, and whoever shut the processor down may have shut down what is behind it, too.
 */
export class ExitGate<S extends Signal> {
  readonly #next: Consumer<S>;
  readonly #owner: string;
  #isClosed = false;

  /** `owner` as it stands in the YAML, for the message: `processors.batch`. */
  constructor(next: Consumer<S>, owner: string) {
    this.#next = next;
    this.#owner = owner;
  }

  close(): void {
    this.#isClosed = true;
  }

  pass(batch: Batch<S>, admission: Admission): Promise<void> {
    if (this.#isClosed) return Promise.reject(new ConsumeError("refused", `${this.#owner}: has been shut down`));
    return this.#next.consume(batch, admission);
  }
}
