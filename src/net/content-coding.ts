import { promisify } from "node:util";
import { gunzip, inflate } from "node:zlib";
import type { InputType, ZlibOptions } from "node:zlib";
import { ConsumeError } from "../core/errors.ts";

/** Inflates off the main thread, and stops with an error as soon as the output would exceed `maxOutputLength`. */
type Inflate = (bytes: InputType, options: ZlibOptions) => Promise<Buffer>;

/**
 * By the name in `Content-Encoding`. "deflate" is the zlib format (RFC 9110, section 8.4.1.2), which some senders call
 * by its own name.
 */
const CODINGS: ReadonlyMap<string, Inflate> = new Map<string, Inflate>([
  ["gzip", promisify(gunzip)],
  ["x-gzip", promisify(gunzip)],
  ["deflate", promisify(inflate)],
  ["zlib", promisify(inflate)],
]);

/** zlib's own default of 16 KiB means a trip to the thread pool per 16 KiB; this is one for most requests. */
const CHUNK_BYTES = 64 * 1024;

/** undefined where the name stands for "as it is"; a ConsumeError for one that is not known, in the Collector's words. */
export function parseContentEncoding(header: string | undefined): string | undefined {
  const coding = (header ?? "").trim().toLowerCase();
  if (coding === "" || coding === "identity") return undefined;
  if (CODINGS.has(coding)) return coding;
  throw new ConsumeError("permanent", `unsupported Content-Encoding: ${coding.slice(0, 64)}`);
}

/** Rejects with `too_large` where the output would exceed `sizeMax`, without inflating further, and with `permanent` where the bytes are broken. */
export async function decodeContent(coding: string, bytes: Uint8Array, sizeMax: number): Promise<Buffer> {
  try {
    return await CODINGS.get(coding)!(bytes, { maxOutputLength: sizeMax, chunkSize: Math.min(CHUNK_BYTES, sizeMax) });
  } catch (error) {
    if (error instanceof RangeError) throw tooLarge(`decompresses (${coding}) to more than`, sizeMax, error);
    const problem = error instanceof Error ? error.message : String(error);
    throw new ConsumeError("permanent", `Content-Encoding ${coding}: ${problem} (${bytes.length} bytes)`, {
      cause: error,
    });
  }
}

export function tooLarge(what: string, sizeMax: number, cause?: unknown): ConsumeError {
  return new ConsumeError("too_large", `the request body ${what} ${sizeMax} bytes; send smaller batches`, { cause });
}
