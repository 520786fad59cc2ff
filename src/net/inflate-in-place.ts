import type { Transform } from "node:stream";
import type { Zlib } from "node:zlib";

/** A decompressor of node:zlib. */
export type Inflater = Transform & Zlib;

export interface Inflated {
  readonly output: Buffer;
  /** Of the input: what is behind the first frame is the caller's business. */
  readonly bytesRead: number;
}

/**
 * Inflates into memory of `sizeMax` bytes, of which the system gives only what is written. Pieces are copied there and let
 * go, so that the output is there once. Rejects with a RangeError as soon as it would be larger.
 */
export function inflateInPlace(engine: Inflater, bytes: Buffer, sizeMax: number): Promise<Inflated> {
  const { promise, resolve, reject } = Promise.withResolvers<Inflated>();
  const target = Buffer.allocUnsafeSlow(sizeMax);
  let size = 0;
  engine.on("data", (piece: Buffer) => {
    if (size + piece.length > sizeMax) {
      engine.destroy(new RangeError("the output exceeds its bound"));
      return;
    }
    target.set(piece, size);
    size += piece.length;
  });
  engine.once("error", (error) => {
    // Given back now, not when the collector comes by: a hundred bombs would be there at once.
    target.buffer.transfer(0);
    reject(error);
  });
  engine.once("end", () => {
    resolve({ output: ownSized(target, size), bytesRead: engine.bytesWritten });
    engine.destroy();
  });
  engine.end(bytes);
  return promise;
}

/** A body may be kept for hours: no more than twice its size stays with it. */
function ownSized(target: Buffer, size: number): Buffer {
  return size * 2 < target.length ? Buffer.from(target.subarray(0, size)) : target.subarray(0, size);
}
