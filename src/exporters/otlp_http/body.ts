import { promisify } from "node:util";
import { constants, deflate, gzip, zstdCompress } from "node:zlib";
import type { Signal } from "../../core/signal.ts";
import { encodeJsonBytes } from "../../wire/otlp/json-encode.ts";
import type { EncodedPayload } from "../../wire/otlp/types.ts";
import type { Compression } from "./config.ts";

export interface BodySettings {
  readonly encoding: "proto" | "json";
  readonly compression: Compression;
  /** -1: the algorithm's own default. */
  readonly level: number;
}

export const CONTENT_TYPES = { proto: "application/x-protobuf", json: "application/json" } as const;

/**
 * The payload as it goes over the wire. Without compression the slices are passed on as they are; compression joins
 * them first, because one call on a thread of zlib's pool is cheaper than one per slice, of which an edited batch has
 * thousands.
 */
export async function encodeBody(
  signal: Signal,
  payload: EncodedPayload,
  settings: BodySettings,
): Promise<readonly Uint8Array[]> {
  const slices = settings.encoding === "json" ? [encodeJsonBytes(signal, join(payload.slices))] : payload.slices;
  const { compression, level } = settings;
  return compression === "none" ? slices : [await COMPRESS[compression](join(slices), level)];
}

const gzipAsync = promisify(gzip);
const deflateAsync = promisify(deflate);
const zstdAsync = promisify(zstdCompress);

/** "deflate" in HTTP is the zlib format (RFC 9110, 8.4.1.2), as the Collector writes and reads it. */
const COMPRESS: Readonly<
  Record<Exclude<Compression, "none">, (bytes: Uint8Array, level: number) => Promise<Uint8Array>>
> = {
  gzip: (bytes, level) => gzipAsync(bytes, { level }),
  deflate: (bytes, level) => deflateAsync(bytes, { level }),
  zstd: (bytes, level) =>
    zstdAsync(bytes, level === -1 ? {} : { params: { [constants.ZSTD_c_compressionLevel]: level } }),
};

function join(slices: readonly Uint8Array[]): Uint8Array {
  const [first] = slices;
  return first !== undefined && slices.length === 1 ? first : Buffer.concat(slices);
}
