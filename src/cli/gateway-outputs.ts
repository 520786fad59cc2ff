import type { Writable } from "node:stream";
import { type Clock, sleep } from "../core/clock.ts";

export type OutputName = "stdout" | "stderr";

/** What becomes of a stream's text has changed. */
export interface OutputNotice {
  readonly name: OutputName;
  /** false: from now on its text is dropped. true: it is taken again. */
  readonly isTaken: boolean;
  readonly message: string;
}

type Tell = (notice: OutputNotice) => void;

/**
 * What a slow reader may be behind, in characters. Twice what debug exporters hold back for it, so that the log finds room
 * behind their text. What comes beyond it is dropped: a reader that never comes back would cost all the memory there is.
 */
export const PENDING_LENGTH_MAX = 8 * 1024 * 1024;

/**
 * A stream of the process as a gateway writes to it: nobody's data may depend on who reads. A stream that fails costs the
 * text that it did not take, told once and counted, and nothing else. Each write tries anew, since a full disk may have room
 * again, but a pipe whose reader has gone is left alone.
 */
export class GatewayOutput {
  readonly #name: OutputName;
  readonly #stream: Writable;
  readonly #tell: Tell;
  #isClosed = false;
  #isFailing = false;
  #droppedCount = 0;

  constructor(name: OutputName, stream: Writable, tell: Tell) {
    this.#name = name;
    this.#stream = stream;
    this.#tell = tell;
    // An error event is also how the writes of others fail: debug exporters, the console of a user's processor.
    stream.on("error", (error) => this.#fail(error));
  }

  /** Takes the text or drops it, at once. Throws nothing. */
  write(text: string): void {
    if (this.#isClosed) return;
    if (this.#stream.writableLength > PENDING_LENGTH_MAX) {
      this.#droppedCount++;
      this.#begin(
        `has not taken the last ${PENDING_LENGTH_MAX} characters yet; the log's next lines there are dropped`,
      );
      return;
    }
    try {
      this.#stream.write(text, (error) => this.#settle(error));
    } catch (error) {
      // Node writes to a file within the call, and not every release hands the error of that to the callback.
      this.#settle(error);
      this.#fail(error);
    }
  }

  /** Resolves once all that was written is out, or never will be. */
  flushed(): Promise<void> {
    if (this.#isClosed || this.#stream.writableLength === 0) return Promise.resolve();
    return new Promise((resolve) => void this.#stream.write("", () => resolve()));
  }

  #settle(error: unknown): void {
    if (error !== undefined && error !== null) {
      this.#droppedCount++;
      return;
    }
    // Not at the first text that gets through: a reader that is slow, not gone, would be told of without end.
    if (!this.#isFailing || this.#stream.writableLength > PENDING_LENGTH_MAX / 2) return;
    const message = `${this.#name} is written to again; dropped before: ${this.#droppedCount}`;
    this.#isFailing = false;
    this.#droppedCount = 0;
    this.#tell({ name: this.#name, isTaken: true, message });
  }

  #fail(error: unknown): void {
    this.#isClosed ||= error instanceof Error && "code" in error && error.code === "EPIPE";
    const end = this.#isClosed ? "nobody reads it any more, and nothing more is written to it" : "its text is dropped";
    this.#begin(`cannot be written to (${error instanceof Error ? error.message : String(error)}): ${end}`);
  }

  #begin(what: string): void {
    if (this.#isFailing) return;
    this.#isFailing = true;
    this.#tell({ name: this.#name, isTaken: false, message: `${this.#name} ${what}` });
  }
}

/** Both streams of a gateway's process. Made before anything is written, since from then on no error of theirs ends it. */
export class GatewayOutputs {
  readonly stdout: GatewayOutput;
  readonly stderr: GatewayOutput;
  // Told before there is a log to tell it to: at most one of each stream.
  readonly #untold = new Map<OutputName, OutputNotice>();
  #listener: Tell = (notice) => void this.#untold.set(notice.name, notice);

  constructor(stdout: Writable, stderr: Writable) {
    const tell: Tell = (notice) => this.#listener(notice);
    this.stdout = new GatewayOutput("stdout", stdout, tell);
    this.stderr = new GatewayOutput("stderr", stderr, tell);
  }

  listen(listener: Tell): void {
    this.#listener = listener;
    for (const notice of this.#untold.values()) listener(notice);
    this.#untold.clear();
  }

  /** Waits until the readers have all that was written, at most for `timeoutMs`. False: they do not take it. */
  flush(clock: Clock, timeoutMs: number): Promise<boolean> {
    const isFlushed = Promise.all([this.stdout.flushed(), this.stderr.flushed()]).then(() => true);
    return Promise.race([isFlushed, sleep(clock, timeoutMs).then(() => false)]);
  }
}
