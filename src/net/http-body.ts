import type { IncomingMessage } from "node:http";
import type { Clock } from "../core/clock.ts";
import type { DoorLease } from "../core/component.ts";
import { ConsumeError } from "../core/errors.ts";
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
  readonly acquire: (bytes: number) => Promise<DoorLease>;
  /** Called when the door has its lease and is about to read. */
  readonly onReady: () => void;
}

/** Room for a body that does not declare its size, until it is known better. */
const FIRST_LEASE_BYTES = 64 * 1024;

/**
 * Reads the body and takes its content coding off. What the headers alone show to be wrong is refused before a byte of
 * it is read and before a lease is taken. A rejection leaves no lease behind.
 */
export async function readBody(request: IncomingMessage, settings: BodySettings): Promise<LeasedBody> {
  const coding = parseContentEncoding(request.headers["content-encoding"], settings.codings);
  const declaredSize = checkDeclaredSize(request, settings.sizeMax);
  const lease = await settings.acquire(declaredSize ?? FIRST_LEASE_BYTES);
  try {
    settings.onReady();
    const body = await readWireBody(request, lease, settings);
    if (coding === undefined) return { body, lease };
    const decoded = await decodeLeased(coding, body, settings);
    lease.release();
    return decoded;
  } catch (error) {
    lease.release();
    throw error;
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

function readWireBody(request: IncomingMessage, lease: DoorLease, settings: BodySettings): Promise<Buffer> {
  const { sizeMax, timeoutMs, clock } = settings;
  const isDeclared = request.headers["content-length"] !== undefined;
  const chunks: Buffer[] = [];
  let size = 0;
  return new Promise<Buffer>((resolve, reject) => {
    const timer = clock.after(timeoutMs, () =>
      fail(new BodyTimeoutError(`the body was not there after ${timeoutMs} ms (${size} bytes came)`)),
    );
    const fail = (error: Error): void => {
      timer.cancel();
      request.off("data", take);
      chunks.length = 0;
      reject(error);
    };
    const take = (chunk: Buffer): void => {
      size += chunk.length;
      if (size > sizeMax) return fail(tooLarge("is over the limit of", sizeMax));
      if (!isDeclared) lease.resize(size);
      chunks.push(chunk);
    };
    request.on("data", take);
    request.once("end", () => {
      timer.cancel();
      resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, size));
    });
    request.once("error", (cause) =>
      fail(new ConsumeError("retryable", `the body broke off after ${size} bytes`, { cause })),
    );
  });
}

function tooLarge(what: string, sizeMax: number): ConsumeError {
  return new ConsumeError("too_large", `the request body ${what} ${sizeMax} bytes; send smaller batches`);
}
