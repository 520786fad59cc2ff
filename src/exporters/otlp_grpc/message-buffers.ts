import type { EncodedPayload } from "../../wire/otlp/types.ts";

/** In steps, so that a buffer fits the next batch too, which is a little larger or smaller. */
const STEP_BYTES = 256 * 1024;
/** Of what is kept: two of the largest messages that backends commonly take. */
const KEPT_COUNT_MAX = 2;
const KEPT_BYTES_MAX = 4 * 1024 * 1024;

/**
 * A gRPC message is one piece of memory, and a batch is many slices: the one copy that this exporter makes.
 *
 * The memory is used again for the next message. Made anew for each, it would be as many bytes outside V8's heap as come
 * in at the doors, and V8 collects the whole heap the sooner the more of those there are.
 */
export class MessageBuffers {
  readonly #kept: Buffer[] = [];

  /** The slice itself where there is only one; then nothing is copied. */
  join({ slices, size }: EncodedPayload): Buffer {
    const [first] = slices;
    if (first !== undefined && slices.length === 1) {
      return Buffer.from(first.buffer, first.byteOffset, first.byteLength);
    }
    const message = this.#take(size).subarray(0, size);
    let position = 0;
    for (const slice of slices) {
      message.set(slice, position);
      position += slice.length;
    }
    return message;
  }

  /**
   * The backend has read all of `message`, which join() made of `payload`. After any other outcome a connection may still
   * have its bytes to send: then it is not given back, and the collector of garbage gets it.
   */
  giveBack(message: Buffer, { slices }: EncodedPayload): void {
    const isBatchsOwn = slices.length === 1;
    if (isBatchsOwn || message.buffer.byteLength > KEPT_BYTES_MAX || this.#kept.length >= KEPT_COUNT_MAX) return;
    this.#kept.push(Buffer.from(message.buffer));
  }

  #take(size: number): Buffer {
    const fitting = this.#kept.findIndex(({ length }) => length >= size);
    // One that is too small makes place for the larger one, which comes back in its stead.
    const [kept] = this.#kept.splice(Math.max(fitting, 0), 1);
    if (fitting >= 0 && kept !== undefined) return kept;
    return Buffer.allocUnsafeSlow(Math.ceil(size / STEP_BYTES) * STEP_BYTES);
  }
}
