import type { IncomingMessage } from "node:http";
import type { Clock } from "../core/clock.ts";
import type { DoorArrival, DoorLease } from "../core/component.ts";
import { ConsumeError } from "../core/errors.ts";
import { BodyTarget } from "./body-target.ts";
import { parseContentEncoding } from "./content-coding.ts";
import { decodeLeased } from "./leased-decode.ts";
import type { LeasedBody } from "./leased-decode.ts";

/** The sender took longer than the door gives it for its body. Not a ConsumeError: HTTP has a status of its own for it. */
export class BodyTimeoutError extends Error {
  override readonly name = "BodyTimeoutError";
}

export interface BodySettings {
  /** On the wire and after decompression alike. */
  readonly sizeMax: number;
  /** Names of content codings that are taken, "" for none; absent: all that there are. */
  readonly codings?: ReadonlySet<string>;
  /** For the whole body: a sender that drips bytes is cut off. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** Takes a lease from the doors' budget, or rejects with ConsumeError. */
  readonly acquire: (bytes: number, holding?: DoorLease) => Promise<DoorLease>;
  /** See DoorBudget. */
  readonly stepBytes: number;
  /** Called when the door has its lease and is about to read. */
  readonly onReady: () => void;
}

/**
 * A body that declares its size gets room for all of it once more has come than DoorBudget.stepBytes. One that does not gets room for the first of these, and whenever it outgrows that for eight times
 * as much, up to the limit: it waits with little in hand, so that those who have their room can end.
 */
const CHUNKED_LEASE_BYTES = 64 * 1024;
const CHUNKED_LEASE_FACTOR = 8;

/**
 * Reads the body and takes its content coding off. What the headers alone show to be wrong is refused before a byte of
 * it is read and before a lease is taken. A rejection leaves no lease behind.
 */
export async function readBody(request: IncomingMessage, settings: BodySettings): Promise<LeasedBody> {
  const coding = parseContentEncoding(request.headers["content-encoding"], settings.codings);
  const declaredSize = checkDeclaredSize(request, settings.sizeMax);
  const capacity = Math.min(declaredSize ?? CHUNKED_LEASE_BYTES, settings.sizeMax, settings.stepBytes);
  const lease = await settings.acquire(capacity);
  const wire = await new BodyReader(request, { capacity, lease, declaredSize }, settings).read();
  if (coding === undefined) return wire;
  const { sizeMax } = settings;
  const acquire = (bytes: number): Promise<DoorLease> => settings.acquire(bytes, wire.lease);
  try {
    return await decodeLeased(coding, wire.body, { sizeMax, acquire });
  } finally {
    wire.lease.release();
  }
}

/** undefined where the body comes in chunks. node:http has checked that it is a number, and cuts a longer body off. */
function checkDeclaredSize(request: IncomingMessage, sizeMax: number): number | undefined {
  const declared = request.headers["content-length"];
  if (declared === undefined) return undefined;
  const size = Number(declared);
  if (size > sizeMax) throw tooLarge(`is ${size} bytes, over the limit of`, sizeMax);
  return size;
}

/** One body on its way from the socket into memory that its lease covers. */
class BodyReader implements DoorArrival {
  readonly #request: IncomingMessage;
  readonly #settings: BodySettings;
  readonly #body: BodyTarget;
  readonly #declaredSize: number | undefined;
  #lease: DoorLease;
  readonly #whole = Promise.withResolvers<void>();
  #isOver = false;

  constructor(
    request: IncomingMessage,
    room: { readonly capacity: number; readonly lease: DoorLease; readonly declaredSize: number | undefined },
    settings: BodySettings,
  ) {
    this.#request = request;
    this.#settings = settings;
    this.#body = new BodyTarget(room.capacity);
    this.#lease = room.lease;
    this.#declaredSize = room.declaredSize;
  }

  get receivedSize(): number {
    return this.#body.size;
  }

  giveWay(error: ConsumeError): void {
    this.#whole.reject(error);
  }

  /** A rejection leaves no lease behind. */
  async read(): Promise<LeasedBody> {
    const { timeoutMs, clock } = this.#settings;
    const fail = (error: Error): void => this.#whole.reject(error);
    const timer = clock.after(timeoutMs, () =>
      fail(new BodyTimeoutError(`the body was not there after ${timeoutMs} ms (${this.#body.size} bytes came)`)),
    );
    const take = (chunk: Buffer): void => this.#take(chunk);
    this.#request.on("data", take);
    this.#request.once("end", () => this.#whole.resolve());
    this.#request.once("error", (cause) =>
      fail(new ConsumeError("retryable", `the body broke off after ${this.#body.size} bytes`, { cause })),
    );
    try {
      this.#settings.onReady();
      this.#lease.watch(this);
      await this.#whole.promise;
      this.#lease.watch(undefined);
      this.#lease.resize(this.#body.size);
      return { body: this.#body.take(), lease: this.#lease };
    } catch (error) {
      this.#lease.release();
      this.#body.drop();
      throw error;
    } finally {
      this.#isOver = true;
      timer.cancel();
      // What still comes flows by, and is thrown away.
      this.#request.off("data", take).resume();
    }
  }

  #take(chunk: Buffer): void {
    const { sizeMax } = this.#settings;
    const size = this.#body.size + chunk.length;
    if (size > sizeMax) this.#whole.reject(tooLarge("is over the limit of", sizeMax));
    else if (size <= this.#body.capacity) this.#body.push(chunk);
    else this.#takeWithMoreRoom(chunk, size).catch((error: Error) => this.#whole.reject(error));
  }

  /** Nothing is read while it waits for room. */
  async #takeWithMoreRoom(chunk: Buffer, size: number): Promise<void> {
    const { acquire, sizeMax } = this.#settings;
    this.#request.pause();
    const ahead = Math.min(sizeMax, this.#body.capacity * CHUNKED_LEASE_FACTOR);
    const capacity = this.#declaredSize ?? Math.max(size, ahead);
    const larger = await acquire(capacity, this.#lease);
    // It was given up meanwhile: too late, or the sender is gone.
    if (this.#isOver) return larger.release();
    this.#body.grow(capacity);
    this.#body.push(chunk);
    this.#lease.release();
    this.#lease = larger;
    larger.watch(this);
    this.#request.resume();
  }
}

function tooLarge(what: string, sizeMax: number): ConsumeError {
  return new ConsumeError("too_large", `the request body ${what} ${sizeMax} bytes; send smaller batches`);
}
