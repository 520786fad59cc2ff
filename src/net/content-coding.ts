import { promisify } from "node:util";
import { gunzip, inflate } from "node:zlib";
import type { InputType, ZlibOptions } from "node:zlib";
import { ConsumeError } from "../core/errors.ts";

interface Coding {
  /** Off the main thread; rejects with a RangeError as soon as the output would exceed `maxOutputLength`. */
  readonly inflate: (bytes: InputType, options: ZlibOptions) => Promise<Buffer>;
  /** How large the output probably is. Too small a guess costs a second run. */
  readonly guessSize: (bytes: Buffer) => number;
}

/** A gzip member ends with the size of what it holds, modulo 4 GiB (RFC 1952, 2.3.1): exact for all but joined members. */
const GZIP: Coding = {
  inflate: promisify(gunzip),
  guessSize: (bytes) => (bytes.length < GZIP_TRAILER_BYTES ? 0 : bytes.readUInt32LE(bytes.length - 4)),
};
const GZIP_TRAILER_BYTES = 8;

/** zlib does not say; telemetry shrinks to a tenth or so. */
const ZLIB: Coding = { inflate: promisify(inflate), guessSize: (bytes) => bytes.length * 16 };

/** By the name in `Content-Encoding`. "deflate" is the zlib format (RFC 9110, 8.4.1.2), which some call by its own name. */
const CODINGS: ReadonlyMap<string, Coding> = new Map([
  ["gzip", GZIP],
  ["x-gzip", GZIP],
  ["deflate", ZLIB],
  ["zlib", ZLIB],
]);

/** zlib's own default means a trip to the thread pool per 16 KiB; with this it is one for most requests. */
const CHUNK_BYTES_MAX = 64 * 1024;
/** Less is an error to node:zlib. */
const CHUNK_BYTES_MIN = 64;

/** undefined where the name stands for "as it is"; a ConsumeError for one that is not known, in the Collector's words. */
export function parseContentEncoding(header: string | undefined): string | undefined {
  const coding = (header ?? "").trim().toLowerCase();
  if (coding === "" || coding === "identity") return undefined;
  if (CODINGS.has(coding)) return coding;
  throw new ConsumeError("permanent", `unsupported Content-Encoding: ${coding.slice(0, 64)}`);
}

/** The probable size of the decoded bytes; see decodeContent. */
export function guessDecodedSize(coding: string, bytes: Buffer): number {
  return CODINGS.get(coding)!.guessSize(bytes);
}

/** undefined where the output would exceed `sizeMax`: nothing is inflated past it. Rejects with `permanent` where the bytes are broken. */
export async function decodeContent(coding: string, bytes: Buffer, sizeMax: number): Promise<Buffer | undefined> {
  const maxOutputLength = Math.max(1, sizeMax);
  const chunkSize = Math.min(CHUNK_BYTES_MAX, Math.max(CHUNK_BYTES_MIN, sizeMax));
  try {
    return await CODINGS.get(coding)!.inflate(bytes, { maxOutputLength, chunkSize });
  } catch (cause) {
    if (cause instanceof RangeError) return undefined;
    const problem = cause instanceof Error ? cause.message : String(cause);
    throw new ConsumeError("permanent", `Content-Encoding ${coding}: ${problem} (${bytes.length} bytes)`, { cause });
  }
}
