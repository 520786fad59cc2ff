/**
 * Puts a body together where it stays, in memory of a known size, without a second copy of it at the end. A body that came
 * in one piece is handed on as that piece, as most do.
 */
export class BodyTarget {
  size = 0;
  #capacity: number;
  #first: Buffer | undefined;
  #bytes: Buffer | undefined;

  /** In bytes: the declared size, or what its lease covers. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get capacity(): number {
    return this.#capacity;
  }

  /** Old and new memory are there at the same time until it returns. */
  grow(capacity: number): void {
    this.#capacity = capacity;
    if (this.#bytes !== undefined) this.#bytes = this.#moved(this.#bytes);
  }

  /** No more than the capacity. */
  push(chunk: Buffer): void {
    const at = this.size;
    this.size += chunk.length;
    if (at === 0) {
      this.#first = chunk;
      return;
    }
    if (this.#first !== undefined) this.#bytes = this.#moved(this.#first);
    this.#first = undefined;
    chunk.copy(this.#bytes!, at);
  }

  #moved(bytes: Buffer): Buffer {
    const moved = Buffer.allocUnsafeSlow(this.#capacity);
    bytes.copy(moved);
    return moved;
  }

  /** The body, which keeps no more than twice its size alive. The target must not be used afterwards. */
  take(): Buffer {
    const whole = this.#first ?? this.#bytes?.subarray(0, this.size) ?? Buffer.alloc(0);
    const isMostlyUnused = this.#bytes !== undefined && this.size * 2 < this.#bytes.length;
    this.drop();
    return isMostlyUnused ? Buffer.from(whole) : whole;
  }

  drop(): void {
    this.#first = this.#bytes = undefined;
  }
}
