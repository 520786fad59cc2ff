import type { IncomingMessage } from "node:http";
import type { Clock } from "../core/clock.ts";
import type { DoorLease } from "../core/component.ts";
import { ConsumeError } from "../core/errors.ts";
import { decodeContent, parseContentEncoding, tooLarge } from "./content-coding.ts";

/** The sender took longer than the door gives it for its body. Not a ConsumeError: HTTP has a status of its own for it. */
export class BodyTimeoutError extends Error {
  override readonly name = "BodyTimeoutError";
}

export interface BodySettings {
  /** On the wire and after decompression alike. */
  readonly sizeMax: number;
  /** For the whole body: a sender that drips bytes is cut off. */
  readonly timeoutMs: number;
  readonly clock: Clock;
}

/**
 * Refuses what the headers alone show to be wrong, before a byte of the body is read. Returns the declared size,
 * undefined where the body comes in chunks.
 */
export function checkBodyHeaders(request: IncomingMessage, sizeMax: number): number | undefined {
  parseContentEncoding(request.headers["content-encoding"]);
  const declared = request.headers["content-length"];
  if (declared === undefined) return undefined;
  // node:http has checked that it is a number, and that the body is not longer.
  const size = Number(declared);
  if (size > sizeMax) throw tooLarge(`is ${size} bytes, over the limit of`, sizeMax);
  return size;
}

/** Reads the body and takes its content coding off. The lease follows the size. */
export async function readBody(request: IncomingMessage, lease: DoorLease, settings: BodySettings): Promise<Buffer> {
  const wire = await readWireBody(request, lease, settings);
  const coding = parseContentEncoding(request.headers["content-encoding"]);
  if (coding === undefined) return wire;
  const body = await decodeContent(coding, wire, settings.sizeMax);
  lease.resize(body.length);
  return body;
}

function readWireBody(request: IncomingMessage, lease: DoorLease, settings: BodySettings): Promise<Buffer> {
  const { sizeMax, timeoutMs, clock } = settings;
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
      if (request.headers["content-length"] === undefined) lease.resize(size);
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
