import type { DoorLease } from "../core/component.ts";
import { ConsumeError } from "../core/errors.ts";
import { decodeContent, guessDecodedSize } from "./content-coding.ts";

/** A request's bytes, and the lease that covers their size; whoever gets it releases the lease. */
export interface LeasedBody {
  readonly body: Buffer;
  readonly lease: DoorLease;
}

export interface LeasedDecodeSettings {
  /** Of the output. */
  readonly sizeMax: number;
  /** Takes a lease from the doors' budget, or rejects with ConsumeError. */
  readonly acquire: (bytes: number) => Promise<DoorLease>;
}

/**
 * Takes a coding off a request of any door, whose own lease the caller keeps and releases.
 * Room is leased before anything is inflated, so that a hundred small bodies that inflate to the limit wait for it like
 * a hundred large ones. The bet is that the guess is right, as it is for gzip; lost, the limit is leased and the work done
 * again.
 */
export async function decodeLeased(coding: string, wire: Buffer, settings: LeasedDecodeSettings): Promise<LeasedBody> {
  const { sizeMax } = settings;
  const guess = Math.min(guessDecodedSize(coding, wire), sizeMax);
  const decoded = await decodeWithin(coding, wire, guess, settings);
  if (decoded !== undefined) return decoded;
  const second = guess === sizeMax ? undefined : await decodeWithin(coding, wire, sizeMax, settings);
  if (second !== undefined) return second;
  const message = `the request body decompresses (${coding}) to more than ${sizeMax} bytes; send smaller batches`;
  throw new ConsumeError("too_large", message);
}

async function decodeWithin(
  coding: string,
  wire: Buffer,
  sizeMax: number,
  { acquire }: LeasedDecodeSettings,
): Promise<LeasedBody | undefined> {
  const lease = await acquire(sizeMax);
  try {
    const body = await decodeContent(coding, wire, sizeMax);
    if (body === undefined) {
      lease.release();
      return undefined;
    }
    lease.resize(body.length);
    return { body, lease };
  } catch (error) {
    lease.release();
    throw error;
  }
}
