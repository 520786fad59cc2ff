import { PREFIX_BYTES } from "./grpc-wire.ts";

/**
 * What a message may pin in memory beyond its own bytes. A chunk is a view into what came from the socket at once, which
 * holds other messages too: kept in a queue for an hour, 200 bytes would keep 64 KiB.
 */
const SLACK_FACTOR_MAX = 2;

/**
 * Puts the one message of a unary call together from chunks of any size. Until admit(), and once more has come than was
 * admitted, it only holds what came; the owner stops the flow meanwhile. What is past the declared length is noticed and
 * not kept.
 */
export class GrpcMessageReader {
  /** -1 until the prefix is there. */
  declaredSize = -1;
  /** The flag of the prefix: 0 as it is, 1 compressed; others are not gRPC. */
  flag = 0;
  /** Of the message, without its prefix. */
  receivedSize = 0;
  /** The prefix so far, where it came in pieces. */
  #head: Buffer | undefined;
  /** Views into what the socket gave, in order; not used once there is a target. */
  #held: Buffer[] = [];
  #target: Buffer | undefined;
  /** How much of the message is in the target. */
  #targetSize = 0;
  #admittedBytes = 0;

  /** More came than there is room for. */
  get isShort(): boolean {
    return this.receivedSize > this.#admittedBytes;
  }

  get isWhole(): boolean {
    return this.receivedSize === this.declaredSize;
  }

  /** More came than was declared: a second message, or no gRPC. */
  get isOver(): boolean {
    return this.declaredSize >= 0 && this.receivedSize > this.declaredSize;
  }

  push(chunk: Buffer): void {
    const bytes = this.declaredSize < 0 ? this.#readPrefix(chunk) : chunk;
    if (bytes === undefined || bytes.length === 0) return;
    this.receivedSize += bytes.length;
    if (this.receivedSize > this.declaredSize) return;
    if (this.#target === undefined || this.isShort) this.#held.push(bytes);
    else this.#fill(bytes);
  }

  /** There is a lease of this size, at most the declared one: from now on there may be memory for as much. */
  admit(bytes: number): void {
    this.#admittedBytes = bytes;
    if (this.isShort || (this.isWhole && this.#target === undefined)) return;
    const smaller = this.#target;
    this.#target = Buffer.allocUnsafeSlow(bytes);
    if (smaller !== undefined) smaller.copy(this.#target, 0, 0, this.#targetSize);
    for (const held of this.#held) this.#fill(held);
    this.#held = [];
  }

  #fill(bytes: Buffer): void {
    this.#target!.set(bytes, this.#targetSize);
    this.#targetSize += bytes.length;
  }

  /** The whole message. Called once, when isWhole and all of it was admitted. */
  take(): Buffer {
    if (this.#target !== undefined) return this.#target;
    const [first] = this.#held;
    if (first === undefined) return Buffer.alloc(0);
    if (this.#held.length === 1 && first.buffer.byteLength <= this.declaredSize * SLACK_FACTOR_MAX) return first;
    return Buffer.concat(this.#held, this.declaredSize);
  }

  /** Nothing of what came is needed any more. */
  drop(): void {
    this.#held = [];
    this.#target = undefined;
  }

  /** What of the chunk is behind the prefix; undefined while that is not whole. */
  #readPrefix(chunk: Buffer): Buffer | undefined {
    const bytes = this.#head === undefined ? chunk : Buffer.concat([this.#head, chunk]);
    if (bytes.length < PREFIX_BYTES) {
      this.#head = Buffer.from(bytes);
      return undefined;
    }
    this.#head = undefined;
    this.flag = bytes[0]!;
    this.declaredSize = bytes.readUInt32BE(1);
    return bytes.subarray(PREFIX_BYTES);
  }
}
