import type { Writable } from "node:stream";
import { ConsumeError } from "../../core/errors.ts";

/** Where a debug exporter writes. */
export interface TextSink {
  open(): void;
  /** Takes the text at once or throws a ConsumeError; never waits, since nobody's data may depend on a terminal. */
  write(text: string): void;
  close(): void;
}

// Text that a slow reader of our output may be behind: a few detailed batches. Beyond it batches are not shown, counted.
const PENDING_BYTES_MAX = 4 * 1024 * 1024;

/** Standard output or error. */
export class StreamSink implements TextSink {
  readonly #name: string;
  readonly #stream: Writable;
  #failure: Error | undefined;

  constructor(name: string, stream: Writable) {
    this.#name = name;
    this.#stream = stream;
  }

  open(): void {
    this.#stream.on("error", this.#keepFailure);
  }

  write(text: string): void {
    if (this.#failure !== undefined) {
      throw new ConsumeError("permanent", `not shown: ${this.#name}: ${this.#failure.message}`);
    }
    if (this.#stream.writableLength > PENDING_BYTES_MAX) {
      throw new ConsumeError(
        "refused",
        `not shown: ${this.#name} has not taken the last ${PENDING_BYTES_MAX} bytes yet`,
      );
    }
    this.#stream.write(text);
  }

  close(): void {
    this.#stream.off("error", this.#keepFailure);
  }

  // A reader that went away (`signalbox run | head`) is an error event, which ends the process where nobody listens.
  readonly #keepFailure = (error: Error): void => {
    this.#failure = error;
  };
}
