import { promisify } from "node:util";
import {
  constants,
  createGunzip,
  createInflate,
  createZstdDecompress,
  gunzip,
  inflate,
  zstdDecompress,
} from "node:zlib";
import type { Zlib } from "node:zlib";
import { ConsumeError } from "../core/errors.ts";
import { inflateInPlace, type Inflater } from "./inflate-in-place.ts";
import { decodeLz4, lz4DecodedSize } from "./lz4.ts";
import { decodeSnappy, snappyDecodedSize } from "./snappy.ts";

interface Coding {
  /** Rejects with a RangeError as soon as the output would exceed `maxOutputLength`. */
  readonly inflate: (bytes: Buffer, options: InflateOptions) => Promise<Buffer>;
  /** How large the output probably is. Too small a guess costs a second run. */
  readonly guessSize: (bytes: Buffer) => number;
}

interface InflateOptions {
  readonly maxOutputLength: number;
  readonly chunkSize: number;
}

/**
 * node:zlib collects the output in pieces and joins them: for a moment all of it is there twice. Above this that matters,
 * and it is put where it stays as it comes; below, node:zlib is faster. Both give the same.
 */
const IN_PLACE_BYTES_MIN = 1024 * 1024;

function inPlaceWhereLarge(
  inflateJoined: Coding["inflate"],
  createEngine: (options: { readonly chunkSize: number }) => Inflater,
): Coding["inflate"] {
  return async (bytes, options) => {
    const { maxOutputLength, chunkSize } = options;
    if (maxOutputLength < IN_PLACE_BYTES_MIN) return inflateJoined(bytes, options);
    return (await inflateInPlace(createEngine({ chunkSize }), bytes, maxOutputLength)).output;
  };
}

/** A gzip member ends with the size of what it holds, modulo 4 GiB (RFC 1952, 2.3.1): exact for all but joined members. */
const GZIP: Coding = {
  inflate: inPlaceWhereLarge(promisify(gunzip), createGunzip),
  guessSize: (bytes) => (bytes.length < GZIP_TRAILER_BYTES ? 0 : bytes.readUInt32LE(bytes.length - 4)),
};
const GZIP_TRAILER_BYTES = 8;

/** zlib does not say; telemetry shrinks to a tenth or so. */
const ZLIB: Coding = {
  inflate: inPlaceWhereLarge(promisify(inflate), createInflate),
  guessSize: (bytes) => bytes.length * 16,
};

/**
 * A frame declares its window before any output is there, and the decoder takes that much memory. Encoders at their
 * usual levels declare up to 8 MiB (RFC 9659 allows no more over HTTP), the strongest of Go's 32 MiB: 2 to the 25th.
 */
const ZSTD_WINDOW_LOG_MAX = 25;
const ZSTD_MAGIC = 0xfd2fb528;

const ZSTD: Coding = { inflate: inflateZstdFrames, guessSize: guessZstdSize };

/** node:zlib stops behind the first frame and says nothing of the rest (RFC 8878, 3.1 allows several). */
async function inflateZstdFrames(bytes: Buffer, options: InflateOptions): Promise<Buffer> {
  const frames: Buffer[] = [];
  let sizeLeft = options.maxOutputLength;
  for (let at = 0; at < bytes.length || at === 0;) {
    const frame = await inflateZstdFrame(bytes.subarray(at), { ...options, maxOutputLength: Math.max(1, sizeLeft) });
    if (frame.output.length > sizeLeft) throw new RangeError("the output exceeds its bound");
    sizeLeft -= frame.output.length;
    frames.push(frame.output);
    at += Math.max(1, frame.bytesRead);
  }
  return frames.length === 1 ? frames[0]! : Buffer.concat(frames);
}

function inflateZstdFrame(
  bytes: Buffer,
  options: InflateOptions,
): Promise<{ readonly output: Buffer; readonly bytesRead: number }> {
  const params = { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG_MAX };
  const { maxOutputLength, chunkSize } = options;
  if (maxOutputLength >= IN_PLACE_BYTES_MIN) {
    return inflateInPlace(createZstdDecompress({ chunkSize, params }), bytes, maxOutputLength);
  }
  return new Promise((resolve, reject) => {
    zstdDecompress(bytes, { ...options, params, info: true }, (error, result) => {
      if (error !== null) return reject(error);
      // With `info` the result is not the buffer that the types declare.
      const { buffer, engine } = result as Buffer & { readonly buffer: Buffer; readonly engine: Zlib };
      resolve({ output: buffer, bytesRead: engine.bytesWritten });
    });
  });
}

/** The header of the first frame may hold the size of what is in it (RFC 8878, 3.1.1.1). */
function guessZstdSize(bytes: Buffer): number {
  const otherwise = bytes.length * 16;
  if (bytes.length < 18 || bytes.readUInt32LE(0) !== ZSTD_MAGIC) return otherwise;
  const descriptor = bytes[4]!;
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const dictionaryIdBytes = [0, 1, 2, 4][descriptor & 3]!;
  const at = 5 + (isSingleSegment ? 0 : 1) + dictionaryIdBytes;
  switch (descriptor >> 6) {
    case 0:
      return isSingleSegment ? bytes[at]! : otherwise;
    case 1:
      return bytes.readUInt16LE(at) + 256;
    case 2:
      return bytes.readUInt32LE(at);
    default:
      return Number(bytes.readBigUInt64LE(at));
  }
}

/** Either format under either name, as the Collector, which once wrote the framed one under the name of the other. */
const SNAPPY: Coding = {
  inflate: async (bytes, { maxOutputLength }) => {
    const output = await decodeSnappy(bytes, maxOutputLength);
    if (output === undefined) throw new RangeError("the output exceeds its bound");
    return output;
  },
  guessSize: snappyDecodedSize,
};

const LZ4: Coding = {
  inflate: async (bytes, { maxOutputLength }) => {
    const output = await decodeLz4(bytes, maxOutputLength);
    if (output === undefined) throw new RangeError("the output exceeds its bound");
    return output;
  },
  guessSize: lz4DecodedSize,
};

/** By the name in `Content-Encoding`. "deflate" is the zlib format (RFC 9110, 8.4.1.2), which some call by its own name. */
const CODINGS: ReadonlyMap<string, Coding> = new Map([
  ["gzip", GZIP],
  ["deflate", ZLIB],
  ["zlib", ZLIB],
  ["zstd", ZSTD],
  ["snappy", SNAPPY],
  ["x-snappy-framed", SNAPPY],
  ["lz4", LZ4],
]);

/** RFC 9110, 8.4.1.3 and 12.5.3. */
const CODING_ALIASES: ReadonlyMap<string, string> = new Map([
  ["x-gzip", "gzip"],
  ["identity", ""],
]);

/** zlib's own default means a trip to the thread pool per 16 KiB; with this it is one for most requests. */
const CHUNK_BYTES_MAX = 64 * 1024;
/** Less is an error to node:zlib. */
const CHUNK_BYTES_MIN = 64;

/** Every name that parseContentEncoding takes; "" for no coding. */
export const CONTENT_CODINGS: readonly string[] = ["", ...CODINGS.keys()];

/**
 * undefined where the name stands for "as it is"; a ConsumeError for one that is not known, or not among `taken`, in
 * the Collector's words.
 */
export function parseContentEncoding(header: string | undefined, taken?: ReadonlySet<string>): string | undefined {
  const written = (header ?? "").trim().toLowerCase();
  const coding = CODING_ALIASES.get(written) ?? written;
  if (taken?.has(coding) !== false) {
    if (coding === "") return undefined;
    if (CODINGS.has(coding)) return coding;
  }
  throw new ConsumeError("permanent", `unsupported Content-Encoding: ${written.slice(0, 64)}`);
}

/** The probable size of the decoded bytes; see decodeContent. Throws `permanent` where the bytes show that they are broken. */
export function guessDecodedSize(coding: string, bytes: Buffer): number {
  try {
    return CODINGS.get(coding)!.guessSize(bytes);
  } catch (cause) {
    throw broken(coding, bytes, cause);
  }
}

/** undefined where the output would exceed `sizeMax`: nothing is inflated past it. Rejects with `permanent` where the bytes are broken. */
export async function decodeContent(coding: string, bytes: Buffer, sizeMax: number): Promise<Buffer | undefined> {
  const maxOutputLength = Math.max(1, sizeMax);
  const chunkSize = Math.min(CHUNK_BYTES_MAX, Math.max(CHUNK_BYTES_MIN, sizeMax));
  try {
    return await CODINGS.get(coding)!.inflate(bytes, { maxOutputLength, chunkSize });
  } catch (cause) {
    if (cause instanceof RangeError) return undefined;
    throw broken(coding, bytes, cause);
  }
}

function broken(coding: string, bytes: Buffer, cause: unknown): ConsumeError {
  const problem = cause instanceof Error ? cause.message : String(cause);
  return new ConsumeError("permanent", `Content-Encoding ${coding}: ${problem} (${bytes.length} bytes)`, { cause });
}
