/**
 * What one batch is in a file. The formats are the Collector's, so that its otlp_json_file receiver and its users'
 * scripts read ours.
 *
 *   json                  = OTLP JSON, "\n"
 *   proto, or any zstd    = length (4 bytes, big-endian), that many bytes
 *   the bytes with zstd   = one zstd frame, of the JSON or of the protobuf; such a file is not one that `zstd -d` reads
 */
import type { Signal } from "../../core/signal.ts";
import { encodeContent, LEVEL_DEFAULT } from "../../net/content-encode.ts";
import { asBuffer } from "../../wire/text.ts";
import { encodeJsonBytes } from "../../wire/otlp/json-encode.ts";

export interface RecordFormat {
  readonly format: "json" | "proto";
  readonly compression: "zstd" | "none";
  /** 0: the algorithm's own. */
  readonly level: number;
}

/** How one record is told from the next. */
export type Framing = "lines" | "lengths";

export const LENGTH_BYTES = 4;

const LINE_END = "\n";

export function framingOf({ format, compression }: RecordFormat): Framing {
  return format === "json" && compression === "none" ? "lines" : "lengths";
}

/** The record as it stands in the file, in one piece. Rejects where the bytes are not a request of this signal. */
export async function encodeRecord(signal: Signal, bytes: Uint8Array, format: RecordFormat): Promise<Buffer> {
  const isLine = framingOf(format) === "lines";
  const encoded = format.format === "json" ? await encodeJsonBytes(signal, bytes, isLine ? LINE_END : "") : bytes;
  if (isLine) return asBuffer(encoded);
  const level = format.level === 0 ? LEVEL_DEFAULT : format.level;
  const body = format.compression === "zstd" ? await encodeContent("zstd", encoded, level) : encoded;
  const length = Buffer.allocUnsafe(LENGTH_BYTES);
  length.writeUInt32BE(body.length);
  return Buffer.concat([length, body]);
}
